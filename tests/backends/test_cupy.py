"""CuPy, as far as a machine without a GPU goes: each name that the backend calls is there, and takes its arguments."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent.parent / "src" / "plait" / "backends" / "cupy"

LOOK = """
import inspect, sys
import cupy
missing = [name for name in sys.argv[1].split(",") if not hasattr(cupy, name)]
missing += [name for name in sys.argv[2].split(",") if not hasattr(cupy.ndarray, name)]
assert not missing, missing
for name in "max min sum prod mean var std any all".split():
    text = getattr(cupy.ndarray, name).__doc__.splitlines()[0]
    assert "axis=None" in text, text
    assert "ddof" not in text or "ddof=0" in text, text
inspect.signature(cupy.concatenate).bind([], 0)
inspect.signature(cupy.broadcast_to).bind(None, ())
from plait.backends.registry import backend_for_type
assert backend_for_type(cupy.ndarray).name == "cupy"
"""


def names(base: str) -> set[str]:
    """The attributes that the backend's source takes of a name."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES.glob("*.py")]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == base
    }


def test_every_name_is_there():
    pytest.importorskip("cupy", reason="cupy is not installed")
    functions, methods = names("cupy"), names("tensor") | names("cls") | {"max", "min", "prod", "any", "all"}
    assert {"einsum", "where", "concatenate"} <= functions
    assert {"reshape", "transpose", "get", "astype", "strides"} <= methods
    command = [sys.executable, "-W", "ignore", "-c", LOOK, ",".join(functions), ",".join(methods)]
    subprocess.run(command, check=True, timeout=300)


def test_the_stand_in_offers_no_more_than_is_called():
    from backends.frameworks import cupy_

    offered = {*cupy_.NAMES, "ndarray", "float32", "nan"}
    assert names("cupy") <= offered
