"""Kernels that several processes compiled, loaded into one: none takes another's functions for its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

pytest.importorskip("numba")

COMPILE = "import sys; from plait.backends.kernels.compiling import compiled; compiled(sys.argv[1])"

USE = """
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


HALVES = """
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
def test_halves_on_a_processor_that_has_no_instruction_for_them(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    used = subprocess.run([sys.executable, "-c", dedent(HALVES)], check=True, capture_output=True, text=True)
    assert used.stdout == "all\n"


@pytest.mark.slow
def test_each_kernel_has_functions_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for name in ("max", "min", "prod"):
        subprocess.run([sys.executable, "-c", COMPILE, f"{name} float32"], check=True)
    used = subprocess.run([sys.executable, "-c", dedent(USE)], check=True, capture_output=True, text=True)
    assert used.stdout.split("\n")[:3] == ["max 4.0 7.0", "min 2.0 1.0", "prod 24.0 35.0"]
