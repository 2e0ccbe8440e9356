"""Examples, which run from the root of the repository, as in ``python -m examples.digits``."""
