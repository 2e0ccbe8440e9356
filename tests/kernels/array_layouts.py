"""Arrays of random memory layouts (strided, reversed, broadcast, transposed), and kernels compiled in this process."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from plait.backends.kernels import filling

NUMERIC_DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
COPY_DTYPES = (*NUMERIC_DTYPES, "longdouble", "S3", "U3", "V12", ">f4", "M8[s]", "i4,f8,S3")


@st.composite
def layouts(draw, longest=7):
    """The base shape, order of dimensions, steps and repeats of an array."""
    rank = draw(st.integers(0, 6))
    shape = draw(st.lists(st.integers(1, longest), min_size=rank, max_size=rank))
    if rank and draw(st.booleans()):  # one dimension long enough for vectors, blocks of lanes and tiles
        shape[draw(st.integers(0, rank - 1))] = draw(st.sampled_from([15, 16, 17, 33, 64, 100]))
    order = draw(st.permutations(range(rank)))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, -1, -2]), min_size=rank, max_size=rank))
    repeats = draw(st.lists(st.sampled_from([0, 0, 0, 0, 2, 5]), min_size=rank, max_size=rank))
    return shape, order, steps, repeats


def array_with_layout(values, layout):
    """Return an array of that layout, filled with the values again and again."""
    shape, order, steps, repeats = layout
    count = int(np.prod([size * abs(step) for size, step in zip(shape, steps, strict=True)])) if shape else 1
    base = np.resize(values, count + 1)[1:]  # an address that is not aligned
    base = base.reshape([size * abs(step) for size, step in zip(shape, steps, strict=True)])
    base = base[tuple(slice(None, None, step) for step in steps)].transpose(order)
    for axis, repeat in enumerate(repeats):
        if repeat:
            base = np.broadcast_to(base.take([0], axis), (*base.shape[:axis], repeat, *base.shape[axis + 1 :]))
    return base


def random_values(dtype, seed, count=4000):
    """Return numbers of all magnitudes, with NaN, infinities and both zeros among them."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        values = random.standard_normal(count).astype(dtype)
        special = random.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], count)
        rare = random.random(count) < random.choice([0, 0.01, 0.5])
        return np.where(rare, special, values).astype(dtype)
    if dtype.kind == "c":
        return np.exp(6j * random.random(count)).astype(dtype)  # of magnitude 1, so that products do not overflow
    if dtype.kind == "b":
        return random.random(count) < random.random()
    raw = np.frombuffer(random.bytes(count * dtype.itemsize), dtype)
    return raw.view("i8").view(dtype) if dtype.kind in "mM" else raw


def filler_with_compiled_kernel(filler):
    """Compile the kernel of a filler in this process, and return the filler."""
    if filler.ready is None:
        from plait.backends.kernels.compiling import (
            compiled,  # imported here, because the tests of loops run without Numba
        )

        filler._kernel.arrived(compiled(filler.key))
    return filler


def run_kernel(name, source, reduced_ndim=0, out=None):
    """Return the result of a kernel for an array."""
    kept = source.shape[: source.ndim - reduced_ndim]
    if out is None:
        out = np.zeros(kept, result_dtype(name, source.dtype))
    filler = filling(name, source.shape, source.strides, reduced_ndim, out.strides, source.dtype)
    assert filler is not None
    filler_with_compiled_kernel(filler)(source, out)
    return out


def result_dtype(name, dtype):
    """Return the dtype of the result of a reduction."""
    if name in ("any", "all"):
        return np.dtype(bool)
    if name in ("sum", "prod"):
        return np.add.reduce(np.ones(1, dtype)).dtype
    return dtype
