"""Tests of `benchmarks.calibrate`: every cost is measured, and printed with the value that plait uses."""

from __future__ import annotations

import pytest

from benchmarks import calibrate
from plait.backends.costs import ContractionCosts, MemoryCosts

UNTIMED_FIELDS = {"vector_bytes", *MemoryCosts._fields[MemoryCosts._fields.index("units_stop_coalescing") :]}
"""The fields of `MemoryCosts` that cannot be timed: properties of a framework, and limits."""


@pytest.fixture
def quick_timer(monkeypatch):
    monkeypatch.setattr(calibrate, "CACHED_ELEMENTS", 1 << 12)
    monkeypatch.setattr(calibrate, "UNCACHED_ELEMENTS", 1 << 14)
    return calibrate.CallTimer(calibrate.Effort(1, 1e-6))


@pytest.mark.parametrize("framework", calibrate.FRAMEWORKS)
def test_every_cost_is_measured(framework, quick_timer):
    memory = {figure for _, figure, _, _ in calibrate.memory_cost_thunks(framework, quick_timer)}
    contractions = {figure for _, figure, _, _ in calibrate.contraction_cost_thunks(framework, quick_timer)}
    cost_fields = {name for name in ContractionCosts._fields if type(getattr(ContractionCosts(), name)) is float}
    if framework == "numpy":
        gradient_costs = {"autograd_overhead", "backward_row_overhead", "backward_element"}
        assert {*MemoryCosts._fields} - UNTIMED_FIELDS - memory == gradient_costs
        assert contractions == cost_fields
    else:
        assert {"autograd_overhead", "backward_row_overhead", "backward_element"} <= memory
        assert cost_fields - contractions == {"output_buffer_overhead"}


@pytest.mark.parametrize("framework", calibrate.FRAMEWORKS)
def test_size_from_which_a_kernel_is_faster_is_measured(framework, quick_timer, monkeypatch):
    pytest.importorskip("plait_kernels")
    monkeypatch.setattr(calibrate, "KERNEL_SIZES", (1 << 12, 1 << 20))
    figures = list(calibrate.kernel_size_thunks(framework, quick_timer))
    assert [(kind, figure) for kind, figure, _, _ in figures] == [
        *(("max-pool 2x2", "min_elements"), ("copy", "min_elements"))
    ]
    for *_, used, measure in figures:
        assert used > 1
        assert measure() in (0, 1 << 12, 1 << 20)


def test_command_prints_figures(monkeypatch, capsys):
    monkeypatch.setattr(calibrate, "QUICK_EFFORT", calibrate.Effort(1, 1e-6))
    monkeypatch.setattr(calibrate, "configure_process", lambda threads, kernels: None)
    assert calibrate.main(["--quick", "--framework", "numpy", "--figure", "reduce_element"]) == 0
    assert "reduce_element (max)" in capsys.readouterr().out
