"""Code written for einops 0.8 runs unchanged with the import replaced; compared with einops on NumPy and PyTorch."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from pattern_strategies import transform_patterns

import plait
from plait.compat import einops as plait_einops

real_einops = pytest.importorskip("einops")
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

ARRAY = np.random.default_rng(0).normal(size=(4, 3, 8, 12)).astype("float32")


def test_public_names_equal_those_of_einops():
    assert set(plait_einops.__all__) == set(real_einops.__all__)


@pytest.mark.parametrize("name", ["rearrange", "reduce", "repeat", "pack", "unpack", "parse_shape", "asnumpy"])
def test_argument_names_equal_those_of_einops(name):
    def named(function):
        parameters = inspect.signature(function).parameters.values()
        return [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]

    assert named(getattr(plait_einops, name)) == named(getattr(real_einops, name))


EINOPS_API_CALLS = {
    "transpose": lambda e, x: e.rearrange(x, "b c h w -> b h w c"),
    "flatten": lambda e, x: e.rearrange(x, "b c h w -> b (c h w)"),
    "keywords": lambda e, x: e.rearrange(tensor=x, pattern="b c h w -> (b h) w c"),
    "space to depth": lambda e, x: e.rearrange(x, "b c (h h1) (w w1) -> b (c h1 w1) h w", h1=2, w1=2),
    "depth to space": lambda e, x: e.rearrange(x, "(b b1 b2) c h w -> b c (h b1) (w b2)", b1=2, b2=2),
    "patches": lambda e, x: e.rearrange(x, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=4, p2=4),
    "redundant sizes": lambda e, x: e.rearrange(x, "b c (h p) w -> b c h p w", h=4, p=2),
    "ellipsis": lambda e, x: e.rearrange(x, "b ... w -> w (...) b"),
    "units": lambda e, x: e.rearrange(x, "b c h w -> b 1 c h () w"),
    "no spaces": lambda e, x: e.rearrange(x, "b c(h p)w->b c h(p w)", p=2),
    "list": lambda e, x: e.rearrange([x, x + 1], "n b c h w -> (n b) c h w"),
    "global average": lambda e, x: e.reduce(x, "b c h w -> b c", "mean"),
    "keep dimensions": lambda e, x: x - e.reduce(x, "b c h w -> b c () ()", "mean"),
    "max pool": lambda e, x: e.reduce(x, "b c (h h2) (w w2) -> b c h w", "max", h2=2, w2=2),
    "numbers": lambda e, x: e.reduce(x, "b c (h 2) (w 3) -> b h w c", reduction="min"),
    "all of it": lambda e, x: e.reduce(tensor=x, pattern="... ->", reduction="sum"),
    "ellipsis lost": lambda e, x: e.reduce(x, "b ... -> b", "prod"),
    "any": lambda e, x: e.reduce(x > 1, "b c h w -> b c", "any"),
    "all": lambda e, x: e.reduce(x < 1, "b c h w -> b c", "all"),
    "callable": lambda e, x: e.reduce(x, "b c h w -> c b", lambda t, axes: t.sum(axes)),
    "list reduced": lambda e, x: e.reduce([x, x * 2], "n b c h w -> b c h w", "mean"),
    "repeat": lambda e, x: e.repeat(x, "b c h w -> b c (h 2) (w r)", r=3),
    "new axis": lambda e, x: e.repeat(x, "b c h w -> b c h w copies", copies=2),
    "new axes": lambda e, x: e.repeat(x, "b c h w -> n b c h m w", n=2, m=3),
    "einsum": lambda e, x: e.einsum(x, x, "b c h w, b c h v -> b w v"),
    "einsum ellipsis": lambda e, x: e.einsum(x, x[0, 0], "... h w, h w -> ..."),
    "einsum of one": lambda e, x: e.einsum(x, "b c h w -> h b"),
    "einsum of three": lambda e, x: e.einsum(x, x[0], x[0, 0], "b c h w, c h v, h u -> b w v u"),
    "einsum long names": lambda e, x: e.einsum(x, x, "batch chan row col, batch chan row other -> batch col other"),
    "pack": lambda e, x: e.pack([x, x[:, :, 0]], "b c * w")[0],
    "unpack": lambda e, x: e.unpack(x, [[4], [2, -1]], "b c h *")[1],
    "round trip": lambda e, x: e.unpack(*e.pack([x, x[..., 0]], "b c *"), "b c *")[1],
    "asnumpy": lambda e, x: e.asnumpy(x),
    "parse_shape": lambda e, x: e.rearrange(x, "b c h w -> (b c h w)").reshape(
        tuple(e.parse_shape(x, "b c h w").values())
    ),
}


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("name", EINOPS_API_CALLS)
@pytest.mark.parametrize("library", [plait, plait_einops], ids=["plait", "compat"])
def test_calls_give_the_same_results_as_einops(library, name, framework):
    x = ARRAY if framework == "numpy" else torch.tensor(ARRAY)
    mine, other = EINOPS_API_CALLS[name](library, x), EINOPS_API_CALLS[name](real_einops, x)
    assert type(mine) is type(other)
    assert mine.dtype == other.dtype
    np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-5, atol=1e-5)


@given(transform_patterns("rearrange"))
@settings(max_examples=100)
def test_rearrange_of_random_patterns_equals_einops(drawn):
    if "ß" in drawn.pattern or "in" in drawn.pattern or "\t" in drawn.pattern or "((" in drawn.pattern.replace(" ", ""):
        return  # einops warns of Python keywords, and accepts only spaces as white space
    if drawn.pattern.count("(") and any(part.count("(") > 1 for part in drawn.pattern.split(")")):
        return  # einops has no nested groups
    x = np.arange(max(1, int(np.prod(drawn.shape))), dtype=float)[: int(np.prod(drawn.shape))].reshape(drawn.shape)
    try:
        expected = real_einops.rearrange(x, drawn.pattern, **drawn.sizes)
    except real_einops.EinopsError:
        return  # einops rejects sizes of 0
    np.testing.assert_array_equal(plait_einops.rearrange(x, drawn.pattern, **drawn.sizes), expected)


def test_except_clauses_for_einops_errors_catch_plait_errors():
    with pytest.raises(plait_einops.EinopsError):
        plait_einops.rearrange(ARRAY, "b c h -> b c h")
    with pytest.raises(plait_einops.EinopsError, match="mine"):
        raise plait_einops.EinopsError("mine")
    assert plait_einops.EinopsError is plait.PlaitError
    assert issubclass(real_einops.EinopsError, RuntimeError)
    for kind in (RuntimeError, ValueError, plait.PlaitError):
        with pytest.raises(kind):
            plait_einops.reduce(ARRAY, "b c h w -> b c", "median")


def test_repeat_returns_a_writable_array():
    repeated = plait_einops.repeat(ARRAY, "b c h w -> b c h w 2")
    repeated[0] = 0
    assert ARRAY[0].any()
    assert plait_einops.repeat is plait.repeat
