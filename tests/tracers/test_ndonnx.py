"""ndonnx: models with lengths that are known only when they run give what the arrays themselves give."""

from __future__ import annotations

import numpy as np
import pytest

import plait

ndx = pytest.importorskip("ndonnx")
onnxruntime = pytest.importorskip("onnxruntime")

MATRIX = np.linspace(-1.0, 2.0, 24).reshape(4, 6)
BLOCK = np.linspace(-2.0, 1.0, 48).reshape(4, 6, 2)
OTHER = np.linspace(-1.0, 1.0, 18).reshape(6, 3)
VECTOR = np.linspace(0.0, 1.0, 6)
SQUARE = np.linspace(-1.0, 1.0, 9).reshape(3, 3)

CALLS = {
    "transpose": (lambda x: plait.rearrange(x, "a b -> b a"), (MATRIX,)),
    "split": (lambda x: plait.rearrange(x, "a (b c) -> c a b", c=3), (MATRIX,)),
    "merge": (lambda x: plait.rearrange(x, "a b c -> (a b) c"), (BLOCK,)),
    "merge all": (lambda x: plait.rearrange(x, "a b c -> (b c a)"), (BLOCK,)),
    "split and merge": (lambda x: plait.rearrange(x, "(a q) b c -> a (q b c)", q=2), (BLOCK,)),
    "a unit axis": (lambda x: plait.rearrange(x, "a b c -> a 1 c b"), (BLOCK,)),
    "repeat": (lambda x: plait.repeat(x, "a b c -> (r a) b c s", r=2, s=3), (BLOCK,)),
    "pooling": (lambda x: plait.reduce(x, "(a 2) (b 3) c -> c b a", "mean"), (BLOCK,)),
    "logsumexp": (lambda x: plait.reduce(x, "a b c -> b", "logsumexp"), (BLOCK,)),
    "counts": (lambda x: plait.reduce(x, "a b -> a", "sum"), (MATRIX > 0,)),
    "matmul": (lambda x, y: plait.einsum(x, y, "a b, b c -> a c"), (MATRIX, OTHER)),
    "matrix and vector": (lambda x, y: plait.einsum(x, y, "a b, b -> a"), (MATRIX, VECTOR)),
    "elementwise": (lambda x: plait.einsum(x, x, "a b, a b -> b a"), (MATRIX,)),
    "outer": (lambda x: plait.einsum(x, x, "a, b -> a b"), (VECTOR,)),
    "trace": (lambda x: plait.einsum(x, "a a ->"), (SQUARE,)),
    "diagonal": (lambda x: plait.einsum(x, "a a -> a"), (SQUARE,)),
    "batch": (lambda x: plait.einsum(x, x, "a b c, a d c -> a b d"), (BLOCK,)),
    "three operands": (lambda x, y, z: plait.einsum(x, y, z, "a b, b c, b -> a c"), (MATRIX, OTHER, VECTOR)),
    "ellipsis": (lambda x, y: plait.einsum(x, y, "... c d, c -> ... d"), (BLOCK, VECTOR)),
    "heads": (lambda x, y: plait.einsum(x, y, "a (h d) c, d -> a h c"), (BLOCK, VECTOR[:3])),
    "list": (lambda x: plait.rearrange([x, x], "n a b -> a (n b)"), (MATRIX,)),
    "pack": (lambda x, y: plait.pack([x, y], "a *")[0], (MATRIX, BLOCK)),
    "unpack": (lambda x: plait.unpack(x, [(2,), (2, 2)], "a *")[1], (MATRIX,)),
    "compiled": (lambda x: plait.compile("a b -> b a").rearrange(x), (MATRIX,)),
    "pipeline": (
        (plait.compile("a b -> b a") >> plait.compile("b a -> (b a)")).rearrange,
        (MATRIX,),
    ),
}


@pytest.mark.parametrize("unknown", [1, 2], ids=["first", "first two"])
@pytest.mark.parametrize("name", CALLS)
def test_a_model_with_unknown_lengths(name, unknown):
    call, arrays = CALLS[name]
    expected = call(*arrays)
    if name in ("trace", "diagonal"):
        unknown = 2
    arguments = [
        ndx.argument(
            shape=tuple(f"n{place}" if place < unknown else size for place, size in enumerate(array.shape)),
            dtype=ndx.asarray(array).dtype,
        )
        for array in arrays
    ]
    for _ in range(2):
        result = call(*arguments)
        model = ndx.build({f"x{place}": each for place, each in enumerate(arguments)}, {"result": result})
        session = onnxruntime.InferenceSession(model.SerializeToString())
        names = [each.name for each in session.get_inputs()]
        (got,) = session.run(None, dict(zip(names, arrays, strict=True)))
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_known_lengths_stay_known():
    batch = ndx.argument(shape=("N", 6), dtype=ndx.float32)
    assert plait.rearrange(batch, "n (h d) -> n h d", d=3).shape == (None, 2, 3)
    assert plait.repeat(batch, "n d -> n d 1").shape == (None, 6, 1)
    assert plait.parse_shape(batch, "n d")["d"] == 6


def test_mistakes_are_found_while_the_graph_is_built():
    batch = ndx.argument(shape=("N", 6), dtype=ndx.float32)
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(batch, "n (h d) -> n h d", d=4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.einsum(batch, ndx.asarray(np.ones((5, 3), np.float32)), "n a, a b -> n b")
    with pytest.raises(plait.BackendError, match="PLT507"):
        plait.view(batch, "n d -> (n d)")
    with pytest.raises(plait.BackendError, match="PLT508"):
        plait.asnumpy(batch)
