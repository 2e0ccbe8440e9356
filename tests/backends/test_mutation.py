"""Mutation tests: each deliberate fault in a backend or a reduction rule must be detected.

A test of the conformance suite or a check of this file must fail.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import plait
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.numpy.contraction import contraction_functions
from plait.backends.reduction_rules import MERGEABLE_REDUCTIONS, REDUCTION_RULES
from plait.testing import BackendTests
from plait.testing._cases import EINSUM_CASES, EMPTY_REDUCE_CASES, REARRANGE_CASES, REDUCE_CASES, REPEAT_CASES


class _ReversedPermute(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.permute = lambda tensor, order: np.transpose(tensor, tuple(reversed(order)))


class _ColumnMajorReshape(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.reshape = lambda tensor, shape: np.reshape(tensor, shape, order="F")


class _MultiAxisReductionPlusOne(NumpyBackend):
    def reduction(self, name, dtype):
        reduce = super().reduction(name, dtype)
        return lambda tensor, axes: reduce(tensor, axes[:1]) if len(axes) == 1 else reduce(tensor, axes[::-1]) + 1


class _SampleVariance(NumpyBackend):
    def reduction(self, name, dtype):
        if name == "var":
            return lambda tensor, axes: tensor.var(axes, ddof=1)
        return super().reduction(name, dtype)


class _NanIgnoringMax(NumpyBackend):
    def reduction(self, name, dtype):
        return np.fmax.reduce if name == "max" else super().reduction(name, dtype)


class _OverflowingLogsumexp(NumpyBackend):
    def reduction(self, name, dtype):
        if name == "logsumexp":
            return lambda tensor, axes: np.log(np.exp(tensor).sum(axes))
        return super().reduction(name, dtype)


class _CopyingPermute(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.permute = lambda tensor, order: np.transpose(tensor, order).copy()


class _DoublingExpand(NumpyBackend):
    expand = staticmethod(lambda tensor, shape: np.broadcast_to(tensor, shape) * 2)


def _backend_class_with_wrong_operations(*names):
    """Return a backend class whose named contraction operations give slightly too large results."""

    class Wrong(NumpyBackend):
        def __init__(self, kind):
            super().__init__(kind)
            self.contraction_functions = lambda dtypes: contraction_functions(dtypes)._replace(
                **{name: _with_small_error(getattr(contraction_functions(dtypes), name)) for name in names}
            )

    return Wrong


def _with_small_error(operation):
    return lambda *arguments: operation(*arguments) + 1e-9


def _check_large_einsums():
    """Compare large einsums, for which the backend uses matmul, vecdot and add, with those of NumPy."""
    rng = np.random.default_rng(0)
    for equation, shapes in (
        ("bij,bjk->bik", [(4, 32, 64), (4, 64, 32)]),
        ("ij,ij->i", [(64, 512), (64, 512)]),
        ("ij,jk->k", [(64, 512), (512, 8)]),
    ):
        arrays = [rng.normal(size=shape) for shape in shapes]
        np.testing.assert_allclose(plait.einsum(equation, *arrays), np.einsum(equation, *arrays), rtol=0, atol=1e-10)


SUITE = BackendTests()
NUMPY_FRAMEWORK = importlib.import_module("backends.frameworks.numpy_").FRAMEWORK

MUTATIONS = [
    (_ReversedPermute, lambda: [SUITE.test_rearrange(NUMPY_FRAMEWORK, case) for case in REARRANGE_CASES]),
    (_ColumnMajorReshape, lambda: [SUITE.test_rearrange(NUMPY_FRAMEWORK, case) for case in REARRANGE_CASES]),
    (_MultiAxisReductionPlusOne, lambda: [SUITE.test_reduce(NUMPY_FRAMEWORK, case, "sum") for case in REDUCE_CASES]),
    (_SampleVariance, lambda: [SUITE.test_reduce(NUMPY_FRAMEWORK, case, "var") for case in REDUCE_CASES]),
    (_NanIgnoringMax, lambda: SUITE.test_reduce_of_nan_and_infinity(NUMPY_FRAMEWORK, "max")),
    (_OverflowingLogsumexp, lambda: SUITE.test_reduce_of_nan_and_infinity(NUMPY_FRAMEWORK, "logsumexp")),
    (
        _CopyingPermute,
        lambda: [SUITE.test_view_or_copy(NUMPY_FRAMEWORK, case) for case in REARRANGE_CASES if case.view],
    ),
    (_DoublingExpand, lambda: [SUITE.test_repeat(NUMPY_FRAMEWORK, case) for case in REPEAT_CASES]),
    *[
        (
            _backend_class_with_wrong_operations(name),
            lambda: [SUITE.test_einsum(NUMPY_FRAMEWORK, case) for case in EINSUM_CASES],
        )
        for name in ("einsum", "dot", "multiply")
    ],
    *[(_backend_class_with_wrong_operations(name), _check_large_einsums) for name in ("matmul", "vecdot", "add")],
]


@pytest.mark.parametrize(("broken", "check"), MUTATIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_backend_is_detected(monkeypatch, broken, check):
    from plait.backends.registry import backend_for_type

    check()
    plait.cache_clear()
    backend_for_type.cache_clear()
    monkeypatch.setattr("plait.backends.numpy.backend.BACKEND_FACTORY", broken)
    try:
        with np.errstate(all="ignore"), pytest.raises((AssertionError, ValueError, plait.PlaitError)):
            check()
    finally:
        monkeypatch.undo()
        backend_for_type.cache_clear()
        plait.cache_clear()


ARRAY_API_FRAMEWORK = importlib.import_module("backends.frameworks.array_api_strict_").FRAMEWORK


def _dtype_check(framework, reduction, *dtypes):
    return lambda: [SUITE.test_reduce_of_every_dtype(framework, dtype, reduction) for dtype in dtypes]


def _empty_tensor_check(framework, reduction):
    return lambda: [SUITE.test_reduce_of_no_elements(framework, case, reduction) for case in EMPTY_REDUCE_CASES]


def _check_variance_of_variances():
    array = np.random.default_rng(0).normal(size=(2, 3, 4))
    composed = plait.compile("a b c -> a b") >> plait.compile("a b -> a")
    np.testing.assert_allclose(composed.reduce(array, "var"), array.var(2).var(1))


RULE_MUTATIONS = [
    ("mean", {"kinds": REDUCTION_RULES["sum"].kinds}, _dtype_check(NUMPY_FRAMEWORK, "mean", "int32")),
    ("sum", {"kinds": REDUCTION_RULES["mean"].kinds}, _dtype_check(NUMPY_FRAMEWORK, "sum", "int32")),
    ("min", {"empty_value": 0}, _empty_tensor_check(NUMPY_FRAMEWORK, "min")),
    ("sum", {"empty_value": None}, _empty_tensor_check(NUMPY_FRAMEWORK, "sum")),
    ("logsumexp", {"empty_value": 0}, _empty_tensor_check(ARRAY_API_FRAMEWORK, "logsumexp")),
    ("sum", {"accumulators": {"bool": "uint8"}}, _dtype_check(ARRAY_API_FRAMEWORK, "sum", "bool")),
    ("prod", {"accumulators": {}}, _dtype_check(ARRAY_API_FRAMEWORK, "prod", "bool")),
    ("max", {"bool_equivalent": "all"}, _dtype_check(ARRAY_API_FRAMEWORK, "max", "bool")),
    ("min", {"bool_equivalent": None}, _dtype_check(ARRAY_API_FRAMEWORK, "min", "bool")),
]


@pytest.mark.parametrize(("name", "changes", "check"), RULE_MUTATIONS)
def test_a_wrong_reduction_rule_fails_the_conformance_suite(monkeypatch, name, changes, check):
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    check()
    plait.cache_clear()
    monkeypatch.setitem(REDUCTION_RULES, name, REDUCTION_RULES[name]._replace(**changes))
    with pytest.raises((AssertionError, TypeError, ValueError, pytest.fail.Exception)):
        check()
    plait.cache_clear()


def test_fusing_an_unmergeable_reduction_is_detected(monkeypatch):
    _check_variance_of_variances()
    plait.cache_clear()
    monkeypatch.setattr("plait._executor.pipeline.MERGEABLE_REDUCTIONS", MERGEABLE_REDUCTIONS | {"var"})
    with pytest.raises(AssertionError):
        _check_variance_of_variances()
    plait.cache_clear()
