"""The four ways to write attention are PyTorch's `scaled_dot_product_attention`, with their gradients."""

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

import examples.attention.__main__ as command  # noqa: E402  # the root of the repository is no package
from examples.attention import comparison, plain, torch_einmix, torch_grouped, torch_rearrange, weights  # noqa: E402
from examples.attention.comparison import WAYS, Outcome, Problem  # noqa: E402
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
TOLERANCE = {torch.float64: dict(rtol=1e-12, atol=1e-12), torch.float32: dict(rtol=1e-5, atol=1e-5)}
problems = pytest.mark.parametrize(
    "problem",
    [replace(problem, dtype=torch.float64) for problem in PROBLEMS],
    ids=lambda p: f"{p.batch} {p.queries} {p.keys} {p.heads} {p.channels}",
)


@pytest.fixture(autouse=True)
def _a_seed():
    torch.manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def causal(problem):
    return torch.full((problem.queries, problem.keys), -inf, dtype=problem.dtype).triu(1)


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, **TOLERANCE[expected.dtype])


@problems
@pytest.mark.parametrize("name", WAYS)
@torch.no_grad()
def test_a_way_is_plain_pytorch(name, problem):
    ours, theirs = WAYS[name](problem)
    expected = theirs()
    assert expected.shape == (problem.batch, problem.queries, problem.channels)
    assert_close(torch.as_tensor(ours()), expected)
    mask = causal(problem)
    given = asnumpy(mask) if name == "numpy_einsum" else mask
    expected = theirs(mask=mask)
    assert_close(torch.as_tensor(ours(mask=given)), expected)
    if problem.keys > 1:
        assert not torch.allclose(expected, theirs())


@pytest.mark.parametrize("name", WAYS)
@torch.no_grad()
def test_a_way_keeps_float32(name):
    ours, theirs = WAYS[name](PROBLEMS[0])
    result = torch.as_tensor(ours())
    assert result.dtype == torch.float32
    assert_close(result, theirs())


@pytest.mark.parametrize("attention", [torch_rearrange.attention, torch_grouped.attention], ids=lambda f: f.__module__)
def test_the_scores_may_be_large(attention):
    """The softmax is that of PyTorch, or stable in itself."""
    queries, keys, values = drawn(1, 4, 6) * 1e3, drawn(1, 5, 6) * 1e3, drawn(1, 5, 6)
    assert_close(attention(queries, keys, values, 2), plain.attention(queries, keys, values, 2))


@torch.no_grad()
def test_the_scores_of_numpy_may_be_large():
    ours, theirs = WAYS["numpy_einsum"](replace(PROBLEMS[0], dtype=torch.float64))
    for sequence in ours.args[:2]:
        np.multiply(sequence, 1e3, out=sequence)  # which is the memory of the tensors
    result = torch.as_tensor(ours())
    assert result.isfinite().all()
    torch.testing.assert_close(result, theirs(), rtol=1e-9, atol=1e-9)


@problems
@pytest.mark.parametrize("attention", [torch_rearrange.attention, torch_grouped.attention], ids=lambda f: f.__module__)
def test_the_gradients(attention, problem):
    sizes = [(problem.batch, length, problem.channels) for length in (problem.queries, problem.keys, problem.keys)]
    leaves = [drawn(*size).requires_grad_() for size in sizes]
    slope, mask = drawn(*sizes[0]), causal(problem)
    found = torch.autograd.grad((attention(*leaves, problem.heads, mask) * slope).sum(), leaves)
    expected = torch.autograd.grad((plain.attention(*leaves, problem.heads, mask) * slope).sum(), leaves)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@problems
def test_the_gradients_of_the_module(problem):
    layers = plain.Attention(problem.channels, problem.heads).double()
    module = torch_einmix.Attention(problem.channels, problem.heads).double()
    module.load_state_dict(weights.for_einmix(layers), strict=True)
    ours = [problem.draw(length).requires_grad_() for length in (problem.queries, problem.keys)]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    slope, mask = drawn(problem.batch, problem.queries, problem.channels), causal(problem)
    (module(*ours, mask) * slope).sum().backward()
    (layers(*theirs, mask) * slope).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one.grad, other.grad)
    with torch.no_grad():
        for layer in (layers.queries, layers.keys, layers.values, layers.back):
            layer.weight.copy_(layer.weight.grad)
            layer.bias.copy_(layer.bias.grad)
    expected = weights.for_einmix(layers)  # the gradients, where the weights were
    assert expected.keys() == dict(module.named_parameters()).keys()
    for name, parameter in module.named_parameters():
        assert_close(parameter.grad, expected[name].detach())


@torch.no_grad()
def test_plain_pytorch_is_causal_too():
    """What the ways are checked against gives what PyTorch's own words for it give."""
    queries, keys, values = drawn(2, 5, 12), drawn(2, 5, 12), drawn(2, 5, 12)
    heads = [tensor.view(2, 5, 3, 4).transpose(1, 2) for tensor in (queries, keys, values)]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
    mask = torch.full((5, 5), -inf, dtype=torch.float64).triu(1)
    for attention in (plain.attention, torch_rearrange.attention, torch_grouped.attention):
        result = attention(queries, keys, values, 3, mask)
        assert_close(result.view(2, 5, 3, 4).transpose(1, 2), expected)


@torch.no_grad()
def test_the_module_is_that_of_pytorch():
    native = torch.nn.MultiheadAttention(24, 4, batch_first=True, dtype=torch.float64)
    native.in_proj_bias.normal_()  # PyTorch begins with zeros
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
            "back.weight": rearrange(native.out_proj.weight, "c (h d) -> h d c", h=4),
            "back.bias": native.out_proj.bias[None, None],
        }
    )
    x, context = drawn(2, 5, 24), drawn(2, 7, 24)
    assert_close(module(x, context), native(x, context, context, need_weights=False)[0])
    assert_close(module(x, x), native(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_must_divide_the_channels(heads):
    tensor = drawn(1, 3, 8)
    for attention in (torch_rearrange.attention, torch_grouped.attention):
        with pytest.raises(ValueError, match=r"h=\d"):
            attention(tensor, tensor, tensor, heads)


def test_lines_without_documentation(tmp_path, monkeypatch):
    (tmp_path / "way.py").write_text(
        '"""A\n\nfile."""\n\nimport a\n\n\ndef b():\n    """C."""\n    # d\n    return 1\n'
    )
    monkeypatch.setattr(comparison, "__file__", str(tmp_path / "comparison.py"))
    assert comparison.lines("way") == 3


def test_the_ratio_is_of_the_least_times_after_a_first_round(monkeypatch):
    now = 0.0

    def taking(times):
        def call():
            nonlocal now
            now += next(times)

        return call

    monkeypatch.setattr(comparison, "perf_counter", lambda: now)
    ours, theirs = taking(iter([0.5, 6, 4, 8])), taking(iter([1, 7, 5, 2]))
    assert comparison.ratio(ours, theirs, rounds=3) == 2


def test_a_comparison_says_how_far_a_way_is_off(monkeypatch):
    def off(problem):
        ours, theirs = WAYS["torch_grouped"](problem)
        return (lambda: ours() - torch.eye(problem.queries, problem.channels, dtype=problem.dtype) / 4), theirs

    monkeypatch.setitem(comparison.WAYS, "torch_rearrange", off)
    outcome = comparison.compare("torch_rearrange", rounds=1)
    assert outcome.difference == pytest.approx(0.25)
    assert outcome.time > 0


def test_every_way_has_its_row_in_the_readme():
    lines = command.README.read_text(encoding="utf-8").splitlines()
    rows = {cells[1].partition("`")[2].partition("`")[0]: cells for line in lines if len(cells := line.split("|")) == 6}
    for name in WAYS:
        assert int(rows[name][2]) == comparison.lines(name), "python -m examples.attention --write"
        assert float(rows[name][3]) < 1e-14
        assert float(rows[name][4].removesuffix(" × ")) > 0


def test_the_table_is_written_between_its_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    command.README.write_text("before\n\n<!-- table -->\nold\n<!-- end of table -->\n\nafter\n", encoding="utf-8")
    command.write([Outcome("torch_grouped", 10, 1.2e-16, 1.994)])
    assert command.README.read_text(encoding="utf-8").splitlines() == [
        "before",
        "",
        "<!-- table -->",
        "",
        "| way | lines of code | largest difference | time |",
        "|---|---:|---:|---:|",
        "| [`torch_grouped`](torch_grouped.py) | 10 | 1e-16 | 1.99 × |",
        "",
        "<!-- end of table -->",
        "",
        "after",
    ]


def test_the_command_prints_a_table():
    run = subprocess.run(
        [sys.executable, "-m", "examples.attention", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **os.environ},
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for name in WAYS:
        (row,) = [line for line in run.stdout.splitlines() if name in line]
        assert f" {comparison.lines(name)} " in row
        assert "×" in row
