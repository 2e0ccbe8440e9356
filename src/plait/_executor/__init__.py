"""The executor: the cache of calls, and what plans, binds and runs a call that is not in the cache."""
