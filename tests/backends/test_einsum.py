"""``einsum`` on every framework, compared with NumPy's, the framework's own, and the definition.

The elements are small integers, so that sums are exact in any order and results are compared exactly.
"""

from __future__ import annotations

import functools
from itertools import pairwise, permutations, product

import ml_dtypes
import numpy as np
import pytest
from einsum_strategies import (
    assert_equal,
    classical_equations,
    einsum_patterns,
    expected_einsum,
    expected_gradients,
    given_for_framework,
    integer_arrays,
    random_integer_array,
)
from hypothesis import strategies as st

import plait
from backends.frameworks import FRAMEWORKS, FRAMEWORKS_WITH_GRADIENTS, parametrize_by_framework
from plait.testing._cases import EINSUM_CASES, EinsumCase

pytestmark = pytest.mark.filterwarnings(r"ignore:\[PLT602\]:plait.AxisWarning")  # equations such as "a...bbb,...bbb"

EINSUM_AND_ERRORS_FUNCTION_BY_FRAMEWORK = {
    "numpy": lambda numpy: (numpy.einsum, ()),
    "torch": lambda torch: (torch.einsum, RuntimeError),
    "tensorflow": lambda tf: (tf.einsum, tf.errors.OpError),
    "jax": lambda jax: (jax.numpy.einsum, ()),
}
"""By framework whose einsum accepts NumPy's equations: its einsum, and the errors of what it does not support."""

FRAMEWORKS_WITH_EINSUM = tuple(
    framework for framework in FRAMEWORKS if framework.name in EINSUM_AND_ERRORS_FUNCTION_BY_FRAMEWORK
)
FRAMEWORKS_WITH_STRIDES = tuple(framework for framework in FRAMEWORKS if framework.name in ("numpy", "torch"))


def frameworks_without(name):
    return tuple(framework for framework in FRAMEWORKS if framework.name != name)


def framework_einsum_and_errors(framework):
    return EINSUM_AND_ERRORS_FUNCTION_BY_FRAMEWORK[framework.name](framework.module())


@parametrize_by_framework()
def test_equations_agree_with_numpy(framework):
    @given_for_framework(framework, classical_equations())
    def _(case):
        arrays = integer_arrays(case.shapes)
        result = plait.einsum(case.text, *map(framework.make, arrays))
        assert framework.shape(result) == np.einsum(case.text, *arrays).shape
        assert_equal(result, np.einsum(case.text, *arrays))


@parametrize_by_framework()
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        (",kk->", [(), (2, 2)]),
        ("...,kk", [(2,), (2, 2)]),
        ("k,kkk,k", [(0,), (0, 0, 0), (0,)]),
        ("i...k->...", [(2, 1, 0)]),
        ("...b,,->...", [(2, 0), (), ()]),
        ("iiB->", [(1, 1, 2)]),
        ("aa...", [(1, 1, 1)]),
        ("bba...a", [(1, 1, 1, 1, 1)]),
        ("...,...,,", [(1, 1), (1,), (), ()]),
        ("...i,...,...j->ij...", [(2, 1, 3), (2, 1), (3, 2)]),
        ("ab,c,bcd,aae->abde", [(3, 0), (3,), (0, 3, 2), (3, 3, 2)]),
    ],
)
def test_equations_that_some_framework_computes_wrongly(framework, equation, shapes):
    arrays = integer_arrays(shapes)
    assert_equal(plait.einsum(equation, *map(framework.make, arrays)), np.einsum(equation, *arrays))


@parametrize_by_framework(FRAMEWORKS_WITH_EINSUM)
def test_equations_agree_with_the_einsum_of_the_framework(framework):
    own, refusal = framework_einsum_and_errors(framework)

    @given_for_framework(
        framework, classical_equations(), st.sampled_from(["float32", "float64", "int32", "int64", "complex64"])
    )
    def _(case, dtype):
        tensors = list(map(framework.make, integer_arrays(case.shapes, dtype)))
        result = plait.einsum(case.text, *tensors)
        assert_equal(result, np.einsum(case.text, *integer_arrays(case.shapes, dtype)))
        try:
            expected = own(case.text, *tensors)
        except refusal:
            assert KNOWN_DIFFERENCES[framework.name](case, dtype)
            return
        except ArithmeticError:  # opt_einsum 3.3, by which torch finds a path, divides by the length 0
            assert any(0 in shape for shape in case.shapes)
            return
        assert result.shape == expected.shape
        numpy_result = np.einsum(case.text, *integer_arrays(case.shapes, dtype))
        assert_expected_dtype_and_values(result, expected, numpy_result)


def assert_expected_dtype_and_values(result, expected, numpy_result):
    """Assert that dtype and values are the framework's, or for integers those that plait's rules say."""
    if str(expected.dtype) == "torch.int64" and numpy_result.dtype != np.int64:  # PyTorch widens sums of integers
        assert str(result.dtype) == f"torch.{numpy_result.dtype}"
        assert_equal(result, numpy_result)
    else:
        assert result.dtype == expected.dtype
        assert_equal(result, plait.asnumpy(expected))


def is_widened_by_torch(case, dtype):
    """Whether PyTorch sums an axis of one operand before it multiplies, which gives int64 for int32."""
    left, arrow, output = case.text.partition("->")
    terms = [{*term} - {*" ."} for term in left.split(",")]
    kept = output if arrow else [letter for letter in left if left.count(letter) == 1]
    alone = [letter for letter in set().union(*terms).difference(kept) if sum(letter in term for term in terms) == 1]
    return dtype == "int32" and len(terms) > 1 and alone


def has_ellipses_without_arrow(case, dtype):
    """Whether several operands have ``...`` and the output is implicit, where TensorFlow omits ``...`` and fails."""
    terms = case.text.replace(" ", "").split(",")
    dotted = [(term, shape) for term, shape in zip(terms, case.shapes, strict=True) if "..." in term]
    return "->" not in case.text and len(dotted) > 1 and any(len(shape) > len(term) - 3 for term, shape in dotted)


KNOWN_DIFFERENCES = {"torch": is_widened_by_torch, "tensorflow": has_ellipses_without_arrow}
"""The equations that a framework's own einsum refuses, and plait does not."""


@parametrize_by_framework()
def test_named_patterns_agree_with_the_definition_of_einsum(framework):
    @given_for_framework(framework, einsum_patterns())
    def _(case):
        arrays = integer_arrays(case.shapes)
        result = plait.einsum(*map(framework.make, arrays), case.text, **case.sizes)
        expected = expected_einsum(case.text, arrays, case.sizes)
        assert framework.shape(result) == expected.shape
        assert_equal(result, expected)


def fortran_order(framework, array):
    axes = tuple(range(array.ndim))
    return framework.module().moveaxis(framework.make(array.T.copy()), axes, axes[::-1])


def permuted(framework, array):
    return framework.module().moveaxis(framework.make(np.moveaxis(array, 0, -1).copy()), -1, 0)


def with_step(framework, array):
    wide = framework.make(array.repeat(2, 0).repeat(3, -1))
    return wide[::2, ..., 1::3] if array.ndim > 1 else wide[3::6]


def broadcast(framework, array):
    return framework.module().broadcast_to(framework.make(array[:1]), array.shape)


def reversed_view(framework, array):
    if framework.name == "torch":
        pytest.skip("PyTorch has no negative strides")
    return array[::-1, ..., ::-1] if array.ndim > 1 else array[::-1]


@parametrize_by_framework(FRAMEWORKS_WITH_STRIDES)
@pytest.mark.parametrize("layout", [fortran_order, permuted, with_step, broadcast, reversed_view])
def test_results_do_not_depend_on_strides(framework, layout):
    layout(framework, np.zeros(2))

    @given_for_framework(framework, classical_equations(), st.lists(st.booleans(), min_size=4, max_size=4))
    def _(case, strided):
        tensors = [
            layout(framework, array) if array.ndim and yes else framework.make(array)
            for array, yes in zip(integer_arrays(case.shapes), strided, strict=False)
        ]
        arrays = [plait.asnumpy(tensor).copy(order="C") for tensor in tensors]
        assert [array.shape for array in arrays] == list(case.shapes)
        assert_equal(plait.einsum(case.text, *tensors), np.einsum(case.text, *arrays))


@parametrize_by_framework(
    frameworks_without("ndonnx")
)  # a product of matrices takes it a third of a second; its backend is that of array_api_strict
def test_chain_of_sixty_matrices_equals_numpy(framework):
    names = [f"a{number}" for number in range(61)]
    steps = np.array([[[1, 1], [0, 1]], [[1, 0], [1, 1]], [[0, 1], [1, 0]]], float)  # products stay below 2^53
    arrays = list(steps[np.random.default_rng(0).integers(0, 3, 60)])
    pattern = ", ".join(map(" ".join, pairwise(names))) + " -> a0 a60"
    assert_equal(plait.einsum(*map(framework.make, arrays), pattern), functools.reduce(np.matmul, arrays))


@parametrize_by_framework(frameworks_without("ndonnx"))  # as above
def test_thirty_vectors_are_summed_before_they_are_multiplied(framework):
    vectors = [np.array([number, 1.0 - number - 2 * (number % 2)]) for number in range(30)]  # each sums to 1 or -1
    pattern = ", ".join(f"a{number}" for number in range(30)) + " ->"
    assert_equal(plait.einsum(*map(framework.make, vectors), pattern), -1.0)  # the product of all is 8 gigabytes


@parametrize_by_framework()
def test_more_axis_names_than_letters(framework):
    own = [" ".join(f"own{number}{letter}" for letter in "ab") for number in range(18)]
    terms = [f"link{number} {names} ... link{number + 1}" for number, names in enumerate(own)]
    arrays = [random_integer_array((2, 2, 2, 1 + number % 2, 2), number) % 3 - 1 for number in range(18)]
    result = plait.einsum(*map(framework.make, arrays), f"{','.join(terms)} -> ... link18 link0")
    chain = functools.reduce(np.matmul, [np.moveaxis(array.sum((1, 2)), 1, 0) for array in arrays])
    assert_equal(result, np.swapaxes(chain, 1, 2))


GRADIENT_CASES = [
    *EINSUM_CASES,
    EinsumCase("b i (h d), b j (h d), b j (h e) -> b i (h e)", ((2, 3, 4), (2, 2, 4), (2, 2, 6)), {"h": 2}),
    EinsumCase("i j, j k, k l -> l i", ((2, 3), (3, 2), (2, 3))),
    EinsumCase("(a b) c, a (c d), d b -> (d a)", ((4, 3), (2, 6), (2, 2)), {"a": 2}),
    EinsumCase("a a b, b -> a", ((3, 3, 2), (2,))),
    EinsumCase("a b a, b b -> b", ((2, 3, 2), (3, 3))),
    EinsumCase("a b, c -> a", ((2, 3), (4,))),
    EinsumCase("2 i, i (3 j) -> j", ((2, 3), (3, 6))),
    EinsumCase("... i, ... i -> ...", ((2, 1, 3), (4, 3))),
    EinsumCase("... i, i ... -> i (...)", ((1, 3), (3, 2, 2))),
    EinsumCase("i j k, k j -> k 1 (j i)", ((2, 3, 2), (2, 3))),
    EinsumCase("i, i, i, i ->", ((3,), (3,), (3,), (3,))),
]


@parametrize_by_framework(FRAMEWORKS_WITH_GRADIENTS)
@pytest.mark.parametrize("case", GRADIENT_CASES, ids=str)
def test_gradient_with_respect_to_each_tensor(framework, case):
    arrays = integer_arrays(case.shapes)
    weights = random_integer_array(expected_einsum(case.pattern, arrays, case.sizes).shape, 9)
    expected = expected_gradients(case.pattern, arrays, case.sizes, weights)
    for number, array in enumerate(arrays):

        def weighted(tensor, number=number):
            tensors = [tensor if place == number else framework.make(each) for place, each in enumerate(arrays)]
            return plait.einsum(*tensors, case.pattern, **case.sizes) * framework.make(weights)

        gradient = framework.gradient(weighted, array)
        assert gradient.shape == array.shape
        np.testing.assert_array_equal(gradient, expected[number])


@parametrize_by_framework()
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 4096), (4096, 3)]),
        ("bij,bjk->bik", [(2, 2, 4096), (2, 4096, 3)]),
        ("ij,ij->i", [(2, 4096), (2, 4096)]),
        ("i,i->", [(4096,), (4096,)]),
        ("ij->i", [(2, 4096)]),
        ("ij,jk,k->i", [(2, 4096), (4096, 4), (4,)]),
    ],
)
def test_half_precision_operands_are_accumulated_in_float32(framework, dtype, equation, shapes):
    if dtype in framework.unsupported_dtypes:
        pytest.skip(f"{framework.name} has no {dtype}: {framework.unsupported_dtypes[dtype]}")
    if framework.name == "cupy":
        pytest.skip("CuPy sums on a GPU, in float32; the fake here is NumPy")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    tensors = [framework.make(np.ones(shape, kind)) for shape in shapes]
    result = plait.einsum(equation, *tensors)
    assert result.dtype == tensors[0].dtype
    # 4096 or 16384, which float16 and bfloat16 represent exactly
    expected = np.einsum(equation, *map(np.ones, shapes), optimize=True)
    assert_equal(plait.asnumpy(result).astype(float), expected)


@parametrize_by_framework(FRAMEWORKS_WITH_EINSUM)
@pytest.mark.parametrize("equation", ["ij->i", "ij,ij->ji", "ij,jk->ik", "ij,jk->i", "ij,jk,kl->li"])
@pytest.mark.parametrize(
    "dtypes",
    [
        *("bool", "uint8", "int32", "int64", "float32", "float64", "complex64", "float32 float64", "float64 float32"),
        *("int32 int64", "bool int32", "int64 float32", "float64 complex64"),
    ],
)
def test_result_dtype_agrees_with_the_einsum_of_the_framework(framework, equation, dtypes):
    terms = equation.partition("->")[0].split(",")
    arrays = [
        random_integer_array((2, 2), seed, dtypes.split()[seed % len(dtypes.split())]) for seed, _ in enumerate(terms)
    ]
    tensors = list(map(framework.make, arrays))
    own, refusal = framework_einsum_and_errors(framework)
    try:
        expected = own(equation, *tensors)
    except refusal:
        assert_correct_or_any_error(equation, tensors, arrays)
        return
    assert_expected_dtype_and_values(plait.einsum(equation, *tensors), expected, np.einsum(equation, *arrays))


@parametrize_by_framework(FRAMEWORKS_WITH_EINSUM)
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("aa,aajj", [(2, 2), (2, 2, 3, 3)]), ("a,aa,aiij,j", [(1,), (1, 1), (1, 2, 2, 2), (2,)])],
)
def test_int32_with_one_operand_summed_first_equals_numpy(framework, equation, shapes):
    arrays = integer_arrays(shapes, "int32")
    assert_equal(plait.einsum(equation, *map(framework.make, arrays)), np.einsum(equation, *arrays))


def assert_correct_or_any_error(equation, tensors, arrays):
    try:
        result = plait.asnumpy(plait.einsum(equation, *tensors))
    except Exception:  # any error is accepted
        return
    assert_equal(result, np.einsum(equation, *arrays))


VALUE_BY_DTYPE = {"bool": 1, "uint8": 7, "int32": 300, "int64": 2**31, "float32": 0.5, "float64": 1 + 2.0**-40}
"""By dtype, a value that the dtypes before it cannot represent."""


# Sparse compiles for seconds for each pair; its backend is that of array_api_strict.
@parametrize_by_framework(frameworks_without("sparse"))
@pytest.mark.parametrize(("one", "other"), list(product(VALUE_BY_DTYPE, VALUE_BY_DTYPE)))
def test_mixed_dtypes_are_promoted_or_refused(framework, one, other):
    arrays = [np.full((2, 1), VALUE_BY_DTYPE[one], one), np.full((1, 2), VALUE_BY_DTYPE[other], other)]
    assert_correct_or_any_error("ij,jk->ik", list(map(framework.make, arrays)), arrays)


UNEQUAL_LENGTH_CASES = [
    ("ij,jk->ik", [(2, 3), (4, 5)], "dimension 0 of tensor 1", "dimension 1 of tensor 0"),
    ("ij,jk", [(2, 3), (4, 5)], "dimension 0 of tensor 1", "dimension 1 of tensor 0"),
    ("i j, j k -> i k", [(2, 3), (4, 5)], "dimension 0 of tensor 1", "dimension 1 of tensor 0"),
    ("i j, j k, k l -> i l", [(2, 3), (3, 4), (5, 2)], "dimension 0 of tensor 2", "dimension 1 of tensor 1"),
    ("i j, j k -> i k", [(2, 3), (1, 5)], "dimension 0 of tensor 1", "dimension 1 of tensor 0"),
    ("i j, j k -> i k", [(2, 1), (3, 5)], "dimension 0 of tensor 1", "dimension 1 of tensor 0"),
    ("ij,ij,ij", [(2, 1), (1, 3), (1, 4)], "dimension 1 of tensor 2", "j=3"),
    ("i j, i j -> i j", [(2, 3), (2, 1)], "dimension 1 of tensor 1", "dimension 1 of tensor 0"),
    ("... i, ... i -> ... i", [(2, 3), (2, 1)], "dimension 1 of tensor 1", "dimension 1 of tensor 0"),
    ("...i,...i->...", [(2, 4), (2, 3)], "dimension 1 of tensor 1", "dimension 1 of tensor 0"),
    ("ii->i", [(2, 3)], "dimension 1 of the input", "dimension 0 of the input"),
    ("ii->i", [(1, 3)], "dimension 1 of the input", "dimension 0 of the input"),
    ("i,ii->i", [(3,), (1, 3)], "dimension 1 of tensor 1", "dimension 0 of tensor 1"),
    ("a a -> a", [(1, 3)], "dimension 1 of the input", "dimension 0 of the input"),
    ("i j, (i k) -> j k", [(2, 3), (5,)], "dimension 0 of tensor 1", "i=2"),
    ("...,...->...", [(2, 3), (4, 3)], "dimension 0 of tensor 1", "does not broadcast with 2"),
    ("... i, ... i -> ...", [(2, 3, 5), (4, 5)], "dimension 0 of tensor 1", "does not broadcast with 3"),
]


@parametrize_by_framework()
@pytest.mark.parametrize(("text", "shapes", "where", "beside"), UNEQUAL_LENGTH_CASES)
def test_different_lengths_of_one_axis_are_an_error(framework, text, shapes, where, beside):
    found = []
    for tensors in (integer_arrays(shapes), list(map(framework.make, integer_arrays(shapes)))):
        with pytest.raises(plait.SizeError) as caught:
            plait.einsum(*tensors, text) if " " in text else plait.einsum(text, *tensors)
        assert caught.value.code == ("PLT302" if "(" in text else "PLT305")
        assert where in caught.value.message
        assert beside in caught.value.message
        found.append(str(caught.value))
    assert found[0] == found[1]


MIXED_DTYPE_CASES = [
    ("i,i,i->i", [(0, 1), (0, 1)], ["int8", "int8", "int64"]),
    ("ij,ij,jk->ik", None, ["int8", "int8", "int64"]),
    ("ij,jk->k", None, ["int8", "int64"]),
    ("i,i,i->", [(0, 1), (0, 1)], ["float16", "float16", "float32"]),
]


@pytest.mark.parametrize(("equation", "path", "dtypes"), MIXED_DTYPE_CASES)
def test_numpy_intermediate_results_have_the_dtype_of_the_result(equation, path, dtypes):
    terms = equation.split("->")[0].split(",")
    arrays = [
        np.full((300,) * len(term), 100 if dtype != "int64" else 1, dtype)
        for term, dtype in zip(terms, dtypes, strict=True)
    ]
    with plait.options(contract=path or "auto"):
        result = plait.einsum(equation, *arrays)
    assert result.dtype == np.result_type(*arrays)
    np.testing.assert_array_equal(result, np.einsum(equation, *[array.astype(result.dtype) for array in arrays]))


@pytest.mark.parametrize("case", EINSUM_CASES, ids=str)
def test_operands_are_not_modified(case):
    """Results are written to new memory or to that of intermediate results, and never to an operand."""
    arrays = integer_arrays(case.shapes)
    kept = [array.copy() for array in arrays]
    plait.einsum(*arrays, case.pattern, **case.sizes)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_only_intermediate_results_are_overwritten():
    arrays = [np.full((300, 300), value) for value in (2.0, 3.0, 5.0)]
    with plait.options(contract=[(0, 1), (0, 1)]):
        np.testing.assert_array_equal(plait.einsum("ij,ij,ij->ij", *arrays), np.full((300, 300), 30.0))
    assert [array[0, 0] for array in arrays] == [2, 3, 5]


LONG_SUM_CASES = {
    "n c -> c": 1,
    "n c, n c -> c": 2,
    "n c, n c ->": 2,
    "n c, n d -> c d": 2,
    "n c, n c, n c -> c": 3,
}
"""Patterns that sum a long axis, with the number of tensors."""


@parametrize_by_framework(FRAMEWORKS_WITH_STRIDES)
@pytest.mark.parametrize("pattern", LONG_SUM_CASES)
def test_long_sums_in_single_precision_keep_their_digits(framework, pattern):
    arrays = [np.random.default_rng(seed).random((400_003, 2), np.float32) for seed in range(LONG_SUM_CASES[pattern])]
    result = plait.einsum(*map(framework.make, arrays), pattern)
    expected = plait.einsum(*[array.astype(np.float64) for array in arrays], pattern)
    np.testing.assert_allclose(plait.asnumpy(result), expected, rtol=1e-6)
    assert plait.asnumpy(result).dtype == np.float32


def test_small_terms_of_logsumexp_are_not_lost():
    assert plait.reduce(np.array([0.0, -40.0]), "a ->", "logsumexp") == pytest.approx(np.exp(-40.0), rel=1e-12)
    ties = plait.reduce(np.array([3.0, 3.0, -50.0]), "a ->", "logsumexp")
    assert ties == 3 + np.log(2)


@parametrize_by_framework()
@pytest.mark.parametrize(
    "dtypes", [("bool", "float64", "bool"), ("bool", "bool", "int32"), ("uint8", "uint8", "float64")]
)
def test_three_tensors_of_several_dtypes_are_promoted_before_any_product(framework, dtypes):
    """Two of them alone would be a disjunction, or overflow, whichever pair of them is contracted first."""
    for dtype in dtypes:
        if dtype in framework.unsupported_dtypes:
            pytest.skip(f"{framework} has no {dtype}")
    largest = {"bool": 1, "uint8": 200, "int32": 3, "float64": 2}
    for first, second, third in permutations(dtypes):
        shapes = ((2, 3), (3, 4), (4, 2))
        arrays = [
            np.full(shape, largest[dtype], dtype) for shape, dtype in zip(shapes, (first, second, third), strict=True)
        ]
        expected = np.einsum("ab,bc,cd->ad", *[array.astype(float) for array in arrays])
        result = plait.einsum(*map(framework.make, arrays), "a b, b c, c d -> a d")
        np.testing.assert_allclose(plait.asnumpy(result).astype(float), expected)


@parametrize_by_framework()
def test_patterns_with_constants_agree_with_the_definition(framework):
    @given_for_framework(framework, einsum_patterns(4), st.sets(st.integers(0, 3)))
    def _(case, numbers):
        arrays = integer_arrays(case.shapes)
        tensors = [framework.make(array) for array in arrays]
        constants = {number: tensors[number] for number in numbers if number < len(tensors)}
        pattern = plait.compile(case.text, **case.sizes).with_constants(constants)
        others = [tensor for number, tensor in enumerate(tensors) if number not in constants]
        for _ in range(2):
            assert_equal(pattern.einsum(*others), expected_einsum(case.text, arrays, case.sizes))
