"""The frameworks that have layers, with a module for each.

The environment variable ``PLAIT_LAYERS`` lists the frameworks to test, as ``PLAIT_FRAMEWORKS`` does for the backends. A
framework on the list that is not installed is an error; without the list, its tests are skipped.
"""

from __future__ import annotations

import importlib
import os

import pytest

FRAMEWORK_NAMES = (
    "torch",
    "flax",
    "nnx",
    "equinox",
    "haiku",
    "mlx",
    "paddle",
    "chainer",
    "gluon",
    "keras",
    "tensorflow",
)
REQUESTED_NAMES = tuple(filter(None, os.environ.get("PLAIT_LAYERS", "").split(",")))
FRAMEWORKS = tuple(
    importlib.import_module(f"layers.frameworks.{name}_").FRAMEWORK for name in REQUESTED_NAMES or FRAMEWORK_NAMES
)


def parametrize_by_framework():
    """Return a decorator that runs a test with each framework."""
    return pytest.mark.parametrize(
        "framework",
        [
            pytest.param(
                framework,
                id=framework.name,
                marks=pytest.mark.skipif(
                    not REQUESTED_NAMES and not framework.is_installed(), reason=f"{framework.name} is not installed"
                ),
            )
            for framework in FRAMEWORKS
        ],
    )
