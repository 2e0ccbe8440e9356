"""What the documentation shows is what happens: README, pages and docstrings are executed."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import weft

pytest.importorskip("numpy")

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(weft.__path__, "weft.") if "__main__" not in module.name
)


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    if name == "weft.backends.torch":
        pytest.importorskip("torch")
    if name.startswith("weft.tour"):
        pytest.importorskip("sklearn")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path):
    examples = [block for block in blocks(path, "python") if ">>>" in block]
    test = doctest.DocTestParser().get_doctest("\n".join(examples), {}, path.name, str(path), 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0
    for block in blocks(path, "python"):
        if ">>>" not in block:
            exec(compile(block, str(path), "exec"), {})


def test_the_readme_runs(capsys):
    namespace: dict[str, object] = {}
    for block in blocks(ROOT / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    for text in blocks(ROOT / "README.md", "text"):
        if "overhead" not in text and "native" not in text:
            assert text in printed


def test_every_public_name_says_what_it_takes_and_gives():
    for name in (
        "rearrange",
        "view",
        "reduce",
        "repeat",
        "einsum",
        "pack",
        "unpack",
        "parse_shape",
        "asnumpy",
        "explain",
    ):
        text = inspect.cleandoc(getattr(weft, name).__doc__)
        for part in ("Args:", "Returns:", "Raises:", "Examples:\n    >>> "):
            assert part in text, f"{name} has no {part}"


def test_the_page_of_errors_is_that_of_the_table():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page()


def test_every_link_leads_somewhere():
    for path in [ROOT / "README.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"
