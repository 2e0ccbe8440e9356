"""CuPy without a GPU: every function that the backend calls exists and accepts its arguments."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CUPY_BACKEND_FOLDER = Path(__file__).parent.parent.parent / "src" / "plait" / "backends" / "cupy"

CUPY_API_CHECK_SCRIPT = """
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


def attributes_used_of(base: str) -> set[str]:
    """The attributes of a name that the source code of the backend uses."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in CUPY_BACKEND_FOLDER.glob("*.py")]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == base
    }


def test_every_used_function_of_cupy_exists():
    pytest.importorskip("cupy", reason="cupy is not installed")
    functions, methods = (
        attributes_used_of("cupy"),
        attributes_used_of("tensor") | attributes_used_of("cls") | {"max", "min", "prod", "any", "all", "astype"},
    )
    assert {"einsum", "where", "concatenate"} <= functions
    assert {"reshape", "transpose", "get", "strides"} <= methods
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        CUPY_API_CHECK_SCRIPT,
        ",".join(functions),
        ",".join(methods),
    ]
    subprocess.run(command, check=True, timeout=300)


def test_module_stand_in_has_every_function_that_the_backend_uses():
    from backends.frameworks import cupy_

    available = {*cupy_.WRAPPED_FUNCTIONS, "ndarray", "float32", "nan"}
    assert attributes_used_of("cupy") <= available
