"""Each package imports only packages below it; the tests read every import statement, also those inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE_FOLDER = Path(__file__).parent.parent / "src" / "plait"

PACKAGES_BOTTOM_UP = (
    "errors _caches _notation _shapes _plan _operations _executor _explain _types _api _pattern_with_constants _pattern"
    " layers compat testing _tour _cli"
).split()
"""Each package may import from those before it, and from itself."""

PACKAGES_KNOWN_TO_BACKENDS = {"errors", "_caches", "backends"}
"""A backend knows its framework, and nothing of patterns or plans."""

BACKEND_MODULES_KNOWN_TO_PLANS = {"plait.backends.costs", "plait.backends.interface"}
"""A plan knows what calls cost, and nothing of how a framework spells them."""

BACKEND_MODULES_KNOWN_TO_TESTING = {"plait.backends.interface", "plait.backends.registry"}
"""What `plait.testing` imports beside the public names: it calls the functions of a backend one by one."""

BACKEND_MODULES_OF_DATA = {"plait.backends.reduction_rules"}
"""What plans and operations may import of the backends: it knows no framework, and imports nothing."""

FILES_SHARED_BY_LAYERS = {"__init__.py", "_spec.py", "_einmix.py"}
"""What the layers of all frameworks share imports none of them."""

OPTIONAL_DEPENDENCIES_BY_PACKAGE = {"_types": {"numpy"}, "_executor": {"rich"}}
"""What a module imports under ``TYPE_CHECKING`` alone, or for a bar of progress that the caller asks for."""

OPTIONAL_DEPENDENCIES = {
    "numpy",
    "torch",
    "jax",
    "tensorflow",
    "array_api_strict",
    "sklearn",
    "PIL",
    "rich",
    "jinja2",
} | {"plait_kernels"}
FILES_WITHOUT_RULES = {"__init__", "__main__"}


def top_level_package(path: Path) -> str:
    return path.relative_to(PACKAGE_FOLDER).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module)
            if node.module in ("plait", "plait._executor"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


CHECKED_FILES = sorted(
    path for path in PACKAGE_FOLDER.rglob("*.py") if top_level_package(path) not in FILES_WITHOUT_RULES
)


@pytest.mark.parametrize("path", CHECKED_FILES, ids=lambda path: str(path.relative_to(PACKAGE_FOLDER)))
def test_packages_import_only_lower_packages(path):
    here = top_level_package(path)
    for name in imported_modules(path):
        parts = name.split(".")
        if parts[0] != "plait":
            if here in PACKAGES_BOTTOM_UP[: PACKAGES_BOTTOM_UP.index("layers")] or path.name in FILES_SHARED_BY_LAYERS:
                assert parts[0] not in OPTIONAL_DEPENDENCIES - OPTIONAL_DEPENDENCIES_BY_PACKAGE.get(here, set()), (
                    f"{path} imports {name}"
                )
            continue
        if len(parts) == 1:
            assert here in ("compat", "testing", "_tour", "_cli"), f"{path} imports the whole of plait"
            continue
        there = parts[1]
        if here == "backends":
            assert there in PACKAGES_KNOWN_TO_BACKENDS, f"{path} imports {name}"
        elif there == "backends":
            allowed = here == "_executor" or (here == "_plan" and name in BACKEND_MODULES_KNOWN_TO_PLANS)
            allowed |= here == "testing" and name in BACKEND_MODULES_KNOWN_TO_TESTING
            assert allowed or (here in ("_plan", "_operations") and name in BACKEND_MODULES_OF_DATA), (
                f"{path} imports {name}"
            )
        elif there in PACKAGES_BOTTOM_UP:
            assert PACKAGES_BOTTOM_UP.index(there) <= PACKAGES_BOTTOM_UP.index(here), f"{path} imports {name}"


def imports_outside_type_checking(path: Path, modules: set[str]) -> set[str]:
    """The modules of plait that a file imports at run time, also inside functions; not those under `TYPE_CHECKING`."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(names & modules or {node.module})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found & modules


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE_FOLDER.parent).with_suffix("").parts).removesuffix(".__init__")


def test_modules_have_no_circular_imports():
    """Also between modules of one package, and through imports inside functions."""
    paths = {module_name(path): path for path in PACKAGE_FOLDER.rglob("*.py")}
    imported = {name: imports_outside_type_checking(path, set(paths)) - {name} for name, path in paths.items()}
    while leaves := [name for name, others in imported.items() if not others & imported.keys()]:
        for name in leaves:
            del imported[name]
    assert not imported, f"these import each other: {sorted(imported)}"


def test_layer_files_import_only_layers_errors_and_types():
    """The layers of a framework import only `plait.layers`, `plait.errors` and `plait._types` of plait."""
    for path in (PACKAGE_FOLDER / "layers").glob("*.py"):
        ours = {name for name in imported_modules(path) if name.startswith("plait.")}
        if path.name not in FILES_SHARED_BY_LAYERS:
            assert {name.split(".")[1] for name in ours} <= {"layers", "errors", "_types"}, path


def test_the_conformance_suite_imports_public_names():
    """The author of a backend outside plait can write tests in the same way."""
    for path in (PACKAGE_FOLDER / "testing").glob("*.py"):
        ours = {name for name in imported_modules(path) if name.partition(".")[0] == "plait"}
        assert {name for name in ours if not name.startswith("plait.testing")} <= {
            "plait",
            *BACKEND_MODULES_KNOWN_TO_TESTING,
        }, path


def test_every_package_is_listed_in_the_order():
    assert {top_level_package(path) for path in CHECKED_FILES} == {*PACKAGES_BOTTOM_UP, "backends"}


def test_modules_of_data_import_nothing():
    for name in BACKEND_MODULES_OF_DATA:
        path = PACKAGE_FOLDER.parent.joinpath(*name.split(".")).with_suffix(".py")
        assert imported_modules(path) <= {"__future__", "re", "typing"}, path
