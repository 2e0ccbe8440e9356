"""Kernels that several processes compiled and one process loads have separate functions."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

pytest.importorskip("numba")

COMPILE_SCRIPT = "import sys; from plait.backends.kernels.compiling import compiled; compiled(sys.argv[1])"

RUN_KERNELS_SCRIPT = """
    import numpy as np
    from plait.backends.kernels.background import wait
    from plait.backends.kernels.filler import filling

    source = np.array([[3.0, 2.0, 4.0], [5.0, 1.0, 7.0]], "f4")
    for name in ("max", "min", "prod"):
        out = np.empty(2, "f4")
        filler = filling(name, source.shape, source.strides, 1, out.strides, source.dtype)
        filler.start()
        wait(100)
        filler(source, out)
        print(name, *out)
"""


HALF_PRECISION_SCRIPT = """
    import numpy as np
    from plait.backends.kernels.background import wait
    from plait.backends.kernels.filler import filling

    every = np.arange(1 << 16, dtype="u2").view("f2")
    source, out = np.stack([every, np.zeros_like(every)], 1), np.empty(1 << 16, "f2")
    filler = filling("sum", source.shape, source.strides, 1, out.strides, source.dtype)
    filler.start()
    wait(100)
    filler(source, out)
    np.testing.assert_array_equal(out, every)
    print("all")
"""


@pytest.mark.slow
def test_half_precision_kernel_without_processor_support_is_correct(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    used = subprocess.run(
        [sys.executable, "-c", dedent(HALF_PRECISION_SCRIPT)], check=True, capture_output=True, text=True
    )
    assert used.stdout == "all\n"


@pytest.mark.slow
def test_cached_kernels_are_not_confused(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for name in ("max", "min", "prod"):
        subprocess.run([sys.executable, "-c", COMPILE_SCRIPT, f"{name} float32"], check=True)
    used = subprocess.run(
        [sys.executable, "-c", dedent(RUN_KERNELS_SCRIPT)], check=True, capture_output=True, text=True
    )
    assert used.stdout.split("\n")[:3] == ["max 4.0 7.0", "min 2.0 1.0", "prod 24.0 35.0"]
