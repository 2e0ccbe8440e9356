"""What ``import plait`` imports and defines, checked in new interpreters."""

from __future__ import annotations

import ast
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import pytest

import plait

PACKAGE_FOLDER = Path(plait.__file__).parent


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_import_of_plait_imports_no_framework():
    code = "import sys, plait; print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    frameworks = ["numpy", "torch", "jax", "tensorflow", "sklearn", "rich", "dataclasses", "ctypes", "plait_kernels"]
    result = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}", *frameworks],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


PUBLIC_NAMES = sorted(
    [
        *("AxisError", "AxisWarning", "BackendError", "ContractionPlan", "CopyRequiredError", "Pattern"),
        *(
            "PatternPipeline",
            "PatternSyntaxError",
            "PatternWithConstants",
            "PlaitError",
            "SizeError",
            "asnumpy",
            "cache_clear",
            "cache_info",
            "compile",
            "einsum",
        ),
        *(
            "errors",
            "explain",
            "options",
            "pack",
            "parse_shape",
            "rearrange",
            "reduce",
            "repeat",
            "share_intermediates",
        ),
        *("unpack", "view"),
    ]
)


def test_public_names_are_listed_in_all_and_dir():
    assert plait.__all__ == PUBLIC_NAMES
    code = "import plait, plait.layers, plait.backends.registry, plait.compat.einops; print(*dir(plait))"
    shown = run_python(code).split()
    assert [name for name in shown if not name.startswith("__")] == PUBLIC_NAMES
    assert {"__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"} <= {*shown}


def test_the_conformance_suite_is_imported_on_request():
    pytest.importorskip("numpy")
    assert run_python("import sys, plait; print('plait.testing' in sys.modules)") == "False"
    assert run_python("from plait.testing import *; print(*sorted(name for name in dir() if name[0] != '_'))") == (
        "BackendTests Framework"
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["pytest"], "plait.testing needs pytest: pip install pytest"),
        (["numpy", "pytest"], "plait.testing needs numpy and pytest: pip install numpy pytest"),
    ],
)
def test_the_conformance_suite_says_what_is_not_installed(missing, message):
    pytest.importorskip("numpy")
    code = f"""
import sys
sys.modules.update(dict.fromkeys({missing!r}))
try:
    import plait.testing
except ImportError as error:
    print(error)
"""
    assert run_python(code) == message


def test_import_star_gives_the_public_names():
    code = "from plait import *; print(*sorted(name for name in dir() if not name.startswith('__')))"
    assert run_python(code).split() == PUBLIC_NAMES
    errors = run_python(
        "from plait.errors import *; print(*[name for name in dir() if not name.startswith('__')])"
    ).split()
    assert errors == sorted(plait.errors.__all__)
    assert {name for name in errors if name != "CODES"} == {name for name in PUBLIC_NAMES if name[0].isupper()} - {
        *("ContractionPlan", "Pattern", "PatternPipeline", "PatternWithConstants")
    }


PACKAGE_INIT_FILES = sorted(PACKAGE_FOLDER.rglob("__init__.py"))


@pytest.mark.parametrize("path", PACKAGE_INIT_FILES, ids=lambda path: str(path.parent.relative_to(PACKAGE_FOLDER)))
def test_no_name_of_a_package_hides_a_module(path):
    """A name bound in `__init__.py` would replace the submodule of the same name as attribute of the package."""
    modules = {each.stem for each in path.parent.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            package = ".".join(["plait", *path.parent.relative_to(PACKAGE_FOLDER).parts])
            bound = {alias.asname or alias.name for alias in node.names if node.module != package}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound = {node.name}
        else:
            bound = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        assert not bound & modules


@pytest.mark.parametrize(
    "value",
    [
        plait.compile("b (h p) -> b h p", p=2),
        plait.compile("a b -> b a") >> plait.compile("b a -> (b a)"),
        plait.errors.make_error("PLT302", "no", "a -> a", [(0, 1)]),
        *[getattr(plait, name) for name in PUBLIC_NAMES if name != "errors"],
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_name_public_modules(value, protocol):
    pickled = pickle.dumps(value, protocol)
    words = {str(argument).partition(" ")[0] for _, argument, _ in pickletools.genops(pickled)}
    assert {word for word in words if word.startswith("plait")} <= {"plait", "plait.errors"}
    again = pickle.loads(pickled)
    assert again == value or str(again) == str(value)


def test_import_of_plait_imports_no_notation_or_backends():
    imported_modules = run_python(
        "import sys, plait; print([name for name in sys.modules if name.startswith('plait.')])"
    )
    assert "plait._notation" not in imported_modules
    assert "plait.backends" not in imported_modules
    assert "plait._types" not in imported_modules


def test_version_equals_that_of_the_installed_package():
    import importlib.metadata

    assert importlib.metadata.version("plait") == plait.__version__


LARGE_TENSOR_MODULES = ("_plan.schedule", "_executor.large", "backends.numpy.large_tensors")
"""What schedules of large tensors are made of and by."""


@pytest.mark.parametrize("size", [8, 64])
def test_large_tensor_modules_are_imported_for_large_tensors_only(size):
    pytest.importorskip("numpy")
    code = (
        "import sys, numpy, plait\n"
        f"x = numpy.zeros(({size}, {size}, 4))\n"
        "plait.rearrange(x, 'h w c -> w h c'), plait.reduce(x, '(h 2) w c -> h c', 'max')\n"
        f"print(*[name for name in {LARGE_TENSOR_MODULES!r} if 'plait.' + name in sys.modules])\n"
    )
    assert run_python(code).split() == ([] if size == 8 else [*LARGE_TENSOR_MODULES])
