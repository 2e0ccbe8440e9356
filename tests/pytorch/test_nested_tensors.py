"""Nested tensors of PyTorch with the layout torch.jagged: what each operation gives for each tensor of the batch."""

from __future__ import annotations

import pytest

import plait

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, 8, generator=generator, dtype=torch.float64) for length in (3, 5)]


@pytest.fixture
def nested(parts):
    return torch.nested.nested_tensor(parts, layout=torch.jagged)


MATRIX = torch.linspace(-1, 1, 32, dtype=torch.float64).reshape(8, 4)
DENSE_ROWS = torch.linspace(-2, 1, 16, dtype=torch.float64).reshape(2, 8)
HEAD_WEIGHTS = torch.linspace(-2, 1, 24, dtype=torch.float64).reshape(2, 4, 3)

CALLS = {
    "identity": (lambda x: plait.rearrange(x, "b t d -> b t d"), lambda x: x),
    "split": (lambda x: plait.rearrange(x, "b t (h d) -> b t h d", h=2), lambda x: x.unflatten(-1, (2, 4))),
    "heads": (
        lambda x: plait.rearrange(x, "b t (h d) -> b h t d", h=2),
        lambda x: x.unflatten(-1, (2, 4)).transpose(0, 1),
    ),
    "heads and back": (
        lambda x: plait.rearrange(plait.rearrange(x, "b t (h d) -> b h t d", h=2), "b h t d -> b t (h d)"),
        lambda x: x,
    ),
    "transpose": (lambda x: plait.rearrange(x, "b t d -> b d t"), lambda x: x.T),
    "a unit axis": (lambda x: plait.rearrange(x, "b t d -> b 1 t d"), lambda x: x[None]),
    "repeat": (lambda x: plait.repeat(x, "b t d -> b t d r", r=2), lambda x: x[..., None].expand(-1, -1, 2)),
    "repeat inside": (lambda x: plait.repeat(x, "b t d -> b r t d", r=2), lambda x: x.expand(2, -1, -1)),
    "mean of features": (lambda x: plait.reduce(x, "b t d -> b t", "mean"), lambda x: x.mean(-1)),
    "pooling": (
        lambda x: plait.reduce(x, "b t (d 2) -> b d t", "max"),
        lambda x: x.unflatten(-1, (4, 2)).amax(-1).T,
    ),
    "matmul": (lambda x: plait.einsum(x, MATRIX, "b t d, d e -> b t e"), lambda x: x @ MATRIX),
    "matmul of a transpose": (lambda x: plait.einsum(MATRIX, x, "d e, b t d -> b e t"), lambda x: (x @ MATRIX).T),
    "a weight for each head": (
        lambda x: plait.einsum(x, HEAD_WEIGHTS, "b t (h d), h d e -> b h t e"),
        lambda x: torch.einsum("thd,hde->hte", x.unflatten(-1, (2, 4)), HEAD_WEIGHTS),
    ),
    "three operands": (
        lambda x: plait.einsum(x, MATRIX, MATRIX.T, "b t d, d e, e f -> b t f"),
        lambda x: x @ MATRIX @ MATRIX.T,
    ),
    "ellipsis": (lambda x: plait.einsum(x, MATRIX, "... d, d e -> ... e"), lambda x: x @ MATRIX),
    "elementwise": (lambda x: plait.einsum(x, x, "b t d, b t d -> b d t"), lambda x: (x * x).T),
    "compiled": (lambda x: plait.compile("b t d -> b d t").rearrange(x), lambda x: x.T),
    "pipeline": (
        (plait.compile("b t (h d) -> b h t d", h=2) >> plait.compile("b h t d -> b t d h")).rearrange,
        lambda x: x.unflatten(-1, (2, 4)).transpose(1, 2),
    ),
    "pack": (lambda x: plait.pack([x, x], "b t *")[0], lambda x: torch.cat([x, x], -1)),
    "unpack": (
        lambda x: plait.unpack(x, [(2,), (2, 3)], "b t *")[1],
        lambda x: x[:, 2:].unflatten(-1, (2, 3)),
    ),
}
"""By name: a call on a nested tensor, and what it gives for each tensor of the batch."""

TORCH_REDUCTION_BY_NAME = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
    "logsumexp": torch.logsumexp,
    "var": lambda x, axes: torch.var(x, axes, correction=0),
    "std": lambda x, axes: torch.std(x, axes, correction=0),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_tensor_of_the_batch(nested, parts, name):
    call, expected = CALLS[name]
    for _ in range(2):
        result = call(nested)
        assert result.is_nested
        for got, part in zip(result.unbind(), parts, strict=True):
            torch.testing.assert_close(got, expected(part))


@pytest.mark.parametrize("name", TORCH_REDUCTION_BY_NAME)
def test_reductions_over_the_ragged_dimension(nested, parts, name):
    reduce = TORCH_REDUCTION_BY_NAME[name]
    for _ in range(2):
        for_each = plait.reduce(nested, "b t d -> d b", name)
        torch.testing.assert_close(for_each, torch.stack([reduce(part, (0,)) for part in parts], 1))
        of_all = plait.reduce(nested, "b t (d 2) -> 1 d", name)
        torch.testing.assert_close(of_all[0], reduce(torch.cat(parts).unflatten(-1, (4, 2)), (0, 2)))
        scalars = plait.reduce(nested, "b t d -> b", name)
        torch.testing.assert_close(scalars, torch.stack([reduce(part, (0, 1)) for part in parts]))


def test_results_without_a_ragged_dimension(nested, parts):
    torch.testing.assert_close(plait.rearrange(nested, "b t d -> (b t) d"), torch.cat(parts))
    torch.testing.assert_close(plait.rearrange(nested, "b t d -> (b t d)"), torch.cat(parts).reshape(-1))
    gram = plait.einsum(nested, nested, "b t d, b t e -> b d e")
    torch.testing.assert_close(gram, torch.stack([part.T @ part for part in parts]))
    for_each = plait.einsum(nested, DENSE_ROWS, "b t d, b d -> b t")
    for got, part, row in zip(for_each.unbind(), parts, DENSE_ROWS, strict=True):
        torch.testing.assert_close(got, part @ row)
    torch.testing.assert_close(plait.einsum(nested, "b t d ->"), torch.cat(parts).sum())
    assert plait.parse_shape(nested, "b t d") == {"b": 2, "t": nested.shape[1], "d": 8}


def test_tensors_with_gaps(parts):
    padded = torch.arange(24.0).reshape(2, 6, 2)
    nested = torch.nested.narrow(padded, 1, torch.tensor([0, 1]), torch.tensor([3, 5]), layout=torch.jagged)
    torch.testing.assert_close(plait.rearrange(nested, "b t d -> (b t) d"), torch.cat([padded[0, :3], padded[1, 1:6]]))
    torch.testing.assert_close(plait.reduce(nested, "b t d -> d", "sum"), padded[0, :3].sum(0) + padded[1, 1:6].sum(0))


def test_gradients(parts):
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged, requires_grad=True)
    plait.reduce(plait.einsum(nested, MATRIX, "b t d, d e -> b t e"), "b t e -> b", "sum").sum().backward()
    for gradient in nested.grad.unbind():
        torch.testing.assert_close(gradient, MATRIX.sum(1).expand(len(gradient), -1))


def test_layers(nested, parts):
    from plait.layers.torch import EinMix, Rearrange, Reduce

    assert Rearrange("b t (h d) -> b h t d", h=2)(nested).shape[1] == 2
    torch.testing.assert_close(Reduce("b t d -> b", "sum")(nested), torch.stack([part.sum() for part in parts]))
    mix = EinMix("b t d -> b t e", "d e", None, d=8, e=3).double()
    for got, part in zip(mix(nested).unbind(), parts, strict=True):
        torch.testing.assert_close(got, part @ mix.weight)


FAILING_CALLS = {
    "split the ragged dimension": lambda x: plait.rearrange(x, "b (t p) d -> b t p d", p=2),
    "merge the ragged dimension": lambda x: plait.rearrange(x, "b t d -> b (t d)"),
    "repeat along the ragged dimension": lambda x: plait.repeat(x, "b t d -> b (t r) d", r=2),
    "repeat along the batch": lambda x: plait.repeat(x, "b t d -> (b r) t d", r=2),
    "an axis before the batch": lambda x: plait.repeat(x, "b t d -> r b t d", r=2),
    "move the batch": lambda x: plait.rearrange(x, "b t d -> t b d"),
    "merge the batch with another axis": lambda x: plait.rearrange(x, "b t d -> (b d) t"),
    "reduce the batch alone": lambda x: plait.reduce(x, "b t d -> t d", "sum"),
    "sum the batch alone": lambda x: plait.einsum(x, "b t d -> t d"),
    "two ragged axes": lambda x: plait.einsum(x, x, "b t d, b s d -> b t s"),
    "a list": lambda x: plait.rearrange([x, x], "n b t d -> b t (n d)"),
    "pack the batch": lambda x: plait.pack([x, x], "* t d"),
    "asnumpy": plait.asnumpy,
}


@pytest.mark.parametrize("name", FAILING_CALLS)
def test_what_a_nested_tensor_cannot_do(nested, name):
    for _ in range(2):
        with pytest.raises(plait.BackendError, match=r"PLT514.*x\.unbind\(\)"):
            FAILING_CALLS[name](nested)


def test_lengths_that_do_not_fit_are_errors(nested, parts):
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(nested, "b t (h d) -> b h t d", h=3)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.einsum(nested, MATRIX[1:], "b t d, d e -> b t e")
    other = torch.nested.nested_tensor([parts[1], parts[0]], layout=torch.jagged)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.einsum(nested, other, "b t d, b t d -> b t")
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.rearrange(nested, "b t d -> b d t", t=3)


@pytest.mark.parametrize("name", ["split", "mean of features", "matmul", "compiled", "repeat", "pipeline", "unpack"])
def test_the_strided_layout_is_refused(parts, name):
    call, _ = CALLS[name]
    with pytest.raises(plait.BackendError, match=r"PLT514.*torch\.jagged"):
        call(torch.nested.nested_tensor(parts))
    with pytest.raises(plait.BackendError, match=r"PLT514.*torch\.jagged"):
        plait.explain("b t d -> b d t", torch.nested.nested_tensor(parts))
