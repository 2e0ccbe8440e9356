"""The conformance suite must notice: backends broken on purpose, each in one way, must fail it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import plait
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.numpy.contraction import contraction_ops
from plait.backends.reduction_rules import MERGEABLE_REDUCTIONS, REDUCTION_RULES
from plait.testing import BackendTests
from plait.testing._cases import EINSUM, EMPTY, REARRANGE, REDUCE, REPEAT


class _Reversed(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.permute = lambda tensor, order: np.transpose(tensor, tuple(reversed(order)))


class _ColumnMajor(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.reshape = lambda tensor, shape: np.reshape(tensor, shape, order="F")


class _Unreduced(NumpyBackend):
    def reduction(self, name, dtype):
        reduce = super().reduction(name, dtype)
        return lambda tensor, axes: reduce(tensor, axes[:1]) if len(axes) == 1 else reduce(tensor, axes[::-1]) + 1


class _SampleVariance(NumpyBackend):
    def reduction(self, name, dtype):
        if name == "var":
            return lambda tensor, axes: tensor.var(axes, ddof=1)
        return super().reduction(name, dtype)


class _NoNan(NumpyBackend):
    def reduction(self, name, dtype):
        return np.fmax.reduce if name == "max" else super().reduction(name, dtype)


class _Overflowing(NumpyBackend):
    def reduction(self, name, dtype):
        if name == "logsumexp":
            return lambda tensor, axes: np.log(np.exp(tensor).sum(axes))
        return super().reduction(name, dtype)


class _Copying(NumpyBackend):
    def __init__(self, kind):
        super().__init__(kind)
        self.permute = lambda tensor, order: np.transpose(tensor, order).copy()


class _Doubling(NumpyBackend):
    expand = staticmethod(lambda tensor, shape: np.broadcast_to(tensor, shape) * 2)


def _wrong(*names):
    """A backend some of whose operations are a little too large."""

    class Wrong(NumpyBackend):
        def __init__(self, kind):
            super().__init__(kind)
            self.contraction_ops = lambda dtypes: contraction_ops(dtypes)._replace(
                **{name: _too_large(getattr(contraction_ops(dtypes), name)) for name in names}
            )

    return Wrong


def _too_large(product):
    return lambda *arguments: product(*arguments) + 1e-9


def _large_products():
    """Products that are large enough for every way to be taken."""
    rng = np.random.default_rng(0)
    for equation, shapes in (
        ("bij,bjk->bik", [(4, 32, 64), (4, 64, 32)]),
        ("ij,ij->i", [(64, 512), (64, 512)]),
        ("ij,jk->k", [(64, 512), (512, 8)]),
    ):
        arrays = [rng.normal(size=shape) for shape in shapes]
        np.testing.assert_allclose(plait.einsum(equation, *arrays), np.einsum(equation, *arrays), rtol=0, atol=1e-10)


SUITE = BackendTests()
NUMPY = importlib.import_module("backends.frameworks.numpy_").FRAMEWORK

SABOTAGE = [
    (_Reversed, lambda: [SUITE.test_rearrange(NUMPY, case) for case in REARRANGE]),
    (_ColumnMajor, lambda: [SUITE.test_rearrange(NUMPY, case) for case in REARRANGE]),
    (_Unreduced, lambda: [SUITE.test_reduce(NUMPY, case, "sum") for case in REDUCE]),
    (_SampleVariance, lambda: [SUITE.test_reduce(NUMPY, case, "var") for case in REDUCE]),
    (_NoNan, lambda: SUITE.test_reduce_of_nan_and_infinity(NUMPY, "max")),
    (_Overflowing, lambda: SUITE.test_reduce_of_nan_and_infinity(NUMPY, "logsumexp")),
    (_Copying, lambda: [SUITE.test_view_or_copy(NUMPY, case) for case in REARRANGE if case.view]),
    (_Doubling, lambda: [SUITE.test_repeat(NUMPY, case) for case in REPEAT]),
    *[
        (_wrong(name), lambda: [SUITE.test_einsum(NUMPY, case) for case in EINSUM])
        for name in ("einsum", "dot", "multiply")
    ],
    *[(_wrong(name), _large_products) for name in ("matmul", "vecdot", "add")],
]


@pytest.mark.parametrize(("broken", "check"), SABOTAGE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_backend_fails(monkeypatch, broken, check):
    from plait.backends.registry import backend_for_type

    check()
    plait.cache_clear()
    backend_for_type.cache_clear()
    monkeypatch.setattr("plait.backends.numpy.backend.BACKEND", broken)
    try:
        with np.errstate(all="ignore"), pytest.raises((AssertionError, ValueError, plait.PlaitError)):
            check()
    finally:
        monkeypatch.undo()
        backend_for_type.cache_clear()
        plait.cache_clear()


STANDARD = importlib.import_module("backends.frameworks.array_api_strict_").FRAMEWORK


def _of_each_type(framework, reduction, *dtypes):
    return lambda: [SUITE.test_reduce_of_every_dtype(framework, dtype, reduction) for dtype in dtypes]


def _of_nothing(framework, reduction):
    return lambda: [SUITE.test_reduce_of_no_elements(framework, case, reduction) for case in EMPTY]


def _variance_of_variances():
    array = np.random.default_rng(0).normal(size=(2, 3, 4))
    composed = plait.compile("a b c -> a b") >> plait.compile("a b -> a")
    np.testing.assert_allclose(composed.reduce(array, "var"), array.var(2).var(1))


WRONG_RULES = [
    ("mean", {"kinds": REDUCTION_RULES["sum"].kinds}, _of_each_type(NUMPY, "mean", "int32")),
    ("sum", {"kinds": REDUCTION_RULES["mean"].kinds}, _of_each_type(NUMPY, "sum", "int32")),
    ("min", {"empty_value": 0}, _of_nothing(NUMPY, "min")),
    ("sum", {"empty_value": None}, _of_nothing(NUMPY, "sum")),
    ("logsumexp", {"empty_value": 0}, _of_nothing(STANDARD, "logsumexp")),
    ("sum", {"accumulators": {"bool": "uint8"}}, _of_each_type(STANDARD, "sum", "bool")),
    ("prod", {"accumulators": {}}, _of_each_type(STANDARD, "prod", "bool")),
    ("max", {"bool_equivalent": "all"}, _of_each_type(STANDARD, "max", "bool")),
    ("min", {"bool_equivalent": None}, _of_each_type(STANDARD, "min", "bool")),
]


@pytest.mark.parametrize(("name", "changes", "check"), WRONG_RULES)
def test_a_wrong_rule_fails(monkeypatch, name, changes, check):
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    check()
    plait.cache_clear()
    monkeypatch.setitem(REDUCTION_RULES, name, REDUCTION_RULES[name]._replace(**changes))
    with pytest.raises((AssertionError, TypeError, ValueError, pytest.fail.Exception)):
        check()
    plait.cache_clear()


def test_a_reduction_that_does_not_merge_fails(monkeypatch):
    _variance_of_variances()
    plait.cache_clear()
    monkeypatch.setattr("plait._executor.pipeline.MERGEABLE_REDUCTIONS", MERGEABLE_REDUCTIONS | {"var"})
    with pytest.raises(AssertionError):
        _variance_of_variances()
    plait.cache_clear()
