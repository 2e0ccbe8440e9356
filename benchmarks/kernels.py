"""Measure the kernels of plait-kernels: the time of a call, divided by the time of a copy of its input.

From the root of the repository::

    python benchmarks/kernels.py [THREADS] [ROUNDS]

The cases run in turn, and the fastest round counts. With one thread, the times are CPU times of the process. The copy
is ``x.copy()``; a kernel that copies allocates its result too.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import plait_kernels

from plait.backends.kernels import build_kernel
from plait.backends.numpy.large_tensors import LARGE_TENSOR_FUNCTIONS

KERNELS = LARGE_TENSOR_FUNCTIONS.kernels


def labelled_kernel_arguments():
    """Yield the cases: a label, the reduction or ``None`` for a copy, the input, and the number of reduced dimensions.

    The reduced dimensions are the last ones of the input, which is a view of an array.
    """
    images = np.random.default_rng(0).random((16, 32, 224, 224), np.float32)
    channels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    rgb_images = images.reshape(-1)[: 170 * 224 * 224 * 3].reshape(170, 224, 224, 3)
    rgb_bytes = (rgb_images * 255).astype(np.uint8)
    yield "b c h w -> b h w c", None, images.transpose(0, 2, 3, 1), 0
    yield "b c h w -> w h c b", None, images.transpose(3, 2, 1, 0), 0
    yield "b c h w -> b c w h", None, images.transpose(0, 1, 3, 2), 0
    yield "b c (h 16) (w 16) -> b h w p q c", None, split_windows(images, 16).transpose(0, 2, 3, 4, 5, 1), 0
    yield "b h w 3 -> b 3 h w", None, rgb_images.transpose(0, 3, 1, 2), 0
    yield "b h w 3 -> b 3 h w, uint8", None, rgb_bytes.transpose(0, 3, 1, 2), 0
    for reduction in ("max", "mean"):
        yield f"{reduction} 2 2", reduction, split_windows(images, 2), 2
        yield f"{reduction} 16 16", reduction, split_windows(images, 16), 2
        yield f"{reduction} 2 2, b h w 32", reduction, split_windows_channels_last(channels_last, 2), 2
        yield f"{reduction} 2 2, b h w 3", reduction, split_windows_channels_last(rgb_images, 2), 2
        yield f"{reduction} b c h w -> b w", reduction, images.transpose(0, 3, 1, 2), 2
        yield f"{reduction} b c h w -> b c", reduction, images, 2
        yield f"{reduction} b c h w -> c", reduction, images.transpose(1, 0, 2, 3), 3
        yield f"{reduction} b c h w -> h w", reduction, images.transpose(2, 3, 0, 1), 2
        yield f"{reduction} b c h w -> b h", reduction, images.transpose(0, 2, 1, 3), 2
        yield f"{reduction} b c h w -> b c h", reduction, images, 1


def split_windows(images, side):
    """Return a view of images with two dimensions for each window: ``b c (h side) (w side) -> b c h w side side``."""
    b, c, h, w = images.shape
    return images.reshape(b, c, h // side, side, w // side, side).transpose(0, 1, 2, 4, 3, 5)


def split_windows_channels_last(images, side):
    """Return a view of images with two dimensions for each window: ``b (h side) (w side) c -> b h w c side side``."""
    b, h, w, c = images.shape
    return images.reshape(b, h // side, side, w // side, side, c).transpose(0, 1, 3, 5, 2, 4)


def time_one_kernel_call(read_clock, reduction, input_view, reduced_dims):
    """Return the time of one call of a kernel; the last ``reduced_dims`` dimensions are reduced."""
    kept = input_view.ndim - reduced_dims
    reference = np.empty(input_view.shape[:kept], input_view.dtype)
    kernel = build_kernel(
        *(reduction, input_view.dtype.name, input_view.itemsize, input_view.shape, input_view.strides),
        *((*reference.strides, *(0,) * reduced_dims), range(kept, input_view.ndim), KERNELS.memory),
    )
    start = read_clock()
    kernel(input_view, np.empty_like(reference))
    return read_clock() - start


def main(threads: int = 1, rounds: int = 5) -> None:
    """Run the command."""
    plait_kernels.load().set_threads(threads)
    read_clock = time.process_time if threads == 1 else time.perf_counter
    all_cases = list(labelled_kernel_arguments())
    kernel_seconds: dict[str, float] = {}
    copy_seconds: dict[int, float] = {}
    copy_sources = {size: np.ones(size, np.uint8) for size in {case[2].nbytes for case in all_cases}}
    for _ in range(rounds):
        for label, reduction, input_view, reduced_dims in all_cases:
            start = read_clock()
            copy_sources[input_view.nbytes].copy()
            seconds = read_clock() - start
            copy_seconds[input_view.nbytes] = min(copy_seconds.get(input_view.nbytes, seconds), seconds)
            kernel_seconds[label] = min(
                kernel_seconds.get(label, 9.0), time_one_kernel_call(read_clock, reduction, input_view, reduced_dims)
            )
    for label, _, input_view, _ in all_cases:
        ratio = kernel_seconds[label] / copy_seconds[input_view.nbytes]
        print(f"{label:40}{kernel_seconds[label] * 1e3:8.1f} ms {ratio:6.2f} copies")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
