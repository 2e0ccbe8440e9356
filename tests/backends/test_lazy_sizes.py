"""Lazy sizes of frameworks with unknown lengths, on a minimal framework whose graph is text."""

from __future__ import annotations

import pytest

from plait.backends.common.lazy_sizes import LazySize, LazySizeBackend


class Tensor:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape


class TextSize(str):
    """A size in the graph, whose arithmetic gives text."""

    __slots__ = ()

    def __getitem__(self, dimension):
        return TextSize(f"{self}[{dimension}]")

    def __mul__(self, other):
        return TextSize(f"({self} * {other})")

    def __rmul__(self, other):
        return TextSize(f"({other} * {self})")

    def __floordiv__(self, other):
        return TextSize(f"({self} // {other})")

    def __rsub__(self, other):
        return TextSize(f"({other} - {self})")


class TextBackend(LazySizeBackend):
    def __init__(self):
        self.asked = []

    def shape_tensor(self, tensor):
        self.asked.append(tensor.name)
        return TextSize(tensor.name)

    @staticmethod
    def static_sizes(tensor):
        return tensor.shape


@pytest.fixture
def backend():
    return TextBackend()


def test_known_sizes_are_ints(backend):
    assert backend.shape(Tensor("x", (2, 3))) == (2, 3)
    first, second = backend.shape(Tensor("x", (None, 3)))
    assert type(first) is LazySize
    assert second == 3
    assert backend.static_shape(Tensor("x", (None, 3)), 2) == (None, 3)


def test_an_unknown_rank_makes_every_dimension_unknown(backend):
    shape = backend.shape(Tensor("x", None))
    assert backend.materialize(shape[4]) == "x[4]"
    assert backend.static_shape(Tensor("x", None), 2) == (None, None)


def test_sizes_are_materialized_once_and_on_demand(backend):
    batch, width = backend.shape(Tensor("x", (None, None)))
    merged = 2 * batch * width // 4
    assert not backend.asked
    assert backend.materialize_all([merged, width, 7]) == ["(((2 * x[0]) * x[1]) // 4)", "x[1]", 7]
    assert backend.size_to_user(merged) is backend.materialize(merged)
    assert backend.asked == ["x"]


def test_neutral_arithmetic_adds_nothing_to_the_graph(backend):
    (size,) = backend.shape(Tensor("x", (None,)))
    assert size * 1 is size
    assert 1 * size is size
    assert size // 1 is size
    assert 0 + size is size
    assert size - 0 is size
    assert backend.materialize(1 - size) == "(1 - x[0])"
    with pytest.raises(TypeError):
        size * 0.5


def test_one_unknown_size_is_inferred(backend):
    x = Tensor("x", (None, 6))
    batch, _ = backend.shape(x)
    assert backend.infer_one_size(x, (batch, 2, 3)) == [-1, 2, 3]
    assert backend.infer_one_size(x, (batch * 6,)) == [-1]


@pytest.mark.parametrize(
    ("known", "shape"),
    [
        ((None, None), lambda n, m: (n, m)),
        ((None, None), lambda n, m: (n * m, 1)),
        ((None, 6), lambda n, _: (n // 2, n, 12)),
        ((None, 0), lambda n, _: (n, 0)),
    ],
)
def test_sizes_whose_inference_could_hide_an_error_are_not_inferred(backend, known, shape):
    x = Tensor("x", known)
    new = shape(*backend.shape(x))
    assert backend.infer_one_size(x, new) is new


def test_sizes_from_the_user_are_never_inferred(backend):
    x = Tensor("x", (None, 6))
    batch, _ = backend.shape(x)
    given = backend.size_from_user(TextSize("n"))
    assert given.from_user
    assert (2 * given).from_user
    assert (batch // given).from_user
    assert not batch.from_user
    new = (given, 6)
    assert backend.infer_one_size(x, new) is new
    assert backend.materialize_all(new) == ["n", 6]
    assert backend.is_symbolic_size(given)
