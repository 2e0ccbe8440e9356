"""Tests of `benchmarks.einsum`: all variants of a case agree, and the report shows the measured values."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import einsum
from benchmarks.einsum_cases import CONTRACTIONS, GROUPS, case
from benchmarks.einsum_results import EinsumResult, einsum_targets
from benchmarks.einsum_variants import CALL_TEMPLATES_BY_FRAMEWORK, EinsumCase
from benchmarks.targets import Target
from benchmarks.timing import IGNORED_BYTES, Effort, measure_peak_bytes_by_variant, measure_seconds

MIB = 2**20


def make_result(seconds, peak_bytes=None, framework="numpy", group="table"):
    expressions = dict.fromkeys(seconds, "")
    return EinsumResult(framework, group, "name", "i->i", expressions, seconds, peak_bytes or {}, MIB)


@pytest.mark.parametrize("framework", CALL_TEMPLATES_BY_FRAMEWORK)
@pytest.mark.parametrize("contraction", CONTRACTIONS, ids=lambda contraction: contraction.name)
def test_all_variants_agree(framework, contraction):
    pytest.importorskip(framework)
    small = EinsumCase(framework, contraction.with_small_sizes())
    small.check_results(small.namespace())


def test_error_names_the_variant_with_a_wrong_result():
    wrong = EinsumCase("numpy", case("table", "wrong", "ij->i", "a.sum(0)", i=3, j=3))
    with pytest.raises(AssertionError, match=r"numpy wrong, by hand 1: a\.sum\(0\)"):
        wrong.check_results(wrong.namespace())


def test_plain_einsum_is_left_out_if_too_slow():
    long = EinsumCase("numpy", case("table", "long", "ik,kj->ij", i=10_000, j=10_000, k=10_000))
    assert "plain" not in long.expressions()


def test_case_names_are_unique_and_cases_are_ordered_by_group():
    names = [contraction.name for contraction in CONTRACTIONS]
    groups = [contraction.group for contraction in CONTRACTIONS]
    assert len({*names}) == len(names)
    assert groups == sorted(groups, key=GROUPS.index)


def test_measured_times_of_fast_and_slow_code_differ():
    measured = measure_seconds({"slow": "sum(range(10_000))", "fast": "sum(range(10))"}, {}, Effort(2, 3, 0.001))
    assert 0 < measured["fast"] < measured["slow"]


def test_peak_memory_of_a_call():
    measured = measure_peak_bytes_by_variant(
        {"one": "np.zeros(2**20, 'u1')", "two": "np.zeros(2**20, 'u1').copy()"}, {"np": np}
    )
    assert MIB <= measured["one"] <= MIB + IGNORED_BYTES
    assert 2 * MIB <= measured["two"] <= 2 * MIB + IGNORED_BYTES


SECONDS_BY_VARIANT = {
    "plait": 2,
    "optimize=True": 4,
    "opt_einsum": 8,
    "plain": 1,
    "torch": 0.1,
    "by hand 1": 3,
    "by hand 2": 2.5,
}


def test_peers_include_handwritten_code_except_for_tiny_cases():
    table, tiny = make_result(SECONDS_BY_VARIANT), make_result(SECONDS_BY_VARIANT, group="tiny")
    assert (table.best_handwritten, table.best_peer, table.ratio_to_peer, table.ratio_to_peer_or_plain) == (
        "by hand 2",
        "by hand 2",
        0.8,
        2,
    )
    assert (tiny.best_handwritten, tiny.best_peer, tiny.ratio_to_peer, tiny.ratio_to_peer_or_plain) == (
        "by hand 2",
        "plain",
        2,
        2,
    )
    torch = make_result({"plait": 2, "torch.einsum": 1}, framework="torch")
    assert (torch.best_handwritten, torch.best_peer, torch.ratio_to_peer, torch.extra_memory_over_peer_ratio) == (
        None,
        "torch.einsum",
        2,
        None,
    )


@pytest.mark.parametrize(
    ("peak", "extra"),
    [(MIB, 0), (MIB + IGNORED_BYTES, 0), (3 * MIB + IGNORED_BYTES, 2), (MIB - IGNORED_BYTES, 0), (-IGNORED_BYTES, -1)],
)
def test_memory_over_peer_is_relative_to_result_and_ignores_small_objects(peak, extra):
    assert (
        make_result({"plait": 1, "opt_einsum": 1}, {"plait": peak, "opt_einsum": MIB}).extra_memory_over_peer_ratio
        == extra
    )


def test_verdict_of_a_target():
    verdicts = [Target("", value, 2.0).verdict for value in (2.0, 2.1, 2.4)]
    assert verdicts == ["holds", "within noise", "BROKEN"]


def test_value_limit_and_worst_case_of_each_target():
    peak_bytes = dict.fromkeys(SECONDS_BY_VARIANT, MIB)
    targets = einsum_targets(
        "numpy",
        [make_result(SECONDS_BY_VARIANT, peak_bytes), make_result(SECONDS_BY_VARIANT, peak_bytes, group="tiny")],
    )
    assert [(target.value, target.limit) for target in targets] == [(2, 1.15), (2, 1), (2, 1), (0, 1)]
    results = [make_result({"plait": 1.2, "jnp.einsum": 1}, framework="jax")] * 3
    assert einsum_targets("jax", results) == [Target(targets[0].description, 1.2, 1.05, "name, and 2 more")]


def test_bar_chart_has_a_bar_and_a_ratio_for_each_case():
    results = [make_result({"plait": 0.5, "opt_einsum": 1}), make_result({"plait": 4, "opt_einsum": 1})]
    assert [line.plain.rstrip() for line in einsum.format_bar_chart(results, 26)] == [
        "      1/2 1   2   4",
        "name  ████│         0.50",
        "name      │████████ 4.00",
    ]


@pytest.mark.parametrize("framework", CALL_TEMPLATES_BY_FRAMEWORK)
def test_command_writes_and_prints_results(framework, tmp_path, capsys):
    pytest.importorskip(framework)
    file = tmp_path / "figures.json"
    options = ["--quick", "--rounds", "1", "--framework", framework, "--case", "tiny dot", "--json", str(file)]
    assert einsum.main(options) == 0
    record = json.loads(file.read_text(encoding="utf-8"))
    assert [result["case"] for result in record["results"]] == ["tiny dot product", "tiny dot products of rows"]
    assert f"Performance targets on {framework}" in capsys.readouterr().out


def test_broken_target_sets_the_exit_status(monkeypatch):
    slow = make_result({"plait": 9, "opt_einsum": 1, "plain": 1})
    monkeypatch.setattr(einsum, "measure_cases", lambda cases, effort: [slow])
    assert einsum.main(["--case", "matrix product"]) == 0
    assert einsum.main(["--case", "matrix product", "--check"]) == 1


def test_unknown_case_is_an_error(capsys):
    with pytest.raises(SystemExit):
        einsum.main(["--case", "no such thing"])
    assert "no case has 'no such thing'" in capsys.readouterr().err
