"""Measures in a new process how much memory einsums take under a limit, as the operating system counts it.

The process prints the highest ratio of the measured peak to the limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

CASES = {
    "i j, j k, k l -> i l": [(3000, 4000), (4000, 4000), (4000, 2000)],
    "a b c, c d, d e b -> a e": [(200, 150, 160), (160, 170), (170, 120, 150)],
    "a b c d, d c e f -> a f e b": [(60, 70, 80, 50), (50, 80, 30, 40)],
}
"""By pattern, the shapes of its float32 tensors; each is contracted with 1.5 times the memory of its result."""

MEBIBYTE = 1 << 20


def anonymous_bytes() -> int:
    """Return the resident memory of this process that belongs to no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not say how much anonymous memory a process has")


class PeakSampler(threading.Thread):
    """Reads the memory of the process each millisecond while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.base = self.peak = anonymous_bytes()
        self.is_done = threading.Event()

    def run(self) -> None:
        while not self.is_done.wait(0.001):
            self.peak = max(self.peak, anonymous_bytes())

    def __enter__(self) -> PeakSampler:  # noqa: PYI034  # typing's Self is newer than Python 3.10
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_done.set()
        self.join()

    @property
    def growth(self) -> int:
        """By how many bytes the memory grew."""
        return self.peak - self.base


def measure_resident_memory(framework: str) -> float:
    """Return the highest ratio of the measured peak to the limit, from a new process."""
    source = Path(__file__).parent
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",  # so that freed arrays are given back, and new ones are counted
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(source / "resident_memory.py"), framework]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return float(process.stdout.split()[-1])


def main(framework: str) -> None:
    """Contract the cases under limits, and print the highest ratio of the measured peak to the limit."""
    import numpy as np

    import plait

    def convert(array):
        if framework == "torch":
            import torch

            return torch.from_numpy(array)
        if framework == "jax":
            import jax.numpy as jnp

            return jnp.asarray(array)
        return array

    rng = np.random.default_rng(0)
    worst = 0.0
    for pattern, shapes in CASES.items():
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        tensors = [convert(array) for array in arrays]
        expected = np.einsum(pattern.replace(" ", ""), *arrays, optimize=True)
        limit = int(expected.nbytes * 1.5) + 16 * MEBIBYTE
        with plait.options(memory_limit=limit):
            plait.einsum(*tensors, pattern)  # imports and compiles what is needed
            with PeakSampler() as sampler:
                found = plait.einsum(*tensors, pattern)
                found = np.asarray(found)
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
        worst = max(worst, sampler.growth / limit)
        del found, expected
    sys.stdout.write(f"{worst}\n")


if __name__ == "__main__":
    main(sys.argv[1])
