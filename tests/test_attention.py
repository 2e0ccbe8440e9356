"""Tests of `examples.attention`: results and gradients equal those of PyTorch's `scaled_dot_product_attention`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("rich")

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

import examples.attention.__main__ as command  # noqa: E402  # the root of the repository is not a package
from examples.attention import comparison, plain, torch_einmix, torch_grouped, torch_rearrange, weights  # noqa: E402
from examples.attention.comparison import IMPLEMENTATIONS, Comparison, Problem  # noqa: E402
from plait import asnumpy, rearrange  # noqa: E402

PROBLEMS = [
    Problem(2, 5, 5, 4, 24),
    Problem(2, 3, 7, 2, 6),
    Problem(1, 6, 4, 3, 6),
    Problem(3, 4, 5, 1, 8),
    Problem(2, 1, 5, 4, 4),
    Problem(2, 5, 1, 2, 4),
    Problem(1, 1, 1, 1, 1),
]
TOLERANCES_BY_DTYPE = {torch.float64: dict(rtol=1e-12, atol=1e-12), torch.float32: dict(rtol=1e-5, atol=1e-5)}
each_problem = pytest.mark.parametrize(
    "problem",
    [replace(problem, dtype=torch.float64) for problem in PROBLEMS],
    ids=lambda p: f"{p.batch} {p.queries} {p.keys} {p.heads} {p.channels}",
)


@pytest.fixture(autouse=True)
def _set_seed():
    torch.manual_seed(0)


def random_tensor(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def additive_causal_mask(problem):
    return torch.full((problem.queries, problem.keys), -inf, dtype=problem.dtype).triu(1)


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, **TOLERANCES_BY_DTYPE[expected.dtype])


@each_problem
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@torch.no_grad()
def test_implementation_equals_plain_pytorch(name, problem):
    actual_call, expected_call = IMPLEMENTATIONS[name](problem)
    expected = expected_call()
    assert expected.shape == (problem.batch, problem.queries, problem.channels)
    assert_close(torch.as_tensor(actual_call()), expected)
    mask = additive_causal_mask(problem)
    given = asnumpy(mask) if name == "numpy_einsum" else mask
    expected = expected_call(mask=mask)
    assert_close(torch.as_tensor(actual_call(mask=given)), expected)
    if problem.keys > 1:
        assert not torch.allclose(expected, expected_call())


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@torch.no_grad()
def test_float32_is_kept(name):
    actual_call, expected_call = IMPLEMENTATIONS[name](PROBLEMS[0])
    result = torch.as_tensor(actual_call())
    assert result.dtype == torch.float32
    assert_close(result, expected_call())


@pytest.mark.parametrize("attention", [torch_rearrange.attention, torch_grouped.attention], ids=lambda f: f.__module__)
def test_large_scores_do_not_overflow(attention):
    """Both implementations use the softmax of PyTorch, which does not overflow."""
    queries, keys, values = random_tensor(1, 4, 6) * 1e3, random_tensor(1, 5, 6) * 1e3, random_tensor(1, 5, 6)
    assert_close(attention(queries, keys, values, 2), plain.attention(queries, keys, values, 2))


@torch.no_grad()
def test_large_scores_do_not_overflow_in_numpy():
    actual_call, expected_call = IMPLEMENTATIONS["numpy_einsum"](replace(PROBLEMS[0], dtype=torch.float64))
    # the arrays share memory with the tensors, so the expected call gets the same values
    for sequence in actual_call.args[:2]:
        np.multiply(sequence, 1e3, out=sequence)
    result = torch.as_tensor(actual_call())
    assert result.isfinite().all()
    torch.testing.assert_close(result, expected_call(), rtol=1e-9, atol=1e-9)


@each_problem
@pytest.mark.parametrize("attention", [torch_rearrange.attention, torch_grouped.attention], ids=lambda f: f.__module__)
def test_gradients_equal_plain_pytorch(attention, problem):
    sizes = [(problem.batch, length, problem.channels) for length in (problem.queries, problem.keys, problem.keys)]
    leaves = [random_tensor(*size).requires_grad_() for size in sizes]
    slope, mask = random_tensor(*sizes[0]), additive_causal_mask(problem)
    found = torch.autograd.grad((attention(*leaves, problem.heads, mask) * slope).sum(), leaves)
    expected = torch.autograd.grad((plain.attention(*leaves, problem.heads, mask) * slope).sum(), leaves)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@each_problem
def test_gradients_of_the_module_equal_plain_pytorch(problem):
    layers = plain.Attention(problem.channels, problem.heads).double()
    module = torch_einmix.Attention(problem.channels, problem.heads).double()
    module.load_state_dict(weights.state_for_einmix(layers), strict=True)
    actual_inputs = [problem.draw_sequences(length).requires_grad_() for length in (problem.queries, problem.keys)]
    expected_inputs = [tensor.detach().clone().requires_grad_() for tensor in actual_inputs]
    slope, mask = random_tensor(problem.batch, problem.queries, problem.channels), additive_causal_mask(problem)
    (module(*actual_inputs, mask) * slope).sum().backward()
    (layers(*expected_inputs, mask) * slope).sum().backward()
    for one, other in zip(actual_inputs, expected_inputs, strict=True):
        assert_close(one.grad, other.grad)
    with torch.no_grad():
        for layer in (layers.queries, layers.keys, layers.values, layers.output):
            layer.weight.copy_(layer.weight.grad)
            layer.bias.copy_(layer.bias.grad)
    expected = weights.state_for_einmix(layers)  # the gradients, in place of the weights
    assert expected.keys() == dict(module.named_parameters()).keys()
    for name, parameter in module.named_parameters():
        assert_close(parameter.grad, expected[name].detach())


@torch.no_grad()
def test_additive_causal_mask_equals_is_causal():
    """A causal mask gives the same result as ``is_causal`` of PyTorch."""
    queries, keys, values = random_tensor(2, 5, 12), random_tensor(2, 5, 12), random_tensor(2, 5, 12)
    heads = [tensor.view(2, 5, 3, 4).transpose(1, 2) for tensor in (queries, keys, values)]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
    mask = torch.full((5, 5), -inf, dtype=torch.float64).triu(1)
    for attention in (plain.attention, torch_rearrange.attention, torch_grouped.attention):
        result = attention(queries, keys, values, 3, mask)
        assert_close(result.view(2, 5, 3, 4).transpose(1, 2), expected)


@torch.no_grad()
def test_module_equals_multihead_attention_of_pytorch():
    native = torch.nn.MultiheadAttention(24, 4, batch_first=True, dtype=torch.float64)
    native.in_proj_bias.normal_()  # PyTorch initializes it with zeros
    native.out_proj.bias.normal_()
    module = torch_einmix.Attention(24, 4).double()
    weight = rearrange(native.in_proj_weight, "(qkv h d) c -> qkv c h d", qkv=3, h=4)
    bias = rearrange(native.in_proj_bias, "(qkv h d) -> qkv 1 h 1 d", qkv=3, h=4)
    module.load_state_dict(
        {
            "queries.weight": weight[0],
            "queries.bias": bias[0],
            "keys_values.weight": weight[1:],
            "keys_values.bias": bias[1:],
            "output.weight": rearrange(native.out_proj.weight, "c (h d) -> h d c", h=4),
            "output.bias": native.out_proj.bias[None, None],
        }
    )
    x, context = random_tensor(2, 5, 24), random_tensor(2, 7, 24)
    assert_close(module(x, context), native(x, context, context, need_weights=False)[0])
    assert_close(module(x, x), native(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_must_divide_the_channels(heads):
    tensor = random_tensor(1, 3, 8)
    for attention in (torch_rearrange.attention, torch_grouped.attention):
        with pytest.raises(ValueError, match=r"h=\d"):
            attention(tensor, tensor, tensor, heads)


def test_count_lines_ignores_docstrings_and_comments(tmp_path, monkeypatch):
    (tmp_path / "implementation.py").write_text(
        '"""A\n\nfile."""\n\nimport a\n\n\ndef b():\n    """C."""\n    # d\n    return 1\n'
    )
    monkeypatch.setattr(comparison, "__file__", str(tmp_path / "comparison.py"))
    assert comparison.count_lines("implementation") == 3


def test_time_ratio_uses_minimal_times_after_warm_up(monkeypatch):
    now = 0.0

    def make_call(times):
        def call():
            nonlocal now
            now += next(times)

        return call

    monkeypatch.setattr(comparison, "perf_counter", lambda: now)
    actual_call, expected_call = make_call(iter([0.5, 6, 4, 8])), make_call(iter([1, 7, 5, 2]))
    assert comparison.measure_time_ratio(actual_call, expected_call, rounds=3) == 2


def test_comparison_measures_the_largest_difference(monkeypatch):
    def prepare_shifted(problem):
        actual_call, expected_call = IMPLEMENTATIONS["torch_grouped"](problem)
        return (
            lambda: actual_call() - torch.eye(problem.queries, problem.channels, dtype=problem.dtype) / 4
        ), expected_call

    monkeypatch.setitem(comparison.IMPLEMENTATIONS, "torch_rearrange", prepare_shifted)
    result = comparison.compare("torch_rearrange", rounds=1)
    assert result.difference == pytest.approx(0.25)
    assert result.time_ratio > 0


def test_readme_has_a_row_for_each_implementation():
    lines = command.README.read_text(encoding="utf-8").splitlines()
    rows = {cells[1].partition("`")[2].partition("`")[0]: cells for line in lines if len(cells := line.split("|")) == 6}
    for name in IMPLEMENTATIONS:
        assert int(rows[name][2]) == comparison.count_lines(name), "python -m examples.attention --write"
        assert float(rows[name][3]) < 1e-14
        assert float(rows[name][4].removesuffix(" × ")) > 0


def test_table_is_written_between_the_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    command.README.write_text("before\n\n<!-- table -->\nold\n<!-- end of table -->\n\nafter\n", encoding="utf-8")
    command.write_readme([Comparison("torch_grouped", 10, 1.2e-16, 1.994)])
    assert command.README.read_text(encoding="utf-8").splitlines() == [
        "before",
        "",
        "<!-- table -->",
        "",
        "| implementation | lines of code | largest difference | time |",
        "|---|---:|---:|---:|",
        "| [`torch_grouped`](torch_grouped.py) | 10 | 1e-16 | 1.99 × |",
        "",
        "<!-- end of table -->",
        "",
        "after",
    ]


def test_command_prints_a_table():
    process = subprocess.run(
        [sys.executable, "-m", "examples.attention", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **os.environ},
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    for name in IMPLEMENTATIONS:
        (row,) = [line for line in process.stdout.splitlines() if name in line]
        assert f" {comparison.count_lines(name)} " in row
        assert "×" in row
