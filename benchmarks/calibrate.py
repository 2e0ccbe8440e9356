"""Measure the figures of the cost model, such as the cost of a call, and compare them with those that plait uses.

From the root of the repository::

    python -m benchmarks.calibrate [--quick] [--framework NAME] [--figure SUBSTRING]

Most figures are differences: the times of two calls are subtracted, and divided by the number of units, such as rows or
elements, that one call has more of. Figures are measured on one thread, in ``float32``, as the minimum of several runs.
The last table gives the number of elements from which a kernel of plait-kernels is faster than the calls that it
replaces.

The command changes nothing: a figure that is wrong on every machine should be changed in `plait.backends.costs`, or in
the table of a framework.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from time import perf_counter
from timeit import Timer
from typing import Any, NamedTuple, TypeAlias

from rich.console import Console

from benchmarks.memory_bound_variants import configure_process
from benchmarks.tables import print_table, with_progress

FRAMEWORKS = ("numpy", "torch")
"""The frameworks whose figures are measured."""

COLUMNS = ["", "used by plait", "measured", "measured / used"]
"""The titles of the columns."""

CACHED_ELEMENTS, UNCACHED_ELEMENTS = 1 << 16, 1 << 24
"""The number of elements of an array that fits into the first-level caches, and of one that fits into no cache."""

MAX_TIMING_SECONDS = 1.0
"""The seconds after which slow calls are not run again."""

CostThunk: TypeAlias = Callable[[], float]
"""A function that measures a figure, in nanoseconds or bytes."""


class Effort(NamedTuple):
    """How long to measure.

    Attributes:
        runs: the number of runs of a call; among many short runs some are undisturbed by other programs.
        run_seconds: the minimal length of a run, in seconds.
    """

    runs: int
    run_seconds: float


FULL_EFFORT, QUICK_EFFORT = Effort(200, 0.0004), Effort(20, 0.0002)


class CallTimer:
    """Measures calls, in nanoseconds."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort

    def __call__(self, call: Callable[[], Any]) -> float:
        """Return the nanoseconds of a call in its fastest run."""
        return self.measure_fastest_ns_of_each(call)[0]

    def measure_fastest_ns_of_each(self, *calls: Callable[[], Any]) -> list[float]:
        """Return the nanoseconds of each call in its fastest run; the calls run in turn."""
        timers, counts = [Timer(call) for call in calls], []
        for timer in timers:
            count = 1
            while timer.timeit(count) < self.effort.run_seconds / 2:
                count *= 4
            counts.append(count)
        best, end = [inf] * len(calls), perf_counter() + MAX_TIMING_SECONDS
        for run in range(self.effort.runs):
            if run > self.effort.runs // 20 and perf_counter() > end:
                break
            for index, (timer, count) in enumerate(zip(timers, counts, strict=True)):
                best[index] = min(best[index], timer.timeit(count) / count * 1e9)
        return best

    def time_difference_per_unit(
        self, larger_call: Callable[[], Any], smaller_call: Callable[[], Any], unit_count: float
    ) -> float:
        """Return the nanoseconds of one unit, of which the first call has ``unit_count`` more than the second."""
        first, second = self.measure_fastest_ns_of_each(larger_call, smaller_call)
        return (first - second) / unit_count


class TimedFunctions(NamedTuple):
    """The functions of a framework that are timed for the figures of contractions, and ``random``, which makes arrays.

    ``sum`` takes an array and an axis.
    """

    random: Callable[..., Any]
    dot: Callable[[Any, Any], Any]
    matmul: Callable[[Any, Any], Any]
    multiply: Callable[..., Any]
    einsum: Callable[..., Any]
    sum: Callable[[Any, int], Any]
    diagonal: Callable[[Any], Any]
    copy: Callable[[Any], Any]


def timed_functions_of(framework: str) -> TimedFunctions:
    """Return the timed functions of a framework."""
    if framework == "torch":
        import torch

        torch.set_num_threads(1)
        copy = torch.clone
        einsum, diagonal = torch.einsum, torch.diagonal
        return TimedFunctions(
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

    return TimedFunctions(
        lambda *shape: rng.random(shape, np.float32),
        np.ndarray.dot,
        np.matmul,
        np.multiply,
        c_einsum,
        np.add.reduce,
        np.ndarray.diagonal,
        np.ndarray.copy,
    )


def memory_cost_thunks(framework: str, timer: CallTimer) -> Iterator[tuple[str, str, float, CostThunk]]:
    """Yield the figures of `MemoryCosts`: the reduction, the name, the value that plait uses, and the measurement."""
    from plait.backends.registry import backend_for_type

    calls = timed_functions_of(framework)
    rand = calls.random
    cls, dtype = type(rand(1)), rand(1).dtype
    backend = backend_for_type(cls)
    large = backend.large_tensors.load()
    for name in ("max", "sum"):
        functions_of_reduction = large.reduction_functions(name, dtype, False)
        figures = _reduction_cost_thunks(functions_of_reduction, rand, timer)
        if (
            name == "sum"
            and functions_of_reduction.matmul_ones is not None
            and functions_of_reduction.reduce_rows is not None
        ):
            figures |= _sum_cost_thunks(functions_of_reduction, rand, timer)
        for figure, measure in figures.items():
            yield name, figure, getattr(functions_of_reduction.costs, figure), measure
        if framework == "torch":
            differentiable = large.reduction_functions(name, dtype, True)
            for figure, measure in _gradient_cost_thunks(name, differentiable, backend, rand, timer).items():
                yield name, figure, getattr(differentiable.costs, figure), measure
    two_pass = large.reduction_functions("var", dtype, False)
    if two_pass is not None:
        x, pivot, memory = rand(64, 1024), rand(64, 1), rand(64, 1024)
        used = two_pass.total.costs.transform_element
        yield (
            "var",
            "transform_element",
            used,
            lambda: timer(lambda: two_pass.transform(x, pivot, memory)) / CACHED_ELEMENTS,
        )
    if large.copy_costs is not None:
        for figure, measure in _copy_cost_thunks(large.copy, rand, timer).items():
            yield "copy", figure, getattr(large.copy_costs, figure), measure


def _reduction_cost_thunks(functions_of_reduction: Any, rand: Any, timer: CallTimer) -> dict[str, CostThunk]:
    """Return the measurements of reductions along axes, and of calls that combine two tensors."""

    def reduce(shape: Sequence[int], *axes: int) -> Callable[[], Any]:
        x, axis = rand(*shape), axes if len(axes) > 1 else axes[0]
        out = rand(*[size for dim, size in enumerate(shape) if dim not in axes])
        return lambda: functions_of_reduction.reduce_axis(x, axis, out)

    def combine(rows: int, row: int, step: int = 1) -> Callable[[], Any]:
        x, y, out = (rand(rows, 2 * row)[:, : row * step : step] for _ in range(3))
        return lambda: functions_of_reduction.combine(x, y, out=out)

    long, first = reduce((64, 1024), 1), rand(8)
    short, tail, outer = reduce((4096, 16), 1), reduce((1024, 63), 1), reduce((64, 1024), 0)
    return {
        "call_overhead": lambda: timer(lambda: functions_of_reduction.combine(first[:1], first[1:2], out=first[2:3])),
        "reduce_element": lambda: timer.time_difference_per_unit(long, reduce((64, 512), 1), CACHED_ELEMENTS / 2),
        "reduce_row_overhead": lambda: timer.time_difference_per_unit(short, long, 4096 - 64),
        "vector_tail_element": lambda: timer.time_difference_per_unit(tail, reduce((1024, 64), 1), 1024 * 31),
        "multi_axis_element": lambda: timer(reduce((256, 2, 64, 2), 1, 3)) / CACHED_ELEMENTS,
        "multi_axis_row_overhead": lambda: timer(reduce((64, 32, 8, 4), 0, 2)) / (CACHED_ELEMENTS / 8),
        "single_outer_axis_element": lambda: timer(outer) / CACHED_ELEMENTS,
        "outer_axis_element": lambda: timer.time_difference_per_unit(outer, long, CACHED_ELEMENTS),
        "combine_row_overhead": lambda: timer.time_difference_per_unit(combine(4096, 16), combine(64, 1024), 4096 - 64),
        "combine_element": lambda: timer(combine(1, CACHED_ELEMENTS)) / CACHED_ELEMENTS,
        "combine_strided_element": lambda: timer(combine(1, CACHED_ELEMENTS // 2, step=2)) / (CACHED_ELEMENTS // 2),
        "memory_byte": lambda: (
            (
                timer(reduce((1, UNCACHED_ELEMENTS), 1)) / UNCACHED_ELEMENTS
                - timer(reduce((1, CACHED_ELEMENTS), 1)) / CACHED_ELEMENTS
            )
            / 4
        ),
    }


def _sum_cost_thunks(functions_of_reduction: Any, rand: Any, timer: CallTimer) -> dict[str, CostThunk]:
    """Return the measurements of sums that are computed by matrix products with ones, and by einsum."""

    def sum_by_ones(*shape: int) -> Callable[[], Any]:
        x, out = rand(*shape), rand(shape[0])
        return lambda: functions_of_reduction.matmul_ones(x, out)

    def sum_by_einsum(*shape: int) -> Callable[[], Any]:
        x, out = rand(*shape), rand(shape[0], shape[2])
        return lambda: functions_of_reduction.reduce_rows(x, 1, out)

    return {
        "matmul_row_overhead": lambda: timer.time_difference_per_unit(
            sum_by_ones(4096, 16), sum_by_ones(512, 128), 4096 - 512
        ),
        "matmul_element": lambda: timer.time_difference_per_unit(sum_by_ones(512, 128), sum_by_ones(512, 64), 512 * 64),
        "einsum_row_overhead": lambda: timer.time_difference_per_unit(
            sum_by_einsum(64, 64, 16), sum_by_einsum(64, 4, 256), 4096 - 256
        ),
        "einsum_element": lambda: timer.time_difference_per_unit(
            sum_by_einsum(16, 4, 1024), sum_by_einsum(16, 2, 1024), CACHED_ELEMENTS / 2
        ),
    }


def _gradient_cost_thunks(
    name: str, functions_of_reduction: Any, backend: Any, rand: Any, timer: CallTimer
) -> dict[str, CostThunk]:
    """Return the measurements of a reduction with its backward pass, where plait wraps its calls in one autograd node.

    The figures are differences to PyTorch's own reduction with its backward pass.
    """
    import torch

    from plait._executor.large.reductions import build_reduction
    from plait._plan.schedule.loop_nest import build_loop_nest
    from plait._plan.schedule.schedules import ReduceAxis, ReductionSchedule

    plain = backend.reduction(name, torch.float32)

    def torch_reduction(*shape: int) -> Callable[[], Any]:
        x, output_gradient = rand(*shape).requires_grad_(), rand(shape[0])
        return lambda: torch.autograd.grad(plain(x, (1,)), x, output_gradient)

    def plait_reduction(*shape: int) -> Callable[[], Any]:
        x, output_gradient = rand(*shape).requires_grad_(), rand(shape[0])
        nest = build_loop_nest(shape, (4 * shape[1], 4), (1,))
        schedule = ReductionSchedule(nest, shape, (ReduceAxis(1),), None, (), 0.0)
        reduce = build_reduction(schedule, shape, (1,), backend, functions_of_reduction)
        return lambda: torch.autograd.grad(reduce(x, None), x, output_gradient)

    def overhead_difference(*shape: int) -> float:
        return timer.time_difference_per_unit(torch_reduction(*shape), plait_reduction(*shape), 1)

    return {
        "autograd_overhead": lambda: -overhead_difference(2, 2),
        "backward_row_overhead": lambda: (overhead_difference(4096, 16) - overhead_difference(64, 1024)) / (4096 - 64),
        "backward_element": lambda: (
            (overhead_difference(64, 1024) - overhead_difference(64, 512)) / (CACHED_ELEMENTS / 2)
        ),
    }


def _copy_cost_thunks(copy: Any, rand: Any, timer: CallTimer) -> dict[str, CostThunk]:
    """Return the measurements of copies, page faults and cache misses, and the sizes of the caches."""

    def fill(out: Any, x: Any) -> Callable[[], Any]:
        def run() -> None:
            out[...] = x

        return run

    def copy_columns(count: int, length: int, gap: int = 0) -> Callable[[], Any]:
        """Copy columns of a matrix, whose elements are ``length + gap`` elements apart, to rows of the result."""
        return fill(rand(length, count), rand(count, length + gap)[:, :length].T)

    flat, wide = rand(CACHED_ELEMENTS), rand(2 * CACHED_ELEMENTS)[::2]
    large, large_out = rand(UNCACHED_ELEMENTS), rand(UNCACHED_ELEMENTS)

    def copy_to_new_memory() -> Any:
        return copy(large, large.shape, [...])

    lines = copy_columns(256, 256)  # a matrix in the cache
    return {
        "copy_row_overhead": lambda: timer.time_difference_per_unit(
            fill(rand(4096, 16), rand(4096, 32)[:, :16]), fill(rand(64, 1024), rand(64, 2048)[:, :1024]), 4096 - 64
        ),
        "copy_element": lambda: timer(fill(rand(CACHED_ELEMENTS), flat)) / CACHED_ELEMENTS,
        "copy_strided_element": lambda: timer(fill(rand(CACHED_ELEMENTS), wide)) / CACHED_ELEMENTS,
        "page_fault_byte": lambda: timer.time_difference_per_unit(
            copy_to_new_memory, fill(large_out, large), 4 * UNCACHED_ELEMENTS
        ),
        "shared_cache_line": lambda: timer.time_difference_per_unit(
            copy_columns(32, 1024), copy_columns(32, 1024, gap=16), 32 * 1024
        ),
        "memory_line": lambda: timer(copy_columns(1 << 14, 256)) / (1 << 22) - timer(lines) / CACHED_ELEMENTS,
        "tlb_miss_line": lambda: (
            timer(copy_columns(1 << 12, 1 << 10, gap=16)) / (1 << 22) - timer(lines) / CACHED_ELEMENTS
        ),
        "cache_bytes": lambda: _sysconf_cache_bytes("SC_LEVEL2_CACHE_SIZE"),
        "shared_cache_bytes": lambda: _sysconf_cache_bytes("SC_LEVEL3_CACHE_SIZE"),
    }


def _sysconf_cache_bytes(name: str) -> float:
    """Return the size of a cache that the system reports, in bytes, or 0 if it reports none."""
    return float(os.sysconf(name)) if name in getattr(os, "sysconf_names", ()) else 0.0


def contraction_cost_thunks(framework: str, timer: CallTimer) -> Iterator[tuple[str, str, float, CostThunk]]:
    """Yield the figures of `ContractionCosts` as `memory_cost_thunks` does, with the reduction ``""``."""
    import plait
    from plait.backends.registry import backend_for_type

    calls = timed_functions_of(framework)
    rand, dot, matmul, multiply, einsum = calls.random, calls.dot, calls.matmul, calls.multiply, calls.einsum
    backend = backend_for_type(type(rand(1)))
    costs = backend.contraction_functions((rand(1).dtype,) * 2).costs
    a, b, many = rand(2, 2), rand(2, 2), rand(2, 2, 2)
    square = rand(512, 512)
    tile = rand(256, 256)

    def matmul_batch(count: int, rows: int, inner: int, columns: int) -> Callable[[], Any]:
        x, y = rand(count, rows, inner), rand(count, inner, columns)
        return lambda: matmul(x, y)

    def einsum_chain(count: int) -> Callable[[], Any]:
        pattern = f"{', '.join([f'a{n} a{n + 1}' for n in range(count)])} -> a0 a{count}"
        return lambda: plait.einsum(*[a] * count, pattern)

    def einsum_row_dots(*shape: int) -> Callable[[], Any]:
        x = rand(*shape)
        return lambda: einsum("ab,ab->a", x, x)

    def copy_tensor(x: Any) -> Callable[[], Any]:
        return lambda: calls.copy(x)

    figures: dict[str, CostThunk] = {
        "view_overhead": lambda: timer(lambda: backend.reshape(a, (4,))),
        "diagonal_overhead": lambda: timer(lambda: calls.diagonal(a)),
        "pairwise_overhead": lambda: (
            timer.time_difference_per_unit(einsum_chain(4), einsum_chain(3), 1) - timer(lambda: dot(a, b))
        ),
        "dot_overhead": lambda: timer(lambda: dot(a, b)),
        "matmul_overhead": lambda: timer(lambda: matmul(many, many)),
        "multiply_overhead": lambda: timer(lambda: multiply(a, b)),
        "sum_overhead": lambda: timer(lambda: calls.sum(a, 0)),
        "einsum_overhead": lambda: timer(lambda: einsum("ab,ab->a", a, b)),
        "einsum_view_overhead": lambda: timer(lambda: einsum("ab->ba", a)),
        "matmul_item": lambda: timer.time_difference_per_unit(
            matmul_batch(1024, 2, 2, 2), matmul_batch(512, 2, 2, 2), 512
        ),
        "vecdot_item": lambda: timer.time_difference_per_unit(
            matmul_batch(4096, 1, 2, 1), matmul_batch(2048, 1, 2, 1), 2048
        ),
        "flop": lambda: timer(lambda: dot(square, square)) / (2 * 512**3),
        "matmul_element": lambda: timer.time_difference_per_unit(
            matmul_batch(256, 32, 2, 32), matmul_batch(256, 16, 2, 16), 256 * 832
        ),
        "matvec_element": lambda: timer(lambda: dot(tile, tile[0])) / CACHED_ELEMENTS,
        "batched_matvec_element": lambda: timer(matmul_batch(16, 64, 64, 1)) / CACHED_ELEMENTS,
        "strided_vector_element": lambda: timer.time_difference_per_unit(
            lambda: dot(square[:, 0], square[:, 1]), lambda: dot(square[:256, 0], square[:256, 1]), 256
        ),
        "einsum_element": lambda: timer.time_difference_per_unit(
            einsum_row_dots(64, 1024), einsum_row_dots(64, 512), CACHED_ELEMENTS / 2
        ),
        "einsum_strided_element": lambda: timer(lambda: einsum("ab,ba->a", tile, tile)) / CACHED_ELEMENTS,
        "einsum_row": lambda: timer.time_difference_per_unit(
            einsum_row_dots(4096, 16), einsum_row_dots(64, 1024), 4096 - 64
        ),
        "copy_element": lambda: timer(copy_tensor(tile)) / CACHED_ELEMENTS,
        "copy_row": lambda: timer.time_difference_per_unit(
            copy_tensor(rand(4096, 32)[:, :16]), copy_tensor(rand(64, 2048)[:, :1024]), 4096 - 64
        ),
        "copy_strided_element": lambda: timer.time_difference_per_unit(
            copy_tensor(tile.T), copy_tensor(tile), CACHED_ELEMENTS
        ),
        "multiply_element": lambda: timer(lambda: multiply(tile, tile)) / CACHED_ELEMENTS,
        "multiply_into_element": lambda: timer(lambda: multiply(tile, tile, out=tile)) / CACHED_ELEMENTS,
        "multiply_broadcast_element": lambda: timer(lambda: multiply(tile, tile[:, :1])) / CACHED_ELEMENTS,
        "sum_element": lambda: timer(lambda: calls.sum(tile, 1)) / CACHED_ELEMENTS,
    }
    if framework == "numpy":
        import numpy as np

        def matmul_to_permuted_output() -> Any:
            return np.matmul(many, many, np.empty((2, 2, 2), np.float32).transpose(0, 2, 1))

        figures["output_buffer_overhead"] = lambda: timer.time_difference_per_unit(
            matmul_to_permuted_output, lambda: matmul(many, many), 1
        )
    for figure, measure in figures.items():
        yield "", figure, getattr(costs, figure), measure


KERNEL_SIZES = tuple(1 << bits for bits in range(10, 21))
"""The numbers of elements at which a kernel is compared with what plait calls without it."""


def kernel_size_thunks(framework: str, timer: CallTimer) -> Iterator[tuple[str, str, float, CostThunk]]:
    """Yield `KernelFunctions.min_elements`, and how to measure from which number of elements a kernel is faster.

    Nothing is yielded if there are no kernels in this process.
    """
    import plait
    from plait.backends.kernels import why_unavailable
    from plait.backends.registry import backend_for_type

    if why_unavailable() is not None:
        return
    rand = timed_functions_of(framework).random
    used = backend_for_type(type(rand(1))).large_tensors.load().kernels.min_elements

    def build_pooling() -> Callable[[Any], Any]:
        pattern = plait.compile("b c (h 2) (w 2) -> b c h w")
        return lambda x: pattern.reduce(x, "max")

    def build_copy() -> Callable[[Any], Any]:
        return plait.compile("b c h w -> b (h w c)").rearrange

    for kind, build_call in (("max-pool 2x2", build_pooling), ("copy", build_copy)):
        yield kind, "min_elements", used, partial(_smallest_faster_size, build_call, rand, timer)


def _smallest_faster_size(build_call: Callable[[], Callable[[Any], Any]], rand: Any, timer: CallTimer) -> float:
    """Return the number of elements from which calls are faster with kernels at every size; 0 if there is none.

    ``build_call`` returns a method of a compiled pattern, which keeps what it chose at its first calls.
    """
    faster_from = 0
    for elements in reversed(KERNEL_SIZES):
        x = rand(4, 4, elements // 1024, 64)
        by_kernel = _call_after_choice(
            build_call(),
            x,
            lambda kernels: kernels._replace(min_elements=1),
            min_elements=1,
            min_elements_if_rounding=1,
        )
        without = _call_after_choice(build_call(), x, lambda _: None)
        kernel_ns, other_ns = timer.measure_fastest_ns_of_each(partial(by_kernel, x), partial(without, x))
        if kernel_ns > other_ns:
            break
        faster_from = elements
    return faster_from


def _call_after_choice(
    call: Callable[[Any], Any], x: Any, change_kernels: Callable[[Any], Any], **sizes: int
) -> Callable[[Any], Any]:
    """Make the first calls for an array with other kernels, and other sizes from which an array is large."""
    import plait
    from plait.backends.registry import backend_for_type

    plait.cache_clear()  # it also forgets the backends, so the one that the call will use is looked up after it
    backend = backend_for_type(type(x))
    kept = backend.large_tensors
    functions = kept.load()
    functions = functions._replace(kernels=change_kernels(functions.kernels))
    backend.large_tensors = kept._replace(load=lambda: functions, **sizes)
    try:
        for _ in range(3):
            call(x)
    finally:
        backend.large_tensors = kept
    return call


def measure_and_format_tables(framework: str, timer: CallTimer, part: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Measure the figures of a framework whose names contain ``part``; yield the title and the rows of each table."""
    for title, figures in (
        ("memory, in nanoseconds", memory_cost_thunks),
        ("contractions, in nanoseconds", contraction_cost_thunks),
        ("kernels, in elements", kernel_size_thunks),
    ):
        selected = [row for row in figures(framework, timer) if part in row[1]]
        rows = []
        for kind, figure, used, measure in with_progress(selected, lambda row: row[1]):
            value = measure()
            ratio = f"{value / used:.2f}" if 0 < used < inf and value else ""
            text = _format_figure(value) if value else "unknown"
            rows.append([f"{figure} ({kind})" if kind else figure, _format_figure(used), text, ratio])
        yield f"{framework}: {title}", rows


def _format_figure(value: float) -> str:
    """Return a figure with four digits, or an integer with all of its digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter runs")
    add("--framework", action="append", choices=FRAMEWORKS, help="by default all frameworks")
    add("--figure", default="", metavar="SUBSTRING", help="only figures with this in their name")
    options = parser.parse_args(arguments)
    configure_process(threads=1, kernels=True)
    timer, console = CallTimer(QUICK_EFFORT if options.quick else FULL_EFFORT), Console(width=120, highlight=False)
    for framework in options.framework or FRAMEWORKS:
        for title, rows in measure_and_format_tables(framework, timer, options.figure):
            print_table(console, title, COLUMNS, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
