"""The last room before the framework: the cache, and what happens behind a miss."""
