"""Drawn element types, reductions and einsums on every framework, compared with double precision.

``PLAIT_EXAMPLES`` is the number of examples of each test, 60 by default. A run of an hour with 3,000 of each and the
seeds 101 to 179 on NumPy, PyTorch and array_api_strict (some 1,400,000 examples) found nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_examples import example_count
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import plait
from backends.frameworks import parametrize_by_framework
from plait.testing._arrays import DTYPES, PARTLY_SUPPORTED_DTYPES, dtype_from_name
from plait.testing._suite import SUPPORTED_DTYPES_BY_REDUCTION

pytest.importorskip("ml_dtypes")

MAX_EXAMPLES = example_count(60)
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
REDUCTIONS = ("min", "max", "sum", "prod", "mean", "var", "std", "any", "all", "logsumexp")
INTEGER_DTYPES = {name for name in (*DTYPES, *PARTLY_SUPPORTED_DTYPES) if "int" in name}


def small_integer_array(dtype, shape, seed):
    """Return integers of both signs where the element type has them, small enough for all sums and products."""
    low = 0 if dtype == "bool" or dtype.startswith("uint") else -2
    values = np.random.default_rng(seed).integers(low, 2 if dtype == "bool" else 3, shape)
    return values.astype(dtype_from_name(dtype))


def make_or_none(framework, array):
    """Return a tensor of the framework; ``None`` if the framework does not have the element type."""
    if array.dtype.name in framework.unsupported_dtypes:
        return None
    try:
        return framework.make(array)
    except Exception:  # each framework has its own error for an element type that it lacks
        return None


def in_double_precision(array):
    """Return an array in double precision, with exactly the same elements."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def is_refused(reduction, dtype):
    """Return whether a reduction raises the error PLT503 for an element type."""
    if dtype in DTYPES:
        return dtype not in SUPPORTED_DTYPES_BY_REDUCTION[reduction]
    return dtype in INTEGER_DTYPES and reduction in ("mean", "var", "std", "logsumexp")


def reduce_wide(reduction, wide):
    """Reduce the last dimension in double precision."""
    if reduction == "logsumexp":
        return np.log(np.exp(wide).sum(-1))
    return getattr(np, reduction)(wide, axis=-1)


def assert_equal_after_rounding(actual, expected, dtype):
    """Assert that a result is the expected one, rounded to an element type."""
    spacing = {"float8_e4m3fn": 0.13, "float8_e5m2": 0.26, "bfloat16": 8e-3, "float16": 1e-3}.get(dtype, 1e-6)
    actual = np.asarray(actual).astype(np.asarray(expected).dtype if np.iscomplexobj(expected) else np.float64)
    np.testing.assert_allclose(actual, expected, rtol=spacing, atol=spacing)


@parametrize_by_framework()
def test_reductions_equal_those_in_double_precision(framework):
    plait.asnumpy(plait.reduce(framework.make(np.ones((2, 2))), "a b -> a", "sum"))  # some change the recursion limit

    @settings(max_examples=MAX_EXAMPLES, phases=PHASES)
    @given(
        st.sampled_from([*DTYPES, *PARTLY_SUPPORTED_DTYPES]),
        st.sampled_from(REDUCTIONS),
        st.tuples(st.integers(1, 4), st.integers(1, 6)),
        st.integers(0, 1000),
    )
    def check(dtype, reduction, shape, seed):
        array = small_integer_array(dtype, shape, seed)
        tensor = make_or_none(framework, array)
        if tensor is None:
            return
        if is_refused(reduction, dtype):
            with pytest.raises(plait.BackendError, match="PLT503"):
                plait.reduce(tensor, "a b -> a", reduction)
            return
        with np.errstate(all="ignore"), _ignored(framework):
            result = plait.asnumpy(plait.reduce(tensor, "a b -> a", reduction))
        expected = reduce_wide(reduction, in_double_precision(array))
        assert_equal_after_rounding(result, expected, dtype)

    check()


@parametrize_by_framework()
def test_einsums_equal_those_in_double_precision(framework):
    plait.asnumpy(plait.einsum(framework.make(np.ones((2, 2))), "a b -> b"))

    @settings(max_examples=MAX_EXAMPLES, phases=PHASES)
    @given(
        st.sampled_from([name for name in (*DTYPES, *PARTLY_SUPPORTED_DTYPES) if name != "uint64"]),
        st.sampled_from([name for name in (*DTYPES, *PARTLY_SUPPORTED_DTYPES) if name != "uint64"]),
        st.sampled_from(["a b, b c -> a c", "a b, a b -> b", "a b, b a -> a b", "a b, c b -> c"]),
        st.integers(0, 1000),
    )
    def check(first, second, pattern, seed):
        shapes = {"a": 3, "b": 3, "c": 3}
        arrays = [
            small_integer_array(dtype, tuple([shapes[name] for name in term.split()]), seed + number) % 2
            if dtype in INTEGER_DTYPES
            else small_integer_array(dtype, tuple([shapes[name] for name in term.split()]), seed + number)
            for number, (dtype, term) in enumerate(
                zip((first, second), pattern.partition(" ->")[0].split(", "), strict=True)
            )
        ]
        tensors = [make_or_none(framework, array.astype(array.dtype)) for array in arrays]
        if any(tensor is None for tensor in tensors):
            return
        with _ignored(framework):
            result = plait.asnumpy(plait.einsum(*tensors, pattern))
        expected = plait.einsum(*map(in_double_precision, arrays), pattern)
        if first == second == "bool":
            expected = expected != 0
        assert_equal_after_rounding(result, expected, min(first, second, key=_precision_rank))

    check()


def _precision_rank(dtype):
    """Return a number that grows with the precision of an element type."""
    return {"float8_e5m2": 0, "float8_e4m3fn": 1, "bfloat16": 2, "float16": 3}.get(dtype, 4)


def _ignored(framework):
    """Return a context in which the known warnings of a framework are ignored."""
    from plait.testing._suite import _ignored_warnings

    return _ignored_warnings(framework)


OTHER_ARRAYS_BY_COLUMN = {
    "`datetime64`": [np.array(["2026-01-03", "2026-01-01"], "M8[D]")],
    "`timedelta64`": [np.array([3, 1], "m8[s]")],
    "`StringDType`": [np.array(["b", "a"], np.dtypes.StringDType())] if hasattr(np.dtypes, "StringDType") else [],
    "`str_`, `bytes_`": [np.array(["b", "a"]), np.array([b"b", b"a"])],
    "`object`": [np.array([3, 2], object), np.array([3.0, 2.0], object)],
    "`longdouble`": [np.array([3, 2], np.longdouble)],
    "records": [np.zeros(2, "i4,f4")],
}
"""Arrays of two elements, by the column of the page of element types that describes them."""


def documented_cells():
    """Yield column, reduction and cell of the table of NumPy's other element types."""
    page = (Path(__file__).parents[2] / "docs" / "element-types.md").read_text(encoding="utf-8")
    table = page.partition("### Other element types of NumPy")[2].partition("\n\n* ")[0]
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    assert sorted(row[0].strip("`") for row in rows) == sorted(REDUCTIONS)
    assert header[1:] == list(OTHER_ARRAYS_BY_COLUMN)
    for name, *cells in rows:
        for column, cell in zip(header[1:], cells, strict=True):
            yield column, name.strip("`"), cell


@pytest.mark.parametrize(("column", "reduction", "cell"), [*documented_cells()])
def test_other_element_types_of_numpy_are_reduced_as_documented(column, reduction, cell):
    for array in OTHER_ARRAYS_BY_COLUMN[column]:
        if cell == "PLT503":
            with pytest.raises(plait.BackendError, match="PLT503"):
                plait.reduce(array, "a ->", reduction)
            continue
        first, second = array
        expected = {
            "min": min,
            "max": max,
            "sum": lambda one, other: one + other,
            "prod": lambda one, other: one * other,
            "mean": lambda one, other: (one + other) / 2,
            "std": lambda one, other: abs(one - other) / 2,
            "var": lambda one, other: (one - other) ** 2 / 4,
            "any": lambda one, other: bool(one) or bool(other),
            "all": lambda one, other: bool(one) and bool(other),
            "logsumexp": lambda one, other: np.log(np.exp(one) + np.exp(other)),
        }[reduction](first, second)
        result = plait.reduce(array, "a ->", reduction)
        assert result == pytest.approx(expected, rel=1e-15) if isinstance(first, np.longdouble) else result == expected
        kept_type = {"bool": (bool, np.bool_), "quotient": (float,)}.get(cell, type(first))
        assert isinstance(result, kept_type)
