"""The examples of README, pages and docstrings run, and give the results that they show."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import plait
from layers.frameworks import FRAMEWORK_NAMES

pytest.importorskip("numpy")

ROOT = Path(__file__).parent.parent
TEST_FILE_BY_PAGE = {
    "dask.md": "tests/distributed/test_dask.py",
    "dtensor.md": "tests/distributed/test_dtensor.py",
    "jax-sharding.md": "tests/distributed/test_jax_sharding.py",
}
"""Pages that need several processes or devices, and the tests that execute them."""
ALL_PAGES = sorted((ROOT / "docs").rglob("*.md"))
PAGES_RUN_HERE = [path for path in ALL_PAGES if path.name not in TEST_FILE_BY_PAGE]
LAYER_MODULES = {f"plait.layers.{name}" for name in FRAMEWORK_NAMES}
"""Their examples are executed by tests/layers, each with its framework."""
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(plait.__path__, "plait.")
    if "__main__" not in module.name and module.name not in LAYER_MODULES
)


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_of_modules_run(name):
    if name.startswith("plait._tour"):
        pytest.importorskip("sklearn")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(("plait.backends.", "plait.layers.")) or str(error.name).startswith("plait"):
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(module)
    assert result.failed == 0


@pytest.mark.parametrize("name", plait.__all__)
def test_docstring_examples_of_public_names_run(name):
    """Their module is ``plait``, so that doctest does not find them in the file that defines them."""
    public = getattr(plait, name)
    if inspect.isclass(public) and not issubclass(public, Warning):
        members = [member for base in public.__mro__ for member in vars(base).values() if inspect.isfunction(member)]
        module = importlib.import_module(members[0].__globals__["__name__"])
        runner = doctest.DocTestRunner()
        for test in doctest.DocTestFinder().find(public, name, module=module):
            runner.run(test)
        assert runner.failures == 0


@pytest.mark.parametrize("path", PAGES_RUN_HERE, ids=lambda path: path.name)
def test_examples_of_documentation_pages_run(path):
    test = doctest.DocTestParser().get_doctest("\n".join(code_blocks(path, "pycon")), {}, path.name, str(path), 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0
    for block in code_blocks(path, "python"):
        assert ">>>" not in block, "a session of the interpreter belongs in a block of pycon"
        if "import torch" in block:
            pytest.importorskip("torch")
        exec(compile(block, str(path), "exec"), {})


TABLE_ROW_REGEX = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
TENSOR_SHAPES_BY_PAGE = {
    "from-view-and-permute.md": dict(x=(2, 3, 4, 6)),
    "from-einsum.md": dict(q=(2, 8, 5, 16), k=(2, 8, 5, 16), m=(4, 4)),
}
"""Pages with a table of what is written by hand and with plait, and the shapes of the arrays that it uses."""


@pytest.mark.parametrize(
    ("page", "by_hand", "with_plait"),
    [
        (page, *row)
        for page in TENSOR_SHAPES_BY_PAGE
        for row in TABLE_ROW_REGEX.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    ],
)
def test_both_columns_of_a_table_are_equal(page, by_hand, with_plait):
    import numpy as np

    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) for name, shape in TENSOR_SHAPES_BY_PAGE[page].items()}
    expected = eval(by_hand, {"np": np, **arrays})
    actual = eval(with_plait, {**vars(plait), **arrays})
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_readme_examples_run(capsys):
    pytest.importorskip("torch")
    namespace: dict[str, object] = {}
    for block in code_blocks(ROOT / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    for text in code_blocks(ROOT / "README.md", "text"):
        if "overhead" not in text and "native" not in text:
            assert text in printed


def test_docstrings_of_public_functions_have_all_sections():
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
        text = inspect.cleandoc(getattr(plait, name).__doc__)
        for part in ("Args:", "Returns:", "Raises:", "Examples:\n    >>> "):
            assert part in text, f"{name} has no {part}"


def test_generated_pages_are_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page()
    for path in generate.PAGES_WITH_PARTS:
        assert path.read_text(encoding="utf-8") == generate.with_parts(path)


def test_pages_run_in_other_test_files_are_named_there():
    for page, test in TEST_FILE_BY_PAGE.items():
        assert page in (ROOT / test).read_text(encoding="utf-8"), page


def test_relative_links_have_targets():
    for path in [ROOT / "README.md", *ALL_PAGES]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_versions_page_lists_the_releases_that_are_tested():
    groups, _ = read_dependency_groups_and_extras()
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    for group in ("newest", "newest-torch", "oldest"):
        for requirement in groups[group]:
            name, _, version = requirement.partition("==")
            if version and name not in ("einops", "jaxlib", "ml-dtypes"):
                assert f"{name.partition('[')[0]} {version}" in text, requirement


def test_the_lower_bounds_of_the_extras_are_tested():
    groups, extras = read_dependency_groups_and_extras()
    tested = dict(requirement.split("==") for requirement in groups["oldest"] if "==" in requirement)
    kernels = (ROOT / "packages" / "kernels" / "src" / "plait_kernels" / "__init__.py").read_text(encoding="utf-8")
    tested["plait-kernels"] = re.search('^__version__ = "(.+)"', kernels, re.MULTILINE)[1]  # built from the repository
    for requirement in extras:
        name, bound = requirement.split(">=")
        assert tested[name] == bound or tested[name].startswith(f"{bound}."), requirement


def read_dependency_groups_and_extras():
    """Return the requirements of each dependency group, and those of all extras together."""
    tomllib = pytest.importorskip("tomllib", reason="tomllib is not in Python 3.10")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {
        name: [each for each in requirements if isinstance(each, str)]
        for name, requirements in project["dependency-groups"].items()
    }
    return groups, [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
