"""What the command needs of compiled kernels, which only `run` may reach."""

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
    """Compile the kernels for those reductions of those types; yields the name of each before its turn.

    Raises:
        ValueError: a name is no reduction that has a kernel.
        TypeError: a type is none that NumPy knows.
    """
    from plait.backends.kernels.warming import warm as compile_all

    return compile_all(names, dtypes)
