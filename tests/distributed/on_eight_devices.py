"""Tests of JAX on eight devices, which ``test_jax_sharding.py`` runs in a process that has them.

Every result has the sharding that hand-written code gives it, with the same collectives.
"""

from __future__ import annotations

import doctest
import itertools
import re
from math import prod
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import AxisType, NamedSharding, reshard
from jax.sharding import PartitionSpec as P

import plait
from plait.backends.jax.sharding import sharding_after_reshape

PAGE = Path(__file__).parents[2] / "docs" / "jax-sharding.md"
AXIS_TYPE_BY_MODE = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")


def test_there_are_eight_devices():
    assert len(jax.devices()) == 8


@pytest.fixture(params=AXIS_TYPE_BY_MODE)
def mesh(request):
    """A mesh of four by two devices with automatic or explicit axes, active during the test."""
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AXIS_TYPE_BY_MODE[request.param],) * 2)
    with jax.set_mesh(mesh):
        yield mesh


def is_explicit(mesh):
    return AxisType.Explicit in mesh.axis_types


def random_array(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shard_array(mesh, values, spec):
    return jax.device_put(values, NamedSharding(mesh, spec))


def normalize_spec(spec, rank):
    """A partition specification as a tuple of names of mesh axes for each dimension."""
    entries = [entry if isinstance(entry, tuple) else () if entry is None else (entry,) for entry in spec]
    return (*entries, *[()] * (rank - len(entries)))


def assert_sharding(result, spec):
    assert normalize_spec(result.sharding.spec, result.ndim) == normalize_spec(spec, result.ndim)


def count_collectives(function, *tensors):
    """The number of collectives in the compiled function, by kind."""
    text = jax.jit(function).lower(*tensors).compile().as_text()
    return {kind: len(re.findall(rf" {kind}(?:-start)?\(", text)) for kind in COLLECTIVES}


def test_collectives_are_counted(mesh):
    x = shard_array(mesh, random_array((8, 6, 4)), P("x", "y"))
    assert count_collectives(lambda x: x.sum(0), x)["all-reduce"] == 1
    assert sum(count_collectives(lambda x: x * 2, x).values()) == 0


MOVEMENT_CASES = {
    "permute": (
        lambda x: plait.rearrange(x, "a b c -> c a b"),
        lambda x: x.transpose(2, 0, 1),
        P(None, "x", "y"),
    ),
    "split": (
        lambda x: plait.rearrange(x, "(a p) b c -> p b a c", p=2),
        lambda x: x.reshape(4, 2, 6, 4).transpose(1, 2, 0, 3),
        P(None, "y", "x", None),
    ),
    "split two axes at once": (
        lambda x: plait.rearrange(x, "(a p) (b q) c -> a b p q c", p=2, q=3),
        lambda x: x.reshape(4, 2, 6, 4).reshape(4, 2, 2, 3, 4).transpose(0, 2, 1, 3, 4),
        P("x", "y", None, None, None),
    ),
    "patches": (
        lambda x: plait.rearrange(x, "(a p) (b q) c -> a b (p q c)", p=2, q=3),
        lambda x: x.reshape(4, 2, 6, 4).reshape(4, 2, 2, 3, 4).transpose(0, 2, 1, 3, 4).reshape(4, 2, 24),
        P("x", "y", None),
    ),
    "patches and back": (
        lambda x: plait.rearrange(
            plait.rearrange(x, "(a p) (b q) c -> a b (p q c)", p=2, q=3), "a b (p q c) -> (a p) (b q) c", p=2, q=3
        ),
        lambda x: x + 0,
        P("x", "y", None),
    ),
    "merge behind a sharded axis": (
        lambda x: plait.rearrange(x, "a b c -> a (b c)"),
        lambda x: x.reshape(8, 24),
        P("x", "y"),
    ),
    "unit axes": (
        lambda x: plait.rearrange(x, "a b c -> 1 a b 1 c"),
        lambda x: x.reshape(1, 8, 6, 1, 4),
        P(None, "x", "y", None, None),
    ),
    "list": (
        lambda x: plait.rearrange([x, x + 1], "k a b c -> a (b k) c"),
        lambda x: jnp.stack([x, x + 1]).transpose(1, 2, 0, 3).reshape(8, 12, 4),
        P("x", "y", None),
    ),
    "sum over a whole axis": (
        lambda x: plait.reduce(x, "a b c -> b a", "sum"),
        lambda x: x.sum(2).transpose(1, 0),
        P("y", "x"),
    ),
    "mean over a sharded axis": (
        lambda x: plait.reduce(x, "a b c -> c b", "mean"),
        lambda x: x.mean(0).transpose(1, 0),
        P(None, "y"),
    ),
    "std over a sharded axis": (lambda x: plait.reduce(x, "a b c -> b", "std"), lambda x: x.std((0, 2)), P("y")),
    "logsumexp": (
        lambda x: plait.reduce(x, "a b c -> a", "logsumexp"),
        lambda x: jax.nn.logsumexp(x, (1, 2)),
        P("x"),
    ),
    "pooling": (
        lambda x: plait.reduce(x, "(a 2) (b 3) c -> c a b", "max"),
        lambda x: x.reshape(4, 2, 6, 4).reshape(4, 2, 2, 3, 4).max((1, 3)).transpose(2, 0, 1),
        P(None, "x", "y"),
    ),
    "repeat": (
        lambda x: plait.repeat(x, "a b c -> a (b r) c s", r=3, s=2),
        lambda x: jnp.broadcast_to(x.reshape(8, 6, 1, 4, 1), (8, 6, 3, 4, 2)).reshape(8, 18, 4, 2),
        P("x", "y", None, None),
    ),
    "repeat in front": (
        lambda x: plait.repeat(x, "... -> r ...", r=3),
        lambda x: jnp.broadcast_to(x, (3, 8, 6, 4)),
        P(None, "x", "y", None),
    ),
    "pack": (
        lambda x: plait.pack([x, x[:, :, 0]], "a b *")[0],
        lambda x: jnp.concatenate([x, x[:, :, 0].reshape(8, 6, 1)], 2),
        P("x", "y", None),
    ),
    "unpack": (
        lambda x: plait.unpack(x, [(1,), (3,)], "a b *")[1],
        lambda x: lax.slice_in_dim(x, 1, 4, axis=2),
        P("x", "y", None),
    ),
}
"""What plait is called with, what one writes by hand, and how the result of both lies."""


@pytest.mark.parametrize("name", MOVEMENT_CASES)
def test_shardings_follow_their_axes(mesh, name):
    ours, theirs, spec = MOVEMENT_CASES[name]
    values = random_array((8, 6, 4))
    x = shard_array(mesh, values, P("x", "y", None))
    expected = theirs(jnp.asarray(values))
    for call in (ours, jax.jit(ours)):
        result = call(x)
        assert_sharding(result, spec)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert_sharding(jax.jit(theirs)(x), spec)
    assert count_collectives(ours, x) == count_collectives(theirs, x)


@pytest.mark.parametrize("name", ["patches", "pooling", "repeat", "mean over a sharded axis"])
def test_gradients_have_the_sharding_of_their_tensors(mesh, name):
    ours, theirs, _ = MOVEMENT_CASES[name]
    x = shard_array(mesh, random_array((8, 6, 4)), P("x", "y", None))
    gradients = [jax.jit(jax.grad(lambda x, call=call: (call(x) ** 2).sum())) for call in (ours, theirs)]
    assert_sharding(gradients[0](x), P("x", "y", None) if is_explicit(mesh) else gradients[1](x).sharding.spec)
    np.testing.assert_allclose(gradients[0](x), gradients[1](x), rtol=1e-5)
    assert count_collectives(gradients[0], x) == count_collectives(gradients[1], x)


def test_explicit_shardings_in_types_follow_the_axes():
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    with jax.set_mesh(mesh):
        x = shard_array(mesh, random_array((8, 6, 4)), P("x", "y", None))
        types = []

        @jax.jit
        def patches(x):
            result = plait.rearrange(x, "(a p) (b q) c -> b (p q c) a", p=2, q=3)
            types.append(str(jax.typeof(result)))
            return result

        patches(x)
        assert types == ["float32[2@y,24,4@x]"]


def elements_by_device(shape, spec, mesh):
    """By device, the row-major indices of the elements that it holds, as bytes."""
    places = np.arange(np.prod(shape)).reshape(shape)
    indices = NamedSharding(mesh, spec).devices_indices_map(shape)
    return {device: places[index].tobytes() for device, index in indices.items()}


def all_partition_specs(shape, mesh):
    """Every partition specification whose mesh axes divide their dimensions."""
    entries = [(), ("x",), ("y",), ("x", "y"), ("y", "x")]
    for choice in itertools.product(entries, repeat=len(shape)):
        used = [name for entry in choice for name in entry]
        sizes = [int(np.prod([mesh.shape[name] for name in entry], dtype=int)) for entry in choice]
        if len(used) == len(set(used)) and all(size % count == 0 for size, count in zip(shape, sizes, strict=True)):
            yield P(*choice)


@pytest.mark.parametrize(
    ("shape", "others"),
    [
        ((16, 6), [(4, 4, 6), (2, 8, 3, 2), (8, 2, 2, 3), (96,), (4, 24), (32, 3), (1, 16, 1, 6), (2, 2, 4, 2, 3)]),
        ((4, 2, 12), [(8, 12), (4, 24), (4, 2, 2, 6), (4, 2, 6, 2), (96,), (8, 4, 3), (2, 2, 2, 2, 6), (4, 1, 24)]),
        ((8, 3), [(4, 6), (2, 12), (24,), (6, 4), (2, 4, 3), (12, 2)]),
    ],
)
def test_reshape_propagates_a_sharding_exactly_where_no_element_moves(shape, others):
    """A sharding is propagated if and only if some sharding of the result moves no element."""
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    found = 0
    with jax.set_mesh(mesh):
        for spec in all_partition_specs(shape, mesh):
            x = shard_array(mesh, random_array(shape), spec)
            before = elements_by_device(shape, spec, mesh)
            for other in others:
                sharding = sharding_after_reshape(x, other)
                candidates = (each for each in all_partition_specs(other, mesh))
                if sharding is None:
                    assert all(elements_by_device(other, each, mesh) != before for each in candidates), (spec, other)
                else:
                    assert elements_by_device(other, sharding.spec, mesh) == before, (spec, other)
                    found += 1
    assert found > 5


def test_a_mesh_axis_of_one_device_stays_in_the_type():
    mesh = jax.make_mesh((8, 1), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    with jax.set_mesh(mesh):
        x = shard_array(mesh, random_array((8, 6, 4)), P("x", "y", None))
        assert_sharding(plait.rearrange(x, "(a p) (b q) c -> a b p q c", p=1, q=3), P("x", "y", None, None, None))


UNIT_MESH_CALLS = {
    "insert a unit axis": (lambda x: plait.rearrange(x, "b d -> b 1 d"), "float32[1@data,1,2]"),
    "insert unit axes around": (lambda x: plait.rearrange(x, "b d -> 1 b 1 1 d 1"), "float32[1,1@data,1,1,2,1]"),
    "drop a unit axis": (
        lambda x: plait.rearrange(plait.rearrange(x, "b d -> 1 b 1 d"), "1 b 1 d -> b d"),
        "float32[1@data,2]",
    ),
    "drop the sharded unit axis": (lambda x: plait.rearrange(x, "1 d -> d"), "float32[2]"),
    "merge": (lambda x: plait.rearrange(x, "b d -> (b d)"), "float32[2@data]"),
    "split": (lambda x: plait.rearrange(x, "b (d e) -> b d e", e=2), "float32[1@data,1,2]"),
    "permute": (lambda x: plait.rearrange(x, "b d -> d 1 b"), "float32[2,1,1@data]"),
    "repeat": (lambda x: plait.repeat(x, "b d -> b r d 1", r=3), "float32[1@data,3,2,1]"),
    "repeat within the axis": (lambda x: plait.repeat(x, "b d -> (b r) d", r=3), "float32[3@data,2]"),
    "reduce": (lambda x: plait.reduce(x, "b d -> b 1", "sum"), "float32[1@data,1]"),
    "pool": (lambda x: plait.reduce(x, "b (d 2) -> b d", "max"), "float32[1@data,1]"),
    "einsum": (lambda x: plait.einsum(x, x[0], "b d, d -> b 1"), "float32[1@data,1]"),
    "einsum of groups": (lambda x: plait.einsum(x, x[0], "b (d e), (d e) -> b 1 d", e=1), "float32[1@data,1,2]"),
    "einsum with precision": (
        lambda x: plait.einsum(x, x[0], "b d, d -> b 1", precision="highest"),
        "float32[1@data,1]",
    ),
    "list": (lambda x: plait.rearrange([x, x], "n b d -> b (n d)"), "float32[1@data,4]"),
    "pack": (lambda x: plait.pack([x, x[:, :, None]], "b *")[0], "float32[1@data,4]"),
    "pattern": (lambda x: plait.compile("b d -> b 1 d").rearrange(x), "float32[1@data,1,2]"),
    "sequence": (
        (plait.compile("b d -> b 1 d") >> plait.compile("b c d -> b c d 1")).rearrange,
        "float32[1@data,1,2,1]",
    ),
}
"""Calls for an array ``float32[1@data,2]``, and the type of the result."""


@pytest.mark.parametrize("name", UNIT_MESH_CALLS)
def test_a_mesh_of_one_device_follows_its_axis(name):
    call, expected = UNIT_MESH_CALLS[name]
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:1])
    with jax.set_mesh(mesh):
        x = shard_array(mesh, random_array((1, 2)), P("data"))
        for each in (call, jax.jit(call)):
            assert str(jax.typeof(each(x))).removeprefix("ShapedArray(").removesuffix(")") == expected
        if name == "insert a unit axis":
            assert_sharding(jnp.concatenate([call(x), x[:, None, :]], 1), P("data", None, None))


@st.composite
def patterns_with_shardings(draw):
    """A pattern of ``rearrange`` with unit axes anywhere, sizes for its axes, and a sharding of its tensor."""
    names = [f"a{number}" for number in range(draw(st.integers(1, 4)))]

    def drawn_side(order):
        dims, group = [], []
        for name in order:
            group.append(name)
            if draw(st.integers(0, 2)):
                dims.append(group)
                group = []
        dims += [group] if group else []
        for _ in range(draw(st.integers(0, 2))):
            dims.insert(draw(st.integers(0, len(dims))), [])
        return dims

    left = drawn_side(names)
    right = drawn_side(draw(st.permutations(names)) if draw(st.booleans()) else names)
    sharded = draw(st.permutations([dim for dim in left if dim]))[: draw(st.integers(1, 2))]
    spec = [("xy"[sharded.index(dim)] if dim in sharded else None) for dim in left]
    text = " -> ".join(
        " ".join(f"({' '.join(dim)})" if len(dim) > 1 else dim[0] if dim else "1" for dim in side)
        for side in (left, right)
    )
    return text, left, names, spec


@settings(max_examples=200, deadline=None)
@given(patterns_with_shardings(), st.data())
def test_meshes_of_one_device_give_the_types_of_larger_meshes(case, data):
    """Where a mesh of two by two devices has one sharding, a mesh with axes of one device has the same."""
    text, left, names, spec = case
    found = []
    lengths = {name: data.draw(st.sampled_from((1, 2, 3))) for name in names}
    for counts in ((2, 2), (1, 1), (2, 1), (1, 2)):
        mesh = jax.make_mesh(
            counts, ("x", "y"), axis_types=(AxisType.Explicit,) * 2, devices=jax.devices()[: prod(counts)]
        )
        by_entry = dict(zip("xy", counts, strict=True))
        sizes = dict(lengths)
        for dim, entry in zip(left, spec, strict=True):
            if entry:
                sizes[dim[0]] = by_entry[entry]
        shape = tuple(prod([sizes[name] for name in dim]) for dim in left)
        with jax.set_mesh(mesh):
            tensor = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, P(*spec)))
            try:
                result = jax.eval_shape(lambda x, sizes=sizes: plait.rearrange(x, text, **sizes), tensor)
            except plait.BackendError:
                if counts == (2, 2):
                    return
                raise
        found.append(normalize_spec(result.sharding.spec, len(result.shape)))
    assert found == found[:1] * 4


@pytest.mark.parametrize(
    ("call", "spec"),
    [
        (lambda x: plait.rearrange(x, "(a p) b c -> a p b c", a=2), P("x", "y", None)),
        (lambda x: plait.rearrange(x, "a b c -> (c a) b"), P("x", "y", None)),
        (lambda x: plait.rearrange([x, reshard(x, P())], "k a b c -> a k b c"), P("x", "y", None)),
        (lambda x: plait.pack([x, reshard(x, P())], "a b *"), P("x", "y", None)),
        (lambda x: plait.unpack(x, [(2,), (6,)], "* b c"), P("x", "y", None)),
        (lambda x: plait.einsum(x, x, "a b c, d b c -> a d"), P("x", "y", None)),
    ],
)
def test_ambiguous_explicit_shardings_are_an_error(call, spec):
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    with jax.set_mesh(mesh):
        x = shard_array(mesh, random_array((8, 6, 4)), spec)
        for each in (call, jax.jit(call)):
            with pytest.raises(plait.BackendError, match="PLT509"):
                each(x)
        call(reshard(x, P(None, None, None)))  # without a sharded dimension the result is not ambiguous


def test_calls_are_made_one_by_one_where_the_compiler_cannot_partition_them_as_one(monkeypatch):
    def einsum_of_arrays_only(equation, *tensors):
        if any(isinstance(tensor, jax.core.Tracer) for tensor in tensors):
            raise jax.errors.JaxRuntimeError("INTERNAL: cannot be partitioned")
        return jnp.einsum(equation, *tensors)

    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    x = shard_array(mesh, random_array((8, 6)), P("x", "y"))
    y = shard_array(mesh, random_array((8, 4)), P("x"))
    pattern = "a (b c), a d -> d b c a"
    monkeypatch.setattr("plait.backends.jax.backend.JaxBackend.einsum", staticmethod(einsum_of_arrays_only))
    plait.cache_clear()
    expected = jnp.einsum("abc,ad->dbca", x.reshape(8, 2, 3), y)
    np.testing.assert_allclose(plait.einsum(x, y, pattern, c=3), expected, rtol=1e-6)
    np.testing.assert_allclose(plait.compile(pattern, c=3).einsum(x, y), expected, rtol=1e-6)
    with pytest.raises(plait.BackendError, match="cannot be partitioned"):
        jax.jit(lambda x, y: plait.einsum(x, y, pattern, c=3))(x, y)
    plait.cache_clear()


EINSUM_CASES = {
    "matrices": ("a b, b c -> a c", "ab,bc->ac", P("x", "y")),
    "replicated": ("a b, b c -> a c", "ab,bc->ac", P()),
    "permuted": ("a b, b c -> c a", "ab,bc->ca", P("x", "y")),
    "two axes on one": ("a b, b c -> a c", "ab,bc->ac", P(("x", "y"))),
    "entries left out": ("a b, b c -> a c", "ab,bc->ac", P("x")),
}


def build_hand_written_einsum(mesh, equation, spec, shape=None):
    """The call of ``jnp.einsum`` that a user would write."""

    def call(*tensors):
        if is_explicit(mesh) and shape is None:
            return jnp.einsum(equation, *tensors, out_sharding=spec)
        result = jnp.einsum(equation, *tensors)
        return lax.with_sharding_constraint(result if shape is None else result.reshape(shape), spec)

    return call


@pytest.mark.parametrize("name", EINSUM_CASES)
def test_einsum_over_a_sharded_axis_has_the_out_sharding(mesh, name):
    pattern, equation, spec = EINSUM_CASES[name]
    one, two = random_array((8, 6)), random_array((6, 8), 1)
    a, b = shard_array(mesh, one, P("x", "y")), shard_array(mesh, two, P("y", None))
    hand = build_hand_written_einsum(mesh, equation, spec)
    for call in (
        lambda a, b: plait.einsum(a, b, pattern, out_sharding=spec),
        lambda a, b: plait.einsum(a, b, pattern, out_sharding=NamedSharding(mesh, spec)),
        lambda a, b: plait.einsum(equation, a, b, out_sharding=spec),
        lambda a, b: plait.compile(pattern).einsum(a, b, out_sharding=spec),
    ):
        for each in (call, jax.jit(call)):
            result = each(a, b)
            assert_sharding(result, spec)
            np.testing.assert_allclose(result, np.einsum(equation, one, two), rtol=1e-4, atol=1e-5)
        assert count_collectives(call, a, b) == count_collectives(hand, a, b)


@pytest.mark.parametrize("name", EINSUM_CASES)
def test_the_jaxpr_of_einsum_with_out_sharding_is_that_of_hand_written_code(mesh, name):
    pattern, equation, spec = EINSUM_CASES[name]
    a, b = shard_array(mesh, random_array((8, 6)), P("x", "y")), shard_array(mesh, random_array((6, 8)), P("y", None))
    ours = jax.make_jaxpr(lambda a, b: plait.einsum(a, b, pattern, out_sharding=spec))(a, b)
    assert str(ours) == str(jax.make_jaxpr(build_hand_written_einsum(mesh, equation, spec))(a, b))


GROUPED_EINSUM_CASES = {
    "an axis in a group": (
        ("b i d, b j (h d) -> b (h i j)", {"h": 4}),
        ((2, 3, 2), (2, 4, 8)),
        (P("y"), P("y", None, "x")),
        P("y", "x"),
        lambda a, b: jnp.einsum("bid,bjhd->bhij", a, b.reshape(2, 4, 4, 2)).reshape(2, 48),
    ),
    "heads": (
        ("b h i j, b j (h d) -> b i (h d)", {}),
        ((2, 4, 4, 4), (2, 4, 8)),
        (P("y", "x"), P("y", None, "x")),
        P("y", None, "x"),
        lambda a, b: jnp.einsum("bhij,bjhd->bihd", a, b.reshape(2, 4, 4, 2)).reshape(2, 4, 8),
    ),
    "a contracted axis in a group": (
        ("b i (h d), b j (h d) -> (b i) j", {"h": 4}),
        ((4, 2, 8), (4, 6, 8)),
        (P(None, None, "x"), P(None, None, "x")),
        P("y"),
        lambda a, b: jnp.einsum("bid,bjd->bij", a, b).reshape(8, 6),
    ),
    "one tensor": (
        ("a b c -> c a", {}),
        ((8, 6, 4),),
        (P("x", "y"),),
        P("y", "x"),
        lambda a: a.sum(1).transpose(1, 0),
    ),
    "three tensors": (
        ("a b, b c, a d -> d c", {}),
        ((8, 6), (6, 8), (8, 4)),
        (P("x", "y"), P("y"), P("x")),
        P("y", "x"),
        lambda a, b, c: jnp.einsum("ab,bc,ad->dc", a, b, c),
    ),
    "a diagonal": (
        ("a a, a c -> c", {}),
        ((8, 8), (8, 8)),
        (P("x", "y"), P("x", "y")),
        P("y"),
        lambda a, b: jnp.einsum("aa,ac->c", a, b),
    ),
}


@pytest.mark.parametrize("name", GROUPED_EINSUM_CASES)
def test_out_sharding_of_grouped_axes(mesh, name):
    (pattern, sizes), shapes, specs, spec, hand = GROUPED_EINSUM_CASES[name]
    arrays = [random_array(shape, seed) for seed, shape in enumerate(shapes)]
    tensors = [shard_array(mesh, values, each) for values, each in zip(arrays, specs, strict=True)]
    expected = hand(*map(jnp.asarray, arrays))

    def call(*tensors):
        return plait.einsum(*tensors, pattern, out_sharding=spec, **sizes)

    for each in (call, jax.jit(call)):
        result = each(*tensors)
        assert_sharding(result, spec)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    auto = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    with jax.set_mesh(auto):  # where the compiler sees the whole of the hand-written code
        moved = [shard_array(auto, values, each) for values, each in zip(arrays, specs, strict=True)]
        limit = count_collectives(lambda *tensors: lax.with_sharding_constraint(hand(*tensors), spec), *moved)
    assert count_collectives(call, *tensors) == limit


@pytest.mark.parametrize(
    "spec", [P("z"), P("x", "y", None), P(None, "x"), P("x", "x"), ("x", None), "x", P(("x", "y"))], ids=str
)
def test_an_impossible_out_sharding_is_an_error(mesh, spec):
    a, b = shard_array(mesh, random_array((6, 8)), P("y", "x")), shard_array(mesh, random_array((8, 6)), P("x", "y"))

    def call(a, b):
        return plait.einsum(a, b, "a b, b c -> a c", out_sharding=spec)

    for each in (call, jax.jit(call)):
        with pytest.raises(plait.BackendError, match="PLT509"):
            each(a, b)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.einsum(a, a, "a b, b c -> a c", out_sharding=spec)


def test_partition_specs_use_the_current_mesh():
    a, b = random_array((8, 6)), random_array((6, 8), 1)
    for sizes in ((4, 2), (2, 4), (8, 1)):
        mesh = jax.make_mesh(sizes, ("x", "y"), axis_types=(AxisType.Auto,) * 2)
        with jax.set_mesh(mesh):
            for _ in range(2):
                result = plait.einsum(
                    shard_array(mesh, a, P()), shard_array(mesh, b, P()), "a b, b c -> a c", out_sharding=P("x", "y")
                )
                assert result.sharding.shard_shape(result.shape) == (8 // sizes[0], 8 // sizes[1])
                assert result.sharding.mesh.shape == mesh.shape
    with pytest.raises(plait.BackendError, match="PLT509"):
        plait.einsum(jnp.asarray(a), jnp.asarray(b), "a b, b c -> a c", out_sharding=P("x", "y"))
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    named = NamedSharding(mesh, P("y", "x"))
    result = plait.einsum(shard_array(mesh, a, P()), shard_array(mesh, b, P()), "a b, b c -> a c", out_sharding=named)
    assert result.sharding == named


def test_second_einsum_with_out_sharding_is_a_cache_hit(mesh):
    a, b = shard_array(mesh, random_array((8, 6)), P("x", "y")), shard_array(mesh, random_array((6, 8)), P("y", None))
    plait.einsum(a, b, "a b, b c -> a c", out_sharding=P("x", "y"))
    before = plait.cache_info()
    plait.einsum(a, b, "a b, b c -> a c", out_sharding=P("x", "y"))
    after = plait.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


def test_inside_shard_map(mesh):
    x = shard_array(mesh, random_array((8, 6, 4)), P("x", "y"))

    def local(x):
        patches = plait.rearrange(x, "(a p) b c -> a b (p c)", p=2)
        return patches, lax.psum(plait.reduce(x, "a b c -> c", "sum"), ("x", "y"))

    mapped = jax.shard_map(local, in_specs=P("x", "y"), out_specs=(P("x", "y"), P()))
    patches, total = jax.jit(mapped)(x)
    values = np.asarray(x)
    assert (np.asarray(patches) == values.reshape(4, 2, 6, 4).transpose(0, 2, 1, 3).reshape(4, 6, 8)).all()
    np.testing.assert_allclose(total, values.sum((0, 1)), rtol=1e-4)
    assert count_collectives(mapped, x)["all-reduce"] == 1


def test_a_tensor_stays_on_its_device():
    device = jax.devices()[5]
    x = jax.device_put(random_array((4, 6)), device)
    for result in (
        plait.rearrange(x, "a (b c) -> c a b", b=2),
        plait.reduce(x, "a b -> b", "std"),
        plait.repeat(x, "a b -> (a r) b", r=2),
        plait.einsum(x, x, "a b, c b -> a c"),
        plait.rearrange([x, x], "k a b -> a (k b)"),
        plait.pack([x, x], "a *")[0],
    ):
        assert result.devices() == {device}
    assert (plait.asnumpy(x) == np.asarray(x)).all()
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    assert (plait.asnumpy(shard_array(mesh, random_array((8, 3)), P("x"))) == random_array((8, 3))).all()


def test_examples_of_the_documentation():
    blocks = re.findall(r"^```pycon\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    jax.config.update("jax_traceback_filtering", "off")  # which adds a note to every error
    runner.run(test)
    assert runner.failures == 0
