"""What the results must be: each operation by its definition, in the exact type or in double precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from elements import COMPLEX, INTEGERS, Element

DOUBLE = float(np.finfo(np.float64).eps)


def check(operation: str, element: Element, source: np.ndarray, axes: Sequence[int], result: np.ndarray) -> None:
    """Raise an AssertionError if the result of an operation is not what its definition says."""
    values = element.values(source)
    kept = [axis for axis in range(values.ndim) if axis not in axes]
    order = [*kept, *sorted(axes)]
    shape = tuple(values.shape[axis] for axis in kept)
    rows = np.ascontiguousarray(values.transpose(order)).reshape(math.prod(shape), -1)
    if operation in {"softmax", "log_softmax"}:
        actual = result.transpose(order).reshape(rows.shape)
    else:
        assert result.shape == shape
        actual = result.reshape(len(rows))
    with np.errstate(all="ignore"):
        CHECKS[operation](operation, element, rows, actual)


def _check_extremum(operation: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    """The least or greatest element, which is NaN or NaT if there is one; the sign of zero is free."""
    expected = getattr(np, operation)(rows, axis=1)
    if element.name == "datetime64":
        np.testing.assert_array_equal(actual.view(np.int64), expected.view(np.int64))
    else:
        np.testing.assert_array_equal(element.values(actual), expected)


def _check_index(operation: str, _: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    """The first of equal elements, or the first NaN."""
    np.testing.assert_array_equal(actual, getattr(np, operation)(rows, axis=1))


def _check_truth(operation: str, _: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    np.testing.assert_array_equal(actual, getattr(np, operation)(rows != 0, axis=1))


def _check_sum(operation: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    """A sum or a mean: integers wrap around; the rounding error of floats is that of the result alone."""
    if element.name in {"bool", *INTEGERS}:
        np.testing.assert_array_equal(actual, rows.sum(axis=1, dtype=actual.dtype))
        return
    if element.name in COMPLEX:
        part = Element("float32" if element.name == "complex64" else "float64", rows.real.dtype)
        _check_sum(operation, part, rows.real, actual.real)
        _check_sum(operation, part, rows.imag, actual.imag)
        return
    doubles = rows.astype(np.float64)
    sums = np.array([_exact_sum(row) for row in doubles])
    size = np.abs(doubles).sum(axis=1)
    # in double precision the errors are summed as well; the others are summed in double precision
    error = size * rows.shape[1] * DOUBLE * (2 * DOUBLE if element.name == "float64" else 1)
    count = rows.shape[1] if operation == "mean" else 1
    _check_close(element, actual, sums / count, 2 * DOUBLE * np.abs(sums / count) + error / count)


def _exact_sum(row: np.ndarray) -> float:
    if not np.isfinite(row).all():
        return float(row.sum())
    try:
        return math.fsum(row)
    except OverflowError:
        return float(row.sum())


def _check_product(_: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    if element.name in {"bool", *INTEGERS}:
        np.testing.assert_array_equal(actual, rows.prod(axis=1, dtype=actual.dtype))
        return
    count = rows.shape[1]
    if element.name in COMPLEX:
        expected = rows.astype(np.complex128).prod(axis=1)
        part = Element("float32" if element.name == "complex64" else "float64", rows.real.dtype)
        error = 8 * count * DOUBLE * np.abs(expected)
        _check_close(part, actual.real, expected.real, error)
        _check_close(part, actual.imag, expected.imag, error)
        return
    expected = rows.astype(np.float64).prod(axis=1)
    _check_close(element, actual, expected, 2 * count * DOUBLE * np.abs(expected))


def _check_variance(operation: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    """The mean of the squares of the distances to the mean, or its root."""
    doubles = rows.astype(np.float64)
    count = rows.shape[1]
    means = np.array([_exact_sum(row) for row in doubles]) / count
    distances = doubles - means[:, None]
    variances = np.array([_exact_sum(row) for row in distances**2]) / count
    # the distances are rounded, and so is the mean that they are taken from
    error = (4 + count) * DOUBLE * variances + 4 * (DOUBLE * np.abs(doubles).max(axis=1)) ** 2
    if operation == "var":
        _check_close(element, actual, variances, error)
    else:
        root = np.sqrt(variances)
        slack = np.where(variances > 4 * error, error / np.where(root > 0, root, 1), np.sqrt(error))
        _check_close(element, actual, root, slack + 2 * DOUBLE * root)


def _exponentials(element: Element, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the greatest elements, the terms, the sums of the terms below 1, the number of others, and an error.

    The exponentials have few units of error in the last place, plus that of the difference that they are taken of, plus
    those of their plain sum in double precision.
    """
    doubles = rows.astype(np.float64)
    greatest = doubles.max(axis=1, keepdims=True)
    distances = doubles - greatest
    terms = np.exp(distances)
    errors = terms * element.epsilon * (4 + np.abs(np.where(np.isfinite(distances), distances, 0)))
    errors += terms * (distances < 0) * rows.shape[1] * DOUBLE
    errors += 2e-38 if element.name != "float64" else 1e-307  # lesser exponentials are 0
    lesser = np.where(distances < 0, terms, 0)
    sums = np.array([_exact_sum(row) for row in lesser])[:, None]
    return greatest, distances, terms, sums, (distances == 0).sum(axis=1, keepdims=True), errors


def _check_logsumexp(_: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    greatest, _, _, sums, counts, errors = _exponentials(element, rows)
    logarithms = np.log(np.maximum(counts, 1)) + np.log1p(sums / np.maximum(counts, 1))
    expected = np.where(np.isfinite(greatest), greatest + logarithms, greatest)
    error = errors.sum(axis=1, keepdims=True) / (sums + counts)
    error = error + 2 * DOUBLE * (np.abs(greatest) * (greatest != -logarithms) + np.abs(logarithms))
    error = np.where(np.isfinite(greatest), error, 0)
    _check_close(element, actual, expected[:, 0], error[:, 0])


def _check_softmax(operation: str, element: Element, rows: np.ndarray, actual: np.ndarray) -> None:
    _, distances, terms, sums, counts, errors = _exponentials(element, rows)
    totals = sums + counts
    total_error = errors.sum(axis=1, keepdims=True) / totals
    if operation == "softmax":
        expected = terms / np.where(counts, totals, np.nan)
        error = errors / totals + expected * (total_error + 4 * DOUBLE)
        if element.name != "float64":  # the quotient is rounded to single precision
            error = error + 1e-45
    else:
        logarithms = np.where(counts, np.log(np.maximum(counts, 1)) + np.log1p(sums / np.maximum(counts, 1)), np.nan)
        logarithms = np.where(np.isposinf(rows.astype(np.float64).max(axis=1, keepdims=True)), np.nan, logarithms)
        expected = distances - logarithms
        is_infinite = np.isneginf(distances)  # less than infinity by infinity
        expected = np.where(is_infinite, -np.inf, expected)
        error = total_error + 4 * DOUBLE * (np.abs(np.where(is_infinite, 0, distances)) + np.abs(logarithms))
    _check_close(element, actual.reshape(-1), expected.reshape(-1), np.broadcast_to(error, expected.shape).reshape(-1))


def _check_close(element: Element, actual: np.ndarray, expected: np.ndarray, error: np.ndarray) -> None:
    """Raise if a result is not a rounded number that is at most ``error`` from the expected one.

    16-bit floats are rounded twice, of which the first time is to single precision.
    """
    if element.name in {"float16", "bfloat16"}:
        error = error + np.abs(expected) * 2.0**-24 + 1e-45
    error = np.where(np.isfinite(expected) & np.isfinite(error), error, 0)
    values = element.values(actual).astype(np.float64)
    low = element.values(element.round(expected - error)).astype(np.float64)
    high = element.values(element.round(expected + error)).astype(np.float64)
    right = ((low <= values) & (values <= high)) | (np.isnan(values) & np.isnan(low))
    if not right.all():
        i = int(np.argmin(right))
        message = f"result {i} of {len(right)} is {values[i]!r}, not {expected[i]!r} ({low[i]!r} to {high[i]!r})"
        raise AssertionError(message)


def check_gradient(
    operation: str,
    element: Element,
    source: np.ndarray,
    result: np.ndarray,
    result_gradient: np.ndarray,
    axes: Sequence[int],
    gradient: np.ndarray,
) -> None:
    """Raise an AssertionError if the gradient of an operation is not what its definition says."""
    values = element.values(source).astype(np.float64)
    order = [*[axis for axis in range(values.ndim) if axis not in axes], *sorted(axes)]
    rows = np.ascontiguousarray(values.transpose(order)).reshape(result.size, -1)
    results, slopes = (element.values(each).astype(np.float64).reshape(-1, 1) for each in (result, result_gradient))
    with np.errstate(all="ignore"):
        expected, error = GRADIENTS[operation](element, rows, results, slopes)
        expected, error = (np.broadcast_to(each, rows.shape).reshape(-1) for each in (expected, error))
        actual = np.ascontiguousarray(gradient.transpose(order)).reshape(-1)
        _check_close(element, actual, expected, error + 4 * DOUBLE * np.abs(expected))
        if operation in {"min", "max"}:  # zeros have the sign of the gradient
            found = element.values(actual)
            is_zero = (expected == 0) & (found == 0)
            np.testing.assert_array_equal(np.signbit(found[is_zero]), np.signbit(expected[is_zero]))


def _gradient_of_mean(_: Element, rows: np.ndarray, __: np.ndarray, slopes: np.ndarray) -> tuple:
    return slopes / rows.shape[1], 0.0


def _gradient_of_extremum(element: Element, rows: np.ndarray, results: np.ndarray, slopes: np.ndarray) -> tuple:
    """The elements that are equal to the result share its gradient; their number is rounded to the element type."""
    equal = rows == results
    counts = element.values(element.round(equal.sum(axis=1, keepdims=True))).astype(np.float64)
    return equal * (slopes / counts), 0.0


def _gradient_of_variance(_: Element, rows: np.ndarray, __: np.ndarray, slopes: np.ndarray) -> tuple:
    count = rows.shape[1]
    means = np.array([_exact_sum(row) for row in rows])[:, None] / count
    factors = 2 * slopes / count
    # the mean is the quotient of a plain sum in double precision, and the distance to it is rounded
    error = count * DOUBLE * np.abs(rows).mean(axis=1, keepdims=True) + DOUBLE * np.abs(means)
    return factors * (rows - means), np.abs(factors) * error


def _gradient_of_deviation(element: Element, rows: np.ndarray, results: np.ndarray, slopes: np.ndarray) -> tuple:
    halves = np.where(results == 0, 0, slopes / (2 * results))
    return _gradient_of_variance(element, rows, results, halves)


def _gradient_of_product(_: Element, rows: np.ndarray, __: np.ndarray, slopes: np.ndarray) -> tuple:
    """The product of the elements before and after each one."""
    ones = np.ones((len(rows), 1))
    before = np.cumprod(np.hstack([ones, rows[:, :-1]]), axis=1)
    after = np.cumprod(np.hstack([ones, rows[:, :0:-1]]), axis=1)[:, ::-1]
    expected = slopes * before * after
    return expected, 4 * rows.shape[1] * DOUBLE * np.abs(expected)


def _gradient_of_logsumexp(element: Element, rows: np.ndarray, results: np.ndarray, slopes: np.ndarray) -> tuple:
    distances = rows - results
    terms = np.exp(distances)
    error = terms * element.epsilon * (4 + np.abs(np.where(np.isfinite(distances), distances, 0)))
    error = error + (2e-38 if element.name != "float64" else 1e-307)  # lesser exponentials are 0
    return slopes * terms, np.abs(slopes) * error


GRADIENTS = {
    "mean": _gradient_of_mean,
    "min": _gradient_of_extremum,
    "max": _gradient_of_extremum,
    "var": _gradient_of_variance,
    "std": _gradient_of_deviation,
    "logsumexp": _gradient_of_logsumexp,
    "prod": _gradient_of_product,
}
CHECKS = {
    "min": _check_extremum,
    "max": _check_extremum,
    "argmin": _check_index,
    "argmax": _check_index,
    "any": _check_truth,
    "all": _check_truth,
    "sum": _check_sum,
    "mean": _check_sum,
    "prod": _check_product,
    "var": _check_variance,
    "std": _check_variance,
    "logsumexp": _check_logsumexp,
    "softmax": _check_softmax,
    "log_softmax": _check_softmax,
}
