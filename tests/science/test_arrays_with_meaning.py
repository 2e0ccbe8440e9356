"""Masks, units, finite fields and attributes are kept by every operation: each result is that of the class's own."""

from __future__ import annotations

import warnings
from itertools import permutations

import numpy as np
import pytest
from science.arrays_with_meaning import ARRAY_CLASSES, make, meaning, named, parametrize_classes, pint_registry

import plait

pytestmark = pytest.mark.filterwarnings("ignore:AffineScalarFunc:FutureWarning")  # uncertainties, of its own comparison

NUMBERS = np.array([[1, 2, 3], [4, 5, 6]])


def call_twice_and_compare(call):
    """The result of a call, which the second call, out of the cache, must give too."""
    first = call()
    assert meaning(call()) == meaning(first)
    return first


@parametrize_classes()
def test_movements(cls):
    array = make(cls, NUMBERS)
    expected = np.reshape(np.transpose(array, (1, 0)), (6,))
    assert meaning(call_twice_and_compare(lambda: plait.rearrange(array, "a b -> (b a)"))) == meaning(expected)
    assert meaning(call_twice_and_compare(lambda: plait.compile("a b -> (b a)").rearrange(array))) == meaning(expected)
    assert meaning(call_twice_and_compare(lambda: plait.view(array, "a b -> b a"))) == meaning(
        np.transpose(array, (1, 0))
    )
    first, last = plait.unpack(array, [(1,), ()], "* b")
    assert meaning(first) == meaning(array[:1])
    assert meaning(last) == meaning(array[1])


@parametrize_classes()
def test_repeat_gives_new_writable_memory(cls):
    array = make(cls, NUMBERS)
    expected = [np.reshape(array[row, column], ()) for row in (0, 1) for column in (0, 1, 2) for _ in (0, 1)]
    for pattern in ("a b -> a b r", "a b -> a (b r)", "a b -> (a b r)"):
        result = call_twice_and_compare(lambda pattern=pattern: plait.repeat(array, pattern, r=2))
        assert type(result) is type(array)
        flat = np.reshape(result, (12,))
        assert [meaning(np.reshape(flat[place], ()))[1:] for place in range(12)] == [
            meaning(each)[1:] for each in expected
        ]
        assert np.asarray(getattr(result, "magnitude", result)).flags.writeable
        result[...] = result[:1][..., :1] if result.ndim > 1 else result[:1]  # does not change the array
        assert meaning(array) == meaning(make(cls, NUMBERS))


REDUCTIONS = ("sum", "prod", "min", "max", "any", "all", "mean", "std", "var", "logsumexp")


@parametrize_classes()
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions(cls, reduction, record_refusal):
    array = make(cls, NUMBERS)
    if reduction in cls.undefined_reductions:
        record_refusal(reduction, "PLT503")
        for pattern in ("a b -> a", "a b ->"):
            with pytest.raises(plait.BackendError, match=rf"PLT503.*{reduction} is not defined on") as caught:
                plait.reduce(array, pattern, reduction)
            assert "\n" not in caught.value.message
        return
    one, both = (call_twice_and_compare(lambda p=p: plait.reduce(array, p, reduction)) for p in ("a b -> b", "a b ->"))
    as_list = plait.reduce([array, array], "n a b -> n b", reduction)
    if reduction == "logsumexp":
        expected = np.log(np.sum(np.exp(array), axis=0)), np.log(np.sum(np.exp(array)))
    elif reduction in ("std", "var") and cls.name in ("uncertainties", "object"):
        deviations = array - array.sum(axis=0) / 2
        variance = (deviations * deviations).sum(axis=0) / 2
        expected = variance ** (0.5 if reduction == "std" else 1), None
    else:
        function = getattr(np, reduction)
        by_axis = reduction in ("sum", "prod", "min", "max", "any", "all")
        expected = function(array, axis=0), function(function(array, axis=1), axis=0) if by_axis else function(array)
    assert meaning(one) == meaning(expected[0])
    assert meaning(as_list[1]) == meaning(expected[0])
    if expected[1] is not None:
        assert meaning(both)[1:] == meaning(expected[1])[1:]


EINSUM_PATTERNS_AND_SHAPES = (
    ("a b, b c -> a c", ((2, 3), (3, 2))),
    ("a b, c b -> a c", ((2, 3), (2, 3))),
    ("a b, a b -> a b", ((2, 3), (2, 3))),
    ("a b, a b -> b", ((2, 3), (2, 3))),
    ("a b, a b ->", ((2, 3), (2, 3))),
    ("i, j -> j i", ((2,), (3,))),
    ("n a b, n b c -> n a c", ((2, 1, 3), (2, 3, 1))),
    ("a b -> b", ((2, 3),)),
    ("a a -> a", ((2, 2),)),
    ("a b, b c, c d -> a d", ((2, 3), (3, 1), (1, 2))),
    ("a (h b), c (h b) -> h a c", ((2, 4), (1, 4))),
)


def einsum_by_definition(pattern, arrays):
    """The sum of the products, by the operators ``*`` and ``+`` of the class or its own sum, element by element."""
    left, right = pattern.split("->")
    if "(h b)" in left:
        arrays = [np.reshape(array, (array.shape[0], 2, 2)) for array in arrays]
        left = left.replace("(h b)", "h b")
    terms, output = [term.split() for term in left.split(",")], right.split()
    names = list(dict.fromkeys(name for term in terms for name in term))
    sizes = {
        name: size
        for term, array in zip(terms, arrays, strict=True)
        for name, size in zip(term, array.shape, strict=True)
    }
    summed = [name for name in names if name not in output]
    order = [*output, *summed]
    product = None
    if terms == [["a", "a"]]:  # a diagonal
        arrays, terms = [np.diagonal(arrays[0])], [["a"]]
    for term, array in zip(terms, arrays, strict=True):
        moved = np.transpose(array, [term.index(name) for name in order if name in term])
        moved = np.reshape(moved, tuple(sizes[name] if name in term else 1 for name in order))
        product = moved if product is None else product * moved
    for _ in summed:
        product = np.sum(product, axis=len(product.shape) - 1)
    return product


@parametrize_classes()
@pytest.mark.parametrize(
    ("pattern", "shapes"), EINSUM_PATTERNS_AND_SHAPES, ids=[pattern for pattern, _ in EINSUM_PATTERNS_AND_SHAPES]
)
def test_einsum(cls, pattern, shapes, record_refusal):
    arrays = [make(cls, np.arange(np.prod(shape)).reshape(shape) % 6 + 1) for shape in shapes]
    sizes = {"h": 2} if "h" in pattern else {}
    if (
        cls.name == "astropy.Magnitude"
        and len(arrays) > 1
        and pattern != "a b, a b -> a b"
        and pattern != "i, j -> j i"
    ):
        record_refusal("einsum with a sum of products", "PLT503")
        with pytest.raises(plait.BackendError, match=r"PLT503.*einsum is not defined on Magnitude"):
            plait.einsum(*arrays, pattern, **sizes)
        return
    result = call_twice_and_compare(lambda: plait.einsum(*arrays, pattern, **sizes))
    assert meaning(plait.compile(pattern, **sizes).einsum(*arrays)) == meaning(result)
    assert meaning(result)[1:] == meaning(einsum_by_definition(pattern, arrays))[1:]
    assert isinstance(result, type(arrays[0])) or np.shape(result) == () or cls.name == "astropy.Magnitude"


@parametrize_classes([cls for cls in ARRAY_CLASSES if cls.name not in ("galois", "astropy.Magnitude")])
@pytest.mark.parametrize("pattern", ["a b, a b -> a b", "a b, c b -> a c", "a b, a b ->"])
def test_einsum_with_plain_arrays(cls, pattern):
    array, plain = make(cls, NUMBERS), NUMBERS + 1.0
    if cls.name == "object":
        plain = NUMBERS + 1
    for arrays in ([array, plain], [plain, array]):
        expected = einsum_by_definition(pattern, arrays)
        assert (
            meaning(call_twice_and_compare(lambda arrays=arrays: plait.einsum(*arrays, pattern)))[1:]
            == meaning(expected)[1:]
        )


@parametrize_classes([cls for cls in ARRAY_CLASSES if cls.name == "galois"])
def test_einsum_of_a_finite_field_with_plain_arrays_is_refused(cls, record_refusal):
    """Its own product of matrices takes elements of the field alone."""
    record_refusal("einsum with plain arrays", "PLT503")
    with pytest.raises(plait.BackendError, match=r"PLT503.*einsum is not defined on .*FieldArray"):
        plait.einsum(make(cls, NUMBERS), NUMBERS, "a b, c b -> a c")


@parametrize_classes()
def test_lists_and_packs_of_one_class(cls):
    array, other = make(cls, NUMBERS), make(cls, NUMBERS[::-1])
    stacked = call_twice_and_compare(lambda: plait.rearrange([array, other], "n a b -> a n b"))
    assert type(stacked) is type(array)
    assert meaning(stacked[:, 0]) == meaning(array)
    assert meaning(stacked[:, 1]) == meaning(other)
    packed, _ = plait.pack([array, other[0]], "* b")
    assert meaning(packed[:2]) == meaning(array)
    assert meaning(packed[2]) == meaning(other[0])


KEPT_BESIDE_PLAIN = ("numpy.ma", "object", "named", "astropy.Masked", "uncertainties", "quaddtype")


@parametrize_classes()
@pytest.mark.parametrize("order", [*permutations((0, 1, 2))])
def test_lists_with_plain_arrays(cls, order, record_refusal):
    """A mask is kept wherever in the list it is; metres beside bare numbers are an error."""
    array, plain = make(cls, NUMBERS), NUMBERS[::-1] + 0
    tensors = [[array, plain, plain][place] for place in order]
    where = order.index(0)
    if cls.name not in KEPT_BESIDE_PLAIN:
        record_refusal("a list with plain arrays", "PLT308")
        for call in (
            lambda: plait.rearrange(tensors, "n a b -> n a b"),
            lambda: plait.reduce(tensors, "n a b -> a b", "max"),
            lambda: plait.pack(tensors, "* b"),
        ):
            with pytest.raises(plait.SizeError, match=r"PLT308.*cannot be joined"):
                call()
        return
    stacked = call_twice_and_compare(lambda: plait.rearrange(tensors, "n a b -> n a b"))
    assert meaning(stacked[where])[1:] == meaning(array)[1:]
    assert meaning(plait.repeat(tensors, "n a b -> n a b r", r=2)[where, ..., 1])[1:] == meaning(array)[1:]
    assert meaning(plait.compile("n a b -> n a b").rearrange(tensors)[where])[1:] == meaning(array)[1:]
    packed, _ = plait.pack(tensors, "* b")
    assert meaning(packed[2 * where : 2 * where + 2])[1:] == meaning(array)[1:]
    if cls.name == "numpy.ma":
        expected = np.ma.sum(np.ma.stack(tensors), axis=0)
        assert meaning(plait.reduce(tensors, "n a b -> a b", "sum")) == meaning(expected)


def test_units_of_products_multiply():
    unyt = pytest.importorskip("unyt")
    metres, seconds = unyt.unyt_array(NUMBERS * 1.0, "m"), unyt.unyt_array(NUMBERS.T * 1.0, "s")
    result = plait.einsum(metres, seconds, "a b, b c -> a c")
    assert str(result.units) == "m*s"
    assert result.value.tolist() == (NUMBERS @ NUMBERS.T).tolist()
    assert str(plait.einsum(metres, metres, metres, "a b, a b, a b ->").units) == "m**3"


def test_units_are_converted_in_lists():
    units = pytest.importorskip("astropy.units")
    metres, centimetres = [1.0, 2.0] * units.m, [100.0, 300.0] * units.cm
    assert (plait.rearrange([metres, centimetres], "n a -> (n a)") == [1, 2, 1, 3] * units.m).all()
    quantities = pytest.importorskip("quantities")
    metres, centimetres = [1.0, 2.0] * quantities.m, [100.0, 300.0] * quantities.cm
    result = plait.rearrange([metres, centimetres], "n a -> (n a)")
    assert result.magnitude.tolist() == [1, 2, 1, 3]
    assert result.dimensionality == quantities.m.dimensionality
    pytest.importorskip("pint")
    quantity = pint_registry().Quantity
    metres, centimetres = quantity(np.array([1.0, 2.0]), "m"), quantity(np.array([100.0, 300.0]), "cm")
    assert (plait.pack([metres, centimetres], "*")[0] == quantity(np.array([1.0, 2.0, 1.0, 3.0]), "m")).all()


def test_pint_on_every_path():
    pytest.importorskip("pint")
    quantity = pint_registry().Quantity
    length = quantity(np.arange(24.0).reshape(2, 3, 4), "m")
    pooled = plait.reduce(length, "a b (c 2) -> a b c", "max")
    assert (pooled == quantity(length.magnitude.reshape(2, 3, 2, 2).max(3), "m")).all()
    both = plait.compile("a b c -> (a b) c") >> plait.compile("x (c 2) -> c x")
    assert (both.reduce(length, "max") == plait.rearrange(pooled, "a b c -> c (a b)")).all()
    assert plait.parse_shape(length, "a _ c") == {"a": 2, "c": 4}
    assert plait.explain("a b c -> c b a", length)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert plait.asnumpy(length).tolist() == length.magnitude.tolist()
    assert [warning.category.__name__ for warning in caught] == ["UnitStrippedWarning"]
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(length, "(a d) b c -> a b c d", d=5)
    with pytest.raises(plait.BackendError, match="PLT504"):
        plait.einsum(length, pytest.importorskip("dask.array").ones((2, 3, 4)), "a b c, a b c ->")


WITHOUT_UNIT_MAKERS = {
    "astropy.units": lambda module, array: array * module.one,
    "astropy.utils.masked": lambda module, array: module.Masked(array),
    "unyt": lambda module, array: module.unyt_array(array, "dimensionless"),
    "quantities": lambda module, array: array * module.dimensionless,
    "pint": lambda _, array: pint_registry().Quantity(array, ""),
    "numpy": lambda _, array: named(array),
}
"""Functions of a module and a plain array that make arrays of which a ``logsumexp`` is defined."""


def test_classes_that_numpy_does_not_accept_are_named():
    class Duck(np.lib.mixins.NDArrayOperatorsMixin):
        shape, dtype = (2, 3), np.dtype(float)

        def __array_ufunc__(self, *_, **__):
            return NotImplemented

    with pytest.raises(plait.BackendError, match=r"PLT502.*Duck.*__array_function__.*numpy.asarray"):
        plait.rearrange(Duck(), "a b -> b a")


@pytest.mark.parametrize("name", [*WITHOUT_UNIT_MAKERS])
@pytest.mark.parametrize(
    "numbers",
    [NUMBERS, [[0.0, -40.0]], [[-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 2.0]], np.zeros((3, 0)), np.zeros((0, 3))],
    ids=["integers", "far apart", "infinite", "no columns", "no rows"],
)
def test_logsumexp_of_numbers_without_a_unit(name, numbers):
    """It equals that of plain arrays, which does not lose the small one of two numbers."""
    plain = np.asarray(numbers, float)
    array = WITHOUT_UNIT_MAKERS[name](pytest.importorskip(name), plain)
    for pattern in ("a b -> a", "a b -> b", "a b ->"):
        result = plait.reduce(array, pattern, "logsumexp")
        for attribute in ("magnitude", "unmasked"):
            result = getattr(result, attribute, result)
        np.testing.assert_allclose(np.asarray(result), plait.reduce(plain, pattern, "logsumexp"), rtol=1e-14)


def test_einsum_of_no_elements_is_zero_and_not_masked():
    """As the sum of no elements is; `numpy.ma.dot` masks it."""
    first, second = np.ma.masked_array(np.zeros((2, 0))), np.ma.masked_array(np.zeros((0, 3)))
    for pattern in ("a b, b c -> a c", "a b, b c -> a"):
        result = plait.einsum(first, second, pattern)
        assert not np.ma.getmaskarray(result).any()
        assert not result.data.any()
    assert plait.reduce(first, "a b -> a", "sum").tolist() == [0, 0]


def test_a_class_with_array_function_alone():
    """It needs no other method for movements, reductions and lists; what it lacks is named."""

    class Boxed:
        shape, dtype = property(lambda self: self.array.shape), property(lambda self: self.array.dtype)

        def __init__(self, array):
            self.array = array

        def __array_function__(self, function, types, arguments, keywords):
            def unboxed(value):
                if isinstance(value, (list, tuple)) and any(isinstance(each, Boxed) for each in value):
                    return [unboxed(each) for each in value]
                return value.array if isinstance(value, Boxed) else value

            return Boxed(function(*map(unboxed, arguments), **keywords))

    boxed = Boxed(NUMBERS)
    assert plait.rearrange(boxed, "a b -> (b a)").array.tolist() == [1, 4, 2, 5, 3, 6]
    assert plait.reduce(boxed, "a b -> a", "sum").array.tolist() == [6, 15]
    assert plait.repeat(boxed, "a b -> a b r", r=2).array[1, 2].tolist() == [6, 6]
    assert plait.rearrange([boxed, boxed], "n a b -> a n b").array.shape == (2, 2, 3)
    for call, code in (
        (lambda: plait.view(boxed, "a b -> b a"), "PLT507"),
        (lambda: plait.einsum(boxed, boxed, "a b, c b -> a c"), "PLT503"),
        (lambda: plait.asnumpy(boxed), "PLT508"),
    ):
        with pytest.raises(plait.BackendError, match=code):
            call()
