"""The backend of ``jax.experimental.sparse``.

For BCOO arrays it calls ``jax.numpy`` through ``sparsify``, as far as JAX has sparse rules. BCSR arrays are converted
to BCOO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar

import jax.numpy as jnp
from jax.experimental import sparse

from plait.backends.interface import Backend, ReductionFunction
from plait.backends.wrapper import WrapperBackend
from plait.errors import make_error


def _with_sparse_errors(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of sparse arrays so that it raises PLT514 if JAX has no sparse rule for a step.

    ``name`` is the operation as the message calls it.
    """

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (NotImplementedError, ValueError) as error:
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            message = f"JAX does not have this {name} of sparse arrays; x.todense() makes a dense array of one"
            raise make_error("PLT514", message, facts={"reason": reason}) from error

    return call


def _to_fully_sparse(tensor: Any) -> Any:
    """Return a BCOO array all of whose dimensions are sparse, so that they can be reordered and merged."""
    if isinstance(tensor, sparse.BCOO) and (tensor.n_batch or tensor.n_dense):
        return sparse.bcoo_update_layout(tensor, n_batch=0, n_dense=0)
    return tensor


def _without_dense(tensor: Any) -> Any:
    """Return a BCOO array without dense dimensions; batch dimensions stay, since JAX multiplies along them."""
    return _to_fully_sparse(tensor) if isinstance(tensor, sparse.BCOO) and tensor.n_dense else tensor


def _reshape(tensor: Any, shape: Sequence[int]) -> Any:
    """Reshape an array."""
    shape = tuple(shape)
    if tensor.shape == shape:
        return tensor
    if not isinstance(tensor, sparse.BCOO):
        return jnp.reshape(tensor, shape)
    return sparse.bcoo_reshape(_to_fully_sparse(tensor), new_sizes=shape)


def _permute(tensor: Any, order: Sequence[int]) -> Any:
    """Reorder the dimensions."""
    result: Any = sparse.sparsify(lambda array: jnp.transpose(array, tuple(order)))(_to_fully_sparse(tensor))
    return result


def _expand(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast an array by copies of its elements, since BCOO stores every element of the result."""
    shape = tuple(shape)
    result: Any = _reshape(tensor, (*[1] * (len(shape) - tensor.ndim), *tensor.shape))
    for dimension, (old, new) in enumerate(zip(result.shape, shape, strict=True)):
        if old != new:
            result = _concat([result] * new, dimension) if new else result[_interval_key(dimension, 0, 0)]
    return result


def _concat(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate arrays."""
    result: Any = sparse.sparsify(lambda *arrays: jnp.concatenate(arrays, axis))(
        *[_to_fully_sparse(tensor) for tensor in tensors]
    )
    return result


def _stack(tensors: Sequence[Any]) -> Any:
    """Stack arrays along a new first dimension."""
    return _concat([_reshape(tensor, (1, *tensor.shape)) for tensor in tensors], 0)


def _einsum(equation: str, *tensors: Any) -> Any:
    """Contract arrays."""
    result: Any = sparse.sparsify(lambda *arrays: jnp.einsum(equation, *arrays))(
        *[_without_dense(tensor) for tensor in tensors]
    )
    return result


def _interval_key(axis: int, start: int, stop: int) -> tuple[Any, ...]:
    """Return the key of an interval of one dimension."""
    return (*[slice(None)] * axis, slice(start, stop))


class SparseBackend(Backend):
    """Calls functions of ``jax.numpy`` on sparse arrays."""

    name = "jax.experimental.sparse"
    accepts: ClassVar[frozenset[str]] = frozenset({"jax", "numpy"})
    reshape = staticmethod(_with_sparse_errors("reshape", _reshape))
    permute = staticmethod(_with_sparse_errors("transpose", _permute))
    expand = staticmethod(_with_sparse_errors("broadcast", _expand))
    concat = staticmethod(_with_sparse_errors("concatenation", _concat))
    stack = staticmethod(_with_sparse_errors("stack", _stack))
    einsum = staticmethod(_with_sparse_errors("einsum", _einsum))

    def __init__(self, tensor_type: type) -> None:
        """Serve arrays of any type by the same functions."""

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
            result: Any = sparse.sparsify(lambda array: getattr(jnp, name)(array, axes))(_without_dense(tensor))
            return result

        if name not in ("sum", "mean"):
            message = f"{name} is not defined on sparse arrays of JAX; x.todense() makes a dense array of one"
            raise make_error("PLT514", message)
        return _with_sparse_errors(name, reduce)

    def slice(self, tensor: Any, axis: int, start: int, stop: int) -> Any:
        return _with_sparse_errors("slice", lambda array: array[_interval_key(axis, start, stop)])(tensor)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor.todense() if isinstance(tensor, sparse.BCOO) else tensor)


class CompressedRowsBackend(WrapperBackend):
    """Converts BCSR arrays to BCOO; results are BCOO."""

    name = "jax.experimental.sparse"

    def unwrap(self, wrapper: Any) -> Any:
        return wrapper.to_bcoo()


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for arrays of a type."""
    if issubclass(tensor_type, sparse.BCOO):
        return SparseBackend(tensor_type)
    if issubclass(tensor_type, sparse.BCSR):
        return CompressedRowsBackend(tensor_type)
    raise TypeError("of the sparse arrays BCOO and BCSR are supported; x.todense() makes a dense array of another")


BACKEND_FACTORY = create_backend
