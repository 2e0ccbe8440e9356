"""From a pattern to sizes: which size follows from which, the sizes themselves, and two patterns as one."""
