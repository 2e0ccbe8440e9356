"""PyTensor: tensors computed from constants, with static shapes.

Symbolic inputs and unknown dimensions are tested in `tests/tracers/test_pytensor.py`.
"""

import importlib
import os
from unittest import mock

from plait.testing import Framework

ENVIRONMENT_VARIABLES_AT_IMPORT = {"PYTENSOR_FLAGS": "linker=py,optimizer=fast_compile,cxx="}
"""Every graph is run once, so that compiling it would take longer than anything else."""


class PyTensor(Framework):
    def module(self):
        # PyTensor reads the variable only when it is imported
        with mock.patch.dict(os.environ, ENVIRONMENT_VARIABLES_AT_IMPORT):
            return importlib.import_module("pytensor")

    def make(self, array):
        return self.module().tensor.constant(array).copy()

    def shape(self, tensor):
        return tensor.type.shape

    def gradient(self, function, array):
        pytensor = self.module()
        tensor = pytensor.tensor.tensor(shape=array.shape, dtype=array.dtype.name)
        return pytensor.grad(function(tensor).sum(), tensor).eval({tensor: array})


FRAMEWORK = PyTensor("pytensor", "pytensor", unsupported_dtypes={"bfloat16": "PyTensor has no such type"})
