"""The frameworks of the conformance suite, a file each, and the choice of those that a run tests.

``PLAIT_FRAMEWORKS`` is a comma-separated list of the frameworks that must be installed: the suite runs on these only,
and a missing one is an error. Without it the suite runs on all, and the tests of a missing framework are skipped.
"""

from __future__ import annotations

import importlib
import os

import pytest

FRAMEWORK_NAMES = (
    "numpy",
    "torch",
    "array_api_strict",
    "jax",
    "sparse",
    "scipy",
    "blosc2",
    "cubed",
    "xarray",
    "ndonnx",
    "dask",
    "mlx",
    "tinygrad",
    "pytensor",
    "tensorflow",
    "keras",
    "cupy",
    "chainer",
    "mxnet",
    "paddle",
)
REQUESTED_NAMES = tuple(filter(None, os.environ.get("PLAIT_FRAMEWORKS", "").split(",")))
FRAMEWORKS = tuple(
    importlib.import_module(f"backends.frameworks.{name}_").FRAMEWORK for name in REQUESTED_NAMES or FRAMEWORK_NAMES
)


FRAMEWORKS_WITH_GRADIENTS = tuple(framework for framework in FRAMEWORKS if framework.has_gradients)


def framework_parameters(frameworks=FRAMEWORKS):
    """The frameworks as parameters of a test or of a fixture, with their names; one that is missing is skipped."""
    return [
        pytest.param(
            framework,
            id=framework.name,
            marks=pytest.mark.skipif(
                not REQUESTED_NAMES and not framework.installed(), reason=f"{framework.name} is not installed"
            ),
        )
        for framework in frameworks
    ]


def parametrize_by_framework(frameworks=FRAMEWORKS):
    """Parametrize a test by the frameworks."""
    return pytest.mark.parametrize("framework", framework_parameters(frameworks))
