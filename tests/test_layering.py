"""Imports run one way through the house; a test that reads them, wherever in a file they stand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "weft"

ORDER = "errors pattern solve plan ops run explanation api compiled layers compat tour cli".split()
"""Each room may import from those before it, and from itself."""

BACKENDS = {"errors", "backends"}
"""A backend knows its framework, and nothing of patterns or plans."""

NEUTRAL = {"spec.py", "mix.py", "recipes.py"}
"""What the layers of all frameworks share belongs to none."""

FRAMEWORKS = {"numpy", "torch", "jax", "tensorflow", "array_api_strict", "sklearn", "PIL", "rich", "jinja2"}
TOP = {"__init__", "__main__"}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module)
            if node.module in ("weft", "weft.run"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(path for path in ROOT.rglob("*.py") if room(path) not in TOP)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_uphill(path):
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "weft":
            if here in ORDER[: ORDER.index("layers")] or path.name in NEUTRAL:
                assert parts[0] not in FRAMEWORKS, f"{path} imports {name}"
            continue
        if len(parts) == 1:
            assert here in ("compat", "tour", "cli"), f"{path} imports the whole of weft"
            continue
        there = parts[1]
        if here == "backends":
            assert there in BACKENDS, f"{path} imports {name}"
        elif there == "backends":
            assert here == "run", f"{path} imports {name}"
        elif there in ORDER:
            assert ORDER.index(there) <= ORDER.index(here), f"{path} imports {name}"


def test_a_layer_file_is_glue():
    """It imports its framework and what all layers share; no layer is made of another framework's."""
    for path in (ROOT / "layers").glob("*.py"):
        ours = {name for name in imports(path) if name.startswith("weft.")}
        if path.name not in NEUTRAL:
            assert {name.split(".")[1] for name in ours} <= {"layers", "errors"}, path


def test_every_room_has_its_place():
    assert {room(path) for path in FILES} == {*ORDER, "backends"}


def test_a_backend_is_files_under_a_hundred_lines():
    for path in (ROOT / "backends").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 100, path


def test_no_file_has_found_a_second_idea():
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
