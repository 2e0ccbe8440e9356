"""The figures of the cost model, measured on this machine, beside those that plait plans with.

From the root of the repository::

    python -m benchmarks.calibrate [--quick] [--framework NAME] [--figure SUBSTRING]

A figure is the difference of two calls over what one of them has more of: two rows more, a thousand elements. It is
measured on one thread, in ``float32``, as the least of several runs. Nothing is changed: a figure that is off on every
machine belongs into `plait.backends.costs`, or into a framework's own table.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import perf_counter
from timeit import Timer
from typing import Any, NamedTuple, TypeAlias

from rich.console import Console

from benchmarks.movers import settle
from benchmarks.tables import print_table, watched

FRAMEWORKS = ("numpy", "torch")

HEAD = ["", "plait plans with", "measured", "measured / planned"]

HITS, MANY = 1 << 16, 1 << 24
"""Elements that the nearest caches hold, and elements that none does."""

PATIENCE = 1.0
"""Seconds after which calls that take long have no more runs."""

Measurement: TypeAlias = Callable[[], float]
"""Measures a figure, in nanoseconds, or bytes."""


class Effort(NamedTuple):
    """How many runs of a call, and how many seconds each takes at least; of many short ones some are undisturbed."""

    runs: int
    turn: float


FULL, QUICK = Effort(200, 0.0004), Effort(20, 0.0002)


class Clock:
    """Nanoseconds of calls."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort

    def __call__(self, call: Callable[[], Any]) -> float:
        """Of one call, in its fastest run."""
        return self.fastest(call)[0]

    def fastest(self, *calls: Callable[[], Any]) -> list[float]:
        """Of each call, in its fastest run; they take turns."""
        timers, counts = [Timer(call) for call in calls], []
        for timer in timers:
            count = 1
            while timer.timeit(count) < self.effort.turn / 2:
                count *= 4
            counts.append(count)
        best, end = [inf] * len(calls), perf_counter() + PATIENCE
        for number in range(self.effort.runs):
            if number > self.effort.runs // 20 and perf_counter() > end:
                break
            for place, (timer, count) in enumerate(zip(timers, counts, strict=True)):
                best[place] = min(best[place], timer.timeit(count) / count * 1e9)
        return best

    def difference(self, more: Callable[[], Any], less: Callable[[], Any], units: float) -> float:
        """What one of so many units takes that a call has more of than another."""
        one, other = self.fastest(more, less)
        return (one - other) / units


class Calls(NamedTuple):
    """A framework's own functions for the figures of contractions, as plait's plans call them."""

    random: Callable[..., Any]
    dot: Callable[[Any, Any], Any]
    matmul: Callable[[Any, Any], Any]
    multiply: Callable[..., Any]
    einsum: Callable[..., Any]
    add: Callable[[Any, int], Any]
    diagonal: Callable[[Any], Any]
    copy: Callable[[Any], Any]


def calls_of(framework: str) -> Calls:
    """The functions of a framework."""
    if framework == "torch":
        import torch

        torch.set_num_threads(1)
        copy = torch.clone
        einsum, diagonal = torch.einsum, torch.diagonal
        return Calls(
            torch.rand,
            torch.matmul,
            torch.bmm,
            torch.mul,
            einsum,
            torch.sum,
            diagonal,
            lambda x: copy(x, memory_format=torch.contiguous_format),
        )
    import numpy as np

    rng = np.random.default_rng(0)
    from plait.backends.numpy.contraction import c_einsum

    return Calls(
        lambda *shape: rng.random(shape, np.float32),
        np.ndarray.dot,
        np.matmul,
        np.multiply,
        c_einsum,
        np.add.reduce,
        np.ndarray.diagonal,
        np.ndarray.copy,
    )


def memory_figures(framework: str, clock: Clock) -> Iterator[tuple[str, str, float, Measurement]]:
    """For each figure of `MemoryCosts` its reduction, its name, what plait plans with, and how it is measured."""
    from plait.backends.registry import backend_for_type

    calls = calls_of(framework)
    rand = calls.random
    cls, dtype = type(rand(1)), rand(1).dtype
    backend = backend_for_type(cls)
    large = backend.large_tensors.load()
    for name in ("max", "sum"):
        ops = large.reduction_ops(name, dtype, False)
        figures = _reductions(ops, rand, clock)
        if name == "sum" and ops.matmul_ones is not None and ops.reduce_rows is not None:
            figures |= _products(ops, rand, clock)
        for figure, measure in figures.items():
            yield name, figure, getattr(ops.costs, figure), measure
        if framework == "torch":
            recorded = large.reduction_ops(name, dtype, True)
            for figure, measure in _gradients(name, recorded, backend, rand, clock).items():
                yield name, figure, getattr(recorded.costs, figure), measure
    two_pass = large.reduction_ops("var", dtype, False)
    if two_pass is not None:
        x, pivot, memory = rand(64, 1024), rand(64, 1), rand(64, 1024)
        planned = two_pass.total.costs.transform_element
        yield "var", "transform_element", planned, lambda: clock(lambda: two_pass.transform(x, pivot, memory)) / HITS
    if large.copy_costs is not None:
        for figure, measure in _copies(large.copy, rand, clock).items():
            yield "copy", figure, getattr(large.copy_costs, figure), measure


def _reductions(ops: Any, rand: Any, clock: Clock) -> dict[str, Measurement]:
    """The figures of reductions along axes, and of calls that combine two tensors."""

    def reduce(shape: Sequence[int], *axes: int) -> Callable[[], Any]:
        x, axis = rand(*shape), axes if len(axes) > 1 else axes[0]
        out = rand(*[size for dim, size in enumerate(shape) if dim not in axes])
        return lambda: ops.reduce_axis(x, axis, out)

    def combine(rows: int, row: int, step: int = 1) -> Callable[[], Any]:
        x, y, out = (rand(rows, 2 * row)[:, : row * step : step] for _ in range(3))
        return lambda: ops.combine(x, y, out=out)

    long, one = reduce((64, 1024), 1), rand(8)
    short, tail, outer = reduce((4096, 16), 1), reduce((1024, 63), 1), reduce((64, 1024), 0)
    return {
        "call_overhead": lambda: clock(lambda: ops.combine(one[:1], one[1:2], out=one[2:3])),
        "reduce_element": lambda: clock.difference(long, reduce((64, 512), 1), HITS / 2),
        "reduce_row_overhead": lambda: clock.difference(short, long, 4096 - 64),
        "vector_tail_element": lambda: clock.difference(tail, reduce((1024, 64), 1), 1024 * 31),
        "multi_axis_element": lambda: clock(reduce((256, 2, 64, 2), 1, 3)) / HITS,
        "multi_axis_row_overhead": lambda: clock(reduce((64, 32, 8, 4), 0, 2)) / (HITS / 8),
        "single_outer_axis_element": lambda: clock(outer) / HITS,
        "outer_axis_element": lambda: clock.difference(outer, long, HITS),
        "combine_row_overhead": lambda: clock.difference(combine(4096, 16), combine(64, 1024), 4096 - 64),
        "combine_element": lambda: clock(combine(1, HITS)) / HITS,
        "combine_strided_element": lambda: clock(combine(1, HITS // 2, step=2)) / (HITS // 2),
        "memory_byte": lambda: (clock(reduce((1, MANY), 1)) / MANY - clock(reduce((1, HITS), 1)) / HITS) / 4,
    }


def _products(ops: Any, rand: Any, clock: Clock) -> dict[str, Measurement]:
    """The figures of sums by products with ones, and by einsum."""

    def ones(*shape: int) -> Callable[[], Any]:
        x, out = rand(*shape), rand(shape[0])
        return lambda: ops.matmul_ones(x, out)

    def rows(*shape: int) -> Callable[[], Any]:
        x, out = rand(*shape), rand(shape[0], shape[2])
        return lambda: ops.reduce_rows(x, 1, out)

    return {
        "matmul_row_overhead": lambda: clock.difference(ones(4096, 16), ones(512, 128), 4096 - 512),
        "matmul_element": lambda: clock.difference(ones(512, 128), ones(512, 64), 512 * 64),
        "einsum_row_overhead": lambda: clock.difference(rows(64, 64, 16), rows(64, 4, 256), 4096 - 256),
        "einsum_element": lambda: clock.difference(rows(16, 4, 1024), rows(16, 2, 1024), HITS / 2),
    }


def _gradients(name: str, ops: Any, backend: Any, rand: Any, clock: Clock) -> dict[str, Measurement]:
    """The figures of a reduction whose calls are recorded as one, beside those of PyTorch's own, there and back."""
    import torch

    from plait._executor.large.reductions import build_reduction
    from plait._plan.schedule.loop_nest import build_loop_nest
    from plait._plan.schedule.schedules import ReduceAxis, ReductionSchedule

    plain = backend.reduction(name, torch.float32)

    def own(*shape: int) -> Callable[[], Any]:
        x, slope = rand(*shape).requires_grad_(), rand(shape[0])
        return lambda: torch.autograd.grad(plain(x, (1,)), x, slope)

    def wrapped(*shape: int) -> Callable[[], Any]:
        x, slope = rand(*shape).requires_grad_(), rand(shape[0])
        nest = build_loop_nest(shape, (4 * shape[1], 4), (1,))
        schedule = ReductionSchedule(nest, shape, (ReduceAxis(1),), None, (), 0.0)
        reduce = build_reduction(schedule, shape, (1,), backend, ops)
        return lambda: torch.autograd.grad(reduce(x, None), x, slope)

    def beyond(*shape: int) -> float:
        return clock.difference(own(*shape), wrapped(*shape), 1)

    return {
        "autograd_overhead": lambda: -beyond(2, 2),
        "backward_row_overhead": lambda: (beyond(4096, 16) - beyond(64, 1024)) / (4096 - 64),
        "backward_element": lambda: (beyond(64, 1024) - beyond(64, 512)) / (HITS / 2),
    }


def _copies(copy: Any, rand: Any, clock: Clock) -> dict[str, Measurement]:
    """The figures of copies, and of memory, with a result in memory that is there."""

    def fill(out: Any, x: Any) -> Callable[[], Any]:
        def run() -> None:
            out[...] = x

        return run

    def columns(count: int, length: int, gap: int = 0) -> Callable[[], Any]:
        """Rows of a result out of columns of a matrix, whose elements lie ``length + gap`` apart."""
        return fill(rand(length, count), rand(count, length + gap)[:, :length].T)

    flat, wide = rand(HITS), rand(2 * HITS)[::2]
    large, more = rand(MANY), rand(MANY)

    def new() -> Any:
        return copy(large, large.shape, [...])

    lines = columns(256, 256)  # all of them at hand
    return {
        "copy_row_overhead": lambda: clock.difference(
            fill(rand(4096, 16), rand(4096, 32)[:, :16]), fill(rand(64, 1024), rand(64, 2048)[:, :1024]), 4096 - 64
        ),
        "copy_element": lambda: clock(fill(rand(HITS), flat)) / HITS,
        "copy_strided_element": lambda: clock(fill(rand(HITS), wide)) / HITS,
        "page_fault_byte": lambda: clock.difference(new, fill(more, large), 4 * MANY),
        "shared_cache_line": lambda: clock.difference(columns(32, 1024), columns(32, 1024, gap=16), 32 * 1024),
        "memory_line": lambda: clock(columns(1 << 14, 256)) / (1 << 22) - clock(lines) / HITS,
        "tlb_miss_line": lambda: clock(columns(1 << 12, 1 << 10, gap=16)) / (1 << 22) - clock(lines) / HITS,
        "cache_bytes": lambda: _cache("SC_LEVEL2_CACHE_SIZE"),
        "shared_cache_bytes": lambda: _cache("SC_LEVEL3_CACHE_SIZE"),
    }


def _cache(name: str) -> float:
    """What the system says of the size of a cache; 0 where it does not."""
    return float(os.sysconf(name)) if name in getattr(os, "sysconf_names", ()) else 0.0


def contraction_figures(framework: str, clock: Clock) -> Iterator[tuple[str, str, float, Measurement]]:
    """The same of `ContractionCosts`, of which all are of one kind."""
    import plait
    from plait.backends.registry import backend_for_type

    calls = calls_of(framework)
    rand, dot, matmul, multiply, einsum = calls.random, calls.dot, calls.matmul, calls.multiply, calls.einsum
    backend = backend_for_type(type(rand(1)))
    costs = backend.products((rand(1).dtype,) * 2).costs
    a, b, many = rand(2, 2), rand(2, 2), rand(2, 2, 2)
    square = rand(512, 512)
    tile = rand(256, 256)

    def batch(count: int, rows: int, inner: int, columns: int) -> Callable[[], Any]:
        x, y = rand(count, rows, inner), rand(count, inner, columns)
        return lambda: matmul(x, y)

    def chain(count: int) -> Callable[[], Any]:
        pattern = f"{', '.join([f'a{n} a{n + 1}' for n in range(count)])} -> a0 a{count}"
        return lambda: plait.einsum(*[a] * count, pattern)

    def summed(*shape: int) -> Callable[[], Any]:
        x = rand(*shape)
        return lambda: einsum("ab,ab->a", x, x)

    def copied(x: Any) -> Callable[[], Any]:
        return lambda: calls.copy(x)

    figures: dict[str, Measurement] = {
        "view_overhead": lambda: clock(lambda: backend.reshape(a, (4,))),
        "diagonal_overhead": lambda: clock(lambda: calls.diagonal(a)),
        "pairwise_overhead": lambda: clock.difference(chain(4), chain(3), 1) - clock(lambda: dot(a, b)),
        "dot_overhead": lambda: clock(lambda: dot(a, b)),
        "matmul_overhead": lambda: clock(lambda: matmul(many, many)),
        "multiply_overhead": lambda: clock(lambda: multiply(a, b)),
        "sum_overhead": lambda: clock(lambda: calls.add(a, 0)),
        "einsum_overhead": lambda: clock(lambda: einsum("ab,ab->a", a, b)),
        "einsum_view_overhead": lambda: clock(lambda: einsum("ab->ba", a)),
        "matmul_item": lambda: clock.difference(batch(1024, 2, 2, 2), batch(512, 2, 2, 2), 512),
        "vecdot_item": lambda: clock.difference(batch(4096, 1, 2, 1), batch(2048, 1, 2, 1), 2048),
        "flop": lambda: clock(lambda: dot(square, square)) / (2 * 512**3),
        "matmul_element": lambda: clock.difference(batch(256, 32, 2, 32), batch(256, 16, 2, 16), 256 * 832),
        "matvec_element": lambda: clock(lambda: dot(tile, tile[0])) / HITS,
        "batched_matvec_element": lambda: clock(batch(16, 64, 64, 1)) / HITS,
        "strided_vector_element": lambda: clock.difference(
            lambda: dot(square[:, 0], square[:, 1]), lambda: dot(square[:256, 0], square[:256, 1]), 256
        ),
        "einsum_element": lambda: clock.difference(summed(64, 1024), summed(64, 512), HITS / 2),
        "einsum_strided_element": lambda: clock(lambda: einsum("ab,ba->a", tile, tile)) / HITS,
        "einsum_row": lambda: clock.difference(summed(4096, 16), summed(64, 1024), 4096 - 64),
        "copy_element": lambda: clock(copied(tile)) / HITS,
        "copy_row": lambda: clock.difference(
            copied(rand(4096, 32)[:, :16]), copied(rand(64, 2048)[:, :1024]), 4096 - 64
        ),
        "copy_strided_element": lambda: clock.difference(copied(tile.T), copied(tile), HITS),
        "multiply_element": lambda: clock(lambda: multiply(tile, tile)) / HITS,
        "multiply_into_element": lambda: clock(lambda: multiply(tile, tile, out=tile)) / HITS,
        "multiply_broadcast_element": lambda: clock(lambda: multiply(tile, tile[:, :1])) / HITS,
        "sum_element": lambda: clock(lambda: calls.add(tile, 1)) / HITS,
    }
    if framework == "numpy":
        import numpy as np

        def buffered() -> Any:
            return np.matmul(many, many, np.empty((2, 2, 2), np.float32).transpose(0, 2, 1))

        figures["output_buffer_overhead"] = lambda: clock.difference(buffered, lambda: matmul(many, many), 1)
    for figure, measure in figures.items():
        yield "", figure, getattr(costs, figure), measure


def measured(framework: str, clock: Clock, part: str) -> Iterator[tuple[str, list[list[str]]]]:
    """The title and the rows of each table of a framework."""
    for title, figures in (("memory", memory_figures), ("contractions", contraction_figures)):
        chosen = [row for row in figures(framework, clock) if part in row[1]]
        rows = []
        for kind, figure, planned, measure in watched(chosen, lambda row: row[1]):
            found = measure()
            ratio = f"{found / planned:.2f}" if 0 < planned < inf and found else ""
            text = f"{found:,.4g}" if found else "unknown"
            rows.append([f"{figure} ({kind})" if kind else figure, f"{planned:,.4g}", text, ratio])
        yield f"{framework}: {title}, in nanoseconds", rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter runs")
    add("--framework", action="append", choices=FRAMEWORKS, help="by default all of them")
    add("--figure", default="", metavar="SUBSTRING", help="only figures with this in their name")
    options = parser.parse_args(arguments)
    settle(threads=1, kernels=False)
    clock, console = Clock(QUICK if options.quick else FULL), Console(width=120, highlight=False)
    for framework in options.framework or FRAMEWORKS:
        for title, rows in measured(framework, clock, options.figure):
            print_table(console, title, HEAD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
