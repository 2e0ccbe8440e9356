"""The operations: one module each, with the check of its patterns and its lowering to a plan, and a table of them."""
