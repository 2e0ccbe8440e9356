"""The executor: the cache of calls, and the modules that build and run the callable of a call that is not in it."""
