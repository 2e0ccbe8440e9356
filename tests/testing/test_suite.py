"""The conformance suite itself: what it skips, what its messages say, and the oracle that it compares with."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

import plait  # noqa: E402
from plait.testing import BackendTests, Framework  # noqa: E402
from plait.testing import _oracle as oracle  # noqa: E402
from plait.testing import _suite as suite  # noqa: E402
from plait.testing._arrays import describe_difference  # noqa: E402
from plait.testing._calls import Call  # noqa: E402
from plait.testing._cases import REARRANGE_CASES  # noqa: E402

BACKEND_TESTS_INSTANCE = BackendTests()


class NumPy(Framework):
    """NumPy with only the method that a subclass of `Framework` must define."""

    def make(self, array):
        return array


PLAIN_NUMPY = NumPy("plain", "numpy", unsupported_dtypes={"int32": "an example"})


def test_what_a_framework_does_not_have_is_skipped():
    assert (PLAIN_NUMPY.has_views, PLAIN_NUMPY.has_gradients) == (False, False)
    with pytest.raises(pytest.skip.Exception, match="plain has no int32: an example"):
        BACKEND_TESTS_INSTANCE.test_reduce_of_every_dtype(PLAIN_NUMPY, "int32", "sum")
    with pytest.raises(pytest.skip.Exception, match="plain has no views: NumPy does not define shares_memory"):
        BACKEND_TESTS_INSTANCE.test_view_or_copy(PLAIN_NUMPY, REARRANGE_CASES[0])
    with pytest.raises(pytest.skip.Exception, match="plain has no gradients: NumPy does not define gradient"):
        BACKEND_TESTS_INSTANCE.test_gradient_of_reduce(PLAIN_NUMPY, "sum")


def test_bfloat16_is_skipped_without_ml_dtypes(monkeypatch):
    monkeypatch.setattr(suite, "HAS_BFLOAT16", False)
    with pytest.raises(pytest.skip.Exception, match="bfloat16 needs ml_dtypes, which is not installed"):
        BACKEND_TESTS_INSTANCE.test_reduce_of_every_dtype(PLAIN_NUMPY, "bfloat16", "sum")


def test_views_that_the_framework_does_not_declare_fail():
    with pytest.raises(AssertionError, match=r"it gives a view: define Framework\.shares_memory"):
        BACKEND_TESTS_INSTANCE.test_view_is_an_error_without_views(PLAIN_NUMPY)


def test_a_framework_must_be_set():
    with pytest.raises(TypeError, match=r"BackendTests must set the class attribute framework"):
        BACKEND_TESTS_INSTANCE.framework_under_test.__wrapped__(BACKEND_TESTS_INSTANCE)


def test_a_message_shows_the_call_the_elements_and_the_plan():
    call = Call(PLAIN_NUMPY, "reduce", "a (b c) -> b", [np.ones((2, 6))], {"b": 2}, "max")
    with pytest.raises(AssertionError) as caught:
        call.check_result_is_close(call.run(), np.array([1.0, 2.0]))
    lines = str(caught.value).splitlines()
    assert lines[:5] == [
        "plait.reduce(x, 'a (b c) -> b', 'max', b=2) is wrong on plain",
        "  x: shape (2, 6), float64",
        "  1 of 2 elements are wrong, the first at index (1,)",
        "    actual:   1.0",
        "    expected: 2.0",
    ]
    assert any(line.split()[:2] == ["reduce", "over"] for line in lines)
    assert lines[-1] == "  NumpyBackend: every function that was called by itself on a small tensor is right"


def test_a_message_names_types_and_dtypes():
    call = Call(PLAIN_NUMPY, "rearrange", "a -> a 1", [np.ones(2)])
    with pytest.raises(AssertionError, match=r"the result is of type builtins\.list, and should be of numpy\.ndarray"):
        call.check_type([])
    with pytest.raises(AssertionError, match=r"the dtype of the result is int64, and should be float64"):
        call.check_dtype("int64", "float64")


def test_exceptions_become_failures_and_plait_errors_propagate():
    def fault():
        raise IndexError("out of range")

    call = Call(PLAIN_NUMPY, "rearrange", "a -> a", [np.ones((2, 3))])
    with pytest.raises(AssertionError, match="it raises IndexError: out of range"):
        call.run(fault)
    with pytest.raises(plait.SizeError):
        call.run()


def test_describe_difference():
    ones = np.ones((2, 2))
    assert describe_difference(ones, ones) is None
    assert describe_difference(ones, ones + 1e-15) is not None
    assert describe_difference(ones, ones + 1e-15, "float64") is None
    assert describe_difference(ones * np.nan, ones * np.nan, "float64") is None
    assert describe_difference(ones, np.ones(4)) == "the shape is (2, 2), and should be (4,)"
    assert "the first at index ()" in describe_difference(np.array(1.0), np.array(2.0))


def test_oracle_gives_results_computed_by_hand():
    x = np.arange(12).reshape(2, 6)
    assert oracle.rearrange("a (b c) -> c (b a)", x, {"c": 3}).tolist() == [[0, 6, 3, 9], [1, 7, 4, 10], [2, 8, 5, 11]]
    assert oracle.rearrange("a b -> a 2 b", x, {}).shape == (2, 2, 6)
    assert oracle.rearrange("a ... -> (...) a", x, {}).tolist() == x.T.tolist()
    assert oracle.reduce("a (b 2) -> b", x, "sum", {}).tolist() == [14, 22, 30]
    assert oracle.reduce("... b -> ...", x, "max", {}).tolist() == [5, 11]
    assert oracle.einsum("a b, c b -> a c", [x, x], {}).tolist() == (x @ x.T).tolist()
    assert oracle.einsum("a a ->", [x[:, :2]], {}).item() == 7
