"""`benchmarks.calibrate`: every figure that is a cost is measured, and printed beside the one that is planned with."""

from __future__ import annotations

import pytest

from benchmarks import calibrate
from plait.backends.costs import ContractionCosts, MemoryCosts

SET = {"vector_bytes", *MemoryCosts._fields[MemoryCosts._fields.index("units_stop_coalescing") :]}
"""What a framework is like, and limits: nothing that a clock measures."""


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(calibrate, "HITS", 1 << 12)
    monkeypatch.setattr(calibrate, "MANY", 1 << 14)
    return calibrate.Clock(calibrate.Effort(1, 1e-6))


@pytest.mark.parametrize("framework", calibrate.FRAMEWORKS)
def test_that_every_figure_is_measured(framework, clock):
    memory = {figure for _, figure, _, _ in calibrate.memory_figures(framework, clock)}
    contractions = {figure for _, figure, _, _ in calibrate.contraction_figures(framework, clock)}
    own = {name for name in ContractionCosts._fields if type(getattr(ContractionCosts(), name)) is float}
    if framework == "numpy":
        recorded = {"autograd_overhead", "backward_row_overhead", "backward_element"}
        assert {*MemoryCosts._fields} - SET - memory == recorded
        assert contractions == own
    else:
        assert {"autograd_overhead", "backward_row_overhead", "backward_element"} <= memory
        assert own - contractions == {"output_buffer_overhead"}


def test_that_the_figures_are_printed(monkeypatch, capsys):
    monkeypatch.setattr(calibrate, "QUICK", calibrate.Effort(1, 1e-6))
    monkeypatch.setattr(calibrate, "settle", lambda threads, kernels: None)
    assert calibrate.main(["--quick", "--framework", "numpy", "--figure", "reduce_element"]) == 0
    assert "reduce_element (max)" in capsys.readouterr().out
