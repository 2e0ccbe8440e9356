"""Examples: run one from the root of the repository, as in ``python -m examples.digits``."""
