"""What compiled kernels take, in copies of their input: `python benchmarks/kernels.py [threads] [rounds]`.

Times are the least of several rounds, in which all cases take turns, and the processor's own where there is one thread.
The copy's is that of ``x.copy()``; a copying kernel makes a fresh array as it does.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from plait.backends.kernels import filling, set_threads
from plait.backends.kernels.compiling import compiled


def cases():
    x = np.random.default_rng(0).random((16, 32, 224, 224), np.float32)
    y = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    z = x.reshape(-1)[: 170 * 224 * 224 * 3].reshape(170, 224, 224, 3)
    u = (z * 255).astype(np.uint8)
    yield "b c h w -> b h w c", None, x.transpose(0, 2, 3, 1), 0
    yield "b c h w -> w h c b", None, x.transpose(3, 2, 1, 0), 0
    yield "b c h w -> b c w h", None, x.transpose(0, 1, 3, 2), 0
    yield "b c (h 16) (w 16) -> b h w p q c", None, windows(x, 16).transpose(0, 2, 3, 4, 5, 1), 0
    yield "b h w 3 -> b 3 h w", None, z.transpose(0, 3, 1, 2), 0
    yield "b h w 3 -> b 3 h w, uint8", None, u.transpose(0, 3, 1, 2), 0
    for name in ("max", "mean"):
        yield f"{name} 2 2", name, windows(x, 2), 2
        yield f"{name} 16 16", name, windows(x, 16), 2
        yield f"{name} 2 2, b h w 32", name, windows_last(y, 2), 2
        yield f"{name} 2 2, b h w 3", name, windows_last(z, 2), 2
        yield f"{name} b c h w -> b w", name, x.transpose(0, 3, 1, 2), 2
        yield f"{name} b c h w -> b c", name, x, 2
        yield f"{name} b c h w -> c", name, x.transpose(1, 0, 2, 3), 3
        yield f"{name} b c h w -> h w", name, x.transpose(2, 3, 0, 1), 2
        yield f"{name} b c h w -> b h", name, x.transpose(0, 2, 1, 3), 2
        yield f"{name} b c h w -> b c h", name, x, 1


def windows(x, side):
    b, c, h, w = x.shape
    return x.reshape(b, c, h // side, side, w // side, side).transpose(0, 1, 2, 4, 3, 5)


def windows_last(x, side):
    b, h, w, c = x.shape
    return x.reshape(b, h // side, side, w // side, side, c).transpose(0, 1, 3, 5, 2, 4)


def run(clock, name, source, reduced):
    out = np.empty(source.shape[: source.ndim - reduced], source.dtype)
    filler = filling(name, source.shape, source.strides, reduced, out.strides, source.dtype)
    if filler.ready is None:
        filler._kernel.arrived(compiled(filler.key))
    start = clock()
    filler(source, np.empty_like(out))
    return clock() - start


def main(threads: int = 1, rounds: int = 5) -> None:
    set_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    listed = list(cases())
    best: dict[str, float] = {}
    copies: dict[int, float] = {}
    flat = {size: np.ones(size, np.uint8) for size in {case[2].nbytes for case in listed}}
    for _ in range(rounds):
        for label, name, source, reduced in listed:
            start = clock()
            flat[source.nbytes].copy()
            took = clock() - start
            copies[source.nbytes] = min(copies.get(source.nbytes, took), took)
            best[label] = min(best.get(label, 9.0), run(clock, name, source, reduced))
    for label, _, source, _ in listed:
        print(f"{label:40}{best[label] * 1e3:8.1f} ms {best[label] / copies[source.nbytes]:6.2f} copies")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
