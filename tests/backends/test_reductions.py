"""The rules of reductions, and the reductions that `ReductionTable` builds from them."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np
import pytest

import plait
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.reduction_rules import (
    INT64_REDUCTIONS,
    MERGEABLE_REDUCTIONS,
    PIVOT_BY_REDUCTION,
    REDUCTION_RULES,
    ROUNDING_SENSITIVE_REDUCTIONS,
)
from plait.backends.registry import backend_for_type
from plait.testing import _oracle as oracle
from plait.testing._suite import SUPPORTED_DTYPES_BY_REDUCTION

KIND_BY_CODE = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


@pytest.mark.parametrize("name", sorted(REDUCTION_RULES))
def test_fields_of_rules_agree_with_the_oracle(name):
    rule, combine = REDUCTION_RULES[name], oracle.REDUCTIONS[name]
    defined = {
        KIND_BY_CODE[np.dtype(dtype).kind] for dtype in SUPPORTED_DTYPES_BY_REDUCTION[name] if dtype != "bfloat16"
    }
    assert rule.kinds - {"other"} == defined
    if rule.empty_value is not None:
        np.testing.assert_equal(float(rule.empty_value), float(combine([])))
    if rule.bool_equivalent is not None:
        for values in ([True, False], [True, True], [False, False]):
            assert combine(values) == oracle.REDUCTIONS[rule.bool_equivalent](values)
    halves = [combine([1.0, 2.0, 5.0]), combine([4.0, 8.0, 16.0])]
    merged = combine([1.0, 2.0, 5.0, 4.0, 8.0, 16.0])
    assert (name in MERGEABLE_REDUCTIONS) == bool(np.isclose(float(combine(halves)), float(merged)))
    assert set(oracle.REDUCTIONS) == set(REDUCTION_RULES)


def test_members_of_the_reduction_sets():
    assert {"sum", "prod", "mean", "var", "std", "logsumexp"} == ROUNDING_SENSITIVE_REDUCTIONS
    assert {"sum", "prod"} == INT64_REDUCTIONS
    assert PIVOT_BY_REDUCTION == {"var": "mean", "std": "mean", "logsumexp": "max"}


class _RecordingFramework:
    """A framework whose functions are NumPy's, and which records the calls."""

    def __init__(self, **flags):
        self.seen = []
        self.table = ReductionTable(
            function=self.function,
            cast=self.cast,
            **{"overrides": {}, "upcast": {"half": ROUNDING_SENSITIVE_REDUCTIONS}, **flags},
        )

    def function(self, name):
        def reduce(tensor, axes):
            self.seen.append(f"{name} of {tensor.dtype}")
            return getattr(np, name)(tensor, axis=axes)

        return reduce

    def cast(self, tensor, dtype):
        return tensor.astype(dtype)

    def reduce_first_axis_by_table(self, name, array):
        self.seen.clear()
        return self.table.reduction(name, KIND_BY_CODE[array.dtype.kind], array.dtype)(array, (0,))


def test_correct_functions_are_called_directly():
    table = ReductionTable(
        function=partial(getattr, np),
        cast=np.ndarray.astype,
        overrides={},
        upcast={"half": ROUNDING_SENSITIVE_REDUCTIONS},
    )
    assert table.reduction("sum", "floating", np.dtype("float64")) is np.sum
    assert table.reduction("max", "floating", np.dtype("float16")) is np.max
    assert backend_for_type(np.ndarray).reduction("sum", np.dtype("float64")) == np.add.reduce
    torch = pytest.importorskip("torch")
    assert backend_for_type(torch.Tensor).reduction("sum", torch.float64) is torch.sum


@pytest.mark.parametrize("name", ["sum", "mean", "var"])
def test_half_precision_is_upcast_and_cast_back(name):
    calls = _RecordingFramework()
    assert calls.reduce_first_axis_by_table(name, np.ones((4, 2), np.float16)).dtype == np.float16
    assert calls.seen == [f"{name} of float32"]
    assert calls.reduce_first_axis_by_table(name, np.ones((4, 2), np.float32)).dtype == np.float32
    assert calls.seen == [f"{name} of float32"]


def test_bools_and_integers_are_summed_in_64_bits():
    calls = _RecordingFramework(upcast={"bool": INT64_REDUCTIONS, "integer": INT64_REDUCTIONS})
    for dtype in ("bool", "int8", "uint16"):
        assert calls.reduce_first_axis_by_table("sum", np.ones((300, 2), dtype)).dtype == np.int64
        assert calls.seen == ["sum of int64"]
        calls.reduce_first_axis_by_table("max", np.ones((300, 2), dtype))
        assert calls.seen == [f"max of {dtype}"]
    assert (
        calls.reduce_first_axis_by_table("sum", np.ones((3, 2), np.uint64)).dtype == np.uint64
    )  # which int64 does not hold


def test_unsupported_reductions_of_bools_and_numbers_are_replaced():
    calls = _RecordingFramework(has_bool_extrema=False, has_any_of_numbers=False)
    assert calls.reduce_first_axis_by_table("min", np.array([[True, False], [True, True]])).tolist() == [True, False]
    assert calls.seen == ["all of bool"]
    for dtype in ("float16", "float64", "int64", "complex64"):
        assert calls.reduce_first_axis_by_table("any", np.array([[0, 2], [0, 0]], dtype)).tolist() == [False, True]
        assert calls.seen == ["any of bool"]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "logsumexp"])
def test_empty_tensors_give_the_empty_value_where_the_framework_fails(name):
    calls = _RecordingFramework(unsupported_empty=REDUCTION_RULES)
    result = calls.reduce_first_axis_by_table(name, np.zeros((0, 2), np.float32))
    np.testing.assert_equal(result, np.full(2, REDUCTION_RULES[name].empty_value, np.float32))
    assert calls.seen == ["sum of float32"]
    filled = _RecordingFramework(
        unsupported_empty=REDUCTION_RULES,
        reduce_empty=lambda reduce, tensor, axes, value: (reduce, tensor.shape, axes, value),
    )
    assert filled.reduce_first_axis_by_table(name, np.zeros((0, 2), np.float32))[1:] == (
        (0, 2),
        (0,),
        REDUCTION_RULES[name].empty_value,
    )


def test_overrides_replace_functions():
    overrides = {"sum": np.min, ("sum", "complex"): np.prod, ("sum", np.dtype("float32")): np.mean}
    table = _RecordingFramework(overrides=overrides).table
    assert table.reduction("sum", "floating", np.dtype("float64")) is np.min
    assert table.reduction("sum", "complex", np.dtype("complex64")) is np.prod
    assert table.reduction("sum", "floating", np.dtype("float32")) is np.mean
    assert table.reduction("sum", None, None) is np.min


def test_logsumexp_and_var_built_from_functions():
    array = np.array([[1e4, -1e4], [1e4 + 1, -1e4 - 1]])
    peak = partial(np.max, keepdims=True)
    logsumexp = build_logsumexp(peak, np.exp, np.sum, np.log, np.squeeze)
    np.testing.assert_allclose(logsumexp(array, (0,)), [1e4 + np.log1p(np.e), -1e4 + np.log1p(np.exp(-1))])
    var = build_var(partial(np.mean, keepdims=True), lambda tensor: np.abs(tensor) ** 2, np.mean)
    np.testing.assert_allclose(var(array + 1j, (0,)), array.var(0))


@pytest.mark.parametrize(
    "name", ["numpy", "torch", "array_api_strict", "jax", "tensorflow", "keras", "mlx", "pytensor", "sparse"]
)
def test_any_and_all_look_at_both_parts_of_a_complex_number(name):
    pytest.importorskip(name)
    framework = importlib.import_module(f"backends.frameworks.{name}_").FRAMEWORK
    tensor = framework.make(np.array([[1j, 2j], [0, 1j], [0, 0]], np.complex64))
    assert np.asarray(plait.asnumpy(plait.reduce(tensor, "a b -> a", "any"))).tolist() == [True, True, False]
    assert np.asarray(plait.asnumpy(plait.reduce(tensor, "a b -> a", "all"))).tolist() == [True, False, False]
