"""Measure calls of plait with and without kernels, on NumPy and PyTorch: their time, divided by that of ``x.copy()``.

From the root of the repository::

    python -m benchmarks.kernel_calls [THREADS] [ROUNDS]

All calls are made in one process for a float32 array of 16 x 32 x 224 x 224, with results in new memory. The fastest
round counts. The first column of each framework is with kernels, the second without. The last row is the first call of
a process, a max-pool 2x2, in processes of its own, with all that plait loads and plans for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import plait_kernels
import torch

import plait

POOL_2X2 = "b c (h 2) (w 2) -> b c h w"
POOL_16X16 = "b c (h 16) (w 16) -> b c h w"
CALLS: dict[str, tuple[str, str | None, dict[str, int]]] = {
    "max-pool 2x2": (POOL_2X2, "max", {}),
    "mean-pool 2x2": (POOL_2X2, "mean", {}),
    "block sums 16x16": (POOL_16X16, "sum", {}),
    "block maxima 16x16": (POOL_16X16, "max", {}),
    "copy b (h w c)": ("b c h w -> b (h w c)", None, {}),
    "space to depth": ("b c (h p) (w q) -> b (c p q) h w", None, {"p": 2, "q": 2}),
    "patches of 16x16": ("b c (h p) (w q) -> b (h w) (p q c)", None, {"p": 16, "q": 16}),
    "copy (w h c b)": ("b c h w -> (w h c b)", None, {}),
}
"""By name: the pattern, the reduction or ``None`` for a copy, and the sizes."""

for _reduction in ("std", "var", "logsumexp"):
    for _result in ("b c", "c", "b h w"):
        CALLS[f"{_reduction} -> {_result}"] = (f"b c h w -> {_result}", _reduction, {})
    CALLS[f"{_reduction} of 16x16"] = (POOL_16X16, _reduction, {})


def call_plait(name: str, tensor: Any) -> Any:
    """Make one of `CALLS`."""
    pattern, reduction, sizes = CALLS[name]
    if reduction is None:
        return plait.rearrange(tensor, pattern, **sizes)
    return plait.reduce(tensor, pattern, reduction, **sizes)


def fastest_seconds(call: Callable[[], Any], rounds: int) -> float:
    """Return the time of the fastest of some calls, after one that is not timed."""
    call()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
        del result  # so that the next call gets new memory
    return min(seconds)


def ratios_to_copy(array: Any, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the name of each call, and its ratios: NumPy with kernels and without, PyTorch with them and without."""
    copy_seconds = fastest_seconds(array.copy, 2 * rounds)
    for name in CALLS:
        ratios = []
        for tensor in (array, torch.from_numpy(array)):
            for kernels in (True, False):
                with plait.options(kernels=kernels):
                    ratios.append(fastest_seconds(partial(call_plait, name, tensor), rounds) / copy_seconds)
        yield name, ratios


FIRST_CALL = """
import sys, time
import numpy as np
import plait
if sys.argv[1] == "torch":
    import torch
array = np.random.default_rng(0).standard_normal((16, 32, 224, 224), dtype=np.float32)
tensor = torch.from_numpy(array) if sys.argv[1] == "torch" else array
array.copy()
start = time.perf_counter()
array.copy()
copied = time.perf_counter()
plait.reduce(tensor, sys.argv[2], "max")
print((time.perf_counter() - copied) / (copied - start))
"""
"""A program that prints the time of the first call of a process, divided by that of a copy."""


def first_call_ratio(framework: str, *, kernels: bool, threads: int, rounds: int) -> float:
    """Return the ratio of the fastest of some processes."""
    environment = {**os.environ, "PLAIT_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    if not kernels:
        environment["PLAIT_KERNELS"] = "off"
    command = [sys.executable, "-c", FIRST_CALL, framework, POOL_2X2]
    return min(
        float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    )


def main(threads: int, rounds: int) -> None:
    """Print the table."""
    torch.set_num_threads(threads)
    plait_kernels.load().set_threads(threads)
    array = np.random.default_rng(0).standard_normal((16, 32, 224, 224), dtype=np.float32)
    print(f"{'':20} {'NumPy':>6} {'without':>8} {'PyTorch':>8} {'without':>8}")
    for name, ratios in ratios_to_copy(array, rounds):
        print_row(name, ratios)
    first_calls = [
        first_call_ratio(framework, kernels=kernels, threads=threads, rounds=rounds)
        for framework in ("numpy", "torch")
        for kernels in (True, False)
    ]
    print_row("first call", first_calls)


def print_row(name: str, ratios: list[float]) -> None:
    """Print one row of the table."""
    print(f"{name:20} {ratios[0]:6.2f} {ratios[1]:8.2f} {ratios[2]:8.2f} {ratios[3]:8.2f}", flush=True)


if __name__ == "__main__":
    main(*[*map(int, sys.argv[1:]), *(1, 5)[len(sys.argv) - 1 :]])
