"""What ``import plait`` does, each time in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import plait


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_no_framework_is_imported():
    code = "import sys, plait; print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    frameworks = ["numpy", "torch", "jax", "tensorflow", "sklearn", "rich", "typing", "dataclasses", "re"]
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}", *frameworks],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_the_public_names():
    names = run("import plait; print(*[name for name in dir(plait) if not name.startswith('_')])")
    assert names.split() == sorted(
        [
            *(
                "AxisError",
                "AxisWarning",
                "BackendError",
                "CopyRequiredError",
                "Pattern",
                "PatternPipeline",
                "PatternSyntaxError",
                "SizeError",
                "PlaitError",
            ),
            *("asnumpy", "cache_clear", "cache_info", "compile", "einsum", "explain", "options", "pack"),
            *("parse_shape", "rearrange", "reduce", "repeat", "unpack", "view"),
            "errors",
        ]
    )


def test_the_cold_rooms_are_not_imported():
    rooms = run("import sys, plait; print([name for name in sys.modules if name.startswith('plait.')])")
    assert "plait._notation" not in rooms
    assert "plait.backends" not in rooms


def test_the_version_is_in_one_place():
    import importlib.metadata

    assert importlib.metadata.version("plait") == plait.__version__
