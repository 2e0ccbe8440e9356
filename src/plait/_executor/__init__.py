"""From a call to the framework's functions: the cache of calls, and what plans and binds a call that is not in it."""
