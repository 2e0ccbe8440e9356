"""Kernels made by Numba, or found where Numba keeps those that it made before. Only this file imports it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from plait.backends.kernels.kinds import recipe_of


def compiled(key: str) -> Any:
    """The kernel of that key, from the disk if it is there, and compiled and left there if not.

    Raises:
        Exception: whatever Numba raises, such as where no folder can be written.
    """
    dispatcher, signature = prepared(key)
    dispatcher.compile(signature)
    return dispatcher


def found(dispatcher: Any, signature: Any) -> Any:
    """The kernel that was prepared, if an earlier process left it on the disk, or ``None``."""
    if dispatcher._cache.load_overload(signature, dispatcher.targetctx) is None:
        return None
    dispatcher.compile(signature)  # which loads it
    return dispatcher


def prepared(key: str) -> tuple[Any, Any]:
    """What will be the kernel of that key, and its signature. Takes a while, and nothing of it is the compiler's."""
    from numba import njit

    name, word = key.split()
    if name == "copy":
        from plait.backends.kernels.copy_kernel import SIGNATURE, copy_kernel

        function, signature = copy_kernel(int(word)), SIGNATURE
    else:
        from plait.backends.kernels.reduce_kernel import SIGNATURE, reduce_kernel

        recipe = recipe_of(key)
        if recipe is None:
            raise KeyError(key)
        function, signature = reduce_kernel(recipe), SIGNATURE
    function.__qualname__ = f"{name}_{word}_{_stamp()}"
    dispatcher = njit(nogil=True, cache=True, error_model="numpy")(function)
    dispatcher.typingctx.refresh()
    dispatcher.targetctx.refresh()
    return dispatcher, signature


def _stamp() -> str:
    """Numba looks at the file that a function stands in, and not at those that it calls."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]
