"""Compiles kernels with Numba, or loads those that it compiled before from its cache on the disk.

Numba, and the modules of this package that need it, are imported only by `prepared`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from plait.backends.kernels.kinds import recipe_of


def compiled(key: str) -> Any:
    """Return the kernel of that key, loaded from the disk, or compiled and stored there.

    Raises:
        Exception: whatever Numba raises, for example if it cannot write into a folder.
    """
    dispatcher, signature = prepared(key)
    dispatcher.compile(signature)
    return dispatcher


def found(dispatcher: Any, signature: Any) -> Any:
    """Load a kernel that `prepared` returned, if a process has stored it on the disk; otherwise return ``None``."""
    if dispatcher._cache.load_overload(signature, dispatcher.targetctx) is None:
        return None
    dispatcher.compile(signature)  # finds it in the cache on the disk
    return dispatcher


def prepared(key: str) -> tuple[Any, Any]:
    """Return the kernel of that key as Numba's function that is not compiled yet, and its signature.

    Importing Numba takes a while; nothing is compiled.
    """
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
    """Return a hash of the source of all kernels, for their names.

    Numba's cache notices only changes of the file of a function, not of the files of functions that it calls.
    """
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]
