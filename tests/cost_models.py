"""Costs at which any way to reduce or to copy may be the cheapest; any tensor is taken for a large one."""

from __future__ import annotations

import importlib
from contextlib import contextmanager

from hypothesis import strategies as st

import plait
from plait.backends.costs import MemoryCosts
from plait.backends.registry import backend_for_type

DRAWN = (
    *("call_overhead", "reduce_row_overhead", "reduce_element", "outer_axis_element", "combine_row_overhead"),
    *("combine_element", "combine_strided_element", "matmul_row_overhead", "matmul_element", "einsum_row_overhead"),
    *("copy_row_overhead", "copy_element", "copy_strided_element", "shared_cache_line", "memory_line", "tlb_miss_line"),
    *("memory_byte", "page_fault_byte"),
)


@st.composite
def cost_models(draw):
    """Costs at which anything may be the cheapest, and caches that nothing fits into."""
    found = {name: draw(st.sampled_from((0.001, 1.0, 30.0, 1000.0))) for name in DRAWN}
    sizes = {name: draw(st.sampled_from((1, 64, 4096, 1 << 20))) for name in ("cache_bytes", "block_bytes")}
    few = {"max_unrolled": draw(st.sampled_from((1, 8))), "max_matmul_part": draw(st.sampled_from((0, 2, 5)))}
    return MemoryCosts(**found, **sizes, **few)


@contextmanager
def everything_large(costs):
    """Plans take any way that is the cheapest at these costs, be the tensor as small as it may."""

    def changed(own):
        part = costs.max_matmul_part if own.max_matmul_part else 0  # sums within others alone are taken apart
        kept = {name: getattr(own, name) for name in ("transform_element", "transform_bytes")}
        return costs._replace(**ANY_WAY, **kept, max_matmul_part=part)

    with changed_costs(changed, min_elements=1, min_elements_rounding=1, eager_elements=1):
        yield


ANY_WAY = {
    **dict.fromkeys(("max_reduction_ratio", "max_copy_ratio", "max_two_pass_ratio", "two_pass_max_row"), float("inf")),
    "min_matmul_part": 2,
    "min_row": 8,
    "max_whole_rows": 2,
    "tile_multiple": 2,
}
"""Costs at which one call is never good enough, and small tensors are cut as large ones are."""


@contextmanager
def changed_costs(change, **sizes):
    """Hand in other costs, and other sizes from which on a tensor is large."""
    plait.cache_clear()  # before the backends are looked up, which it forgets too
    kept = {backend: backend.large_tensors for backend in _backends()}
    for backend, own in kept.items():
        ops = own.load()
        ops = ops._replace(
            reduction_ops=_changed(ops.reduction_ops, change),
            copy_costs=ops.copy_costs and change(ops.copy_costs),
        )
        backend.large_tensors = own._replace(load=lambda ops=ops: ops, **sizes)
    try:
        yield
    finally:
        for backend, own in kept.items():
            backend.large_tensors = own
        plait.cache_clear()


def _changed(offered, change):
    def found(*asked):
        ops = offered(*asked)
        parts = {part: getattr(ops, part) for part in ("pivot", "total") if hasattr(ops, part)}
        if parts:
            return ops._replace(**{part: own._replace(costs=change(own.costs)) for part, own in parts.items()})
        return ops and ops._replace(costs=change(ops.costs))

    return found


def _backends():
    found = [backend_for_type(importlib.import_module("numpy").ndarray)]
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return found
    return [*found, backend_for_type(torch.Tensor), backend_for_type(torch.nn.Parameter)]
