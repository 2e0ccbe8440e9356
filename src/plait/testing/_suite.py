"""The conformance suite: makes the same calls on every framework, and compares them with the operations' definition."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import plait
from plait.backends.registry import common_backend
from plait.testing import _oracle as oracle
from plait.testing._arrays import (
    DTYPES,
    HAS_BFLOAT16,
    PARTLY_SUPPORTED_DTYPES,
    arange_array,
    dtype_from_name,
    random_array,
    small_integers,
)
from plait.testing._calls import Call
from plait.testing._cases import (
    CLASSICAL_EINSUM_CASES,
    EINSUM_CASES,
    EMPTY_REDUCE_CASES,
    REARRANGE_CASES,
    REDUCE_CASES,
    REPEAT_CASES,
    Case,
    EinsumCase,
)
from plait.testing._framework import Framework

_FLOATING_DTYPES = ("float16", "bfloat16", "float32", "float64")
_COMPLEX_DTYPES = ("complex64", "complex128")
_NON_COMPLEX_DTYPES = ("bool", "uint8", "int32", "int64", *_FLOATING_DTYPES)

SUPPORTED_DTYPES_BY_REDUCTION: dict[str, tuple[str, ...]] = {
    "min": _NON_COMPLEX_DTYPES,
    "max": _NON_COMPLEX_DTYPES,
    "sum": (*_NON_COMPLEX_DTYPES, *_COMPLEX_DTYPES),
    "prod": (*_NON_COMPLEX_DTYPES, *_COMPLEX_DTYPES),
    "any": (*_NON_COMPLEX_DTYPES, *_COMPLEX_DTYPES),
    "all": (*_NON_COMPLEX_DTYPES, *_COMPLEX_DTYPES),
    "mean": (*_FLOATING_DTYPES, *_COMPLEX_DTYPES),
    "var": (*_FLOATING_DTYPES, *_COMPLEX_DTYPES),
    "std": (*_FLOATING_DTYPES, *_COMPLEX_DTYPES),
    "logsumexp": _FLOATING_DTYPES,
}
"""The dtypes on which each reduction is defined; on others it is an error, PLT503."""

PATTERNS_WITHOUT_REDUCED_AXES = ("->", "a b -> a b")
"""The patterns of `REDUCE_CASES` that reduce no axis: `reduce` returns the tensor unchanged."""

ARRAY_WITH_NAN_AND_INFINITY = np.array(
    [[1.0, np.nan, 2.0], [np.inf, 1.0, -np.inf], [-np.inf, -np.inf, -np.inf], [1000.0, 1000.0, -1000.0]]
)

INVALID_CALLS: tuple[tuple[str, str, tuple[str, ...], dict[str, int]], ...] = (
    ("rearrange", "b c (h p) w -> b c h w p", (), {"p": 3}),
    ("rearrange", "b c h -> b c", (), {}),
    ("reduce", "b c h w -> b", ("median",), {}),
    ("repeat", "b c h w -> b c h w r", (), {}),
)
"""Calls with one tensor of shape (2, 3, 4, 6) that are errors: operation, pattern, further arguments, and sizes."""

CASES_WITH_KNOWN_VIEW = [case for case in (*REARRANGE_CASES, *REPEAT_CASES) if case.view is not None]


def _operation_of_case(case: Case) -> str:
    return "repeat" if case in REPEAT_CASES else "rearrange"


def _array_to_reduce(shape: tuple[int, ...], reduction: str) -> NDArray[Any]:
    """Return random numbers; for ``any`` most are 0, and for ``all`` few are, so that both results appear."""
    array = random_array(shape)
    chosen = np.random.default_rng(1).random(shape)
    if reduction == "any":
        return np.where(chosen < 0.15, array, 0)
    if reduction == "all":
        return np.where(chosen < 0.85, array, 0)
    return array


def _skip_without_dtype(framework: Framework, dtype: str) -> None:
    """Skip the test of a dtype that the framework does not have."""
    if dtype in framework.unsupported_dtypes:
        pytest.skip(f"{framework} has no {dtype}: {framework.unsupported_dtypes[dtype]}")
    if dtype in (*PARTLY_SUPPORTED_DTYPES[5:], "bfloat16") and not HAS_BFLOAT16:
        pytest.skip(f"{dtype} needs ml_dtypes, which is not installed")
    if dtype in PARTLY_SUPPORTED_DTYPES:
        try:
            tensor = framework.make(small_integers((2,), dtype))
        except Exception as error:  # each framework has its own error for a dtype that it lacks
            pytest.skip(f"{framework} has no {dtype}: {type(error).__name__}")
        if framework.dtype(tensor) == framework.dtype(framework.make(np.zeros(2))):
            pytest.skip(f"{framework} makes float64 of {dtype}")


@contextmanager
def _ignored_warnings(framework: Framework) -> Iterator[None]:
    """Ignore the warnings that the framework gives although nothing is wrong with the call."""
    with warnings.catch_warnings():
        for message in framework.ignored_warnings:
            warnings.filterwarnings("ignore", message)
        yield


def _skip_without_views(framework: Framework) -> None:
    if not framework.has_views:
        pytest.skip(f"{framework} has no views: {type(framework).__name__} does not define shares_memory")


def _skip_without_gradients(framework: Framework) -> None:
    if not framework.has_gradients:
        pytest.skip(f"{framework} has no gradients: {type(framework).__name__} does not define gradient")


def _messages_of_invalid_calls(tensor: Any) -> tuple[str, ...]:
    """Return the error message of each call in `INVALID_CALLS`, and that of an einsum whose sizes do not match."""
    messages = []
    for operation, pattern, arguments, sizes in INVALID_CALLS:
        with pytest.raises(plait.PlaitError) as caught:
            getattr(plait, operation)(tensor, pattern, *arguments, **sizes)
        messages.append(str(caught.value))
    with pytest.raises(plait.PlaitError) as caught:
        plait.einsum(tensor, tensor, "a b c d, b c d a -> a")
    return (*messages, str(caught.value))


@lru_cache(maxsize=1)
def _messages_of_invalid_calls_on_numpy() -> tuple[str, ...]:
    return _messages_of_invalid_calls(np.zeros((2, 3, 4, 6)))


class BackendTests:
    """The tests that every backend passes. Subclass it in a test file, and run that with pytest.

    Every test compares a call of plait with the definition of the operation, computed in plain Python. Tests of what
    the framework does not have are skipped: its `Framework.unsupported_dtypes`, views if it does not define
    `Framework.shares_memory`, gradients if it does not define `Framework.gradient`. A test that fails shows the call,
    the actual and the expected values, the plan, and the functions of the backend that are wrong.

    Attributes:
        framework: the framework under test; every subclass sets it, or overrides the fixture `framework_under_test`,
            for example to run the tests on several frameworks.

    Examples:
        >>> import numpy as np
        >>> class NumPy(Framework):
        ...     def make(self, array):
        ...         return array
        ...
        ...     def shares_memory(self, first, second):
        ...         return np.shares_memory(first, second)
        >>> class TestNumPy(BackendTests):
        ...     framework = NumPy("numpy", "numpy")
    """

    framework: ClassVar[Framework]

    @pytest.fixture(name="framework")
    def framework_under_test(self) -> Framework:
        """Return the framework under test: the fixture ``framework``, which every test takes.

        Returns:
            The class attribute ``framework``.

        Raises:
            TypeError: the subclass sets none.
        """
        framework = getattr(self, "framework", None)
        if not isinstance(framework, Framework):
            raise TypeError(
                f"{type(self).__name__} must set the class attribute framework to an instance of a subclass of "
                f"plait.testing.Framework; it is {framework!r}"
            )
        return framework

    # Values.

    @pytest.mark.parametrize("case", REARRANGE_CASES, ids=str)
    def test_rearrange(self, framework: Framework, case: Case) -> None:
        """`rearrange` gives the elements of the definition, and a tensor of the framework."""
        call = Call(framework, "rearrange", case.pattern, [arange_array(case.shape)], case.sizes)
        result = call.run()
        call.check_type(result)
        call.check_result(result, oracle.rearrange(case.pattern, call.arrays[0], case.sizes))

    @pytest.mark.parametrize("case", REPEAT_CASES, ids=str)
    def test_repeat(self, framework: Framework, case: Case) -> None:
        """`repeat` gives the elements of the definition, and a tensor of the framework."""
        call = Call(framework, "repeat", case.pattern, [arange_array(case.shape)], case.sizes)
        result = call.run()
        call.check_type(result)
        call.check_result(result, oracle.rearrange(case.pattern, call.arrays[0], case.sizes))

    @pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
    @pytest.mark.parametrize("case", REDUCE_CASES, ids=str)
    def test_reduce(self, framework: Framework, case: Case, reduction: str) -> None:
        """`reduce` gives the values of the definition; without an axis to reduce it gives the tensor."""
        array = _array_to_reduce(case.shape, reduction)
        call = Call(framework, "reduce", case.pattern, [array], case.sizes, reduction)
        result = call.run()
        if case.pattern in PATTERNS_WITHOUT_REDUCED_AXES:
            call.check_result(result, oracle.rearrange(case.pattern, array, case.sizes))
        else:
            call.check_result_is_close(result, oracle.reduce(case.pattern, array, reduction, case.sizes))

    @pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
    @pytest.mark.parametrize("case", EMPTY_REDUCE_CASES, ids=str)
    def test_reduce_of_no_elements(self, framework: Framework, case: Case, reduction: str) -> None:
        """The sum of no elements is 0, their product 1, their mean NaN; their maximum is the error PLT307."""
        array = np.zeros(case.shape)
        call = Call(framework, "reduce", case.pattern, [array], reduction=reduction)
        if reduction in ("min", "max"):
            with pytest.raises(plait.SizeError, match="PLT307"):
                call.run()
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each framework has its own warning about the mean of no elements
            result = call.run()
        call.check_result_is_close(result, oracle.reduce(case.pattern, array, reduction, case.sizes))

    @pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
    def test_reduce_of_nan_and_infinity(self, framework: Framework, reduction: str) -> None:
        """A NaN makes the result NaN, infinities are added as in IEEE 754, and `logsumexp` does not overflow."""
        call = Call(framework, "reduce", "a b -> a", [ARRAY_WITH_NAN_AND_INFINITY], reduction=reduction)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call.run()
            if reduction == "logsumexp":
                expected = np.array([np.nan, np.inf, -np.inf, 1000 + np.log(2)])
            else:
                expected = getattr(np, reduction)(ARRAY_WITH_NAN_AND_INFINITY, axis=1)
            call.check_result_is_close(result, expected)

    def test_reduce_with_a_callable(self, framework: Framework) -> None:
        """`reduce` with a callable calls it once, with the tensor and the dimensions to reduce."""
        array = random_array((2, 3, 4))
        call = Call(framework, "reduce", "a b c -> b", [array], reduction="max")
        seen = []

        def maximum(tensor: Any, axes: tuple[int, ...]) -> Any:
            seen.append(axes)
            return plait.reduce(tensor, "a b c -> b", "max")

        result = call.run(lambda: plait.reduce(call.tensors[0], "a b c -> b", maximum))
        if seen != [(0, 2)]:
            call.fail(f"the callable was called for the dimensions {seen}, and should be once, for (0, 2)")
        call.check_result_is_close(result, oracle.reduce("a b c -> b", array, "max", {}))

    @pytest.mark.parametrize("case", EINSUM_CASES, ids=str)
    def test_einsum(self, framework: Framework, case: EinsumCase) -> None:
        """`einsum` of a pattern gives the sums of products of the definition."""
        arrays = [random_array(shape, seed=number) for number, shape in enumerate(case.shapes)]
        call = Call(framework, "einsum", case.pattern, arrays, case.sizes)
        call.check_result_is_close(call.run(), oracle.einsum(case.pattern, arrays, case.sizes))

    @pytest.mark.parametrize(("equation", "shapes"), CLASSICAL_EINSUM_CASES)
    def test_classical_einsum(self, framework: Framework, equation: str, shapes: list[tuple[int, ...]]) -> None:
        """`einsum` of an equation gives what NumPy's gives."""
        arrays = [random_array(shape, seed=number) for number, shape in enumerate(shapes)]
        call = Call(framework, "einsum", equation, arrays)
        call.check_result_is_close(
            call.run(lambda: plait.einsum(equation, *call.tensors)), np.einsum(equation, *arrays, optimize=True)
        )

    @pytest.mark.parametrize("form", [list, tuple])
    def test_list_of_tensors_is_stacked(self, framework: Framework, form: type) -> None:
        """A list or a tuple of tensors is stacked to one tensor with a new first dimension."""
        arrays = [arange_array((2, 3)) + 10 * number for number in range(4)]
        stacked = np.stack(arrays)
        for operation, pattern, reduction, expected in (
            ("rearrange", "n h w -> h (n w)", None, oracle.rearrange("n h w -> h (n w)", stacked, {})),
            ("reduce", "n h w -> h w", "max", stacked.max(0)),
            ("repeat", "n h w -> n h w 2", None, oracle.rearrange("n h w -> n h w 2", stacked, {})),
        ):
            call = Call(framework, operation, pattern, arrays, reduction=reduction)
            result = call.run(partial(call.run_on_tensors, form(call.tensors)))
            if framework.shape(result) != expected.shape:
                call.fail(f"Framework.shape of the result is {framework.shape(result)}, and should be {expected.shape}")
            call.check_result(result, expected)

    def test_pack_and_unpack(self, framework: Framework) -> None:
        """`pack` concatenates tensors of several ranks, and `unpack` gives them back."""
        shapes = [(2, 3, 5), (2, 5), (2, 4, 2, 5), (2, 0, 5)]
        arrays = [arange_array(shape) + 100 * number for number, shape in enumerate(shapes)]
        call = Call(framework, "pack", "b * c", arrays)
        packed, packed_shapes = call.run(lambda: plait.pack(call.tensors, "b * c"))
        if [tuple(shape) for shape in packed_shapes] != [(3,), (), (4, 2), (0,)]:
            call.fail(f"the packed shapes are {packed_shapes}, and should be [(3,), (), (4, 2), (0,)]")
        call.check_result(packed, np.concatenate([array.reshape(2, array.size // 10, 5) for array in arrays], axis=1))
        parts = call.run(lambda: plait.unpack(packed, packed_shapes, "b * c"))
        for part, array in zip(parts, arrays, strict=True):
            call.check_result(part, array)
        parts = call.run(lambda: plait.unpack(packed, [(3,), (), (-1, 2), (0,)], "b * c"))
        if [framework.shape(part) for part in parts] != shapes:
            call.fail(f"unpack gives tensors of the shapes {[framework.shape(part) for part in parts]}, not {shapes}")

    def test_parse_shape(self, framework: Framework) -> None:
        """`parse_shape` gives the sizes of the named axes."""
        for pattern, expected in (
            ("b _ 1 w", {"b": 2, "w": 5}),
            ("b ... w", {"b": 2, "w": 5}),
            ("... a b c d", {"a": 2, "b": 3, "c": 1, "d": 5}),
            ("b 3 () w", {"b": 2, "w": 5}),
        ):
            call = Call(framework, "parse_shape", pattern, [arange_array((2, 3, 1, 5))])
            sizes = call.run()
            if sizes != expected:
                call.fail(f"the sizes are {sizes}, and should be {expected}; the backend's shape may be wrong")

    def test_asnumpy(self, framework: Framework) -> None:
        """`asnumpy` gives a NumPy array of the same elements."""
        call = Call(framework, "asnumpy", "", [arange_array((2, 3))])
        result = call.run(lambda: plait.asnumpy(call.tensors[0]))
        if type(result) is not np.ndarray:
            call.fail(f"the result is of type {type(result).__qualname__}, and should be a NumPy array: see to_numpy")
        call.check_result(result, call.arrays[0])

    def test_errors_are_those_of_numpy(self, framework: Framework) -> None:
        """A wrong call raises the same error, with the same message, as on NumPy's arrays."""
        messages = _messages_of_invalid_calls(framework.make(arange_array((2, 3, 4, 6))))
        for actual, expected in zip(messages, _messages_of_invalid_calls_on_numpy(), strict=True):
            if actual != expected:
                raise AssertionError(f"the message on {framework} is\n{actual}\nand on NumPy's arrays\n{expected}")

    # Dtypes.

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("case", [REARRANGE_CASES[9], REPEAT_CASES[8]], ids=str)
    def test_rearrange_and_repeat_keep_the_dtype(self, framework: Framework, dtype: str, case: Case) -> None:
        """`rearrange` and `repeat` give tensors of the same dtype, and the same elements of any dtype."""
        _skip_without_dtype(framework, dtype)
        call = Call(framework, _operation_of_case(case), case.pattern, [random_array(case.shape, dtype)], case.sizes)
        result = call.run()
        call.check_dtype(framework.dtype(result), framework.dtype(call.tensors[0]))
        call.check_result(result, oracle.rearrange(case.pattern, plait.asnumpy(call.tensors[0]), case.sizes))

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("reduction", sorted(SUPPORTED_DTYPES_BY_REDUCTION))
    def test_reduce_of_every_dtype(self, framework: Framework, dtype: str, reduction: str) -> None:
        """`reduce` gives the values and the dtype of the definition, or the error PLT503; nothing gives a warning."""
        _skip_without_dtype(framework, dtype)
        pattern = "a (b c) d -> d b"
        array = random_array((2, 6, 3), dtype, seed=1)
        call = Call(framework, "reduce", pattern, [array], {"b": 2}, reduction)
        if dtype not in SUPPORTED_DTYPES_BY_REDUCTION[reduction]:
            with pytest.raises(plait.BackendError, match="PLT503") as caught:
                call.run()
            if reduction not in caught.value.message:
                call.fail(f"the message does not name the reduction: {caught.value.message}")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for message in framework.ignored_warnings:
                warnings.filterwarnings("ignore", message)
            result = call.run()
        wide = array.astype(np.float64) if dtype in ("float16", "bfloat16", "float32") else array
        call.check_result_is_close(result, oracle.reduce(pattern, wide, reduction, {"b": 2}), dtype)
        if reduction in ("any", "all"):
            call.check_dtype(plait.asnumpy(result).dtype, np.dtype(bool))
        elif dtype in _FLOATING_DTYPES or reduction in ("min", "max"):
            call.check_dtype(framework.dtype(result), framework.dtype(call.tensors[0]))
        elif dtype in ("bool", "int32", "int64"):
            call.check_dtype(plait.asnumpy(result).dtype, np.dtype(np.int64))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    @pytest.mark.parametrize(("reduction", "expected"), [("sum", 4096.0), ("mean", 1.0), ("var", 0.0)])
    def test_half_precision_is_accumulated_wider(
        self, framework: Framework, dtype: str, reduction: str, expected: float
    ) -> None:
        """Sums of 16-bit floats have an accumulator of at least 32 bits: the sum of 4096 ones is 4096."""
        _skip_without_dtype(framework, dtype)
        array = np.ones((4096, 2), dtype_from_name(dtype))
        call = Call(framework, "reduce", "n c -> c", [array], reduction=reduction)
        result = plait.asnumpy(call.run()).astype(float)
        if not (result == expected).all():
            call.fail(f"the result is {result}, and should be {expected}: the accumulator must be float32 or wider")

    @pytest.mark.parametrize("dtype", PARTLY_SUPPORTED_DTYPES)
    @pytest.mark.parametrize("reduction", ["min", "max", "sum", "prod", "mean", "any"])
    def test_reduce_of_narrow_dtypes(self, framework: Framework, dtype: str, reduction: str) -> None:
        """`reduce` of narrow and unsigned numbers gives the values and the dtype of the definition, or PLT503."""
        _skip_without_dtype(framework, dtype)
        array = small_integers((3, 4), dtype)
        call = Call(framework, "reduce", "a b -> a", [array], reduction=reduction)
        is_floating = dtype.startswith("float")
        if reduction == "mean" and not is_floating:
            with pytest.raises(plait.BackendError, match="PLT503"):
                call.run()
            return
        with _ignored_warnings(framework):
            result = call.run()
        expected = oracle.reduce("a b -> a", array.astype(np.float64), reduction, {})
        with _ignored_warnings(framework):
            actual = plait.asnumpy(result)
        call.check_result(actual, expected.astype(array.dtype) if is_floating and reduction != "any" else expected)
        if reduction == "any":
            call.check_dtype(plait.asnumpy(result).dtype, np.dtype(bool))
        elif is_floating or reduction in ("min", "max"):
            call.check_dtype(framework.dtype(result), framework.dtype(call.tensors[0]))
        else:
            call.check_dtype(plait.asnumpy(result).dtype.itemsize, 8)

    @pytest.mark.parametrize("dtype", [*DTYPES, *PARTLY_SUPPORTED_DTYPES])
    def test_einsum_keeps_the_dtype(self, framework: Framework, dtype: str) -> None:
        """`einsum` of two tensors of one dtype gives that dtype; of booleans it is the disjunction of conjunctions."""
        _skip_without_dtype(framework, dtype)
        arrays = [small_integers((3, 2), dtype, 1), small_integers((2, 4), dtype, 2)]
        call = Call(framework, "einsum", "a b, b c -> a c", arrays)
        with _ignored_warnings(framework):
            result = call.run()
        wide = np.complex128 if dtype.startswith("complex") else np.int64
        expected: NDArray[Any] = np.asarray(arrays[0].astype(wide) @ arrays[1].astype(wide))
        call.check_result(result, expected != 0 if dtype == "bool" else expected)
        call.check_dtype(framework.dtype(result), framework.dtype(call.tensors[0]))

    @pytest.mark.parametrize(
        ("dtypes", "expected_dtype"),
        [
            (("float32", "float64"), "float64"),
            (("float16", "float32"), "float32"),
            (("bool", "int32"), "int32"),
            (("int64", "int32"), "int64"),
            (("bool", "float32"), "float32"),
            (("int32", "float64"), "float64"),
            (("complex64", "float32"), "complex64"),
        ],
    )
    def test_einsum_promotes(self, framework: Framework, dtypes: tuple[str, str], expected_dtype: str) -> None:
        """`einsum` of tensors of several dtypes gives the dtype to which they are promoted."""
        for dtype in dtypes:
            _skip_without_dtype(framework, dtype)
        arrays = [small_integers((3, 2), dtypes[0], 1), small_integers((2, 4), dtypes[1], 2)]
        call = Call(framework, "einsum", "a b, b c -> a c", arrays)
        with _ignored_warnings(framework):
            result = call.run()
        wide = np.complex128 if expected_dtype.startswith("complex") else np.float64
        expected = np.asarray(arrays[0].astype(wide) @ arrays[1].astype(wide))
        call.check_result_is_close(result, expected, expected_dtype)
        call.check_dtype(framework.dtype(result), framework.dtype(framework.make(np.zeros(1, expected_dtype))))

    @pytest.mark.parametrize("dtype", [*DTYPES, *PARTLY_SUPPORTED_DTYPES])
    def test_einsum_of_one_tensor_is_a_sum(self, framework: Framework, dtype: str) -> None:
        """`einsum` of one tensor gives what `reduce` gives: the sum, or of booleans whether any is true."""
        _skip_without_dtype(framework, dtype)
        call = Call(framework, "einsum", "a b -> b", [small_integers((3, 4), dtype)])
        with _ignored_warnings(framework):
            result = call.run()
            expected = plait.reduce(call.tensors[0], "a b -> b", "any" if dtype == "bool" else "sum")
            call.check_result(result, plait.asnumpy(expected))
        call.check_dtype(framework.dtype(result), framework.dtype(expected))

    # Views.

    @pytest.mark.parametrize("case", CASES_WITH_KNOWN_VIEW, ids=str)
    def test_view_or_copy(self, framework: Framework, case: Case) -> None:
        """`rearrange` and `repeat` of a contiguous tensor give a view if one is possible, and otherwise a copy."""
        _skip_without_views(framework)
        operation = _operation_of_case(case)
        call = Call(framework, operation, case.pattern, [arange_array(case.shape)], case.sizes)
        shares = framework.shares_memory(call.tensors[0], call.run())
        is_view = bool(case.view) and not {operation, case.pattern} & framework.copying_operations.keys()
        if operation == "repeat" and common_backend((type(call.tensors[0]),)).copy_if_broadcast is not None:
            is_view = False
        if shares and not is_view:
            call.fail("the result shares memory with x, and should be a copy: is Framework.shares_memory right?")
        if is_view and not shares:
            call.fail("the result is a copy, and should be a view of x: see reshape, permute and expand of the backend")

    @pytest.mark.parametrize("case", [case for case in REARRANGE_CASES if case.view is not None], ids=str)
    def test_view_is_a_view_or_an_error(self, framework: Framework, case: Case) -> None:
        """`view` gives a view, or raises PLT401 if the elements would have to be copied."""
        _skip_without_views(framework)
        call = Call(framework, "view", case.pattern, [arange_array(case.shape)], case.sizes)
        if not case.view:
            with pytest.raises(plait.CopyRequiredError, match="PLT401"):
                call.run()
            return
        result = call.run()
        if not framework.shares_memory(call.tensors[0], result):
            call.fail("the result does not share memory with x: see view of the backend, which must not copy")
        call.check_result(result, oracle.rearrange(case.pattern, call.arrays[0], case.sizes))

    def test_view_is_an_error_without_views(self, framework: Framework) -> None:
        """`view` raises PLT507 on a framework without views."""
        if framework.has_views:
            pytest.skip(f"{framework} has views")
        call = Call(framework, "view", "a b -> b a", [arange_array((2, 3))])
        try:
            call.run()
        except plait.BackendError as error:
            if error.code == "PLT507":
                return
            raise
        call.fail("it gives a view: define Framework.shares_memory, so that the suite checks views")

    # Gradients.

    @pytest.mark.parametrize("case", [*REARRANGE_CASES, *REPEAT_CASES], ids=str)
    def test_gradient_of_rearrange_and_repeat(self, framework: Framework, case: Case) -> None:
        """The gradient of each element is the sum of the gradients of its copies in the result."""
        _skip_without_gradients(framework)
        array = arange_array(case.shape)
        call = Call(framework, _operation_of_case(case), case.pattern, [array], case.sizes)
        elements = oracle.ElementMap(case.pattern, [case.shape], case.sizes)
        weights: NDArray[Any] = np.random.default_rng(0).normal(size=elements.shape)
        operation = getattr(plait, _operation_of_case(case))
        gradient = framework.gradient(
            lambda tensor: operation(tensor, case.pattern, **case.sizes) * framework.make(weights), array
        )
        expected = np.zeros(case.shape)
        for position, sources in elements.sources.items():
            for (source,) in sources:
                expected[source] += weights[position]
        call.check_gradient(gradient, expected)

    @pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"])
    def test_gradient_of_reduce(self, framework: Framework, reduction: Any) -> None:
        """The gradient of a reduction equals the central difference of its definition, at three elements."""
        _skip_without_gradients(framework)
        pattern = "a (b c) d -> d b"
        array = random_array((2, 6, 3), seed=3)
        call = Call(framework, "reduce", pattern, [array], {"b": 2}, reduction)
        gradient = framework.gradient(lambda tensor: plait.reduce(tensor, pattern, reduction, b=2), array)
        step = 1e-6
        for position in [(0, 0, 0), (1, 5, 2), (0, 3, 1)]:
            change = np.zeros_like(array)
            change[position] = step
            above = oracle.reduce(pattern, array + change, reduction, {"b": 2}).sum()
            below = oracle.reduce(pattern, array - change, reduction, {"b": 2}).sum()
            slope = (above - below) / (2 * step)
            if not abs(gradient[position] - slope) < 1e-6:
                call.fail(f"the gradient at index {position} is {gradient[position]}, and should be {slope}")
