"""The cases of `benchmarks.movements`: that all variants agree, and that the report says what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from xml.etree import ElementTree as ET

import pytest

from benchmarks import gradients, kept, movements
from benchmarks.growth import Growth
from benchmarks.kept import Kept, Ratio
from benchmarks.movement import LAYOUTS
from benchmarks.movement_cases import GROUPS, MOVEMENTS, PROMISED
from benchmarks.movement_standings import Row, promises
from benchmarks.movers import Case
from benchmarks.picture import COLOURS, LEFT, WIDTH, drawn

CASES = [Case(framework, does) for framework in movements.FRAMEWORKS for does in MOVEMENTS]
MIB = 2**20


def row(plait=1.0, *, case="max-pool 2x2", group="pooling", reduction="max", framework="numpy", peak=0, **more):
    seconds = {"memcpy": 1.0, "einops": 10.0, "plait": plait, "by hand 1": 2.0, "by hand 2": 0.5}
    peaks = {"plait": peak} if peak else {}
    texts = dict.fromkeys(seconds, "x")
    return Row(
        framework, group, case, "a -> a", reduction, "float32", 1, texts, seconds, peaks, MIB, MIB, False, **more
    )


@pytest.fixture
def unsettled(monkeypatch):
    """The environment of the other tests is left as it is: plait is imported already."""
    monkeypatch.setattr(movements, "settle", lambda threads, kernels: None)


@pytest.mark.parametrize("case", [case for case in CASES if case.exists], ids=lambda case: case.name)
@pytest.mark.parametrize("elements", [64, 5000])
def test_that_all_variants_agree(case, elements):
    small = Case(case.framework, case.movement.scaled(elements))
    small.check(small.namespace())


def test_that_a_variant_that_disagrees_is_named():
    does = replace(MOVEMENTS[0], by_hand={"numpy": ("x[:, :, ::2, ::2]",)}).scaled(64)
    wrong = Case("numpy", does)
    with pytest.raises(AssertionError, match=r"numpy max-pool 2x2, by hand 1: x\[:, :, ::2, ::2\]"):
        wrong.check(wrong.namespace())


@pytest.mark.parametrize("does", MOVEMENTS, ids=lambda does: does.name)
def test_that_a_case_grows_to_what_is_asked_for(does):
    for elements in (64, 5000, 10**6, 10**8):
        small = does.scaled(elements)
        told = prod(small.sizes[axis] for axis in small.given)
        assert small.given == does.given
        assert all(small.sizes[axis] == does.sizes[axis] for axis in does.given)
        assert small.elements <= max(elements, 8 * told)  # a case has one block at least
        assert elements < 10**6 or small.elements > elements / 4
    small = does.scaled(64)
    assert small.array().shape == small.shape


def test_that_a_layout_is_no_contiguous_array():
    for layout in LAYOUTS.keys() - {"contiguous"}:
        does = replace(MOVEMENTS[0], layout=layout).scaled(5000)
        assert does.array().shape == does.shape
        assert not does.array().flags.c_contiguous, layout


def test_that_each_case_has_a_name_of_its_own_and_a_known_group():
    names = [does.name for does in MOVEMENTS]
    groups = [does.group for does in MOVEMENTS]
    assert len({*names}) == len(names)
    assert len(PROMISED) == 9
    assert {*names} >= PROMISED
    assert groups == sorted(groups, key=GROUPS.index)


def test_that_a_row_knows_who_was_best():
    found = row(1.5)
    assert found.by_hand == "by hand 2"
    assert found.ratio == 0.15
    assert found.bars == {"einops": 10, "by hand": 0.5, "plait": 1.5}
    assert replace(found, beside=0.3).bars["plait, kernels"] == 0.3


def test_that_memory_counts_beyond_the_result():
    assert row().extra is None
    assert row(peak=MIB + 1000).extra == 0
    assert row(peak=3 * MIB).extra == pytest.approx(2, abs=0.1)
    copy = row(peak=3 * MIB, case="copy", reduction="")
    verdicts = {promise.text: promise.verdict for promise in promises("numpy", [row(peak=MIB), copy])}
    assert verdicts["memory of a copy beyond its result, in inputs"] == "BROKEN"
    assert verdicts["memory of a reduction beyond its result, in inputs"] == "holds"


def test_that_each_promise_names_the_worst_case():
    slow, fast = row(11.0, case="mean-pool 2x2"), row(0.5)
    every, pools = promises("numpy", [slow, fast])
    assert (every.figure, every.where, every.verdict) == (1.1, "mean-pool 2x2", "within noise")
    assert (pools.limit, pools.verdict) == (0.1, "BROKEN")
    nine = [row(0.9, case=name) for name in PROMISED]
    assert [promise.verdict for promise in promises("numpy", nine)] == ["holds"] * 4
    assert [promise.limit for promise in promises("torch", [fast])] == [1.03, 0.2]


def test_that_kernels_are_judged_where_they_ran():
    alone, beside = replace(row(0.8), fast=True), row(30.0, beside=1.3)
    assert promises("numpy", [alone])[-1].figure == 0.8
    assert promises("numpy", [beside])[-1].figure == 1.3
    assert "with kernels" not in promises("numpy", [row()])[-1].text


def test_that_a_cliff_is_what_memcpy_has_not():
    steady = {64: {"plait": 1.0, "memcpy": 1.0}, 1000: {"plait": 10.0, "memcpy": 10.0}}
    cliff = Growth("numpy", "case", steady | {2000: {"plait": 60.0, "memcpy": 20.0}})
    memory = Growth("numpy", "case", steady | {2000: {"plait": 60.0, "memcpy": 60.0}})
    assert cliff.cliff == pytest.approx(3)
    assert memory.cliff == pytest.approx(1)
    assert Growth("numpy", "case", {64: {"plait": 1.0, "memcpy": 1.0}}).cliff == 0


def test_that_noise_is_no_regression():
    before = Kept(64, {}, {"numpy max-pool 2x2": Ratio(0.1, 0.3)})
    assert not before.worse([row(1.2)])
    assert before.worse([row(1.4)]) == [row(1.4)]
    assert not before.worse([row(9.0, case="new")])


def test_that_what_is_alike_may_be_twice_as_slow_and_what_was_faster_may_not():
    assert Ratio(1.0, 0.6).allows(2.4)
    assert not Ratio(1.0, 0.6).allows(2.6)
    assert not Ratio(0.1, 0.6).allows(0.17)


def test_that_a_record_is_read_as_it_was_written(tmp_path):
    runs = [[row(1.0)], [row(1.0)], [row(1.4)]]
    found = kept.recorded(64, {"numpy": "2"}, runs)
    assert found.ratios["numpy max-pool 2x2"] == Ratio(0.1, 0.8)
    assert kept.recorded(64, {}, [[row(1.0)], [row(1.0)], [row(9.0)]]).ratios["numpy max-pool 2x2"].noise == 1.0
    found.write(tmp_path / "kept.json")
    assert kept.read(tmp_path / "kept.json") == found


def test_that_what_is_kept_is_about_cases_that_there_are():
    assert kept.read(kept.BASELINE).ratios.keys() == {case.name for case in CASES if case.exists}


def test_that_the_picture_shows_each_bar_within_its_edges():
    rows = [row(0.002, beside=0.001), row(900.0, case="a < b & c", group="blocks", framework="torch")]
    tree = ET.fromstring(drawn(rows))
    space = "{http://www.w3.org/2000/svg}"
    assert tree.find(f"{space}title").text
    assert tree.find(f"{space}desc").text
    bars = [bar for bar in tree.iter(f"{space}rect") if bar.get("x") == str(LEFT)]
    assert len(bars) == 4 + 3
    assert {bar.get("fill") for bar in bars} == {*COLOURS.values()}
    assert all(LEFT + float(bar.get("width")) <= WIDTH for bar in bars)
    tops = [float(bar.get("y")) for bar in bars]
    assert tops == sorted({*tops})
    assert "a < b & c" in [text.text for text in tree.iter(f"{space}text")]


@pytest.mark.usefixtures("unsettled")
def test_that_the_command_measures_prints_draws_and_keeps(tmp_path, capsys):
    picture, figures, record = tmp_path / "bars.svg", tmp_path / "rows.json", tmp_path / "kept.json"
    few = ["--quick", "--case", "2x2x2", "--elements", "64", "--framework", "numpy", "--framework", "torch"]
    assert movements.main([*few, "--picture", str(picture), "--json", str(figures), "--record", str(record)]) == 0
    assert "by hand" in capsys.readouterr().out
    assert ET.parse(picture).getroot().get("viewBox").startswith("0 0 1000")
    assert len(json.loads(figures.read_text())["rows"]) == 2
    before = kept.read(record)
    impossible = {key: Ratio(0.0, 0.0) for key in before.ratios}
    replace(before, ratios=impossible).write(record)
    assert movements.main([*few, "--check", str(record)]) == 1
    replace(before, ratios={key: Ratio(1e6, 0.0) for key in before.ratios}).write(record)
    assert movements.main([*few, "--check", str(record)]) == 0
    assert "No ratio to einops is worse" in capsys.readouterr().out


@pytest.mark.usefixtures("unsettled")
def test_that_the_command_shows_how_a_case_grows(capsys, monkeypatch):
    monkeypatch.setattr(movements, "QUICK_SIZES", (64, 1024))
    assert movements.main(["--quick", "--sizes", "--case", "h w -> w h, complex64"]) == 0
    out = capsys.readouterr().out
    assert out.count("numpy h w -> w h, complex64") == 2
    assert "in times of what it takes at the size before" in out


def test_that_no_case_is_an_error():
    with pytest.raises(SystemExit):
        movements.main(["--case", "no such thing"])


@pytest.mark.parametrize("case", gradients.chosen("", 20_000), ids=lambda case: case.name)
def test_that_gradients_agree(case):
    gradients.check(case, gradients.namespace(case))
