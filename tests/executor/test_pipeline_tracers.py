"""Pipelines with PyTorch and JAX, eager and under their compilers."""

from __future__ import annotations

import pytest

import plait

np = pytest.importorskip("numpy")

from pipelines import to_pattern  # noqa: E402


def test_pipeline_of_torch_tensors_equals_numpy():
    torch = pytest.importorskip("torch")
    x = torch.arange(120).reshape(2, 12, 5)
    split = to_pattern("a (b r) c -> r (a b) c", r=3)
    assert (split >> split.inverse(a=2)).rearrange(x) is x
    composed = split >> to_pattern("r n c -> (c n) r")
    assert composed.rearrange(x).tolist() == composed.rearrange(x.numpy()).tolist()
    assert composed.view(x[:, :, :1]).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_pipeline_compiles_under_torch_compile(dynamic):
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    moved = to_pattern("a (b r) c -> r (a b) c", r=3) >> to_pattern("r n c -> (c n) r")
    reduced = (
        to_pattern("a (b r) c -> r (a b) c", r=3)
        >> to_pattern("r n c -> r n c k", k=2)
        >> to_pattern("r n c k -> (k n) c")
    )
    product = to_pattern("a b c -> c (a b)") >> to_pattern("c n, c k -> n k") >> to_pattern("... -> (...)")
    awkward = to_pattern("a b c -> a (b c)") >> to_pattern("a (d e) -> d e a", d=4)

    def function(x, w):
        return moved.rearrange(x), reduced.reduce(x, "max"), product.einsum(x, w), awkward.rearrange(x)

    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="eager")
    for size in (2, 3):
        x, w = torch.randn(size, 12, 5), torch.randn(5, 7)
        for ours, theirs in zip(compiled(x, w), function(x, w), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_pipeline_error_under_torch_compile():
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    composed = to_pattern("a b -> b a") >> to_pattern("b a -> b")

    def function(x):
        try:
            return composed.rearrange(x)
        except plait.AxisError as error:
            return x + len(error.code)

    x = torch.zeros(2, 3)
    assert torch.equal(torch.compile(function, backend="eager")(x), x + 6)


def test_pipeline_under_jax_jit():
    jax = pytest.importorskip("jax")
    x = jax.numpy.arange(120.0).reshape(2, 12, 5)
    split = to_pattern("a (b r) c -> r (a b) c", r=3)
    composed = split >> to_pattern("r n c -> (c n) r")
    assert jax.jit(composed.rearrange)(x).tolist() == composed.rearrange(np.asarray(x)).tolist()
    assert not jax.make_jaxpr((split >> split.inverse(a=2)).rearrange)(x).eqns
    product = to_pattern("a b c -> c (a b)") >> to_pattern("c n, c k -> n k")
    w = jax.numpy.arange(10.0).reshape(5, 2)
    assert jax.jit(product.einsum)(x, w).tolist() == product.einsum(np.asarray(x), np.asarray(w)).tolist()
    assert product.einsum(x, w, precision="highest").shape == (24, 2)
    (b,) = jax.export.symbolic_shape("b")
    exported = jax.export.export(jax.jit(composed.rearrange))(jax.ShapeDtypeStruct((b, 12, 5), x.dtype))
    assert exported.call(x).tolist() == composed.rearrange(x).tolist()
