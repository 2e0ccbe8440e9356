"""The classical and the interleaved form of ``einsum`` take what ``numpy.einsum`` takes, on every framework."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise, product

import numpy as np
import pytest
from einsum_strategies import (
    assert_equal,
    classical_equations,
    given_for_framework,
    integer_arrays,
    numpy_einsum_of_explicit_letters,
    random_integer_array,
    stretched_equations,
)
from hypothesis import given
from hypothesis import strategies as st

import plait
from backends.frameworks import FRAMEWORKS, parametrize_by_framework

pytestmark = pytest.mark.filterwarnings(r"ignore:\[PLT602\]:plait.AxisWarning")

X = np.arange(12.0).reshape(2, 6)
NUMPY_ARGUMENTS = {"out": np.zeros((2, 2)), "dtype": "float32", "casting": "unsafe", "order": "F"}
"""Arguments that only NumPy arrays have, each with a value that has an effect."""
CASTING_RULES = ("no", "equiv", "safe", "same_kind", "unsafe")

frameworks = parametrize_by_framework
frameworks_with_numbers = parametrize_by_framework(
    tuple(framework for framework in FRAMEWORKS if framework.name in ("numpy", "torch", "jax"))
)
frameworks_without_numpy = parametrize_by_framework(
    tuple(framework for framework in FRAMEWORKS if framework.name not in ("numpy", "xarray"))
)


def interleave(equation, tensors, numbers):
    """Return the arguments of the interleaved form that say what an equation says; ``numbers`` are those of letters."""
    left, arrow, output = equation.partition("->")
    lists = [
        [Ellipsis if item == "..." else numbers[item] for item in re.findall(r"\.\.\.|\S", term)]
        for term in (*left.split(","), *([output] if arrow else []))
    ]
    arguments = [argument for pair in zip(tensors, lists, strict=False) for argument in pair]
    return [*arguments, *lists[len(tensors) :]]


@frameworks()
def test_length_1_is_stretched_and_an_ellipsis_may_be_summed(framework):
    @given_for_framework(framework, stretched_equations())
    def _(case):
        arrays = integer_arrays(case.shapes)
        expected = numpy_einsum_of_explicit_letters(case.text, arrays)
        result = plait.einsum(case.text, *map(framework.make, arrays))
        assert framework.shape(result) == expected.shape
        assert_equal(result, expected)


@frameworks()
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,ij->j", [(4, 3), (1, 3)]),
        ("ij,jk,kl", [(2, 3), (1, 4), (1, 5)]),
        ("i,i,i", [(1,), (3,), (1,)]),
        ("ii,i->i", [(1, 1), (3,)]),
        ("...i,i->i", [(2, 1), (3,)]),
        ("...,...->", [(2, 1), (3,)]),
        ("...i,...j->ij", [(2, 3), (4, 2, 5)]),
        ("i->...", [(3,)]),
        ("iж,жß->ß", [(2, 3), (3, 4)]),
    ],
)
def test_equations_that_few_frameworks_read_as_numpy_does(framework, equation, shapes):
    arrays = integer_arrays(shapes)
    expected = numpy_einsum_of_explicit_letters(equation, arrays)
    assert_equal(plait.einsum(equation, *map(framework.make, arrays)), expected)


@frameworks()
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
@pytest.mark.parametrize("equation", ["ij->i", "ij->", "ij", "ij->ji", "...j->..."])
def test_integers_of_one_tensor_are_summed_in_their_own_type(framework, dtype, equation):
    if dtype in framework.unsupported_dtypes:
        pytest.skip(f"{framework.name} has no {dtype}: {framework.unsupported_dtypes[dtype]}")
    array = random_integer_array((3, 40), 0, dtype) * 3
    result = plait.einsum(equation, framework.make(array))
    assert_equal(result, np.einsum(equation, array))
    assert plait.asnumpy(result).dtype == plait.asnumpy(framework.make(array)).dtype


@frameworks()
def test_the_interleaved_form_equals_the_classical_form(framework):
    @given_for_framework(framework, classical_equations(3), st.permutations(range(52)), st.booleans())
    def _(case, numbers, as_tuples):
        arrays = integer_arrays(case.shapes)
        used = sorted({*case.text} - {*" ,.->"})
        by_letter = dict(zip(used, sorted(numbers[: len(used)]), strict=True))  # sorted, as an implicit output is
        arguments = interleave(case.text, arrays, by_letter)
        tensors = interleave(case.text, [*map(framework.make, arrays)], by_letter)
        if as_tuples:
            tensors = [tuple(each) if isinstance(each, list) else each for each in tensors]
        assert_equal(plait.einsum(*tensors), np.einsum(*arguments))


@frameworks()
def test_optimize_leaves_the_result_as_it_is(framework):
    arrays = integer_arrays([(2, 30), (30, 4), (4, 5)])
    tensors = [*map(framework.make, arrays)]
    expected = arrays[0] @ arrays[1] @ arrays[2]
    path, _ = np.einsum_path("ij,jk,kl", *arrays, optimize="optimal")
    for optimize in (None, True, False, "greedy", "optimal", path, [(0, 1), (0, 1)], ("greedy", 100), ("optimal", -1)):
        assert_equal(plait.einsum("ij,jk,kl", *tensors, optimize=optimize), expected)
        assert_equal(
            plait.einsum(*interleave("ij,jk,kl", tensors, dict(i=0, j=1, k=2, l=3)), optimize=optimize), expected
        )


def test_optimize_asks_for_the_path_that_it_names(monkeypatch):
    from plait._executor import contraction

    seen, choose = [], contraction.choose_contraction
    monkeypatch.setattr(contraction, "choose_contraction", lambda *args: seen.append(choose(*args)) or seen[-1])
    arrays = integer_arrays([(2, 3), (3, 4), (4, 5)])
    for path in ([(1, 2), (0, 1)], ["einsum_path", (0, 1), (0, 1)], [(0, 2), (0, 1)], [(0, 1, 2)]):
        plait.einsum("ij,jk,kl->il", *arrays, optimize=path)
        assert seen[-1].path == tuple(path[path[0] == "einsum_path" :])
    plait.einsum("ij,jk,kl->il", *arrays, optimize=("optimal", 0))
    assert seen[-1].path == ((0, 1, 2),)
    plait.einsum("ij,jk,kl->il", *arrays, optimize=lambda *_: [(0, 2), (0, 1)])
    assert seen[-1].path == ((0, 2), (0, 1))


@pytest.mark.parametrize("optimize", ["gready", 3, 2.5, [(0, 5)], [(0, 1)], ("greedy", 1, 2)])
def test_an_optimize_that_is_no_path_is_an_error(optimize):
    with pytest.raises(plait.AxisError, match=r"PLT214"):
        plait.einsum("ij,jk,kl", *integer_arrays([(2, 3), (3, 4), (4, 5)]), optimize=optimize)


DTYPES = ("bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize("casting", [None, *CASTING_RULES])
@pytest.mark.parametrize("equation", ["ij,jk->ik", "ij->i", "ij,j->ij"])
def test_dtype_and_casting_give_numpys_result_or_an_error_where_numpy_gives_one(equation, casting):
    kwargs = {} if casting is None else {"casting": casting}
    shapes = [(2, 3), (3, 4)] if "jk" in equation else [(2, 3), (3,)]
    for one, other, dtype in product(DTYPES, ("int8", "float32"), DTYPES):
        arrays = [
            random_integer_array(shapes[0], 0, "uint8").astype(one),
            random_integer_array(shapes[1], 1).astype(other),
        ]
        arrays = arrays[: equation.count(",") + 1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of complex numbers cast to real ones
            try:
                expected = np.einsum(equation, *arrays, dtype=dtype, **kwargs)
            except TypeError:
                with pytest.raises(plait.BackendError, match=r"PLT516.*does not cast"):
                    plait.einsum(equation, *arrays, dtype=dtype, **kwargs)
                continue
            result = plait.einsum(equation, *arrays, dtype=dtype, **kwargs)
        assert result.dtype == expected.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("casting", [None, *CASTING_RULES])
@pytest.mark.parametrize("form", ["classical", "interleaved"])
def test_out_is_written_and_returned_where_numpy_writes_it(form, casting):
    kwargs = {} if casting is None else {"casting": casting}
    for one, other in product(DTYPES, DTYPES):
        arrays = [
            random_integer_array((2, 3), 0, "uint8").astype(one),
            random_integer_array((3, 4), 1, "uint8").astype(one),
        ]
        arguments = ["ij,jk->ik", *arrays] if form == "classical" else [arrays[0], [0, 1], arrays[1], [1, 2], [0, 2]]
        out, expected = np.zeros((2, 4), other), np.zeros((2, 4), other)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                np.einsum(*arguments, out=expected, **kwargs)
            except TypeError:
                with pytest.raises(plait.BackendError, match=r"PLT516.*does not cast"):
                    plait.einsum(*arguments, out=out, **kwargs)
                continue
            assert plait.einsum(*arguments, out=out, **kwargs) is out
        np.testing.assert_array_equal(out, expected)


def test_out_may_be_an_operand_a_part_of_an_array_or_of_another_type():
    square = random_integer_array((3, 3), 0)
    expected = square @ square.T
    wide = np.zeros((3, 6))
    plait.einsum("ij,kj->ik", square, square, out=wide[:, ::2])
    np.testing.assert_array_equal(wide[:, ::2], expected)
    np.testing.assert_array_equal(wide[:, 1::2], 0)
    counts = np.zeros((3, 3), int)
    plait.einsum("ij,kj->ik", square, square, out=counts, optimize=True)  # assigned, as NumPy does
    np.testing.assert_array_equal(counts, expected)
    transposed = square.T.copy()
    assert plait.einsum("ij->ji", square, out=square) is square
    np.testing.assert_array_equal(square, transposed)
    assert plait.einsum("ji,jk->ik", square, square, out=square) is square
    np.testing.assert_array_equal(square, expected)


def test_dtype_applies_to_a_permutation_too():
    """NumPy ignores it where its result is a view."""
    assert plait.einsum("ij->ji", X, dtype="float32", casting="same_kind").dtype == np.float32
    with pytest.raises(plait.BackendError, match=r"PLT516.*does not cast"):
        plait.einsum("ij->ji", X, dtype="int8")


@pytest.mark.parametrize("order", ["C", "F", "A", "K", "c", "f", None])
def test_order_is_the_memory_order_of_the_result(order):
    arrays = integer_arrays([(2, 3, 4), (4, 5)])
    for fortran in (False, True):
        operands = [np.asfortranarray(array) if fortran else array for array in arrays]
        for equation, count in (("ijk,kl->ijl", 2), ("ijk,kl->lji", 2), ("ijk->kij", 1)):
            result = plait.einsum(equation, *operands[:count], order=order)
            np.testing.assert_array_equal(result, np.einsum(equation, *operands[:count]))
            wanted = {"A": "F" if fortran else "C", "K": None, None: None}.get(order, str(order).upper())
            assert wanted is None or result.flags["F_CONTIGUOUS" if wanted == "F" else "C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"order": "W"}, "PLT516"),
        ({"order": 3}, "PLT516"),
        ({"casting": "blah"}, "PLT516"),
        ({"casting": "same_value"}, "PLT516"),
        ({"dtype": "bad_data_type"}, "PLT516"),
        ({"out": "test"}, "PLT516"),
        ({"out": [1.0, 2.0]}, "PLT516"),
        ({"out": np.zeros(3)}, "PLT312"),
        ({"out": np.zeros((2, 1))}, "PLT312"),
        ({"bad_arg": 0}, "PLT203"),
        ({"memory_limit": 7}, "PLT203"),
    ],
)
def test_a_wrong_argument_is_an_error_in_both_forms(arguments, code):
    for operands in (("ij->i", X), (X, [0, 1], [0])):
        with pytest.raises(plait.PlaitError, match=code):
            plait.einsum(*operands, **arguments)


@frameworks_without_numpy
@pytest.mark.parametrize("name", NUMPY_ARGUMENTS)
def test_an_argument_that_only_numpy_arrays_have_says_what_to_do_instead(framework, name):
    tensors = [framework.make(np.ones((2, 3))), framework.make(np.ones((3, 2)))]
    for operands in (("ij,jk->ik", *tensors), (tensors[0], [0, 1], tensors[1], [1, 2], [0, 2])):
        with pytest.raises(plait.BackendError, match=rf"PLT512.*{name} can be given for NumPy arrays only.*; \w"):
            plait.einsum(*operands, **{name: NUMPY_ARGUMENTS[name]})
        assert_equal(plait.einsum(*operands, **{name: None}), np.full((2, 2), 3.0))
    assert_equal(plait.einsum("ij,jk->ik", *tensors, order="K", casting="safe"), np.full((2, 2), 3.0))


@frameworks_with_numbers
@pytest.mark.parametrize("number", [2, -3.0, True, 1j])
@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "complex64"])
def test_numbers_beside_tensors_are_promoted_as_the_framework_promotes_them(framework, number, dtype):
    array = random_integer_array((3,), 0, "uint8").astype(dtype)
    tensor = framework.make(array)
    for equation in ("i,->i", "i,,->i"):
        numbers = [number] * equation.count(",")
        result = plait.einsum(equation, tensor, *numbers)
        expected = np.einsum(equation, array, *numbers)
        if framework.name == "numpy":
            assert result.dtype == np.result_type(array.dtype, np.asarray(number).dtype)
        else:
            assert result.dtype == (tensor * number).dtype or dtype == "bool"
        assert_equal(plait.asnumpy(result), expected.astype(plait.asnumpy(result).dtype))


def test_lists_and_numbers_become_numpy_arrays():
    for equation, *operands in (
        ("...i,...i", [1, 2, 3], [2, 3, 4]),
        ("ij,j->i", [[1, 2], [3, 4]], np.array([1.0, 2.0])),
        (",->", 3, 4),
        ("i,->i", (1, 2), 2.5),
        ("ij->j", [np.ones(3), np.ones(3)]),
        ("ijk->k", [[np.ones(3)], [np.ones(3)]]),
        ("i->", []),
    ):
        result, expected = plait.einsum(equation, *operands), np.einsum(equation, *operands)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(plait.einsum(3, [], [1, 2], [0], []), 9)


@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")  # an error from NumPy 1.24 on
@pytest.mark.parametrize("operand", [[[1, 2], [3]], ["a"], [1, "b"], [[1], np.ones((2, 2))]])
def test_a_list_that_is_no_array_is_an_error(operand):
    with pytest.raises(plait.PlaitError, match=r"PLT501"):
        plait.einsum("...->", operand)


def test_a_list_or_a_number_where_the_framework_takes_none_is_an_error():
    torch = pytest.importorskip("torch")
    with pytest.raises(plait.BackendError, match=r"PLT501.*make a tensor of torch of it"):
        plait.einsum("i,i", torch.ones(2), [1.0, 2.0])
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(plait.BackendError, match=r"PLT501.*multiply the result by it"):
        plait.einsum("i,", strict.ones(2), 2.0)


@pytest.mark.parametrize("axes", [[0, 52], [-1, 0], [True, 0], [0.0, 1], ["a", "b"], [None, 0]])
def test_axis_numbers_of_the_interleaved_form_are_integers_below_52(axes):
    with pytest.raises(plait.PatternSyntaxError, match=r"PLT110.*integer from 0 to 51"):
        plait.einsum(X, axes)
    with pytest.raises(plait.PatternSyntaxError, match=r"PLT110.*integer from 0 to 51"):
        plait.einsum(X, [0, 1], axes)


def test_axis_numbers_may_be_any_sequence_of_integers():
    for axes in ([1, 0], (1, 0), range(1, -1, -1), np.array([1, 0]), [np.int64(1), np.uint8(0)]):
        np.testing.assert_array_equal(plait.einsum(X, axes), X.T)
        np.testing.assert_array_equal(plait.einsum(X, [0, 1], axes), X.T)


def test_mistakes_in_the_interleaved_form_are_errors_of_plait():
    for operands in ((X, [0]), (X, [0, 1], [2]), (X, [0, 1], X), (X, [0, 1], X, [1]), (X, [0, 1], [0, 0])):
        with pytest.raises(plait.PlaitError):
            plait.einsum(*operands)
    for operands in ((X, X), (X, None), (None,) * 5, (0, 0)):
        with pytest.raises(plait.PlaitError, match=r"PLT101"):
            plait.einsum(*operands)
    with pytest.raises(plait.AxisError, match=r"PLT203"):
        plait.einsum(X, [0, 1], A=2)  # the letter of axis 0


@pytest.mark.parametrize("name", ["optimize", "out", "dtype", "casting", "order"])
def test_arguments_of_the_classical_form_are_sizes_in_the_named_form(name):
    result = plait.einsum(X, np.ones((6, 3)), f"b ({name} c), ({name} c) d -> b {name} d", **{name: 2})
    assert result.shape == (2, 2, 3)
    for value in (2, True, None, X, "K", [(0, 1)]):
        with pytest.raises(
            plait.AxisError, match=rf"PLT203.*in the classical form.*einsum\(equation, \*tensors, {name}="
        ):
            plait.einsum(X, X, "i j, i j -> i", **{name: value})
        with pytest.raises(plait.AxisError, match=r"PLT203"):
            plait.rearrange(X, "i j -> j i", **{name: value})


@given(st.integers(1, 4), st.integers(2, 4), st.booleans())
def test_the_named_form_never_stretches_and_says_what_to_write(rows, columns, first):
    shapes = [(rows, 1), (rows, columns)]
    arrays = integer_arrays(shapes if first else shapes[::-1])
    with pytest.raises(plait.SizeError, match=r"PLT305") as caught:
        plait.einsum(*arrays, "i j, i j -> i")
    number = 0 if first else 1
    assert f"write 1 instead of j in tensor {number}" in caught.value.message
    written = "i 1, i j -> i" if first else "i j, i 1 -> i"
    np.testing.assert_array_equal(plait.einsum(*arrays, written), np.einsum("ij,ij->i", *arrays))


def test_no_hint_of_stretching_where_1_would_not_help():
    for shapes, pattern in (
        ([(2, 3), (4, 3)], "i j, i j -> i"),
        ([(1, 3)], "i i -> i"),
        ([(1, 2), (3,)], "i j, (i j) -> i"),
    ):
        with pytest.raises(plait.SizeError) as caught:
            plait.einsum(*integer_arrays(shapes), pattern)
        assert "write 1" not in caught.value.message


def test_letters_that_look_alike_are_different_axes():
    arrays = integer_arrays([(2, 3)])
    np.testing.assert_array_equal(plait.einsum("hℎ->ℎh", *arrays), arrays[0].T)
    np.testing.assert_array_equal(plait.einsum("kK->Kk", *arrays), arrays[0].T)


def test_equations_of_opt_einsum_have_all_its_symbols():
    opt_einsum = pytest.importorskip("opt_einsum")
    symbols = [opt_einsum.get_symbol(number) for number in range(200)]
    arrays = [np.eye(2)] * 199
    equation = ",".join(map("".join, pairwise(symbols))) + f"->{symbols[0]}{symbols[-1]}"
    np.testing.assert_array_equal(plait.einsum(equation, *arrays), np.eye(2))


@pytest.mark.parametrize("equation", ["i→j", "i…->i", "i，j", "i;j", "i1->i", "i_->i"])
def test_mistyped_symbols_are_no_letters(equation):
    with pytest.raises(plait.PatternSyntaxError, match=r"PLT110.*unexpected"):
        plait.einsum(equation, X)


def test_calls_with_arguments_of_numpy_are_cached():
    for _ in range(3):
        plait.einsum("ij,kj->ik", X, X, optimize=True)
        plait.einsum(X, [0, 1], X, [2, 1], [0, 2])
    info = plait.cache_info()
    assert info.misses == 2
    assert info.hits == 4
