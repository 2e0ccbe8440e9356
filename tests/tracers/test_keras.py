"""Keras on each of its backends, each in its own process, since a process can have only one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip("keras is not installed", allow_module_level=True)

CHECKS_FILE = Path(__file__).with_name("keras_checks.py")


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras_checks_pass_on_each_keras_backend(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "pytest", str(CHECKS_FILE), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options = dict(env=environment, cwd=CHECKS_FILE.parents[2], capture_output=True, text=True, timeout=600)
    run = subprocess.run(command, check=False, **options)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
