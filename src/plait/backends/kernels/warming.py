"""Compiles kernels ahead of time, for ``plait warmup`` and in the process that `background` starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

import numpy as np

from plait.backends.kernels.compiling import compiled
from plait.backends.kernels.copying import word_of
from plait.backends.kernels.kinds import key_of, recipe_of
from plait.backends.kernels.state import kernel

NAMES = ("copy", "min", "max", "sum", "mean", "prod", "any", "all")


def keys(names: Iterable[str], dtypes: Iterable[str]) -> list[str]:
    """Return the keys of the kernels for these reductions, or ``copy``, of these element types.

    A reduction of a type that has no kernel is left out.

    Raises:
        ValueError: a name is neither ``copy`` nor a reduction that has kernels.

    >>> keys(["max", "mean"], ["float32", "int8"])
    ['max float32', 'sum float32', 'max int8']
    """
    found = []
    names = list(names)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} has no kernel; those that have are {', '.join(NAMES)}")
    for name, dtype in ((name, np.dtype(dtype)) for dtype in dtypes for name in names):
        if name == "copy":
            found.append(f"copy {word_of(dtype.itemsize)}")
            continue
        key = key_of(name, dtype)
        recipe = recipe_of(key) if key else None
        if recipe:
            found.append(recipe.key)
    return list(dict.fromkeys(found))


def warm(names: Iterable[str], dtypes: Iterable[str]) -> Iterator[str]:
    """Compile kernels in this process, or load those that are compiled; yield the key of each before it."""
    for key in keys(names, dtypes):
        yield key
        kernel(key).arrived(compiled(key))


def main(wanted: list[str]) -> None:
    """Compile the kernels of these keys, with low priority."""
    if hasattr(os, "nice"):
        os.nice(10)
    for key in wanted:
        compiled(key)


if __name__ == "__main__":
    main(sys.argv[1:])
