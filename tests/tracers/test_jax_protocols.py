"""Objects that stand for JAX arrays, such as ``nnx.Param``, and the sparse arrays of JAX."""

from __future__ import annotations

import numpy as np
import pytest

import plait

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax.experimental import sparse  # noqa: E402

MATRIX = np.linspace(-1.0, 2.0, 24, dtype=np.float32).reshape(4, 6)

CALLS = {
    "rearrange": lambda x: plait.rearrange(x, "a (b c) -> c a b", c=3),
    "identity": lambda x: plait.rearrange(x, "a b -> a b"),
    "reduce": lambda x: plait.reduce(x, "a b -> a", "logsumexp"),
    "repeat": lambda x: plait.repeat(x, "a b -> a b r", r=2),
    "einsum": lambda x: plait.einsum(x, x, "a b, c b -> a c"),
    "einsum with an array": lambda x: plait.einsum(x, jnp.ones((6, 2)), "a b, b c -> a c"),
    "list": lambda x: plait.rearrange([x, x], "n a b -> a (n b)"),
    "mixed list": lambda x: plait.reduce([x, jnp.ones((4, 6))], "n a b -> a b", "max"),
    "pack": lambda x: plait.pack([x, x], "a *")[0],
    "unpack": lambda x: plait.unpack(x, [(2,), (2, 2)], "a *")[1],
    "compiled": lambda x: plait.compile("a b -> b a").rearrange(x),
    "pipeline": (plait.compile("a b -> b a") >> plait.compile("b a -> (b a)")).rearrange,
}


class Parameter:
    """Stands for an array, as ``flax.nnx.Param`` does, by the protocol of JAX."""

    def __init__(self, value):
        self.value = value
        self.shape, self.dtype = value.shape, value.dtype

    def __jax_array__(self):
        return self.value


def parameter_classes():
    yield Parameter
    try:
        from flax import nnx
    except ImportError:
        return
    yield from (nnx.Param, nnx.Variable, nnx.BatchStat)


@pytest.mark.parametrize("cls", list(parameter_classes()))
@pytest.mark.parametrize("name", CALLS)
def test_objects_that_stand_for_an_array(cls, name):
    call, array = CALLS[name], jnp.asarray(MATRIX)
    for _ in range(2):
        result = call(cls(array))
        assert isinstance(result, jax.Array)
        np.testing.assert_allclose(result, call(array), rtol=1e-6)
    gradient = jax.grad(lambda x: call(cls(x)).sum())(array)
    np.testing.assert_allclose(gradient, jax.grad(lambda x: call(x).sum())(array), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda x: call(cls(x)))(array), call(array), rtol=1e-5)


def test_shape_and_numbers_of_an_object_that_stands_for_an_array():
    parameter = Parameter(jnp.asarray(MATRIX))
    assert plait.parse_shape(parameter, "a b") == {"a": 4, "b": 6}
    assert isinstance(plait.asnumpy(parameter), np.ndarray)
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(parameter, "a (b c) -> a b c", c=5)


BLOCK = np.where(np.arange(24) % 5 == 0, 0, np.arange(24)).reshape(2, 3, 4).astype(np.float32)

SPARSE_CALLS = {
    "rearrange": lambda x: plait.rearrange(x, "a b c -> c (b a)"),
    "split": lambda x: plait.rearrange(x, "a b (c d) -> a d b c", d=2),
    "repeat": lambda x: plait.repeat(x, "a b c -> (r a) b c s", r=2, s=3),
    "sum": lambda x: plait.reduce(x, "a b (c 2) -> c a", "sum"),
    "mean": lambda x: plait.reduce(x, "a b c -> 1 b", "mean"),
    "mean of all": lambda x: plait.reduce(x, "a b c ->", "mean"),
    "einsum": lambda x: plait.einsum(x, x, "a b c, d b c -> a d"),
    "einsum with an array": lambda x: plait.einsum(x, jnp.ones((4, 2)), "a b c, c d -> a b d"),
    "einsum of one": lambda x: plait.einsum(x, "a b c -> c"),
    "list": lambda x: plait.rearrange([x, x], "n a b c -> (a n) b c"),
    "unpack": lambda x: plait.unpack(x, [(1,), (3,)], "a b *")[1],
    "compiled": lambda x: plait.compile("a b c -> c b a").rearrange(x),
}


@pytest.mark.parametrize("layout", [(0, 0), (1, 0), (0, 1)], ids=["sparse", "batch", "dense"])
@pytest.mark.parametrize("name", SPARSE_CALLS)
def test_sparse_arrays(name, layout):
    call, (batch, dense) = SPARSE_CALLS[name], layout
    tensor = sparse.BCOO.fromdense(jnp.asarray(BLOCK), n_batch=batch, n_dense=dense)
    for run in (call, call, jax.jit(call)):
        result = plait.asnumpy(run(tensor))
        expected = call(jnp.asarray(BLOCK))
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_sparse_matrices_by_rows():
    tensor = sparse.BCSR.fromdense(jnp.asarray(BLOCK[0]))
    result = plait.rearrange(tensor, "a b -> b a")
    assert isinstance(result, sparse.BCOO)
    np.testing.assert_array_equal(result.todense(), BLOCK[0].T)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: plait.reduce(x, "a b -> a", "max"),
        lambda x: plait.reduce(x, "a b -> a", "logsumexp"),
        lambda x: plait.einsum(x, x, "a b, a b -> a b"),
        lambda x: plait.einsum(x[:3, :3], "a a ->"),
    ],
)
def test_what_jax_has_no_sparse_rule_for(call):
    with pytest.raises(plait.BackendError, match=r"PLT514.*x\.todense\(\)"):
        call(sparse.BCOO.fromdense(jnp.asarray(MATRIX)))


def test_a_ref_is_told_to_be_read_and_other_objects_are_not():
    with pytest.raises(plait.BackendError, match=r"ref\[\.\.\.\]"):
        plait.rearrange(jax.new_ref(jnp.ones((2, 3))), "a b -> b a")
    with pytest.raises(plait.BackendError, match="PLT502") as caught:
        plait.rearrange(sparse.COO.fromdense(jnp.ones((2, 3))), "a b -> b a")
    assert "ref" not in caught.value.message.lower()
    assert "todense" in caught.value.message
