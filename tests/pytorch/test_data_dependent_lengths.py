"""Tensors with lengths that depend on data, as of ``x[mask]``, under ``torch.export`` and ``torch.compile``.

``PLAIT_EXAMPLES`` is the number of drawn patterns. A run of an hour with 150 of them and the seeds 101 to 147
(7,050 patterns) found nothing.
"""

from __future__ import annotations

import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait

torch = pytest.importorskip("torch")
pytest.importorskip("torch.fx.experimental.symbolic_shapes").__dict__.get("guard_or_false") or pytest.skip(
    "torch has guard_or_false from 2.8 on", allow_module_level=True
)

COMPILED_PATTERN = plait.compile("(a c) b -> a (c b)", c=2)

CALLS = {
    "merge": lambda x: plait.rearrange(x, "a b -> (a b)"),
    "turn": lambda x: plait.rearrange(x, "a b -> b 1 a"),
    "split": lambda x: plait.rearrange(x, "(a c) b -> a c b", c=2),
    "split, by the outer length": lambda x: plait.rearrange(x, "(a c) b -> a c b", a=2),
    "split and merge": lambda x: plait.rearrange(x, "(a c) b -> a (c b)", c=2),
    "split, permute and merge": lambda x: plait.rearrange(x, "(a c) b -> c (a b)", c=2),
    "minimum": lambda x: plait.reduce(x, "a b -> b", "min"),
    "maximum": lambda x: plait.reduce(x, "a b ->", "max"),
    "maximum of a kept length": lambda x: plait.reduce(x, "a b -> a", "max"),
    "pooled maximum": lambda x: plait.reduce(x, "(a 2) b -> a b", "max"),
    "pooled sum": lambda x: plait.reduce(x, "(a 2) b -> b a", "sum"),
    "mean": lambda x: plait.reduce(x, "a b -> b", "mean"),
    "std": lambda x: plait.reduce(x, "a b -> b", "std"),
    "logsumexp": lambda x: plait.reduce(x, "a b -> b", "logsumexp"),
    "product": lambda x: plait.reduce(x, "a b -> b", "prod"),
    "any": lambda x: plait.reduce(x > 3, "a b -> b", "any"),
    "repeat": lambda x: plait.repeat(x, "a b -> (a r) b", r=2),
    "einsum": lambda x: plait.einsum(x, x, "a b, a c -> b c"),
    "einsum of the same groups": lambda x: plait.einsum(x, x, "(a c) b, (a c) d -> a b d", c=2),
    "einsum of groups": lambda x: plait.einsum(x, torch.ones(2, 3), "(a d) b, d b -> a d"),
    "einsum of three tensors": lambda x: plait.einsum(x, x, x, "a b, a c, a d -> b c d"),
    "einsum of three element types": lambda x: plait.einsum(x, x > 2, x.double(), "a b, a c, a d -> b c d"),
    "einsum of ellipses": lambda x: plait.einsum(x, x, "... b, ... c -> ... b c"),
    "classical einsum": lambda x: plait.einsum("ab,ac->bc", x, x),
    "classical einsum of an ellipsis": lambda x: plait.einsum("...b,...b", x, x),
    "classical einsum of a stretched length": lambda x: plait.einsum("ab,ab->a", x, torch.ones(1, 3)),
    "pack": lambda x: plait.pack([x, x[:, 0]], "a *")[0],
    "pack and unpack": lambda x: plait.unpack(*plait.pack([x, x[:2]], "* b"), "* b")[0],
    "list": lambda x: plait.rearrange([x, x], "n a b -> a (n b)"),
    "pattern": COMPILED_PATTERN.rearrange,
}


class Masked(torch.nn.Module):
    """A call for the rows of a tensor that a mask selects."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x, mask):
        return self.call(x[mask])


def mask_of(count, length=8):
    return torch.arange(length) < count


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_export_of_a_data_dependent_length(name, strict):
    x = torch.arange(24.0).reshape(8, 3)
    exported = torch.export.export(Masked(CALLS[name]), (x, mask_of(4)), strict=strict).module()
    for count in (2, 6, 8):
        torch.testing.assert_close(exported(x, mask_of(count)), CALLS[name](x[mask_of(count)]))


def test_a_symbolic_length_of_three_tensors_is_not_made_constant():
    """opt_einsum, which `torch.einsum` asks for the order, would make a constant of it."""

    class ThreeTensors(torch.nn.Module):
        def forward(self, x, y):
            return plait.einsum(x, x, y, "n a b, n a c, a d -> n d")

    x, y = torch.rand(12, 6, 4), torch.rand(6, 4)
    lengths = ({0: torch.export.Dim("n")}, None)
    exported = torch.export.export(ThreeTensors(), (x, y), dynamic_shapes=lengths, strict=False).module()
    for count in (5, 12):
        expected = torch.einsum("nab,nac,ad->nd", x[:count], x[:count], y)
        torch.testing.assert_close(exported(x[:count], y), expected)


@pytest.mark.parametrize("name", ["split", "pooled maximum"])
def test_length_that_cannot_be_split_fails_when_the_graph_runs(name):
    x = torch.arange(24.0).reshape(8, 3)
    exported = torch.export.export(Masked(CALLS[name]), (x, mask_of(4)), strict=False).module()
    with pytest.raises(RuntimeError):
        exported(x, mask_of(5))


@settings(max_examples=example_count(12), deadline=None)
@given(st.data())
def test_drawn_patterns_of_a_data_dependent_length(data):
    names = [f"a{number}" for number in range(data.draw(st.integers(1, 3)))]
    outer = data.draw(st.sampled_from(["n", "(n p)", "(p n)"]))
    sizes = {} if outer == "n" else {"p": 2}
    kept = data.draw(st.permutations([*(["n", "p"] if sizes else ["n"]), *names]))
    reduction = data.draw(st.sampled_from([None, "max", "min", "sum", "mean"]))
    if reduction is not None:
        kept = kept[: data.draw(st.integers(0, len(kept)))]
    right = list(kept)
    if len(right) > 1 and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(right) - 2))
        right[place : place + 2] = [f"({right[place]} {right[place + 1]})"]
    pattern = f"{outer} {' '.join(names)} -> {' '.join(right)}"

    def call(x):
        if reduction is None:
            return plait.rearrange(x, pattern, **sizes)
        return plait.reduce(x, pattern, reduction, **sizes)

    x = torch.rand(8, *[data.draw(st.sampled_from((1, 2, 3))) for _ in names])
    exported = torch.export.export(Masked(call), (x, mask_of(4)), strict=data.draw(st.booleans())).module()
    for count in (2, 6):
        torch.testing.assert_close(exported(x, mask_of(count)), call(x[mask_of(count)]))
