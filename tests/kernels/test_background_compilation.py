"""Kernels are compiled in other processes; no call waits for the compiler, or fails without one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

pytest.importorskip("numpy")

KERNEL_SETUP_CODE = """
import sys, time
import numpy as np
from plait.backends.kernels import filling, why_not
x = np.ones((4, 5, 6), np.int16)
f = filling("max", x.shape, x.strides, 1, (10, 2), x.dtype)
"""
WAIT_UNTIL_READY = """
end = time.time() + 120
while not f.ready and f.why == "the kernel is being compiled" and time.time() < end: time.sleep(0.02)
"""


def run_in_new_process(code, folder, **environment):
    """Run code in a new Python process, with the kernels cached in a folder."""
    known = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=known, check=False, timeout=180
    )


needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")


@needs_numba
def test_creating_a_filler_does_not_import_numba(tmp_path):
    ran = run_in_new_process(KERNEL_SETUP_CODE + "assert 'numba' not in sys.modules; print(f.why)", tmp_path)
    assert (ran.stdout, ran.stderr) == ("the kernel is not compiled yet\n", "")


def test_kernels_can_be_turned_off(tmp_path):
    ran = run_in_new_process(KERNEL_SETUP_CODE + "print(f, why_not('max', x.dtype))", tmp_path, PLAIT_KERNELS="off")
    assert (ran.stdout, ran.stderr) == ("None PLAIT_KERNELS is off\n", "")


def test_why_not_says_that_numba_is_missing(tmp_path):
    ran = run_in_new_process(
        "import sys; sys.modules['numba'] = None" + KERNEL_SETUP_CODE + "print(f, why_not('max', x.dtype))", tmp_path
    )
    assert (ran.stdout, ran.stderr) == ("None numba is not installed\n", "")


@needs_numba
def test_filler_says_why_numba_does_not_import(tmp_path):
    (tmp_path / "numba.py").write_text("raise OSError('no such library')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
        + KERNEL_SETUP_CODE
        + "f.start()"
        + WAIT_UNTIL_READY
        + "print(f.why, f.ready)"
    )
    ran = run_in_new_process(code, tmp_path)
    assert (ran.stdout, ran.stderr) == ("numba failed: OSError: no such library None\n", "")


@needs_numba
@pytest.mark.slow
def test_kernel_is_compiled_in_another_process(tmp_path):
    code = (
        KERNEL_SETUP_CODE
        + "f.start(); f.start()"
        + WAIT_UNTIL_READY
        + "out = np.empty((4, 5), x.dtype); f(x, out); print(f.why, out.sum())"
    )
    for _ in range(2):
        ran = run_in_new_process(code, tmp_path)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "kernel 20\n", "")


@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6, 1.0, 1.5])
def test_process_may_exit_during_compilation(delay, tmp_path):
    start = time.monotonic()
    ran = run_in_new_process(KERNEL_SETUP_CODE + f"f.start(); time.sleep({delay})", tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert time.monotonic() - start < 60


@needs_numba
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_requests_the_kernel_again(tmp_path):
    code = (
        "import os"
        + KERNEL_SETUP_CODE
        + "f.start(); time.sleep(0.05)\nif os.fork():\n    sys.exit(os.WEXITSTATUS(os.wait()[1]))\n"
    )
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        + code
        + "f.start()"
        + WAIT_UNTIL_READY
        + "sys.exit(0 if f.ready else 3)"
    )
    assert run_in_new_process(code, tmp_path).returncode == 0
