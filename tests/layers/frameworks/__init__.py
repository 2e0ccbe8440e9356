"""The frameworks that have layers, a file each.

``PLAIT_LAYERS`` says which of them a run is for, as ``PLAIT_FRAMEWORKS`` does for the backends: one that it names and
that is missing is an error, and without it one that is missing is a skip.
"""

from __future__ import annotations

import importlib
import os

import pytest

NAMES = ("torch", "flax", "nnx", "equinox", "haiku", "mlx", "paddle", "chainer", "gluon", "keras", "tensorflow")
PROMISED = tuple(filter(None, os.environ.get("PLAIT_LAYERS", "").split(",")))
FRAMEWORKS = tuple(importlib.import_module(f"layers.frameworks.{name}_").FRAMEWORK for name in PROMISED or NAMES)


def each():
    """Parametrize a test by the frameworks."""
    return pytest.mark.parametrize(
        "framework",
        [
            pytest.param(
                framework,
                id=framework.name,
                marks=pytest.mark.skipif(
                    not PROMISED and not framework.installed(), reason=f"{framework.name} is not installed"
                ),
            )
            for framework in FRAMEWORKS
        ],
    )
