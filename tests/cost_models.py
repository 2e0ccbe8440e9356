"""Random cost models, in which any schedule may be the cheapest, and tensors of any size are scheduled."""

from __future__ import annotations

import importlib
from contextlib import contextmanager

from hypothesis import strategies as st

import plait
from plait.backends.costs import MemoryCosts
from plait.backends.registry import backend_for_type

DRAWN_COST_NAMES = (
    *("call_overhead", "reduce_row_overhead", "reduce_element", "outer_axis_element", "combine_row_overhead"),
    *("combine_element", "combine_strided_element", "matmul_row_overhead", "matmul_element", "einsum_row_overhead"),
    *("copy_row_overhead", "copy_element", "copy_strided_element", "shared_cache_line", "memory_line", "tlb_miss_line"),
    *("memory_byte", "page_fault_byte"),
)


@st.composite
def cost_models(draw):
    """Draw costs at which any schedule may be the cheapest, also with caches into which nothing fits."""
    found = {name: draw(st.sampled_from((0.001, 1.0, 30.0, 1000.0))) for name in DRAWN_COST_NAMES}
    sizes = {name: draw(st.sampled_from((1, 64, 4096, 1 << 20))) for name in ("cache_bytes", "block_bytes")}
    few = {"max_unrolled": draw(st.sampled_from((1, 8))), "max_matmul_part": draw(st.sampled_from((0, 2, 5)))}
    return MemoryCosts(**found, **sizes, **few)


@contextmanager
def schedule_all_tensors(costs):
    """In the ``with`` block, plan schedules for tensors of every size, by these costs."""

    def changed(backend_costs):
        # a backend that does not split rows for matrix products with ones (0) still does not
        matmul_part = costs.max_matmul_part if backend_costs.max_matmul_part else 0
        kept = {name: getattr(backend_costs, name) for name in ("transform_element", "transform_bytes")}
        return costs._replace(**COSTS_THAT_ALWAYS_SCHEDULE, **kept, max_matmul_part=matmul_part)

    with changed_costs(changed, min_elements=1, min_elements_if_rounding=1, eager_elements=1):
        yield


COSTS_THAT_ALWAYS_SCHEDULE = {
    **dict.fromkeys(("max_reduction_ratio", "max_copy_ratio", "max_two_pass_ratio", "two_pass_max_row"), float("inf")),
    "min_matmul_part": 2,
    "min_row": 8,
    "max_whole_rows": 2,
    "tile_multiple": 2,
}
"""Costs at which one call is never the best, and small tensors are split as large ones are."""


@contextmanager
def changed_costs(change_costs, **sizes):
    """Change the costs of the backends, and the sizes from which on a tensor is large, in the whole block."""
    plait.cache_clear()  # it also forgets the backends, so they are looked up after it
    kept = {backend: backend.large_tensors for backend in _backends_with_schedules()}
    for backend, large_tensors in kept.items():
        functions = large_tensors.load()
        functions = functions._replace(
            reduction_functions=_reduction_functions_with_changed_costs(functions.reduction_functions, change_costs),
            copy_costs=functions.copy_costs and change_costs(functions.copy_costs),
        )
        backend.large_tensors = large_tensors._replace(load=lambda functions=functions: functions, **sizes)
    try:
        yield
    finally:
        for backend, large_tensors in kept.items():
            backend.large_tensors = large_tensors
        plait.cache_clear()


def _reduction_functions_with_changed_costs(reduction_functions, change_costs):
    def found(*arguments):
        functions = reduction_functions(*arguments)
        parts = {part: getattr(functions, part) for part in ("pivot", "total") if hasattr(functions, part)}
        if parts:
            return functions._replace(
                **{part: own._replace(costs=change_costs(own.costs)) for part, own in parts.items()}
            )
        return functions and functions._replace(costs=change_costs(functions.costs))

    return found


def _backends_with_schedules():
    found = [backend_for_type(importlib.import_module("numpy").ndarray)]
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return found
    return [*found, backend_for_type(torch.Tensor), backend_for_type(torch.nn.Parameter)]
