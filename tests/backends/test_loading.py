"""A backend is loaded when its first tensor arrives, and one framework never disturbs another."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import plait.backends
from plait.backends.registry import ARRAY_API_MODULE, BACKEND_MODULES

BACKENDS_FOLDER = Path(plait.backends.__file__).parent

TENSOR_SOURCE_CODE_BY_FRAMEWORK = {
    "numpy": "import numpy; x = numpy.zeros((2, 3))",
    "torch": "import torch; x = torch.zeros(2, 3)",
    "jax": "import jax; x = jax.numpy.zeros((2, 3))",
    "tensorflow": "import tensorflow; x = tensorflow.zeros((2, 3))",
    "keras": "import keras; x = keras.Input((3,))",
    "mlx": "import mlx.core; x = mlx.core.zeros((2, 3))",
    "tinygrad": "import tinygrad; x = tinygrad.Tensor([[1, 2, 3], [4, 5, 6]])",
    "pytensor": "import pytensor.tensor; x = pytensor.tensor.matrix()",
    "dask": "import dask.array; x = dask.array.zeros((2, 3))",
    "paddle": "import paddle; x = paddle.zeros([2, 3])",
    "chainer": "import chainer, numpy; x = chainer.Variable(numpy.zeros((2, 3)))",
    "mxnet": "import mxnet; x = mxnet.np.zeros((2, 3))",
    "sparse": "import sparse; x = sparse.zeros((2, 3))",
    "scipy": "import numpy, scipy.sparse; x = scipy.sparse.coo_array(numpy.eye(2))",
    "xarray": "import numpy, xarray; x = xarray.DataArray(numpy.zeros((2, 3)))",
    "blosc2": "import blosc2; x = blosc2.zeros((2, 3))",
    "cubed": "import cubed.array_api; x = cubed.array_api.zeros((2, 3))",
    "ndonnx": "import ndonnx; x = ndonnx.asarray([[1.0]])",
}
"""By framework, source code that creates a tensor of rank 2."""

BACKENDS_USED_BY = {
    "keras": {"tensorflow", "jax", "torch", "numpy"},
    **{name: {"numpy"} for name in ("dask", "scipy", "xarray", "blosc2")},
}
"""By backend, the other backends that it uses."""


def run_python(code: str, *options: str) -> str:
    command = [sys.executable, "-W", "ignore", *options, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().rpartition("\n")[2]


SHARED_PACKAGES = {"common"}
"""The packages of the folder that are not backends."""


def test_every_registered_module_exists():
    for module in (*BACKEND_MODULES.values(), ARRAY_API_MODULE):
        *packages, name = module.split(".")[2:]
        assert name == "backend", module
        assert BACKENDS_FOLDER.joinpath(*packages, f"{name}.py").is_file(), module


def test_every_backend_package_is_registered():
    rows = {module.split(".")[2] for module in (*BACKEND_MODULES.values(), ARRAY_API_MODULE)}
    assert {path.parent.name for path in BACKENDS_FOLDER.glob("*/__init__.py")} == rows | SHARED_PACKAGES


@pytest.mark.parametrize("framework", TENSOR_SOURCE_CODE_BY_FRAMEWORK)
def test_a_tensor_loads_its_own_backend_and_no_other(framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    code = f"""
{TENSOR_SOURCE_CODE_BY_FRAMEWORK[framework]}
import sys, plait
assert not any(name.startswith("plait.backends.") for name in sys.modules)
plait.rearrange(x, "a b -> b a")
print(sorted(set(name.split(".")[2] for name in sys.modules if name.startswith("plait.backends."))))
"""
    loaded = set(ast.literal_eval(run_python(code)))
    rows = {module.split(".")[2] for module in BACKEND_MODULES.values()}
    assert framework in loaded
    assert loaded & rows <= {framework} | BACKENDS_USED_BY.get(framework, set())


MODULE_BREAKING_CODE_BY_FAULT = {
    "a stub": "sys.modules[root] = types.ModuleType(root)",
    "half imported": "sys.modules[root] = types.ModuleType(root); sys.modules[root].__spec__ = None",
    "nothing": "sys.modules[root] = None",
    "raises at every look": """
class Broken(types.ModuleType):
    def __getattr__(self, name):
        raise RuntimeError("no driver")
sys.modules[root] = Broken(root)""",
}


@pytest.mark.parametrize("how", MODULE_BREAKING_CODE_BY_FAULT.values(), ids=MODULE_BREAKING_CODE_BY_FAULT)
@pytest.mark.parametrize("package", sorted(BACKEND_MODULES.keys() - {"numpy"}))
def test_a_broken_framework_does_not_affect_others(package, how):
    pytest.importorskip("numpy", reason="numpy is not installed")
    code = f"""
import sys, types
root = {package.partition(".")[0]!r}
{how}
import numpy, plait
class Tensor:
    shape = (2, 3)
    dtype = "float64"
Tensor.__module__ = "{package}.core"
for call in (
    lambda: plait.rearrange(Tensor(), "a b -> b a"),
    lambda: plait.einsum(numpy.zeros((2, 3)), Tensor(), "a b, a b ->"),
    lambda: plait.asnumpy(Tensor()),
):
    try:
        call()
    except plait.BackendError as error:
        assert error.code == "PLT502", error
        assert root in error.message, error
    else:
        raise AssertionError("it should not load")
x = numpy.arange(6.0).reshape(2, 3)
assert plait.rearrange(x, "a b -> (b a)").tolist() == [0, 3, 1, 4, 2, 5]
assert plait.reduce(x, "a b -> a", "sum").tolist() == [3, 12]
assert plait.einsum(x, x, "a b, a b ->") == 55
print("fine")
"""
    assert run_python(code) == "fine"


def test_a_backend_that_failed_to_load_can_load_later():
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
import sys, types, plait
import torch
real = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch"}
sys.modules["torch"] = types.ModuleType("torch")
try:
    plait.rearrange(torch.zeros(2, 3), "a b -> b a")
except plait.BackendError as error:
    assert error.code == "PLT502"
sys.modules["torch"] = real["torch"]
print(tuple(plait.rearrange(torch.zeros(2, 3), "a b -> b a").shape))
"""
    assert run_python(code) == "(3, 2)"
