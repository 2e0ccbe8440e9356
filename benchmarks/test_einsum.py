"""The cases of `benchmarks.einsum`: that all variants agree, and that the report says what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import einsum
from benchmarks.contractions import CONTRACTIONS, GROUPS, case
from benchmarks.peers import CALLS, Case
from benchmarks.promise import Promise
from benchmarks.race import OBJECTS, Effort, peaks, times
from benchmarks.standings import Row, promises

MIB = 2**20


def row(seconds, peaks=None, framework="numpy", group="table", nbytes=MIB):
    return Row(framework, group, "name", "i->i", dict.fromkeys(seconds, ""), seconds, peaks or {}, nbytes)


@pytest.mark.parametrize("framework", CALLS)
@pytest.mark.parametrize("contraction", CONTRACTIONS, ids=lambda contraction: contraction.name)
def test_that_all_variants_agree(framework, contraction):
    pytest.importorskip(framework)
    small = Case(framework, contraction.shrunk())
    small.check(small.namespace())


def test_that_a_variant_that_disagrees_is_named():
    wrong = Case("numpy", case("table", "wrong", "ij->i", "a.sum(0)", i=3, j=3))
    with pytest.raises(AssertionError, match=r"numpy wrong, by hand 1: a\.sum\(0\)"):
        wrong.check(wrong.namespace())


def test_that_a_loop_of_minutes_is_left_out():
    long = Case("numpy", case("table", "long", "ik,kj->ij", i=10_000, j=10_000, k=10_000))
    assert "plain" not in long.expressions()


def test_that_each_case_has_a_name_of_its_own_and_a_known_group():
    names = [does.name for does in CONTRACTIONS]
    groups = [does.group for does in CONTRACTIONS]
    assert len({*names}) == len(names)
    assert groups == sorted(groups, key=GROUPS.index)


def test_that_the_clock_tells_fast_from_slow():
    found = times({"slow": "sum(range(10_000))", "fast": "sum(range(10))"}, {}, Effort(2, 3, 0.001))
    assert 0 < found["fast"] < found["slow"]


def test_that_a_peak_is_what_a_call_holds():
    found = peaks({"one": "np.zeros(2**20, 'u1')", "two": "np.zeros(2**20, 'u1').copy()"}, {"np": np})
    assert MIB <= found["one"] <= MIB + OBJECTS
    assert 2 * MIB <= found["two"] <= 2 * MIB + OBJECTS


SECONDS = {"plait": 2, "optimize=True": 4, "opt_einsum": 8, "plain": 1, "torch": 0.1, "by hand 1": 3, "by hand 2": 2.5}


def test_that_plait_is_compared_with_the_best_peer():
    table, tiny = row(SECONDS), row(SECONDS, group="tiny")
    assert (table.by_hand, table.peer, table.ratio, table.strict) == ("by hand 2", "by hand 2", 0.8, 2)
    assert (tiny.by_hand, tiny.peer, tiny.ratio, tiny.strict) == ("by hand 2", "plain", 2, 2)
    torch = row({"plait": 2, "torch.einsum": 1}, framework="torch")
    assert (torch.by_hand, torch.peer, torch.ratio, torch.extra) == (None, "torch.einsum", 2, None)


@pytest.mark.parametrize(
    ("held", "extra"),
    [(MIB, 0), (MIB + OBJECTS, 0), (3 * MIB + OBJECTS, 2), (MIB - OBJECTS, 0), (-OBJECTS, -1)],
)
def test_that_memory_counts_in_results_and_objects_are_free(held, extra):
    assert row({"plait": 1, "opt_einsum": 1}, {"plait": held, "opt_einsum": MIB}).extra == extra


def test_that_a_figure_is_judged_by_its_limit():
    verdicts = [Promise("", figure, 2.0).verdict for figure in (2.0, 2.1, 2.4)]
    assert verdicts == ["holds", "within noise", "BROKEN"]


def test_what_is_promised():
    held = dict.fromkeys(SECONDS, MIB)
    kept = promises("numpy", [row(SECONDS, held), row(SECONDS, held, group="tiny")])
    assert [(promise.figure, promise.limit) for promise in kept] == [(2, 1.15), (2, 1), (2, 1), (0, 1)]
    rows = [row({"plait": 1.2, "jnp.einsum": 1}, framework="jax")] * 3
    assert promises("jax", rows) == [Promise(kept[0].text, 1.2, 1.05, "name, and 2 more")]


def test_the_picture():
    rows = [row({"plait": 0.5, "opt_einsum": 1}), row({"plait": 4, "opt_einsum": 1})]
    assert [line.plain.rstrip() for line in einsum.bars(rows, 26)] == [
        "      1/2 1   2   4",
        "name  ████│         0.50",
        "name      │████████ 4.00",
    ]


@pytest.mark.parametrize("framework", CALLS)
def test_the_command(framework, tmp_path, capsys):
    pytest.importorskip(framework)
    file = tmp_path / "figures.json"
    options = ["--quick", "--rounds", "1", "--framework", framework, "--case", "tiny dot", "--json", str(file)]
    assert einsum.main(options) == 0
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert [found["case"] for found in kept["rows"]] == ["tiny dot product", "tiny dot products of rows"]
    assert f"What plait promises on {framework}" in capsys.readouterr().out


def test_that_a_broken_promise_is_the_exit_status(monkeypatch):
    slow = row({"plait": 9, "opt_einsum": 1, "plain": 1})
    monkeypatch.setattr(einsum, "measured", lambda cases, effort: [slow])
    assert einsum.main(["--case", "matrix product"]) == 0
    assert einsum.main(["--case", "matrix product", "--check"]) == 1


def test_that_a_case_must_exist(capsys):
    with pytest.raises(SystemExit):
        einsum.main(["--case", "no such thing"])
    assert "no case has 'no such thing'" in capsys.readouterr().err
