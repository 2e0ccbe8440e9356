"""tinygrad, on its CPU device."""

import importlib
import os
import platform
import shutil
from pathlib import Path
from unittest import mock

import numpy as np

from plait.testing import Framework

ENVIRONMENT_VARIABLES_AT_IMPORT = {"PARALLEL": "0", "NOOPT": "1"}
"""No optimisation of kernels, and no processes for it: there are hundreds of kernels, each run once."""

if shutil.which("clang"):
    ENVIRONMENT_VARIABLES_AT_IMPORT["DEV"] = "CPU"
else:  # tinygrad writes the machine code itself, but for four little programs of the device
    ENVIRONMENT_VARIABLES_AT_IMPORT["DEV"] = "CPU:X86"
    ENVIRONMENT_VARIABLES_AT_IMPORT["CC"] = str(Path(__file__).parent / "gcc-as-clang")


class Tinygrad(Framework):
    def installed(self):
        compiles = shutil.which("clang") or (shutil.which("gcc") and platform.machine() == "x86_64")
        return super().installed() and bool(compiles)

    def module(self):
        # tinygrad reads each variable once, and keeps the value
        with mock.patch.dict(os.environ, ENVIRONMENT_VARIABLES_AT_IMPORT):
            tinygrad = importlib.import_module("tinygrad")
            importlib.import_module("tinygrad.helpers").getenv("CC", "clang")
        return tinygrad

    def make(self, array):
        tinygrad = self.module()
        if array.dtype.name == "bfloat16":
            return tinygrad.Tensor(array.astype(np.float32)).cast("bfloat16").realize()
        return tinygrad.Tensor(array)

    def gradient(self, function, array):
        tensor = self.make(array)
        return function(tensor).sum().gradient(tensor)[0].numpy()


FRAMEWORK = Tinygrad(
    "tinygrad",
    "tinygrad",
    unsupported_dtypes={
        "complex64": "tinygrad has no complex numbers",
        "complex128": "tinygrad has no complex numbers",
    },
)
