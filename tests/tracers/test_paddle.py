"""PaddlePaddle: `to_static` by both of its tracers, static programs, saved programs, gradients, views."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import weft

if importlib.util.find_spec("paddle") is None:
    pytest.skip("paddle is not installed", allow_module_level=True)

from backends.frameworks.paddle_ import FRAMEWORK  # noqa: E402

paddle = FRAMEWORK.module()

from paddle.static import InputSpec  # noqa: E402

SHAPE = (2, 3, 4, 6)
OTHER = (5, 3, 4, 6)


def permute(x):
    return weft.rearrange(x, "b c h w -> b h w c")


def merge(x):
    return weft.rearrange(x, "b c h w -> b (c h w)")


def space_to_depth(x):
    return weft.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2)


def new_units(x):
    return weft.rearrange(x, "b c h w -> 1 b (c 1) h w ()")


def ellipsis(x):
    return weft.rearrange(x, "b ... w -> w ... b")


def maximum(x):
    return weft.reduce(x, "b c (h 2) w -> b c h w", "max")


def to_scalar(x):
    return weft.reduce(x, "b c h w ->", "mean")


def std(x):
    return weft.reduce(x, "b c h w -> b", "std")


def logsumexp(x):
    return weft.reduce(x, "b c h w -> b (c h)", "logsumexp")


def repeat(x):
    return weft.repeat(x, "b c h w -> r b c (h s) w t", r=2, s=3, t=2)


def einsum(x):
    return weft.einsum(x, x, "b c h w, b d h w -> b c d")


def grouped_einsum(x):
    return weft.einsum(x, x, "b c h (k d), b c j (k d) -> b k (c h) j", k=2)


def classical(x):
    return weft.einsum("bchw,bdhw->cd", x, x)


def stacked(x):
    return weft.rearrange([x, x + 1], "k b c h w -> b (k c) h w")


def pack(x):
    return weft.pack([x, x[:, :, 0]], "b c * w")[0]


def unpack(x):
    return weft.unpack(x, [(3,), (1,)], "b c * w")[0]


def unpack_what_was_packed(x):
    packed, shapes = weft.pack([x, x[:, 0]], "b *")
    return weft.unpack(packed, shapes, "b *")[0]


def size_of_the_shape(x):
    return weft.rearrange(x, "b c (h p) w -> b c h p w", p=x.shape[2] // 2)


def unknown_size(x):
    return weft.rearrange(weft.rearrange(x, "b c h w -> (b c) h w"), "(b c) h w -> c b h w", b=x.shape[0])


def shape(x):
    return x * weft.parse_shape(x, "b _ h w")["b"] + weft.parse_shape(x, "b _ h w")["h"]


def compiled(x):
    return weft.compile("b c h w -> b (c h w)").rearrange(x)


PATTERN = weft.compile("b c (h p) w -> b c h", p=2)


def compiled_before(x):
    return PATTERN.reduce(x, "sum")


def named(tensor, axes):
    return paddle.sum(tensor, axes)


def callable_by_name(x):
    return weft.reduce(x, "b c h w -> b c", named)


CALLS = [
    *(permute, merge, space_to_depth, new_units, ellipsis, maximum, to_scalar, std, logsumexp, repeat, einsum),
    *(grouped_einsum, classical, stacked, pack, unpack, unpack_what_was_packed, size_of_the_shape, unknown_size),
    *(shape, compiled, compiled_before, callable_by_name),
]

each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


def filled(shape):
    return paddle.to_tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))


def assert_same(actual, expected):
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-5, atol=1e-6)


@each_call
@pytest.mark.parametrize("known", [4, 3, 2, 0])
def test_to_static_with_unknown_dimensions(call, known):
    spec = [InputSpec([None] * (4 - known) + list(SHAPE[4 - known :]), "float32")]
    static = paddle.jit.to_static(call, input_spec=spec, full_graph=True)
    for x in [filled(SHAPE)] if known == 4 else [filled(SHAPE), filled(OTHER)]:
        assert_same(static(x), call(x))


@each_call
def test_to_static_by_reading_bytecode(call):
    static = paddle.jit.to_static(call, full_graph=False)
    for x in (filled(SHAPE), filled(OTHER), filled((7, *SHAPE[1:]))):
        assert_same(static(x), call(x))
