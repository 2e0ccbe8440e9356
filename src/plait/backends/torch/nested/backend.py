"""The backend of nested tensors of PyTorch with the layout ``torch.jagged``: tensors that differ in one length.

The values of all of them are one tensor, without the batch dimension, in which the ragged dimension has the sum of
their lengths. What keeps the batch and the ragged dimension is done on this tensor; sums over the ragged dimension
alone are made for each tensor of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

import torch

from plait.backends.common.equation import replace_ellipsis
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.torch.backend import TORCH_BACKEND
from plait.errors import PlaitError, make_error

BATCH = 0
"""The dimension of a nested tensor that is its batch."""


def _error(reason: str) -> PlaitError:
    """Return the error for what cannot be done with a nested tensor."""
    message = f"this is not possible with a nested tensor: {reason}"
    return make_error("PLT514", f"{message}; use the tensors of x.unbind(), or x.to_padded_tensor(0.0)")


class BatchLength(int):
    """The length of the batch dimension; only its product with the ragged length is a length."""

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, RaggedLength):
            return other.total
        return self if other == 1 else int(self) * other

    __rmul__ = __mul__


class RaggedLength:
    """The length of the ragged dimension, which differs from tensor to tensor; ``total`` is the sum for the batch."""

    def __init__(self, size: Any, total: int) -> None:
        self.size = size
        self.total = total

    def __repr__(self) -> str:
        return str(self.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RaggedLength) and bool(self.size == other.size)

    def __hash__(self) -> int:
        return hash(RaggedLength)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, BatchLength) or other == 1:
            return self if other == 1 and not isinstance(other, BatchLength) else self.total
        raise _error("its ragged dimension can be merged with the batch before it, and with nothing else")

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if other == 1:
            return self
        raise _error("its ragged dimension cannot be split")

    def __rfloordiv__(self, other: Any) -> Any:
        raise _error("no length can be computed from its ragged dimension")

    def __mod__(self, other: Any) -> Any:
        return self % 1 if other != 1 and self // other else 0

    __rmod__ = __add__ = __radd__ = __sub__ = __rsub__ = __rfloordiv__


def _is_nested(tensor: Any) -> bool:
    """Return whether a tensor is nested."""
    return isinstance(tensor, torch.Tensor) and tensor.is_nested


def _ragged_dimension(tensor: Any) -> int:
    """Return the index of the ragged dimension."""
    return next(dimension for dimension, size in enumerate(tensor.shape) if type(size) is not int)


def _without_gaps(tensor: Any) -> Any:
    """Return a nested tensor whose values have no gaps between the tensors of the batch."""
    return tensor if tensor.lengths() is None else tensor.contiguous()


def _with_values(tensor: Any, values: Any, ragged_dimension: int) -> Any:
    """Return a nested tensor of these values with this ragged dimension, whose lengths are those of another one."""
    return torch.nested.nested_tensor_from_jagged(values, tensor.offsets(), jagged_dim=ragged_dimension)


def _values_shape_and_ragged_dimension(tensor: Any, shape: Sequence[Any], reason: str) -> tuple[list[Any], int]:
    """Return the shape of the values for a new shape of a nested tensor, and the index of its ragged dimension.

    Raise PLT514 with this reason unless the new shape has the same batch in front, and one ragged dimension after it.
    """
    ragged = [dimension for dimension, size in enumerate(shape) if isinstance(size, RaggedLength)]
    if len(ragged) != 1 or not ragged[0] or shape[BATCH] != tensor.shape[BATCH]:
        raise _error(reason)
    return [size.total if isinstance(size, RaggedLength) else size for size in shape[1:]], ragged[0]


def _reshape(tensor: Any, shape: Sequence[Any], reshape: Callable[[Any, Any], Any] = torch.reshape) -> Any:
    """Reshape a tensor; of a nested one the batch and the ragged dimension stay, or are merged."""
    if not _is_nested(tensor):
        return reshape(tensor, tuple(shape))
    tensor = _without_gaps(tensor)
    values, reason = (
        tensor.values(),
        "its batch stays in front, or is merged with a ragged one next to it",
    )
    if not any(isinstance(size, RaggedLength) for size in shape):
        if _ragged_dimension(tensor) != 1 or prod(shape) != values.numel():
            raise _error(reason)
        return reshape(values, tuple(shape))
    new_shape, ragged = _values_shape_and_ragged_dimension(tensor, shape, reason)
    before = prod(values.shape[: _ragged_dimension(tensor) - 1])
    if before != prod(new_shape[: ragged - 1]):
        raise _error("no dimensions can be merged or split across its ragged dimension")
    return _with_values(tensor, reshape(values, new_shape), ragged)


def _permute(tensor: Any, order: Sequence[int]) -> Any:
    """Reorder the dimensions; those of a nested tensor keep the batch in front."""
    if not _is_nested(tensor):
        return torch.permute(tensor, tuple(order))
    if order[BATCH] != BATCH:
        raise _error("its batch dimension stays in front")
    tensor = _without_gaps(tensor)
    values = torch.permute(tensor.values(), [dimension - 1 for dimension in order[1:]])
    return _with_values(tensor, values, list(order).index(_ragged_dimension(tensor)))


def _expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast a tensor; a nested one gets no dimension before the batch."""
    if not _is_nested(tensor):
        return torch.broadcast_to(tensor, tuple(shape))
    reason = "its batch dimension stays in front"
    if len(shape) > tensor.dim():
        raise _error(reason)
    tensor = _without_gaps(tensor)
    new_shape, ragged = _values_shape_and_ragged_dimension(tensor, shape, reason)
    return _with_values(tensor, torch.broadcast_to(tensor.values(), new_shape), ragged)


def _concat(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate tensors of one ragged structure, along a dimension that is neither the batch nor ragged."""
    nested = [_without_gaps(tensor) for tensor in tensors if _is_nested(tensor)]
    if not nested:
        return torch.cat(list(tensors), axis)
    if len(nested) < len(tensors) or axis in (BATCH, _ragged_dimension(nested[0])):
        raise _error("it can be concatenated with nested tensors only, and not along its batch or its ragged dimension")
    values = torch.cat([tensor.values() for tensor in nested], axis - 1)
    return _with_values(nested[0], values, _ragged_dimension(nested[0]))


def _stack_dense_tensors(tensors: Sequence[Any]) -> Any:
    """Stack tensors, of which none may be nested."""
    if any(map(_is_nested, tensors)):
        raise _error("it cannot be stacked, since its batch dimension stays in front")
    return torch.stack(list(tensors))


def _build_reduction(reduction: ReductionFunction) -> ReductionFunction:
    """Return a reduction of nested tensors, from the one of other tensors."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        if not _is_nested(tensor):
            return reduction(tensor, axes)
        tensor = _without_gaps(tensor)
        ragged = _ragged_dimension(tensor)
        value_axes = tuple([axis - 1 for axis in axes if axis != BATCH])
        if (BATCH in axes) != (ragged in axes):
            if BATCH in axes:
                raise _error("its batch cannot be reduced without its ragged dimension")
            return torch.stack([reduction(part, value_axes) for part in tensor.unbind()])
        values = reduction(tensor.values(), value_axes)
        if BATCH in axes:
            return values
        return _with_values(tensor, values, ragged - len([axis for axis in axes if axis < ragged]))

    return reduce


def _einsum(equation: str, *tensors: Any) -> Any:
    """Contract tensors; raise PLT514 unless the nested ones have the same lengths, and the result can be nested too."""
    if not any(map(_is_nested, tensors)):
        return TORCH_BACKEND.einsum(equation, *tensors)
    tensors = tuple([_without_gaps(tensor) if _is_nested(tensor) else tensor for tensor in tensors])
    terms, output = replace_ellipsis(equation, [tensor.dim() for tensor in tensors])
    nested = [(term, tensor) for term, tensor in zip(terms, tensors, strict=True) if _is_nested(tensor)]
    first = nested[0][1]
    pairs = {(term[BATCH], term[_ragged_dimension(tensor)]) for term, tensor in nested}
    if len(pairs) > 1 or any(tensor.shape[_ragged_dimension(tensor)] != _ragged_size(first) for _, tensor in nested):
        raise _error("it can be contracted only with nested tensors of the same batch and ragged axes")
    ((batch, ragged),) = pairs
    if any(term.count(batch) > 1 or term.count(ragged) > 1 for term in terms):
        raise _error("its batch and its ragged dimension have no diagonal")
    if batch in output and ragged not in output:
        return _einsum_of_each(terms, output, batch, tensors)
    if batch not in output and ragged in output:
        raise _error("its batch cannot be summed over without its ragged dimension")
    if batch in output and output[BATCH] != batch:
        raise _error("its batch dimension stays in front")
    operands = [
        tensor.values() if _is_nested(tensor) else _repeat_for_values(tensor, term, batch, first)
        for term, tensor in zip(terms, tensors, strict=True)
    ]
    value_terms = [
        term.replace(batch, "" if _is_nested(tensor) else ragged) for term, tensor in zip(terms, tensors, strict=True)
    ]
    values = TORCH_BACKEND.einsum(f"{','.join(value_terms)}->{output.replace(batch, '')}", *operands)
    return _with_values(first, values, output.index(ragged)) if batch in output else values


def _ragged_size(tensor: Any) -> Any:
    """Return the size of the ragged dimension, which is equal for tensors of the same ragged structure."""
    return tensor.shape[_ragged_dimension(tensor)]


def _repeat_for_values(tensor: Any, term: str, batch: str, nested: Any) -> Any:
    """Return a tensor that is not nested, with its batch axis repeated to fit the values of a nested tensor.

    Its part for an element of the batch is repeated once for each value of that element. It stays unchanged if
    ``term``, its axes, does not have the axis ``batch``.
    """
    if batch not in term:
        return tensor
    return torch.repeat_interleave(tensor, nested.offsets().diff(), term.index(batch))


def _einsum_of_each(terms: Sequence[str], output: str, batch: str, tensors: Sequence[Any]) -> Any:
    """Contract the tensors of the batch one by one, and stack the results.

    ``terms`` and ``output`` are the axes of the operands and of the result; ``batch`` is the axis of the batch.
    """
    parts = [
        tensor.unbind(term.index(batch)) if batch in term else [tensor] * _batch_size(tensors)
        for term, tensor in zip(terms, tensors, strict=True)
    ]
    equation = f"{','.join([term.replace(batch, '') for term in terms])}->{output.replace(batch, '')}"
    results = [TORCH_BACKEND.einsum(equation, *operands) for operands in zip(*parts, strict=True)]
    return torch.stack(results, output.index(batch))


def _batch_size(tensors: Sequence[Any]) -> int:
    """Return the length of the batch of the nested tensors."""
    return next(tensor.shape[BATCH] for tensor in tensors if _is_nested(tensor))


class NestedBackend(Backend):
    """Computes on the values of nested tensors; tensors that are not nested may stand beside them."""

    name = "torch.nested"
    accepts: ClassVar[frozenset[str]] = frozenset({"torch"})
    reshape, permute, expand = staticmethod(_reshape), staticmethod(_permute), staticmethod(_expand)
    concat, stack, einsum = staticmethod(_concat), staticmethod(_stack_dense_tensors), staticmethod(_einsum)

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        return _build_reduction(TORCH_BACKEND.reduction(name, dtype))

    def shape(self, tensor: Any) -> Sequence[Any]:
        if not _is_nested(tensor):
            return TORCH_BACKEND.shape(tensor)
        shape = list(tensor.shape)
        ragged = _ragged_dimension(tensor)
        shape[ragged] = RaggedLength(shape[ragged], _without_gaps(tensor).values().shape[ragged - 1])
        shape[BATCH] = BatchLength(shape[BATCH])
        return shape

    def rank(self, tensor: Any) -> int | None:
        return TORCH_BACKEND.rank(tensor)

    def size_to_user(self, size: Any) -> Any:
        return size.size if isinstance(size, RaggedLength) else int(size)

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        if not _is_nested(tensor):
            return TORCH_BACKEND.slice(tensor, axis, start, stop)
        tensor = _without_gaps(tensor)
        ragged = _ragged_dimension(tensor)
        if axis in (BATCH, ragged):
            raise _error("its batch and its ragged dimension cannot be unpacked")
        return _with_values(tensor, torch.narrow(tensor.values(), axis - 1, start, stop - start), ragged)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        if _is_nested(tensor):
            raise _error("it is not one NumPy array")
        return TORCH_BACKEND.to_numpy(tensor)


BACKEND_FACTORY = NestedBackend
