"""JAX: transformations, jaxprs, symbolic dimensions, and values that are not arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from resident_memory import measure_resident_memory

import plait

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import export, lax  # noqa: E402

SHAPE = (2, 3, 4, 6)
OTHER_SHAPE = (4, 3, 8, 2)


@pytest.fixture
def x64_enabled():
    return False


@pytest.fixture(autouse=True)
def _set_x64(x64_enabled):
    """Enable or disable 64-bit types, which are disabled in JAX by default."""
    with jax.enable_x64(x64_enabled):
        yield


with_and_without_x64 = pytest.mark.parametrize("x64_enabled", [False, True], ids=["32 bits", "64 bits"])
"""The test is run in both modes of JAX."""


def ones(*shape):
    return jnp.ones(shape, jnp.float32)


def random_numpy_array(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def sum_axes(tensor, axes):
    return tensor.sum(axes)


CALL_BY_NAME = {
    "permute": lambda x: plait.rearrange(x, "b c h w -> b h w c"),
    "merge": lambda x: plait.rearrange(x, "b c h w -> b (c h w)"),
    "space to depth": lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2),
    "unit": lambda x: plait.rearrange(x, "b c h w -> b 1 c h (w 1)"),
    "max": lambda x: plait.reduce(x, "b c (h 2) w -> b c h w", "max"),
    "std": lambda x: plait.reduce(x, "b c h w -> b", "std"),
    "logsumexp": lambda x: plait.reduce(x, "b c h w -> b (c h)", "logsumexp"),
    "callable": lambda x: plait.reduce(x, "b c h w -> b (c h)", sum_axes),
    "repeat": lambda x: plait.repeat(x, "b c h w -> b c (h r) w", r=2),
    "einsum": lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
    "grouped einsum": lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b c (k h) j", k=2),
    "classical einsum": lambda x: plait.einsum("b...w,bchw", x[:, :1], x),
    "list": lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
    "pack": lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
    "unpack": lambda x: plait.unpack(x, [(2,), (1,)], "b * h w")[0],
    "size": lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=x.shape[2] // 2),
    "parse_shape": lambda x: x * plait.parse_shape(x, "b _ h w")["h"],
    "compiled": plait.compile("b c (h p) w -> w (b p) c h", p=2).rearrange,
}
each_call = pytest.mark.parametrize("call", CALL_BY_NAME.values(), ids=CALL_BY_NAME.keys())


def result_of_numpy(name, x):
    """The result of the same call by the NumPy backend, which is tested against the oracle."""
    return CALL_BY_NAME[name](x)


def assert_close(actual, expected, tolerance=2e-5):
    assert isinstance(actual, jax.Array)
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=tolerance, atol=tolerance)


@with_and_without_x64
@pytest.mark.parametrize("name", CALL_BY_NAME)
def test_jit_vmap_and_the_eager_call_agree_with_numpy(name, x64_enabled):
    array = random_numpy_array(SHAPE)
    expected = result_of_numpy(name, array)
    assert_close(CALL_BY_NAME[name](jnp.asarray(array)), expected)
    assert_close(jax.jit(CALL_BY_NAME[name])(array), expected)
    many = np.stack([array, array + 1])
    assert_close(jax.vmap(CALL_BY_NAME[name])(many), np.stack([expected, result_of_numpy(name, array + 1)]), 1e-4)


@each_call
def test_forward_and_reverse_derivatives_agree(call):
    x, tangent = random_numpy_array(SHAPE), random_numpy_array(SHAPE) + 1

    @jax.jit
    def both_ways(x, tangent):
        _, forward = jax.jvp(call, (x,), (tangent,))
        value, pullback = jax.vjp(call, x)
        cotangent = jnp.cos(jnp.arange(value.size, dtype=jnp.float32)).reshape(value.shape)
        (backward,) = pullback(cotangent)
        return jnp.vdot(forward, cotangent), jnp.vdot(tangent, backward)

    one, other = both_ways(x, tangent)
    assert abs(one) > 1e-3
    np.testing.assert_allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("name", ["space to depth", "logsumexp", "repeat"])
def test_gradients_of_eager_calls(name):
    x = random_numpy_array((2, 3, 2, 2))
    loss = lambda x: (CALL_BY_NAME[name](x) ** 2).sum()
    eager = jax.grad(loss)(jnp.asarray(x))
    assert_close(eager, jax.jit(jax.grad(loss))(x))
    step = np.zeros_like(x)
    step[1, 2, 0, 1] = 1e-2
    assert abs((loss(x + step) - loss(x - step)) / 2e-2 - eager[1, 2, 0, 1]) < 1e-2


@each_call
def test_eval_shape_equals_the_eager_call(call):
    spec = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    found = jax.eval_shape(call, spec)
    expected = call(ones(*SHAPE))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


def test_operations_on_shape_dtype_structs():
    spec = jax.ShapeDtypeStruct((2, 6), jnp.float32)
    assert plait.rearrange(spec, "a (b c) -> c a b", b=2) == jax.ShapeDtypeStruct((3, 2, 2), jnp.float32)
    assert plait.reduce(spec, "a b -> b", "any") == jax.ShapeDtypeStruct((6,), jnp.bool_)
    assert plait.einsum(spec, spec, "a b, c b -> (a c)") == jax.ShapeDtypeStruct((4,), jnp.float32)
    assert plait.rearrange([spec, spec], "k a b -> (k a) b") == jax.ShapeDtypeStruct((4, 6), jnp.float32)
    packed, shapes = plait.pack([spec, jax.ShapeDtypeStruct((2, 3, 5), jnp.float32)], "a *")
    assert packed == jax.ShapeDtypeStruct((2, 21), jnp.float32)
    assert [part.shape for part in plait.unpack(packed, shapes, "a *")] == [(2, 6), (2, 3, 5)]
    assert plait.parse_shape(spec, "a b") == {"a": 2, "b": 6}
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(spec, "a (b c) -> c a b", b=4)
    with pytest.raises(plait.BackendError, match="PLT508"):
        plait.asnumpy(spec)


PLAIT_AND_NATIVE_CALLS = {
    "permute": (CALL_BY_NAME["permute"], lambda x: jnp.transpose(x, (0, 2, 3, 1))),
    "merge": (CALL_BY_NAME["merge"], lambda x: jnp.reshape(x, (2, 72))),
    "space to depth": (
        CALL_BY_NAME["space to depth"],
        lambda x: x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3),
    ),
    "unit": (CALL_BY_NAME["unit"], lambda x: x.reshape(2, 1, 3, 4, 6)),
    "flatten and permute": (
        lambda x: plait.rearrange(x, "b c h w -> (h w) (b c)"),
        lambda x: x.transpose(2, 3, 0, 1).reshape(24, 6),
    ),
    "max": (CALL_BY_NAME["max"], lambda x: x.reshape(2, 3, 2, 2, 6).max(3)),
    "pool": (
        lambda x: plait.reduce(x, "b c (h 2) (w 2) -> b h w c", "mean"),
        lambda x: x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)).transpose(0, 2, 3, 1),
    ),
    **{
        name: (
            lambda x, name=name: plait.reduce(x, "b c h w -> b h", name),
            lambda x, name=name: getattr(jnp, name)(x, (1, 3)),
        )
        for name in ("min", "sum", "mean", "prod", "any", "all", "std", "var")
    },
    "logsumexp": (CALL_BY_NAME["logsumexp"], lambda x: jax.nn.logsumexp(x, 3).reshape(2, 12)),
    "callable": (CALL_BY_NAME["callable"], lambda x: x.sum(3).reshape(2, 12)),
    "repeat": (
        lambda x: plait.repeat(x, "b c h w -> b c r h w", r=5),
        lambda x: jnp.broadcast_to(x.reshape(2, 3, 1, 4, 6), (2, 3, 5, 4, 6)),
    ),
    "repeat in front": (
        lambda x: plait.repeat(x, "... -> r ...", r=5),
        lambda x: jnp.broadcast_to(x, (5, 2, 3, 4, 6)),
    ),
    "einsum": (CALL_BY_NAME["einsum"], lambda x: jnp.einsum("bchw,bdhw->bcd", x, x)),
    "heads": (
        lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b c k h j", k=2),
        lambda x: jnp.einsum("bchkd,bcjkd->bckhj", x.reshape(2, 3, 4, 2, 3), x.reshape(2, 3, 4, 2, 3)),
    ),
    "heads merged": (
        lambda x: plait.einsum(x, x, "b c h w, b d h w -> b (c d)"),
        lambda x: jnp.einsum("bchw,bdhw->bcd", x, x).reshape(2, 9),
    ),
    "three": (
        lambda x: plait.einsum(x, x, x, "b c h w, b d h w, b e h w -> c d e"),
        lambda x: jnp.einsum("bchw,bdhw,behw->cde", x, x, x),
    ),
    "classical": (
        lambda x: plait.einsum("b...w,bchw", x[:, :1], x),
        lambda x: jnp.einsum("b...w,bchw->...ch", x[:, :1], x),
    ),
    "list": (
        lambda x: plait.rearrange([x, x], "k b c h w -> b (k c) h w"),
        lambda x: jnp.stack([x, x]).transpose(1, 0, 2, 3, 4).reshape(2, 6, 4, 6),
    ),
    "pack": (
        lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
        lambda x: jnp.concatenate([x, x[:, :, 0].reshape(2, 3, 1, 6)], 2),
    ),
    "unpack": (
        lambda x: plait.unpack(x, [(2,), (1,)], "b * h w"),
        lambda x: [lax.slice_in_dim(x, 0, 2, axis=1), lax.slice_in_dim(x, 2, 3, axis=1)],
    ),
}
"""What plait is called with, and what an expert writes instead."""


@with_and_without_x64
@pytest.mark.parametrize("name", PLAIT_AND_NATIVE_CALLS)
def test_the_jaxpr_is_that_of_hand_written_code(name, x64_enabled):
    ours, theirs = PLAIT_AND_NATIVE_CALLS[name]
    x = ones(*SHAPE)
    assert str(jax.make_jaxpr(ours)(x)) == str(jax.make_jaxpr(theirs)(x))
    gradients = [jax.grad(lambda x, f=f: sum(leaf.sum() for leaf in jax.tree.leaves(f(x)))) for f in (ours, theirs)]
    if name not in ("any", "all"):
        assert str(jax.make_jaxpr(gradients[0])(x)) == str(jax.make_jaxpr(gradients[1])(x))
    if name != "callable":
        assert str(jax.make_jaxpr(jax.vmap(ours))(x[None])) == str(jax.make_jaxpr(jax.vmap(theirs))(x[None]))


@pytest.mark.parametrize("pattern", ["... -> ...", "a b c d -> a b c d", "a ... d -> a ... d", "(a) b c d -> a b c d"])
def test_identity_patterns_add_no_equations(pattern):
    x = ones(*SHAPE)
    for call in (
        lambda x: plait.rearrange(x, pattern),
        lambda x: plait.reduce(x, pattern, "sum"),
        lambda x: plait.repeat(x, pattern),
    ):
        assert jax.make_jaxpr(call)(x).eqns == []
        assert call(x) is x


@each_call
def test_constant_arrays_in_a_trace_add_no_nested_call(call):
    """Eager calls are one compiled function, but calls on a constant of a trace have the equations of other calls."""
    constant = ones(*SHAPE)

    def names(jaxpr):
        return [equation.primitive.name for equation in jaxpr.eqns]

    assert names(jax.make_jaxpr(lambda _: call(constant))(1.0)) == names(jax.make_jaxpr(call)(constant))
    assert "plait" not in str(jax.make_jaxpr(lambda _: call(constant))(1.0))


def test_an_eager_call_is_one_compiled_function(caplog):
    x = ones(*SHAPE)
    with jax.log_compiles(True):
        for _ in range(2):
            CALL_BY_NAME["space to depth"](x)
            CALL_BY_NAME["grouped einsum"](x)
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert len(compiled) == 2
    assert all("jit(plait)" in message for message in compiled)


def test_callable_reductions_get_arrays_in_eager_calls():
    seen = []

    def sum_axes(tensor, axes):
        seen.append(isinstance(tensor, jax.core.Tracer))
        return jnp.sum(tensor, axes)

    x = ones(*SHAPE)
    plait.reduce(x, "b c (h p) w -> c p", sum_axes, p=2)
    plait.reduce(x, "b c (h p) w -> c p", sum_axes, p=2)
    jax.jit(lambda x: plait.reduce(x, "b c (h p) w -> c p", sum_axes, p=2))(x)
    assert seen == [False, False, True]
    with pytest.raises(plait.SizeError, match="PLT310"):
        jax.jit(lambda x: plait.reduce(x, "b c h w -> b c", lambda tensor, axes: tensor))(x)


def symbolic_specs(*shapes, constraints=()):
    """Arguments of `jax.export` from shapes in its notation, as ``"b, 3, h"``."""
    likes = [
        jax.ShapeDtypeStruct([int(size) if size.strip().isdigit() else 1 for size in shape.split(",")], jnp.float32)
        for shape in shapes
    ]
    return export.symbolic_args_specs(likes, list(shapes), constraints=constraints)


SYMBOLIC_SHAPE_AND_CONSTRAINTS_BY_NAME = {
    "permute": ("b, 3, h, w", ()),
    "merge": ("b, c, h, w", ()),
    "space to depth": ("b, c, 2*h, 2*w", ()),
    "unit": ("b, c, h, w", ()),
    "max": ("b, c, h, w", ("mod(h, 2) == 0",)),
    "std": ("b, c, h, w", ()),
    "logsumexp": ("b, c, h, w", ()),
    "callable": ("b, c, h, w", ()),
    "repeat": ("b, c, h, w", ()),
    "einsum": ("b, c, h, w", ()),
    "grouped einsum": ("b, c, h, 2*w", ()),
    "classical einsum": ("b, c, h, w", ()),
    "list": ("b, c, h, w", ()),
    "pack": ("b, c, h, w", ()),
    "unpack": ("b, 3, h, w", ()),
    "size": ("b, c, 2*h, w", ()),
    "parse_shape": ("b, c, h, w", ()),
    "compiled": ("b, c, 2*h, w", ()),
}


@pytest.mark.parametrize("name", CALL_BY_NAME)
def test_export_with_symbolic_dimensions(name):
    shape, constraints = SYMBOLIC_SHAPE_AND_CONSTRAINTS_BY_NAME[name]
    exported = export.export(jax.jit(CALL_BY_NAME[name]))(*symbolic_specs(shape, constraints=constraints))
    for sizes in (SHAPE, OTHER_SHAPE):
        array = random_numpy_array(sizes)
        assert_close(exported.call(array), result_of_numpy(name, array))


def export_call(call, *shapes, constraints=()):
    return export.export(jax.jit(call))(*symbolic_specs(*shapes, constraints=constraints))


def gram_matrix_of_parts(x):
    parts = x.reshape(len(x), -1, 4)
    return np.einsum("bhp,bip->hi", parts, parts)


def test_export_with_symbolic_sizes_of_axes():
    def call(x, y):
        packed, shapes = plait.pack([x, y], "b *")
        left, right = plait.unpack(packed, shapes, "b *")
        return (
            plait.repeat(left, "b n -> (b r) n", r=right.shape[1]),
            plait.rearrange(x, "b (n p) -> (p b) n", n=x.shape[1] // 2),
        )

    one, two = export_call(call, "b, 2*n", "b, m, 3").call(random_numpy_array((2, 6)), random_numpy_array((2, 4, 3)))
    assert_close(one, np.repeat(random_numpy_array((2, 6)), 4, 0))
    assert two.shape == (4, 3)
    many = export_call(lambda x, y: plait.einsum(x, y, "b i (h d), b j (h d) -> b h i j", h=2), "b, n, 6", "b, m, 6")
    x, y = random_numpy_array((2, 5, 6)), random_numpy_array((2, 7, 6))
    assert_close(
        many.call(x, y), np.einsum("bihd,bjhd->bhij", x.reshape(2, 5, 2, 3), y.reshape(2, 7, 2, 3)), tolerance=1e-4
    )
    open_shape = export_call(lambda x: plait.unpack(x, [(2, 2), (-1,)], "b *"), "b, n", constraints=["n >= 4"])
    assert [part.shape for part in open_shape.call(random_numpy_array((2, 9)))] == [(2, 2, 2), (2, 5)]
    for call, expected in (
        (lambda x: plait.rearrange(x, "b (h p) -> b h p", p=4), lambda x: x.reshape(len(x), -1, 4)),
        (lambda x: plait.rearrange(x, "b (h p) -> p (b h)", h=4), lambda x: x.reshape(len(x) * 4, -1).T),
        (lambda x: plait.reduce(x, "b (h 4) -> h b", "max"), lambda x: x.reshape(len(x), -1, 4).max(2).T),
        (lambda x: plait.repeat(x, "b (h p) -> b h r p", p=4, r=2), lambda x: x.reshape(len(x), -1, 1, 4).repeat(2, 2)),
        (lambda x: plait.einsum(x, x, "b (h p), b (i p) -> h i", p=4), gram_matrix_of_parts),
        (lambda x: plait.compile("b (h p) -> b h p", p=4).rearrange(x), lambda x: x.reshape(len(x), -1, 4)),
    ):
        exported = export_call(call, "b, h")  # nothing says that 4 divides h
        assert "floordiv(h, 4)" in str(exported.out_avals)
        for sizes in ((2, 8), (3, 12)):
            x = random_numpy_array(sizes)
            assert_close(exported.call(x), expected(x), tolerance=1e-4)
        with pytest.raises(ValueError, match="refining shapes"):  # the sizes are checked when the exported call runs
            exported.call(random_numpy_array((2, 7)))


@pytest.mark.parametrize(
    ("code", "call", "shapes"),
    [
        ("PLT302", lambda x: plait.rearrange(x, "b (h p) -> b h p", p=4), ["b, 4*n + 2"]),
        ("PLT302", lambda x: plait.reduce(x, "b (h 2) -> b h", "max"), ["b, 2*n + 1"]),
        ("PLT303", lambda x: plait.rearrange(x, "b (h p) -> b h p"), ["b, n"]),
        ("PLT304", lambda x: plait.rearrange(x, "b n c -> c b n"), ["b, n"]),
        ("PLT305", lambda x: plait.rearrange(x, "b n -> n b", b=3), ["b, n"]),
        ("PLT305", lambda x: plait.rearrange(x, "b 1 -> b"), ["b, n"]),
        ("PLT305", lambda x, y: plait.einsum(x, y, "b i, b j -> i j"), ["b, n", "c, m"]),
        ("PLT305", lambda x, y: plait.einsum("...i,...i", x, y), ["b, n", "c, n"]),
        ("PLT305", lambda x, y: plait.pack([x, y], "b *"), ["b, n", "c, m"]),
        ("PLT308", lambda x, y: plait.rearrange([x, y], "k b n -> k n b"), ["b, n", "b, m"]),
        ("PLT309", lambda x: plait.unpack(x, [(3,), (4,)], "b *"), ["b, n"]),
        ("PLT309", lambda x: plait.unpack(x, [(3,), (-1,)], "b *"), ["b, n"]),
        ("PLT508", plait.asnumpy, ["b, n"]),
        ("PLT507", lambda x: plait.view(x, "b n -> n b"), ["b, n"]),
    ],
)
def test_errors_with_symbolic_dimensions(code, call, shapes):
    with pytest.raises(plait.PlaitError, match=code):
        export_call(call, *shapes)


INVALID_CALL_BY_NAME = {
    "divide": lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=3),
    "rank": lambda x: plait.rearrange(x, "b c h -> b c h"),
    "dropped": lambda x: plait.rearrange(x, "b c h w -> b c h"),
    "reduction": lambda x: plait.reduce(x, "b c h w -> b", "median"),
    "missing": lambda x: plait.repeat(x, "b c h w -> b c h w r"),
    "einsum": lambda x: plait.einsum(x, x, "a b c d, b c d a -> a"),
    "empty": lambda x: plait.reduce(x[:, :0], "b c h w -> b", "max"),
    "unequal": lambda x: plait.rearrange([x, x[:1]], "k b c h w -> k b c h w"),
    "kind": lambda x: plait.reduce(x.astype("int32"), "b c h w -> b", "mean"),
    "view": lambda x: plait.view(x, "b c h w -> b (c w h)"),
}


@pytest.mark.parametrize("name", INVALID_CALL_BY_NAME)
def test_errors_are_the_same_in_every_transformation(name):
    texts = set()
    if name != "view":
        with pytest.raises(plait.PlaitError) as caught:
            INVALID_CALL_BY_NAME[name](np.ones(SHAPE, np.float32))
        texts.add(str(caught.value))
    for transform in (lambda call: call, jax.jit, jax.grad):
        with pytest.raises(plait.PlaitError) as caught:
            transform(INVALID_CALL_BY_NAME[name])(ones(*SHAPE))
        texts.add(str(caught.value))
    with pytest.raises(plait.PlaitError) as caught:
        jax.vmap(INVALID_CALL_BY_NAME[name])(ones(5, *SHAPE))
    assert texts == {str(caught.value)}


def test_sizes_can_be_ints_or_scalar_arrays_but_not_tracers():
    x = ones(*SHAPE)
    for size in (2, np.int32(2), jnp.int32(2), jnp.asarray(2)):
        assert plait.rearrange(x, "b c (h p) w -> b c h p w", p=size).shape == (2, 3, 2, 2, 6)
    for size in (jnp.float32(2), jnp.asarray([2, 2]), jnp.asarray(True)):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(x, "b c (h p) w -> b c h p w", p=size)
    with pytest.raises(plait.SizeError, match="PLT301"):
        jax.jit(lambda x, p: plait.rearrange(x, "b c (h p) w -> b c h p w", p=p))(x, 2)
    jitted = jax.jit(lambda x, p: plait.rearrange(x, "b c (h p) w -> b c h p w", p=p), static_argnums=1)
    assert jitted(x, 2).shape == (2, 3, 2, 2, 6)


def test_a_compiled_pattern_is_a_static_argument():
    traces = []

    @partial(jax.jit, static_argnums=1)
    def apply(x, pattern):
        traces.append(pattern)
        return pattern.rearrange(x)

    x = ones(*SHAPE)
    for _ in range(2):
        assert apply(x, plait.compile("b c h w -> b (c h) w")).shape == (2, 12, 6)
        assert apply(x, plait.compile("b c h (w q) -> q b c h w", q=3)).shape == (3, 2, 3, 4, 2)
    assert len(traces) == 2
    pattern = plait.compile("b c h w, b d h w -> c d")
    assert_close(jax.jit(pattern.einsum)(x, x), pattern.einsum(x, x))
    assert_close(jax.jit(lambda x: plait.compile("b ... -> b").reduce(x, "sum"))(x), np.full(2, 72.0))


@jax.tree_util.register_dataclass
@dataclass
class Batch:
    images: object
    masks: object


def test_pytrees_are_refused_and_can_be_mapped_over():
    batch = Batch(ones(2, 4, 6), {"a": ones(2, 4, 6, 3), "b": [ones(2, 8, 2)]})

    @jax.jit
    def patches(batch):
        return jax.tree.map(lambda x: plait.rearrange(x, "b (h p) ... -> b h (p ...)", p=2), batch)

    shapes = jax.tree.map(lambda x: x.shape, patches(batch))
    assert shapes == Batch((2, 2, 12), {"a": (2, 2, 36), "b": [(2, 4, 4)]})
    for tree in (batch, batch.masks, None):
        with pytest.raises(plait.BackendError, match="PLT501"):
            plait.rearrange(tree, "b ... -> ... b")
    with pytest.raises(plait.BackendError, match="PLT501"):
        plait.rearrange([batch.images, batch.masks], "k b ... -> b k ...")
    with pytest.raises(plait.BackendError, match="PLT501"):
        jax.jit(lambda tree: plait.rearrange(tree, "b ... -> ... b"))(batch.masks)


def test_control_flow_checkpoints_and_custom_derivatives():
    x = random_numpy_array((5, 4, 6))

    def step(carry, image):
        patches = plait.rearrange(image, "(h p) w -> h (p w)", p=2)
        return carry + plait.reduce(patches, "h d -> d", "sum"), patches

    sums, patches = jax.jit(lambda x: lax.scan(step, jnp.zeros(12), x))(x)
    assert_close(sums, x.reshape(5, 2, 12).sum((0, 1)), 1e-4)
    assert_close(patches, x.reshape(5, 2, 12))

    def branch(flag, x):
        return lax.cond(
            flag, lambda x: plait.rearrange(x, "a b c -> c b a"), lambda x: plait.rearrange(x, "a b c -> c b a") * 2, x
        )

    assert_close(jax.jit(branch)(True, x), x.transpose(2, 1, 0))
    assert_close(jax.jit(branch)(False, x), 2 * x.transpose(2, 1, 0))
    assert_close(lax.map(lambda x: plait.rearrange(x, "b c -> c b"), x), x.transpose(0, 2, 1))

    def loss(x):
        return plait.einsum(x, x, "a b c, a d c -> b d").sum()

    assert_close(jax.grad(jax.checkpoint(loss))(x), jax.grad(loss)(x), 1e-4)

    @jax.custom_vjp
    def turned(x):
        return plait.rearrange(x, "a b c -> b a c")

    turned.defvjp(lambda x: (turned(x), None), lambda _, g: (plait.rearrange(g, "b a c -> a b c") * 3,))
    assert_close(jax.grad(lambda x: turned(x).sum())(x), np.full((5, 4, 6), 3.0))
    assert_close(jax.hessian(lambda x: plait.reduce(x * x, "a -> ", "sum"))(x[0, 0]), 2 * np.eye(6))


def test_numpy_arrays_with_jax_arrays_give_jax_arrays():
    x, y = random_numpy_array((2, 3)), jnp.asarray(random_numpy_array((3, 4)))
    for product in (plait.einsum(x, y, "a b, b c -> a c"), plait.einsum("ab,bc", x, y)):
        assert_close(product, x @ np.asarray(y))
    assert_close(plait.einsum(y, x, "b c, a b -> (c a)"), (x @ np.asarray(y)).T.reshape(-1))
    assert_close(plait.rearrange([np.asarray(y), y], "k b c -> (k b) c"), np.concatenate([y, y]))
    assert_close(plait.pack([x, jnp.asarray(x)], "a *")[0], np.concatenate([x, x], 1))
    assert_close(jax.jit(lambda y: plait.einsum(x, y, "a b, b c -> a c"))(y), x @ np.asarray(y))
    assert_close(jax.vmap(lambda y: plait.einsum(x, y, "a b, b -> a"), 1, 1)(y), x @ np.asarray(y))
    assert_close(jax.grad(lambda y: plait.einsum(x, y, "a b, b c -> ").sum())(y), np.repeat(x.sum(0)[:, None], 4, 1))


@with_and_without_x64
def test_dtypes_with_and_without_x64(x64_enabled):
    assert jax.config.jax_enable_x64 is x64_enabled
    x = jnp.ones((300, 2), jnp.int8)
    sums = plait.reduce(x, "a b -> b", "sum")
    assert sums.tolist() == [300, 300]
    assert sums.dtype == (jnp.int64 if x64_enabled else jnp.int32)
    assert plait.reduce(x > 0, "a b -> b", "sum").dtype == sums.dtype
    assert plait.reduce(jnp.ones((2, 3), jnp.complex64), "a b -> b", "var").dtype == jnp.float32
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float8_e4m3fn, jnp.int4, jnp.uint8, jnp.bool_):
        assert plait.rearrange(jnp.ones((2, 6), dtype), "a (b c) -> c a b", b=2).dtype == dtype
    half = jnp.ones((4096, 2), jnp.bfloat16)
    assert jax.jit(lambda x: plait.reduce(x, "a b -> b", "sum"))(half).tolist() == [4096, 4096]
    assert plait.einsum(half, half, "a b, a b -> b").tolist() == [4096, 4096]
    assert plait.asnumpy(half).dtype == jnp.bfloat16
    assert plait.rearrange(jnp.float32(3), "-> 1 1").shape == (1, 1)


def test_random_keys_can_be_rearranged():
    keys = jax.random.split(jax.random.key(0), (4, 2))
    flat = plait.rearrange(keys, "a b -> (b a)")
    assert (jax.random.key_data(flat) == jax.random.key_data(keys.T.reshape(8))).all()
    draws = jax.jit(lambda keys: jax.vmap(jax.random.normal)(plait.rearrange(keys, "a b -> (b a)")))(keys)
    assert draws.shape == (8,)
    with pytest.raises(plait.BackendError, match="PLT508"):
        plait.asnumpy(keys)


def test_refs_are_refused_until_they_are_read():
    ref = jax.new_ref(ones(2, 3))
    with pytest.raises(plait.BackendError, match=r"PLT502.*ref\[\.\.\.\]"):
        plait.rearrange(ref, "a b -> b a")

    @jax.jit
    def turn(ref):
        ref[...] = plait.repeat(plait.reduce(ref[...], "a b -> b", "sum"), "b -> a b", a=2)
        return plait.rearrange(ref[...], "a b -> b a")

    assert_close(turn(ref), np.full((3, 2), 2.0))


def test_asnumpy_of_tracers_is_an_error():
    for transform in (jax.jit, jax.vmap):
        with pytest.raises(plait.BackendError, match="PLT508"):
            transform(plait.asnumpy)(ones(2, 3))
    with pytest.raises(plait.BackendError, match="PLT508"):
        jax.grad(lambda x: plait.asnumpy(x).sum())(ones(2, 3))


def test_the_cache_keeps_no_tracers():
    with jax.checking_leaks():
        jax.make_jaxpr(lambda x: CALL_BY_NAME["grouped einsum"](CALL_BY_NAME["space to depth"](x)))(ones(2, 3, 4, 8))
        jax.make_jaxpr(jax.vmap(jax.grad(lambda x: CALL_BY_NAME["logsumexp"](x[None]).sum())))(ones(*SHAPE))
        export_call(CALL_BY_NAME["pack"], "b, c, h, w")


@pytest.mark.parametrize("path", [None, [(1, 2), (0, 1)]])
def test_precision_and_preferred_element_type_reach_every_dot_general(path):
    x, y, z = (jnp.ones(shape, jnp.bfloat16) for shape in ((2, 3), (3, 4), (4, 5)))

    def call(x, y, z):
        dot_options = {"precision": "highest", "preferred_element_type": jnp.float32}
        with plait.options(contract=path or "auto"):
            return plait.einsum(x, y, z, "a b, b c, c d -> (a d)", **dot_options)

    text = str(jax.make_jaxpr(call)(x, y, z))
    assert text.count("dot_general[") == text.count("preferred_element_type=float32") == 2
    assert text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == 2
    for result in (
        call(x, y, z),
        jax.jit(call)(x, y, z),
        plait.compile("a b, b c -> a c").einsum(x, y, precision="highest"),
    ):
        assert result.dtype in (jnp.float32, jnp.bfloat16)
    assert call(x, y, z).dtype == jnp.float32


def test_the_contraction_path_of_the_options_is_used():
    x, y, z = jnp.ones((2, 30)), jnp.ones((30, 4)), jnp.ones((4, 5))
    with plait.options(contract=[(1, 2), (0, 1)]):
        shapes = str(jax.make_jaxpr(lambda *tensors: plait.einsum(*tensors, "a b, b c, c d -> a d"))(x, y, z))
    assert "[30,5]" in shapes
    with plait.options(contract=[(0, 1), (0, 1)]):
        shapes = str(jax.make_jaxpr(lambda *tensors: plait.einsum(*tensors, "a b, b c, c d -> a d"))(x, y, z))
    assert "[2,4]" in shapes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool"])
@pytest.mark.parametrize("limit", [16_000, 1_000_000])
def test_einsum_under_a_limit_of_memory(dtype, limit):
    rng = np.random.default_rng(0)
    shapes = ((40, 30, 20), (20, 30), (30, 50), (50, 60))
    tensors = [jnp.asarray(rng.integers(0, 2, shape)).astype(dtype) for shape in shapes]
    pattern = "(a b) c d, d c, c e, e f -> b a f"
    expected = plait.einsum(*tensors, pattern, b=4)
    blocks = []
    with plait.options(memory_limit=limit, progress=lambda done, total: blocks.append(total)):
        found = plait.einsum(*tensors, pattern, b=4)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=1e-2 if dtype == "bfloat16" else 1e-5
    )
    assert blocks[0] > 1 or limit > 100_000 or dtype == "bool"


def test_a_limit_of_memory_is_refused_while_jax_traces():
    with plait.options(memory_limit="1MiB"), pytest.raises(plait.SizeError, match=r"PLT313.*JAX traces"):
        jax.jit(lambda a: plait.einsum(a, a, "i j, j k -> i k"))(ones(3, 3))


@pytest.mark.slow
def test_resident_memory_keeps_the_limit():
    assert measure_resident_memory("jax") <= 1.1


def constant_matrices():
    """Return a tensor and two matrices, whose values are exact in 32 bits."""
    draw = np.random.default_rng(0).integers
    return [jnp.asarray(draw(-3, 4, shape), jnp.float32) for shape in ((50, 30), (30, 20), (20, 3))]


def test_constants_are_contracted_once_also_inside_jit():
    x, u, v = constant_matrices()
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v})
    for call in (jax.jit(pattern.einsum), pattern.einsum, jax.jit(lambda x: pattern.einsum(x) * 1)):
        np.testing.assert_array_equal(call(x), x @ u @ v)
    assert str(jax.make_jaxpr(pattern.einsum)(x)).count("dot_general") == 1
    plait.cache_clear()
    with jax.checking_leaks():
        assert str(jax.make_jaxpr(pattern.einsum)(x)).count("dot_general") == 1
        np.testing.assert_array_equal(jax.jit(lambda x: pattern.einsum(x) + 1)(x), x @ u @ v + 1)
    np.testing.assert_array_equal(pattern.einsum(x), x @ u @ v)
    np.testing.assert_array_equal(jax.vmap(pattern.einsum)(jnp.stack([x, x]))[1], x @ u @ v)
    np.testing.assert_array_equal(jax.grad(lambda x: pattern.einsum(x).sum())(x)[0], (u @ v).sum(1))
    everything = plait.compile("b i, i r, r j -> b j").with_constants({0: x, 1: u, 2: v})
    np.testing.assert_array_equal(jax.jit(everything.einsum)(), x @ u @ v)
    np.testing.assert_array_equal(everything.einsum(), x @ u @ v)


def test_constants_that_are_tracers_are_operands_of_each_call():
    x, u, v = constant_matrices()

    def total(u):
        return plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v}).einsum(x).sum()

    np.testing.assert_array_equal(jax.grad(total)(u), jax.grad(lambda u: (x @ u @ v).sum())(u))
    np.testing.assert_array_equal(jax.jit(total)(u), (x @ u @ v).sum())
    with jax.checking_leaks():
        jax.jit(jax.grad(total))(u)


def test_constants_with_options_and_arguments_of_jax():
    x, u, v = constant_matrices()
    pattern = plait.compile("b i, i r, r j, j k -> b k").with_constants({1: u, 2: v})
    w = jnp.ones((3, 2))
    for path in ([(0, 1), (0, 1), (0, 1)], [(1, 2), (0, 1), (0, 1)], "greedy"):
        with plait.options(contract=path):
            np.testing.assert_array_equal(pattern.einsum(x, w), x @ u @ v @ w)
    result = pattern.einsum(x.astype(jnp.bfloat16), w, preferred_element_type=jnp.float32)
    assert result.dtype == jnp.float32
    half = [tensor.astype(jnp.bfloat16) for tensor in (x, u, v)]
    rounded = plait.compile("b i, i r, r j -> b j").with_constants({1: half[1], 2: half[2]}).einsum(half[0])
    np.testing.assert_array_equal(rounded, plait.einsum(*half, "b i, i r, r j -> b j"))


def test_shared_intermediates_never_leave_a_trace():
    a, b, c = constant_matrices()
    chain = "i j, j k, k l -> i l"

    def call(a, b, c):
        return plait.einsum(a, b, c, chain)

    with plait.share_intermediates(), jax.checking_leaks():
        for _ in range(2):
            np.testing.assert_array_equal(jax.jit(lambda a, b, c: call(a, b, c) + 1)(a, b, c), a @ b @ c + 1)
            np.testing.assert_array_equal(jax.jit(lambda a: call(a, b, c) + 1)(a), a @ b @ c + 1)
            np.testing.assert_array_equal(jax.jit(lambda: call(a, b, c) + 1)(), a @ b @ c + 1)
            np.testing.assert_array_equal(call(a, b, c), a @ b @ c)
        np.testing.assert_array_equal(jax.grad(lambda b: call(a, b, c).sum())(b), a.T @ jnp.ones((50, 3)) @ c.T)
        np.testing.assert_array_equal(jax.vmap(call, (0, None, None))(jnp.stack([a, a]), b, c)[1], a @ b @ c)
    assert str(jax.make_jaxpr(call)(a, b, c)).count("dot_general") == 2


def test_shared_intermediates_are_computed_once():
    a, b, c = constant_matrices()
    with plait.share_intermediates():
        plait.einsum(a, b, c, "i j, j k, k l -> i l")
        jaxpr = str(jax.make_jaxpr(lambda: plait.einsum(c, b, a, "y z, x y, w x -> z w"))())
    assert jaxpr.count("dot_general") == 1
