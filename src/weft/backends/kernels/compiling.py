"""Kernels made by Numba, or found where Numba keeps those that it made before. Only this file imports it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from weft.backends.kernels.recipes import recipe_of


def compiled(key: str) -> Any:
    """The kernel of that key, from the disk if it is there, and compiled and left there if not.

    Raises:
        Exception: whatever Numba raises, such as where no folder can be written.
    """
    dispatcher, signature = _dispatcher(key)
    dispatcher.compile(signature)
    return dispatcher


def found(key: str) -> Any:
    """The kernel of that key, if an earlier process left it on the disk, or ``None``."""
    dispatcher, signature = _dispatcher(key)
    if dispatcher._cache.load_overload(signature, dispatcher.targetctx) is None:
        return None
    dispatcher.compile(signature)  # which loads it
    return dispatcher


def _dispatcher(key: str) -> tuple[Any, Any]:
    from numba import njit

    name, word = key.split()
    if name == "copy":
        from weft.backends.kernels.copy_kernel import SIGNATURE, copy_kernel

        function, signature = copy_kernel(int(word)), SIGNATURE
    else:
        from weft.backends.kernels.reduce_kernel import SIGNATURE, reduce_kernel

        recipe = recipe_of(key)
        assert recipe, key
        function, signature = reduce_kernel(recipe), SIGNATURE
    function.__qualname__ = f"{name}_{word}_{_stamp()}"
    return njit(nogil=True, cache=True, error_model="numpy")(function), signature


def _stamp() -> str:
    """Numba looks at the file that a function stands in, and not at those that it calls."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]
