"""Kernels for tensors of every size, and drawn tensors, patterns and values for them."""

from __future__ import annotations

import importlib
import math
from contextlib import contextmanager
from unittest import mock

import numpy as np
from hypothesis import strategies as st

import plait
from plait.backends.costs import KernelCosts
from plait.backends.kernels import Kernel
from plait.backends.registry import backend_for_type

NO_COSTS = KernelCosts(call_overhead=0.0, element=0.0, memory_byte=0.0)
REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all", "var", "std", "logsumexp")
NUMBER_DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
NUMPY_DTYPES = (*NUMBER_DTYPES, "M8[s]", "m8[ns]")
COPIED_NUMPY_DTYPES = (*NUMPY_DTYPES, "longdouble", "S3", "U3", "V12", ">f4", "i4,f8,S3")


@contextmanager
def kernels_for_all_sizes():
    """Use kernels for tensors of every size in the block; it gives the list of the results that kernels have filled."""
    plait.cache_clear()  # it also forgets the backends, so they are looked up after it
    results = []
    kept = {backend: backend.large_tensors for backend in map(backend_for_type, _classes_with_kernels())}
    for backend, large_tensors in kept.items():
        functions = large_tensors.load()
        functions = functions._replace(
            kernels=functions.kernels._replace(
                min_elements=1, min_elements_with_gradient=lambda *_: 1, costs=lambda *_: NO_COSTS
            )
        )
        backend.large_tensors = large_tensors._replace(
            load=lambda functions=functions: functions, min_elements=1, min_elements_if_rounding=1, eager_elements=1
        )
    call = Kernel.__call__

    def call_and_note(kernel, source, result):
        call(kernel, source, result)
        results.append(result)

    try:
        with mock.patch.object(Kernel, "__call__", call_and_note):
            yield results
    finally:
        for backend, large_tensors in kept.items():
            backend.large_tensors = large_tensors
        plait.cache_clear()


def _classes_with_kernels():
    classes = [np.ndarray, np.memmap]
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return classes
    return [*classes, torch.Tensor, torch.nn.Parameter]


def numpy_dtype(name):
    """Return an element type of NumPy, or of ml_dtypes."""
    return np.dtype(importlib.import_module("ml_dtypes").bfloat16 if name == "bfloat16" else name)


def draw_values(draw, dtype, shape, reduction):
    """Return an array of numbers, some of which may be NaN, infinite or zeros of both signs."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if dtype.kind == "f" or dtype.name == "bfloat16":
        values = rng.standard_normal(shape)
        if reduction == "prod":  # so that no product overflows
            values = np.copysign(np.exp(values.clip(-2, 2) * 4 / max(values.size, 1)), values)
        rare = rng.random(shape) < draw(st.sampled_from((0.0, 0.0, 0.02, 0.5, 1.0)))
        special = rng.choice(
            draw(st.sampled_from(((np.nan, np.inf, -np.inf, 0.0, -0.0), (0.0, -0.0), (-np.inf,)))), shape
        )
        return np.where(rare, special, values).astype(dtype)
    if dtype.kind == "c":
        return np.exp(6j * rng.random(shape)).astype(dtype)  # of magnitude 1, so that no product overflows
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < draw(st.sampled_from((0.0, 0.5, 0.99, 1.0))))
    raw = rng.bytes(math.prod(shape) * dtype.itemsize)
    if dtype.kind == "U":
        return rng.choice(np.array(["", "a", "äß", "xyz"]), shape).astype(dtype)
    return np.frombuffer(raw, "i8" if dtype.kind in "mM" else dtype).view(dtype).reshape(shape)


@st.composite
def tensors(draw, framework, dtype_names, reduction):
    """Draw a tensor: its values, and an order of its dimensions in memory, gaps, repeated rows and, on NumPy, negative
    strides and odd addresses."""
    name = draw(st.sampled_from(dtype_names))
    dtype = numpy_dtype(name)
    shape = draw(st.lists(st.sampled_from((1, 2, 2, 3, 4, 5, 7)), max_size=5))
    if shape and draw(st.booleans()):  # one dimension that fills vectors, and leaves a rest
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.sampled_from((15, 16, 17, 33, 64, 100)))
    order = draw(st.permutations(range(len(shape))))
    steps = draw(
        st.lists(
            st.sampled_from((1, 1, 1, 2) + (-1, -2) * (framework == "numpy")), min_size=len(shape), max_size=len(shape)
        )
    )
    repeated = [draw(st.sampled_from((False,) * 5 + (True,))) for _ in shape]
    stored = [1 if once else size for size, once in zip(shape, repeated, strict=True)]
    values = np.array(draw_values(draw, dtype, stored, reduction))
    sizes = [stored[dim] * abs(steps[dim]) for dim in order]
    slices = (..., *[slice(None, None, step) for step in steps])
    inverse = [order.index(dim) for dim in range(len(order))]
    if framework == "torch":
        torch = importlib.import_module("torch")
        view = torch.zeros(sizes, dtype=getattr(torch, name)).permute(inverse)[slices]
        view.copy_(torch.from_numpy(values.astype(np.float32) if name == "bfloat16" else values))
        return view.expand(shape)
    memory = np.zeros(math.prod(sizes) * dtype.itemsize + 1, np.uint8)
    odd = draw(st.sampled_from((False, False, True))) and dtype.kind != "V"
    memory = memory[odd : len(memory) - 1 + odd].view(dtype)
    view = memory.reshape(sizes).transpose(inverse)[slices]
    view[...] = values
    return np.broadcast_to(view, shape)


@st.composite
def calls(draw, framework, dtype_names, reduction):
    """Draw a tensor and a pattern: a reduction, or a copy if ``reduction`` is ``None``."""
    tensor = draw(tensors(framework, dtype_names, reduction))
    names = [f"a{dim}" for dim in range(tensor.ndim)]
    sizes = {}
    left = list(names)
    for dim in range(tensor.ndim):  # some dimensions are split
        if tensor.shape[dim] % 2 == 0 and draw(st.integers(0, 2)) == 0:
            left[dim] = f"(a{dim} s{dim})"
            names.append(f"s{dim}")
            sizes[f"s{dim}"] = 2
    kept = draw(st.permutations(names))
    if reduction is not None:
        kept = kept[: draw(st.integers(0, len(names)))]
    right = []
    while kept:  # some are merged
        count = draw(st.sampled_from((1, 1, 2, 3)))
        group, kept = kept[:count], kept[count:]
        right.append(group[0] if len(group) == 1 else f"({' '.join(group)})")
    return tensor, f"{' '.join(left)} -> {' '.join(right)}", sizes


def compute(tensor, pattern, reduction, sizes):
    """Return the result of a reduction, or of a copy if ``reduction`` is ``None``."""
    with np.errstate(all="ignore"):
        if reduction is None:
            return plait.rearrange(tensor, pattern, **sizes)
        return plait.reduce(tensor, pattern, reduction, **sizes)


def to_numpy(tensor):
    """Return the elements of a tensor as an array of NumPy, and those of bfloat16 as single precision."""
    if not isinstance(tensor, (np.ndarray, np.generic)):
        torch = importlib.import_module("torch")
        tensor = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return tensor.astype(np.float32) if tensor.dtype.name == "bfloat16" else np.asarray(tensor)


def assert_equals_plain_call(found, plain, tensor, pattern, reduction, sizes):
    """Check that a result has the type, strides and elements of the one without kernels, up to rounding.

    Both sums and products round, so the result is compared with that of long double precision.
    """
    assert type(found) is type(plain)
    assert found.dtype == plain.dtype
    assert found.shape == plain.shape
    strides = [each.strides if hasattr(each, "strides") else each.stride() for each in (found, plain)]
    assert strides[0] == strides[1]
    found, plain = to_numpy(found), to_numpy(plain)
    is_exact = reduction in (None, "min", "max", "any", "all") or found.dtype.kind not in "fc"
    if reduction is None:
        assert found.tobytes() == plain.tobytes()
    elif is_exact:
        np.testing.assert_array_equal(found, plain)
    if is_exact:
        return
    name = str(tensor.dtype).removeprefix("torch.")
    source = to_numpy(tensor)
    wide = np.array(source, np.clongdouble if source.dtype.kind == "c" else np.longdouble)
    with plait.options(kernels=False):
        exact = np.asarray(compute(wide, pattern, reduction, sizes))
        magnitude = np.asarray(compute(abs(wide), pattern, "sum", sizes)).astype(np.float64)
        count = np.asarray(compute(np.ones(wide.shape), pattern, "sum", sizes))
    with np.errstate(all="ignore"):
        tolerance = rounding_tolerance(reduction, name, exact, magnitude, count)
        assert (np.isnan(found) == np.isnan(plain)).all()
        np.testing.assert_array_equal(found[np.isinf(plain)], plain[np.isinf(plain)])
        is_finite = np.isfinite(plain) & np.isfinite(exact)
        error = abs(found - exact)[is_finite]
        assert (error <= np.broadcast_to(tolerance, exact.shape)[is_finite]).all(), (error.max(), tolerance)


def rounding_tolerance(reduction, dtype_name, exact, magnitude, count):
    """Return the largest error that the rounding of each operation and of the result can make.

    ``magnitude`` is the sum of the absolute values of the ``count`` elements. Half precision is computed in single.
    """
    result_eps = 2.0**-7 if dtype_name == "bfloat16" else float(np.finfo(dtype_name).eps)
    least = 2.0**-133 if dtype_name == "bfloat16" else float(np.finfo(dtype_name).smallest_subnormal)
    eps = min(result_eps, 2.0**-23)
    depth = 4 * (2 + np.log2(np.maximum(count, 1)))  # of a sum of pairs, in which each pair adds several
    size = abs(exact).astype(np.float64)
    rounded = result_eps * size + least
    if reduction == "prod":
        return 4 * eps * count * size + rounded
    if reduction == "logsumexp":
        return eps * (depth + 2 * size + 16) + rounded
    if reduction == "sum":
        return eps * depth * magnitude + rounded
    mean = magnitude / count
    if reduction == "mean":
        return eps * depth * mean + rounded
    shift = (4 * eps * mean) ** 2  # the error of the mean enters squared
    if reduction == "var":
        return 2 * eps * depth * size + shift + rounded
    return eps * depth * size + np.sqrt(shift) + rounded
