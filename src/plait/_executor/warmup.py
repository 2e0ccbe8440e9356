"""Compiled kernels for ``plait warmup``: a command may not import backends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec


def unavailable() -> str | None:
    """Why there are no kernels, or ``None``."""
    if find_spec("numpy") is None:
        return "numpy is not installed"
    from plait.backends.kernels.state import unavailable as absent

    return absent()


def warm(names: Sequence[str], dtypes: Sequence[str]) -> Iterator[str]:
    """Compile the kernels for those reductions of those types; yields the name of each before its turn."""
    from plait.backends.kernels.warming import warm as compile_all

    return compile_all(names, dtypes)
