"""Prices at which any way to reduce or to copy may be the cheapest; any tensor is taken for a large one."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from unittest import mock

from hypothesis import strategies as st

import plait
from plait._plan.schedule import copies, reductions
from plait._plan.schedule import two_pass as centres
from plait.backends.registry import backend_of

DRAWN = (
    *("call", "reduced_row", "reduced", "outer", "row", "combined", "strided", "product_row", "product", "added_row"),
    *("copied_row", "copied", "scattered", "near", "line", "page", "byte", "fault"),
)


@st.composite
def cost_models(draw):
    """Prices at which anything may be the cheapest, and caches that nothing fits into."""
    found = {name: draw(st.sampled_from((0.001, 1.0, 30.0, 1000.0))) for name in DRAWN}
    sizes = {name: draw(st.sampled_from((1, 64, 4096, 1 << 20))) for name in ("cache", "block")}
    few = {"longest": draw(st.sampled_from((1, 8))), "part": draw(st.sampled_from((0, 2, 5)))}
    return tuple({**found, **sizes, **few}.items())


@contextmanager
def everything_large(prices):
    """Plans take any way that is the cheapest at these prices, be the tensor as small as it may."""
    passes = {backend: backend.passes for backend in _backends()}

    def priced(found, composite=False):
        def given(*asked):
            calls = found(*asked)
            kept = () if calls is None else [row for row in calls.prices if row[0] in ("held", "deviated")]
            drawn = [row for row in prices if composite or row[0] != "part"]  # which only sums within others have
            return calls and calls._replace(prices=(*drawn, *kept))

        return given

    def taken(**given):
        return copies.PassPrices(**(given or dict(prices)))

    plait.cache_clear()
    for backend, kept in passes.items():
        composite = kept.composite and priced(kept.composite, composite=True)
        backend.passes = kept._replace(least=1, eager=1, rounded=1, calls=priced(kept.calls), composite=composite)
    try:
        with (
            mock.patch.object(reductions, "WORTH", float("inf")),
            mock.patch.object(reductions, "LEAST_PART", 2),
            mock.patch.multiple(centres, WORTH=float("inf"), LONG=float("inf"), ROW=8, EVEN=2, WHOLE=2),
            mock.patch.object(copies, "WORTH", float("inf")),
            mock.patch("plait._executor.large.layout.PassPrices", taken),
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
