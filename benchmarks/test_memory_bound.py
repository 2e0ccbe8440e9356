"""Tests of `benchmarks.memory_bound`: all variants of a case agree, and the report shows the measured values."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from xml.etree import ElementTree as ET

import pytest

from benchmarks import gradients, memory_bound
from benchmarks.bar_chart import BAR_COLOURS, LEFT_MARGIN, WIDTH, draw_svg
from benchmarks.baseline import BASELINE_FILE, Baseline, BaselineRatio, make_baseline, read_baseline
from benchmarks.memory_bound_cases import GROUPS, MEMORY_BOUND_OPERATIONS, TARGET_OPERATION_NAMES
from benchmarks.memory_bound_operation import ARRAY_FUNCTION_BY_LAYOUT
from benchmarks.memory_bound_results import MemoryBoundResult, memory_bound_targets
from benchmarks.memory_bound_variants import MemoryBoundCase
from benchmarks.size_scaling import SizeScaling

CASES = [
    MemoryBoundCase(framework, operation)
    for framework in memory_bound.FRAMEWORKS
    for operation in MEMORY_BOUND_OPERATIONS
]
MIB = 2**20


def make_result(
    plait=1.0, *, case="max-pool 2x2", group="pooling", reduction="max", framework="numpy", peak=0, **fields
):
    seconds = {"memcpy": 1.0, "einops": 10.0, "plait": plait, "by hand 1": 2.0, "by hand 2": 0.5}
    peaks = {"plait": peak} if peak else {}
    texts = dict.fromkeys(seconds, "x")
    return MemoryBoundResult(
        framework, group, case, "a -> a", reduction, "float32", 1, texts, seconds, peaks, MIB, MIB, False, **fields
    )


@pytest.fixture
def unchanged_environment(monkeypatch):
    """Keep the command from changing the environment variables of the test process."""
    monkeypatch.setattr(memory_bound, "configure_process", lambda threads, kernels: None)


@pytest.mark.parametrize("case", [case for case in CASES if case.is_layout_supported], ids=lambda case: case.name)
@pytest.mark.parametrize("elements", [64, 5000])
def test_all_variants_agree(case, elements):
    small = MemoryBoundCase(case.framework, case.operation.with_elements(elements))
    small.check_results(small.namespace())


def test_error_names_the_variant_with_a_wrong_result():
    operation = replace(MEMORY_BOUND_OPERATIONS[0], handwritten={"numpy": ("x[:, :, ::2, ::2]",)}).with_elements(64)
    wrong = MemoryBoundCase("numpy", operation)
    with pytest.raises(AssertionError, match=r"numpy max-pool 2x2, by hand 1: x\[:, :, ::2, ::2\]"):
        wrong.check_results(wrong.namespace())


@pytest.mark.parametrize("operation", MEMORY_BOUND_OPERATIONS, ids=lambda operation: operation.name)
def test_with_elements_scales_to_the_requested_number(operation):
    for elements in (64, 5000, 10**6, 10**8):
        small = operation.with_elements(elements)
        given_length = prod(small.sizes[axis] for axis in small.given_axes)
        assert small.given_axes == operation.given_axes
        assert all(small.sizes[axis] == operation.sizes[axis] for axis in operation.given_axes)
        assert small.elements <= max(elements, 8 * given_length)  # numbers in a pattern multiply to 8 at most
        assert elements < 10**6 or small.elements > elements / 4
    small = operation.with_elements(64)
    assert small.make_numpy_array().shape == small.shape


def test_other_layouts_are_not_contiguous():
    for layout in ARRAY_FUNCTION_BY_LAYOUT.keys() - {"contiguous"}:
        operation = replace(MEMORY_BOUND_OPERATIONS[0], layout=layout).with_elements(5000)
        assert operation.make_numpy_array().shape == operation.shape
        assert not operation.make_numpy_array().flags.c_contiguous, layout


def test_case_names_are_unique_and_cases_are_ordered_by_group():
    names = [operation.name for operation in MEMORY_BOUND_OPERATIONS]
    groups = [operation.group for operation in MEMORY_BOUND_OPERATIONS]
    assert len({*names}) == len(names)
    assert len(TARGET_OPERATION_NAMES) == 9
    assert {*names} >= TARGET_OPERATION_NAMES
    assert groups == sorted(groups, key=GROUPS.index)


def test_ratios_of_a_result():
    result = make_result(1.5)
    assert result.best_handwritten == "by hand 2"
    assert result.ratio_to_einops == 0.15
    assert result.ratios_to_memcpy == {"einops": 10, "by hand": 0.5, "plait": 1.5}
    assert replace(result, kernel_ratio=0.3).ratios_to_memcpy["plait, kernels"] == 0.3


def test_extra_memory_does_not_count_the_result():
    assert make_result().extra_memory_to_input_ratio is None
    assert make_result(peak=MIB + 1000).extra_memory_to_input_ratio == 0
    assert make_result(peak=3 * MIB).extra_memory_to_input_ratio == pytest.approx(2, abs=0.1)
    copy = make_result(peak=3 * MIB, case="copy", reduction="")
    verdicts = {
        target.description: target.verdict for target in memory_bound_targets("numpy", [make_result(peak=MIB), copy])
    }
    assert verdicts["memory of a copy beyond its result, in inputs"] == "BROKEN"
    assert verdicts["memory of a reduction beyond its result, in inputs"] == "holds"


def test_targets_have_the_verdict_of_the_worst_case():
    slow, fast = make_result(11.0, case="mean-pool 2x2"), make_result(0.5)
    every, pools = memory_bound_targets("numpy", [slow, fast])
    assert (every.value, every.worst_case, every.verdict) == (1.1, "mean-pool 2x2", "within noise")
    assert (pools.limit, pools.verdict) == (0.1, "BROKEN")
    target_results = [make_result(0.9, case=name) for name in TARGET_OPERATION_NAMES]
    assert [target.verdict for target in memory_bound_targets("numpy", target_results)] == ["holds"] * 4
    assert [target.limit for target in memory_bound_targets("torch", [fast])] == [1.03, 0.2]


def test_kernel_targets_need_measurements_with_kernels():
    alone, beside = replace(make_result(0.8), uses_kernels=True), make_result(30.0, kernel_ratio=1.3)
    assert memory_bound_targets("numpy", [alone])[-1].value == 0.8
    assert memory_bound_targets("numpy", [beside])[-1].value == 1.3
    assert "with kernels" not in memory_bound_targets("numpy", [make_result()])[-1].description


def test_cliff_is_relative_to_memcpy():
    steady = {64: {"plait": 1.0, "memcpy": 1.0}, 1000: {"plait": 10.0, "memcpy": 10.0}}
    cliff = SizeScaling("numpy", "case", steady | {2000: {"plait": 60.0, "memcpy": 20.0}})
    memory = SizeScaling("numpy", "case", steady | {2000: {"plait": 60.0, "memcpy": 60.0}})
    assert cliff.max_growth_relative_to_memcpy == pytest.approx(3)
    assert memory.max_growth_relative_to_memcpy == pytest.approx(1)
    assert SizeScaling("numpy", "case", {64: {"plait": 1.0, "memcpy": 1.0}}).max_growth_relative_to_memcpy == 0


def test_noise_is_not_a_regression():
    baseline = Baseline(64, {}, {"numpy max-pool 2x2": BaselineRatio(0.1, 0.3)})
    assert not baseline.find_regressions([make_result(1.2)])
    assert baseline.find_regressions([make_result(1.4)]) == [make_result(1.4)]
    assert not baseline.find_regressions([make_result(9.0, case="new")])


def test_ratio_near_einops_may_grow_beyond_noise():
    assert BaselineRatio(1.0, 0.6).allows(2.4)
    assert not BaselineRatio(1.0, 0.6).allows(2.6)
    assert not BaselineRatio(0.1, 0.6).allows(0.17)


def test_baseline_has_median_and_noise_and_round_trips(tmp_path):
    runs = [[make_result(1.0)], [make_result(1.0)], [make_result(1.4)]]
    result = make_baseline(64, {"numpy": "2"}, runs)
    assert result.ratios["numpy max-pool 2x2"] == BaselineRatio(0.1, 0.8)
    assert (
        make_baseline(64, {}, [[make_result(1.0)], [make_result(1.0)], [make_result(9.0)]])
        .ratios["numpy max-pool 2x2"]
        .noise
        == 1.0
    )
    result.write(tmp_path / "baseline.json")
    assert read_baseline(tmp_path / "baseline.json") == result


def test_baseline_file_has_the_current_cases():
    assert read_baseline(BASELINE_FILE).ratios.keys() == {case.name for case in CASES if case.is_layout_supported}


def test_bars_of_the_chart_are_within_its_margins():
    rows = [
        make_result(0.002, kernel_ratio=0.001),
        make_result(900.0, case="a < b & c", group="blocks", framework="torch"),
    ]
    tree = ET.fromstring(draw_svg(rows))
    space = "{http://www.w3.org/2000/svg}"
    assert tree.find(f"{space}title").text
    assert tree.find(f"{space}desc").text
    bars = [bar for bar in tree.iter(f"{space}rect") if bar.get("x") == str(LEFT_MARGIN)]
    assert len(bars) == 4 + 3
    assert {bar.get("fill") for bar in bars} == {*BAR_COLOURS.values()}
    assert all(LEFT_MARGIN + float(bar.get("width")) <= WIDTH for bar in bars)
    tops = [float(bar.get("y")) for bar in bars]
    assert tops == sorted({*tops})
    assert "a < b & c" in [text.text for text in tree.iter(f"{space}text")]


@pytest.mark.usefixtures("unchanged_environment")
def test_command_writes_chart_results_and_baseline(tmp_path, capsys):
    picture, figures, record = tmp_path / "bars.svg", tmp_path / "rows.json", tmp_path / "baseline.json"
    few = ["--quick", "--case", "2x2x2", "--elements", "64", "--framework", "numpy", "--framework", "torch"]
    assert memory_bound.main([*few, "--picture", str(picture), "--json", str(figures), "--record", str(record)]) == 0
    assert "by hand" in capsys.readouterr().out
    assert ET.parse(picture).getroot().get("viewBox").startswith("0 0 1000")
    assert len(json.loads(figures.read_text())["results"]) == 2
    baseline = read_baseline(record)
    impossible = {key: BaselineRatio(0.0, 0.0) for key in baseline.ratios}
    replace(baseline, ratios=impossible).write(record)
    assert memory_bound.main([*few, "--check", str(record)]) == 1
    replace(baseline, ratios={key: BaselineRatio(1e6, 0.0) for key in baseline.ratios}).write(record)
    assert memory_bound.main([*few, "--check", str(record)]) == 0
    assert "No ratio to einops is worse" in capsys.readouterr().out


@pytest.mark.usefixtures("unchanged_environment")
def test_command_prints_size_scaling(capsys, monkeypatch):
    monkeypatch.setattr(memory_bound, "QUICK_SIZES", (64, 1024))
    assert memory_bound.main(["--quick", "--sizes", "--case", "h w -> w h, complex64"]) == 0
    out = capsys.readouterr().out
    assert out.count("numpy h w -> w h, complex64") == 2
    assert "relative to the next smaller size" in out


def test_unknown_case_is_an_error():
    with pytest.raises(SystemExit):
        memory_bound.main(["--case", "no such thing"])


@pytest.mark.parametrize("case", gradients.select_cases("", 20_000), ids=lambda case: case.name)
def test_gradients_agree(case):
    gradients.check_gradients(case, gradients.make_namespace(case))
