"""The types that mypy and pyright infer for calls of plait, with NumPy, PyTorch, JAX or none of them installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import plait

PACKAGE_FOLDER = Path(plait.__file__).parent

CLASSES_SOURCE_CODE = """
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plait
import plait.compat.einops as einops


class Array:
    shape: tuple[int, ...]

    def reshape(self, shape: Sequence[int], /) -> Array:
        raise NotImplementedError


class Subclass(Array):
    pass


class Plain:
    shape: tuple[int, ...]


class LikeJax(Array):
    at: Any
    sharding: Any

    def reshape(self, shape: Sequence[int], /) -> LikeJax:
        raise NotImplementedError
"""

ARGUMENT_DECLARATIONS = (
    "array: Array, child: Subclass, plain: Plain, jax: LikeJax, unknown: Any, arrays: list[Array], "
    "children: tuple[Subclass, ...], plains: list[Plain], unknowns: list[Any], pattern: plait.Pattern, "
    "pipeline: plait.PatternPipeline"
)

TYPE_BY_CALL = {
    'plait.rearrange(array, "")': "Array",
    'plait.rearrange(child, "", a=2)': "Array",
    'plait.rearrange(plain, "")': "Plain",
    'plait.rearrange(unknown, "")': "Any",
    'plait.rearrange(arrays, "")': "Array",
    'plait.rearrange(children, "")': "Array",
    'plait.rearrange([child, array], "")': "Array",
    'plait.rearrange(plains, "")': "Plain",
    'plait.rearrange((plain, plain), "")': "Plain",
    'plait.rearrange(unknowns, "")': "Any",
    'plait.view(child, "")': "Array",
    'plait.view(plain, "")': "Plain",
    'plait.view(unknown, "")': "Any",
    'plait.reduce(child, "", "max")': "Array",
    'plait.reduce(plain, "", lambda tensor, axes: tensor.max(axes))': "Plain",
    'plait.reduce(children, "", max)': "Array",
    'plait.repeat(child, "", r=3)': "Array",
    'plait.repeat(children, "", r=3)': "Array",
    'plait.repeat(plain, "", r=3)': "Plain",
    'einops.repeat(child, "", r=3)': "Array",
    'einops.repeat(plains, "", r=3)': "Plain",
    'einops.reduce(child, "", "max")': "Array",
    'plait.einsum(child, "")': "Array",
    'plait.einsum(child, array, "", k=3)': "Array",
    'plait.einsum(child, array, child, "")': "Array",
    'plait.einsum(*children, "")': "Array",
    'plait.einsum(*arrays, array, "")': "Array",
    'plait.einsum(plain, plain, "")': "Plain",
    'plait.einsum(plain, array, "")': "Array | Plain",
    'plait.einsum(unknown, unknown, "")': "Any",
    'plait.einsum(*unknowns, "")': "Any",
    'plait.einsum("", child)': "Array",
    'plait.einsum("", child, child)': "Array",
    'plait.einsum("", array, child, array, array, array)': "Array",
    'plait.einsum("", *children)': "Array",
    'plait.einsum("", plain, plain)': "Plain",
    'plait.einsum("", unknown)': "Any",
    'plait.einsum("", child, child, optimize="greedy")': "Array",
    'plait.einsum("", child, array, optimize=[(0, 1)])': "Array",
    'plait.einsum("", unknown, optimize=True, dtype=float, order="C", casting="unsafe")': "Any",
    'plait.einsum("", child, [1, 2], 2.0, out=plain)': "Plain",
    'plait.einsum("", jax, optimize=("greedy", 100), precision="highest")': "LikeJax",
    "plait.einsum(array, [0, 1], array, [1, 2], [0, ...])": "Any",
    "plait.einsum(array, (0, 1), array, range(2), out=plain)": "Plain",
    'plait.einsum(jax, jax, "", precision="highest", out_sharding=())': "LikeJax",
    'plait.einsum("", jax, preferred_element_type=float)': "LikeJax",
    'plait.einsum(unknown, unknown, "", precision="highest")': "Any",
    'plait.pack(children, "*")': "tuple[Array, list[tuple[int, ...]]]",
    'plait.pack(plains, "*")': "tuple[Plain, list[tuple[int, ...]]]",
    'plait.unpack(child, [(1,), ()], "*")': "list[Array]",
    'plait.unpack(plain, [(1,), ()], "*")': "list[Plain]",
    'plait.parse_shape(array, "a b")': "dict[str, int]",
    'plait.explain("a b -> b a", (2, 3))': "Explanation",
    'plait.explain("a b -> b", child, reduction="max")': "Explanation",
    'plait.compile("a b -> b a")': "Pattern",
    'plait.compile("a b -> b a", a=2).sizes': "dict[str, int]",
    "pattern >> pattern": "PatternPipeline",
    "pipeline >> pattern": "PatternPipeline",
    "pattern.rearrange(child)": "Array",
    "pattern.rearrange(children)": "Array",
    "pattern.rearrange(plain)": "Plain",
    "pattern.view(child)": "Array",
    'pattern.reduce(child, "mean")': "Array",
    'pattern.reduce(unknown, "mean")': "Any",
    "pipeline.repeat(child)": "Array",
    "pattern.einsum(child)": "Array",
    "pattern.einsum(child, array, child)": "Array",
    "pipeline.einsum(*children)": "Array",
    "pattern.einsum(plain, plain)": "Plain",
    'pattern.einsum(jax, precision="highest")': "LikeJax",
    "pattern.output_shape((2, 3))": "tuple[int, ...]",
    "pipeline.output_shape((2, None))": "tuple[int | None, ...]",
    "pattern.inverse(a=2)": "Pattern",
    "pipeline.inverse()": "PatternPipeline",
    "pattern.explain((2, 3))": "Explanation",
    'pattern.source("torch", 2)': "str",
    "plait.cache_info().hits": "int",
    "plait.options(strict=True)": "options",
    "plait.share_intermediates()": "share_intermediates",
    "pattern.with_constants({0: child})": "PatternWithConstants",
    "pattern.with_constants({}).constants": "dict[int, Any]",
    "pattern.with_constants({0: child}).einsum(child, array)": "Array",
    "pattern.with_constants({0: child}).einsum(unknown)": "Any",
    "pattern.with_constants({0: child}).einsum(*children)": "Array",
    'pattern.with_constants({0: jax}).einsum(jax, precision="highest")': "LikeJax",
    "pattern.with_constants({0: child}).output_shape((2, None))": "tuple[int | None, ...]",
    "pattern.with_constants({0: child}).explain((2, 3))": "Explanation",
    'plait.explain("a b -> b a", (2, 3)).plan': "ContractionPlan | None",
    'plait.ContractionPlan.from_json("")': "ContractionPlan",
    'plait.ContractionPlan("a b, b c -> a c", [(2, 3), (3, 4)], [(0, 1)]).to_json()': "str",
    'plait.ContractionPlan("a b, b c -> a c", [(2, 3), (3, 4)], [(0, 1)]).sizes': "dict[str, int]",
}
"""Expressions and the types that both type checkers infer for them, without the modules of the types."""

CALLS_WITH_TYPE_ERRORS = (
    'plait.rearrange(array, "", a=2.0)',
    "plait.rearrange(array, 5)",
    "plait.rearrange(array)",
    'plait.reduce(array, "", "maen")',
    'plait.reduce(array, "", 3)',
    'plait.reduce(array, "")',
    'plait.repeat(array, "", r="3")',
    "plait.einsum(array, array)",
    'plait.einsum(array, "", array)',
    'plait.einsum("")',
    'plait.einsum(array, array, "", precision="highest")',
    'plait.einsum("", array, out_sharding=())',
    'plait.einsum("", array, order="W")',
    'plait.einsum("", array, optimise=True)',
    'plait.einsum(array, ["a", "b"])',
    "plait.einsum(array, [0, 1], A=2)",
    'plait.unpack(array, (1, 2), "*")',
    "plait.compile(5)",
    'plait.compile("a -> a", a=2.0)',
    'plait.compile("a -> a") >> "a -> a"',
    'pattern.reduce(array, "maen")',
    'pattern.einsum(array, precision="highest")',
    "pattern.rearrange()",
    "plait.options(contract=b'dp')",
    "plait.options(strct=True)",
)
"""Expressions that are errors to both type checkers."""

NUMPY_SOURCE_CODE = """
import numpy as np
import numpy.typing as npt

class Matrix(np.ndarray[tuple[int, int], np.dtype[np.float32]]):
    pass
"""

NUMPY_ARGUMENT_DECLARATIONS = (
    "x: npt.NDArray[np.float32], matrix: np.ndarray[tuple[int, int], np.dtype[np.float32]], child: Matrix, "
    "double: npt.NDArray[np.float64], matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]], "
    "masked: np.ma.MaskedArray[tuple[int, int], np.dtype[np.float64]], pattern: plait.Pattern"
)

FLOAT32_ARRAY_TYPE = "ndarray[tuple[Any, ...], dtype[float32]]"
FLOAT64_ARRAY_TYPE = "ndarray[tuple[Any, ...], dtype[float64]]"

NUMPY_TYPE_BY_CALL = {
    'plait.rearrange(x, "")': FLOAT32_ARRAY_TYPE,
    'plait.rearrange(matrix, "")': FLOAT32_ARRAY_TYPE,
    'plait.rearrange(child, "")': FLOAT32_ARRAY_TYPE,
    'plait.rearrange(masked, "")': "MaskedArray[tuple[Any, ...], dtype[float64]]",
    'plait.rearrange(matrices, "")': FLOAT32_ARRAY_TYPE,
    'plait.rearrange([matrix, matrix], "")': FLOAT32_ARRAY_TYPE,
    'plait.rearrange((matrix, matrix), "")': FLOAT32_ARRAY_TYPE,
    'plait.view(matrix, "")': FLOAT32_ARRAY_TYPE,
    'plait.reduce(matrix, "", "max")': FLOAT32_ARRAY_TYPE,
    'plait.reduce(matrix, "", lambda tensor, axes: tensor.max(axes))': FLOAT32_ARRAY_TYPE,
    'plait.reduce(matrix, "", np.max)': FLOAT32_ARRAY_TYPE,
    'plait.repeat(matrix, "", c=3)': FLOAT32_ARRAY_TYPE,
    'plait.einsum(matrix, "")': FLOAT32_ARRAY_TYPE,
    'plait.einsum(matrix, x, "")': FLOAT32_ARRAY_TYPE,
    'plait.einsum(matrix, x, child, "")': FLOAT32_ARRAY_TYPE,
    'plait.einsum(x, double, "")': f"{FLOAT32_ARRAY_TYPE} | {FLOAT64_ARRAY_TYPE}",
    'plait.einsum("", matrix, child, x)': FLOAT32_ARRAY_TYPE,
    'plait.einsum(*matrices, "")': FLOAT32_ARRAY_TYPE,
    'plait.pack([matrix, matrix], "*")[0]': FLOAT32_ARRAY_TYPE,
    'plait.unpack(matrix, [(1,), (2,)], "*")[0]': FLOAT32_ARRAY_TYPE,
    "pattern.rearrange(matrix)": FLOAT32_ARRAY_TYPE,
    'pattern.reduce(matrix, "any")': FLOAT32_ARRAY_TYPE,
    "pattern.einsum(matrix, matrix)": FLOAT32_ARRAY_TYPE,
    "plait.asnumpy(x)": "ndarray[tuple[Any, ...], dtype[Any]]",
    'plait.repeat(matrix, "h w -> h w c", c=3).shape': "tuple[Any, ...]",
}

TORCH_SOURCE_CODE = """
import torch
from torch import nn
from plait.layers.torch import EinMix, Rearrange, Reduce
"""

TORCH_TYPE_BY_CALL = {
    'plait.rearrange(tensor, "")': "Tensor",
    'plait.rearrange(parameter, "")': "Tensor",
    'plait.rearrange([tensor, parameter], "")': "Tensor",
    'plait.reduce(parameter, "", torch.amax)': "Tensor",
    'plait.einsum(tensor, parameter, "")': "Tensor",
    'plait.einsum("", parameter)': "Tensor",
    'plait.view(parameter, "")': "Tensor",
    'plait.unpack(parameter, [(1,)], "*")': "list[Tensor]",
    'Rearrange("a b -> b a")(tensor)': "Tensor",
    'Rearrange("n a b -> n b a")([tensor, tensor])': "Tensor",
    'Reduce("a b -> a", nn.Identity())(tensor)': "Tensor",
    'EinMix("a b -> a c", "b c", b=2, c=3)(tensor)': "Tensor",
    'EinMix("a b -> a c", "b c", b=2, c=3).weight': "Parameter",
}

TORCH_CALLS_WITH_TYPE_ERRORS = (
    'Reduce("a b -> a", "maen")',
    'Rearrange("a b -> b a", a=2.0)',
    'Rearrange("a b -> b a")("tensor")',
)

JAX_SOURCE_CODE = """
import jax
from plait.layers import equinox, flax, nnx
"""

JAX_TYPE_BY_CALL = {
    'plait.rearrange(array, "")': "Array",
    'plait.rearrange([array, array], "")': "Array",
    'plait.einsum(array, array, "", precision="highest", out_sharding=None)': "Array",
    'plait.einsum("", array, preferred_element_type=float)': "Array",
    'plait.unpack(array, [(1,)], "*")': "list[Array]",
    'pattern.einsum(array, array, precision="highest")': "Array",
    'equinox.Rearrange("a b -> b a")(array)': "Array",
    'equinox.Repeat("a b -> b a c", c=3)(array)': "Array",
    'equinox.Reduce("a b -> b", "max")(array)': "Array",
    'flax.Rearrange("a (b c) -> b a c", c=3)(array)': "Array",
    'flax.Repeat("a b -> b a c", {"c": 3})(array)': "Array",
    'flax.Reduce("a b -> b", "max", name="pool")(array)': "Array",
    'nnx.Reduce("a b -> b", "max")(array)': "Array",
}

JAX_CALLS_WITH_TYPE_ERRORS = (
    'plait.rearrange(array, "", a=2.0)',
    'equinox.Reduce("a b -> b", "maen")',
    "flax.Repeat(5)",
)

FILE_PARTS_BY_INSTALLED_PACKAGES = {
    "without NumPy": (
        CLASSES_SOURCE_CODE,
        ARGUMENT_DECLARATIONS,
        {**TYPE_BY_CALL, "plait.asnumpy(array)": "Any"},
        CALLS_WITH_TYPE_ERRORS,
    ),
    "numpy": (
        NUMPY_SOURCE_CODE,
        NUMPY_ARGUMENT_DECLARATIONS,
        NUMPY_TYPE_BY_CALL,
        ('plait.einsum(x, x, "", precision="highest")', 'plait.reduce(x, "", "maen")'),
    ),
    "torch": (
        TORCH_SOURCE_CODE,
        "tensor: torch.Tensor, parameter: nn.Parameter",
        TORCH_TYPE_BY_CALL,
        TORCH_CALLS_WITH_TYPE_ERRORS,
    ),
    "jax equinox flax": (
        JAX_SOURCE_CODE,
        "array: jax.Array, pattern: plait.Pattern",
        JAX_TYPE_BY_CALL,
        JAX_CALLS_WITH_TYPE_ERRORS,
    ),
}
"""By the packages that are installed beside plait: imports, arguments of a function, types and mistakes in its body."""


def simplify_type_text(text: str) -> str:
    """Return a printed type without module names, with ``Any`` for ``Unknown`` and the members of a union sorted."""
    text = text.replace("Unknown", "Any").replace("floating[numpy._typing._nbit_base._32Bit]", "float32")
    text = re.sub(r"\b(?:\w+\.)+(?=\w)", "", text).replace("floating[_32Bit]", "float32")
    return " | ".join(sorted(text.split(" | "))) if "[int | None" not in text else text


@pytest.fixture(scope="module", params=FILE_PARTS_BY_INSTALLED_PACKAGES)
def folder_python_and_packages(request, tmp_path_factory) -> tuple[Path, Path, str]:
    """A folder with `good.py` and `bad.py`, the Python of a new virtual environment, and the names of its packages."""
    installed = request.param
    folder = tmp_path_factory.mktemp("project")
    venv.create(folder / ".venv", symlinks=os.name != "nt", with_pip=False)
    (site,) = (folder / ".venv").glob("[Ll]ib/**/site-packages")
    (site / "plait").symlink_to(PACKAGE_FOLDER, target_is_directory=True)
    for package in () if installed == "without NumPy" else installed.split():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            pytest.skip(f"{package} is not installed")
        (site / "installed.pth").write_text(str(Path(spec.origin).parent.parent))
    imports, arguments, types, mistakes = FILE_PARTS_BY_INSTALLED_PACKAGES[installed]
    head = [*("" if "import plait" in imports else "import plait\n").splitlines(), *imports.splitlines()]
    head.append(f"def check({arguments}) -> None:")
    (folder / "types.txt").write_text(str(len(head)))
    (folder / "good.py").write_text("\n".join([*head, *(f"    reveal_type({line})" for line in types)]) + "\n")
    (folder / "bad.py").write_text("\n".join([*head, *(f"    {line}" for line in mistakes)]) + "\n")
    python = next(path for path in (folder / ".venv").glob("*/python*") if path.stem == "python")
    return folder, python, installed


def assert_types_and_errors(
    folder_python_and_packages: tuple[Path, Path, str], revealed: dict[int, str], errors: set[tuple[str, int]]
) -> None:
    """Assert that a type checker reveals the expected types in `good.py`, and reports just the calls in `bad.py`."""
    folder, _, installed = folder_python_and_packages
    _, _, types, mistakes = FILE_PARTS_BY_INSTALLED_PACKAGES[installed]
    first = int((folder / "types.txt").read_text()) + 1
    found = {line: simplify_type_text(revealed.get(first + number, "nothing")) for number, line in enumerate(types)}
    assert found == types
    wrong = {mistakes[line - first] if name == "bad.py" else (name, line) for name, line in errors}
    assert wrong == {*mistakes}


@pytest.mark.slow
def test_mypy_reveals_types_and_reports_mistakes(folder_python_and_packages):
    pytest.importorskip("mypy")
    folder, python, _ = folder_python_and_packages
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "good.py", "bad.py"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=clean_environment())
    assert not run.stderr, run.stderr
    revealed: dict[int, str] = {}
    errors = set()
    for line in run.stdout.splitlines():
        if match := re.match(r'good\.py:(\d+): note: Revealed type is "(.*)"', line):
            revealed[int(match[1])] = match[2]
        elif match := re.match(r"([^:]+):(\d+): error:", line):
            errors.add((match[1], int(match[2])))
    assert_types_and_errors(folder_python_and_packages, revealed, errors)


@pytest.mark.slow
def test_pyright_reveals_types_and_reports_mistakes(folder_python_and_packages):
    require_pyright()
    folder, python, _ = folder_python_and_packages
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", str(python), "good.py", "bad.py"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=clean_environment())
    revealed: dict[int, str] = {}
    errors = set()
    for entry in json.loads(run.stdout)["generalDiagnostics"]:
        line = entry["range"]["start"]["line"] + 1
        if entry["severity"] == "information" and (match := re.search(r'is "(.*)"$', entry["message"])):
            revealed[line] = match[1]
        elif entry["severity"] == "error":
            errors.add((Path(entry["file"]).name, line))
    assert_types_and_errors(folder_python_and_packages, revealed, errors)


def require_pyright() -> None:
    pytest.importorskip("pyright")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node")


def clean_environment() -> dict[str, str]:
    """The variables of this process without those that would show another plait or NumPy to a type checker."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH", "VIRTUAL_ENV")}


PRIVATE_MODULE_REGEX = re.compile(
    r"plait\.(backends|layers)\.(?!interface|capabilities|registry|costs|torch\.[A-Z])\w+\."
)
"""Frameworks that are not installed have no types; a backend is used through the interface."""


@pytest.mark.slow
@pytest.mark.parametrize("folder_python_and_packages", ["torch"], indirect=True)
def test_every_public_name_has_a_type(folder_python_and_packages):
    """Checked by ``pyright --verifytypes``, which looks for plait in the first Python on the ``PATH``."""
    require_pyright()
    folder, python, _ = folder_python_and_packages
    environment = clean_environment()
    environment["PATH"] = os.pathsep.join([str(python.parent), environment["PATH"]])
    command = [sys.executable, "-m", "pyright", "--verifytypes", "plait", "--ignoreexternal", "--outputjson"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    symbols = json.loads(run.stdout)["typeCompleteness"]["symbols"]
    public = {
        symbol["name"]: symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
        for symbol in symbols
        if symbol["isExported"] and not PRIVATE_MODULE_REGEX.match(symbol["name"])
    }
    assert {f"plait.{name}" for name in plait.__all__ if name != "errors"} <= public.keys()
    assert [name for name, known in public.items() if not known] == []


def test_package_has_a_py_typed_file():
    assert (PACKAGE_FOLDER / "py.typed").exists()
