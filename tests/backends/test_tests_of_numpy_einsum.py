"""NumPy's own tests of ``numpy.einsum``, with `plait.einsum` in its place."""

from __future__ import annotations

import builtins
import types
from importlib.util import find_spec
from pathlib import Path

import pytest

import plait

np = pytest.importorskip("numpy", minversion="2.0")

TEST_MODULE_NAME = "numpy._core.tests.test_einsum"

REASON_BY_EXCEPTION = {
    "TestEinsum.test_einsum_errors": "a call without tensors is a TypeError, as Python's own; wrong operands PLT101",
    "TestEinsum.test_einsum_specific_errors": "a wrong argument is the error PLT516, which is no TypeError",
    "TestEinsum.test_einsum_object_errors": "an error of elements that are objects is the cause of PLT503",
    "TestEinsum.test_object_loop": "an error of elements that are objects is the cause of PLT503",
}
"""The tests that check the class of an exception, which is a `PlaitError` here, each with the reason."""

PARAMETER_OF_OTHER_FUNCTION = "einsum_path"
"""The tests with this parameter do not call ``numpy.einsum``."""


class NumpyWithPlaitEinsum:
    """The module `numpy`, in which ``einsum`` is plait's."""

    einsum = staticmethod(plait.einsum)

    def __getattr__(self, name):
        return getattr(np, name)


def load_tests():
    """Return NumPy's test module, executed with `NumpyWithPlaitEinsum` for ``import numpy as np``."""
    try:
        spec = find_spec(TEST_MODULE_NAME)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        pytest.skip("NumPy's own tests are not installed", allow_module_level=True)
    replacement = NumpyWithPlaitEinsum()

    def import_module(name, global_names=None, local_names=None, fromlist=(), level=0):
        if name == "numpy" and not fromlist:
            return replacement
        return builtins.__import__(name, global_names, local_names, fromlist, level)

    module = types.ModuleType("numpy_tests_with_plait_einsum")
    module.__file__ = spec.origin
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": import_module}
    exec(compile(Path(spec.origin).read_text(encoding="utf-8"), spec.origin, "exec"), vars(module))
    return module


@pytest.fixture(autouse=True)
def _expect_other_classes_of_exceptions(request):
    """Let the tests of `REASON_BY_EXCEPTION` fail; one that passes is an error, and has to leave the list."""
    reason = REASON_BY_EXCEPTION.get(f"{request.node.parent.name}.{request.node.originalname}")
    if reason is not None and PARAMETER_OF_OTHER_FUNCTION not in request.node.name:
        classes = (TypeError, plait.PlaitError)
        request.applymarker(pytest.mark.xfail(reason=reason, raises=classes, strict=True))


globals().update({name: value for name, value in vars(load_tests()).items() if name.lower().startswith("test")})
