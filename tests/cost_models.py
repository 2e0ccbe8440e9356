"""Costs at which any way to reduce or to copy may be the cheapest; any tensor is taken for a large one."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from unittest import mock

from hypothesis import strategies as st

import plait
from plait._plan.schedule import copies, reductions
from plait._plan.schedule import two_pass as centres
from plait.backends.costs import MemoryCosts
from plait.backends.registry import backend_of

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
    passes = {backend: backend.passes for backend in _backends()}

    def at_these_costs(found, composite=False):
        def given(*asked):
            calls = found(*asked)
            if calls is None:
                return None
            own = {name: getattr(calls.costs, name) for name in ("transform_element", "transform_bytes")}
            if not composite:  # sums within others alone are taken apart
                own["max_matmul_part"] = 0
            return calls._replace(costs=costs._replace(**own))

        return given

    plait.cache_clear()
    for backend, kept in passes.items():
        backend.passes = kept._replace(
            least=1,
            eager=1,
            rounded=1,
            calls=at_these_costs(kept.calls),
            composite=kept.composite and at_these_costs(kept.composite, composite=True),
            copy_costs=kept.copy_costs and costs,
        )
    try:
        with (
            mock.patch.object(reductions, "WORTH", float("inf")),
            mock.patch.object(reductions, "LEAST_PART", 2),
            mock.patch.multiple(centres, WORTH=float("inf"), LONG=float("inf"), ROW=8, EVEN=2, WHOLE=2),
            mock.patch.object(copies, "WORTH", float("inf")),
        ):
            yield
    finally:
        for backend, kept in passes.items():
            backend.passes = kept
        plait.cache_clear()


def _backends():
    found = [backend_of(importlib.import_module("numpy").ndarray)]
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return found
    return [*found, backend_of(torch.Tensor), backend_of(torch.nn.Parameter)]
