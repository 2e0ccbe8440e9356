"""What ``import weft`` does, each time in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import weft


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_no_framework_is_imported():
    code = "import sys, weft; print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    frameworks = ["numpy", "torch", "jax", "tensorflow", "sklearn", "rich", "typing", "dataclasses", "re"]
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}", *frameworks],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_the_public_names():
    names = run("import weft; print(*[name for name in dir(weft) if not name.startswith('_')])")
    assert names.split() == sorted(
        [
            *(
                "AxisError",
                "AxisWarning",
                "BackendError",
                "Composed",
                "CopyNeeded",
                "Pattern",
                "PatternSyntaxError",
                "SizeError",
                "WeftError",
            ),
            *("asnumpy", "cache_clear", "cache_info", "compile", "einsum", "explain", "options", "pack"),
            *("parse_shape", "rearrange", "reduce", "repeat", "unpack", "view"),
            *("api", "compiled", "errors", "run"),  # the rooms that these are in
        ]
    )


def test_the_cold_rooms_are_not_imported():
    rooms = run("import sys, weft; print([name for name in sys.modules if name.startswith('weft.')])")
    assert "weft.pattern" not in rooms
    assert "weft.backends" not in rooms


def test_the_version_is_in_one_place():
    import importlib.metadata

    assert importlib.metadata.version("weft") == weft.__version__
