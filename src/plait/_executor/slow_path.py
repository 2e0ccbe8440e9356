"""Calls that the cache cannot serve: lists of tensors, symbols for sizes, callables, and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from plait._executor.cache import LISTED, compiled
from plait._executor.compile import (
    CLASSICAL,
    NotConcrete,
    build,
    concrete_sizes,
    program,
    refused_view,
    situate,
)
from plait._executor.einsum_options import as_asked
from plait._executor.program import Program, recipe, trace
from plait._executor.tracer_hooks import catchable
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis
from plait._operations.reduce import CUSTOM, check_reduction
from plait._shapes.sizes import report, shape_text
from plait.backends.interface import Backend, no_view
from plait.backends.registry import backend_of, one_backend
from plait.errors import PlaitError, fail, short


def general(
    operation: str,
    tensors: Sequence[Any],
    pattern: Any,
    sizes: dict[str, Any],
    reduction: Any = "",
    asked: Any = None,
) -> Any:
    """Make one call.

    Args:
        operation: a row of the table, or ``CLASSICAL``.
        tensors: the tensors; one that is a list or tuple is stacked first.
        pattern: the pattern, or the equation.
        sizes: the given sizes.
        reduction: of ``reduce``, a name or a callable.
        asked: of ``einsum``, what the caller asks beyond the pattern.

    Raises:
        PlaitError: something in the call is wrong.
    """
    if not isinstance(pattern, str):
        raise fail("PLT101", f"the pattern must be text, and this is {type(pattern).__name__}: {short(pattern)}")
    shapes: list[Any] = []
    try:
        if operation == "view" and any(isinstance(tensor, (list, tuple)) for tensor in tensors):
            raise fail("PLT401", "a list of tensors is stacked, which copies; rearrange does that", pattern)
        tensors = [stacked(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
        shapes += [shape_of(tensor) for tensor in tensors]
        backend = one_backend(tuple([type(tensor) for tensor in tensors]))
        shapes[:] = [backend.shape(tensor) for tensor in tensors]
        if operation == "reduce" and not callable(reduction):
            check_reduction(reduction)
        exact = concrete_sizes(pattern, sizes, backend.is_symbolic)
        exact = {name: size if type(size) is int else backend.size_from_user(size) for name, size in exact.items()}
        call = _concrete(operation, tensors, pattern, exact, reduction, backend, asked)
        if call is not None:
            return call(*tensors)
        if operation == "view" and backend.view is no_view:
            raise refused_view(pattern)
        bound = _program(operation, tensors, pattern, exact, reduction, backend)
        fail_as = partial(report, bound.plan.solved)
        plan, wishes = bound.plan, None
        if operation in ("einsum", CLASSICAL):
            plan, wishes = as_asked(plan, asked), dict(asked.wishes) if asked else None
        return trace(recipe(plan), tensors, exact, backend, bound.reduction, fail_as, wishes)
    except PlaitError as error:
        if all(is_concrete(shape) for shape in shapes):
            situate(error, pattern, shapes, sizes)
        raise
    except Exception as error:  # such as a callable's, which a tracer may not be able to run
        catchable(error)
        raise


def shape_of(tensor: Any) -> Any:
    """The shape of what should be a tensor.

    Raises:
        BackendError: PLT501, it is none.
    """
    try:
        return tensor.shape
    except AttributeError:
        message = f"a tensor is needed, and this is {type(tensor).__name__}: {short(tensor)}"
    kind: Any = type(tensor)
    try:
        return backend_of(kind).shape(tensor)  # a framework may have another name for it
    except (PlaitError, AttributeError):
        raise fail("PLT501", message) from None


def stacked(tensors: Sequence[Any]) -> Any:
    """A list of tensors as one, with a new first dimension.

    Raises:
        SizeError: PLT308, it is empty, or the shapes differ.
        BackendError: PLT501, something in it is no tensor; PLT504, the frameworks differ.
    """
    if not tensors:
        raise fail("PLT308", "a list of tensors must hold at least one")
    for tensor in tensors:
        shape_of(tensor)
    backend = one_backend(tuple([type(tensor) for tensor in tensors]))
    shapes = [_known(tensor, backend) for tensor in tensors]
    for place, shape in enumerate(shapes):
        if not _may_be_equal(shape, shapes[0]):
            theirs, ours = shape_text(shape), shape_text(shapes[0])
            raise fail("PLT308", f"tensor {place} of the list has the shape {theirs}, and tensor 0 {ours}")
    return backend.stack(tensors)


def _known(tensor: Any, backend: Backend) -> Any:
    """The shape, with ``None`` for each size that must not be compared; ``None`` where not even the rank is known."""
    shape, rank = backend.shape(tensor), backend.rank(tensor)
    return shape if is_concrete(shape) or rank is None else backend.static_shape(tensor, rank)


def _may_be_equal(shape: Any, other: Any) -> bool:
    if not (isinstance(shape, (tuple, list)) and isinstance(other, (tuple, list))):
        return True
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(one == two or None in (one, two) for one, two in pairs)


def _concrete(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any,
    backend: Backend,
    asked: Any,
) -> Any:
    """The callable where all sizes are ints after all, as for a list of arrays, or sizes of NumPy's ints."""
    shapes = tuple([backend.shape(tensor) for tensor in tensors])
    if not all(is_concrete(shape) for shape in shapes):
        return None
    classes: Any = [type(tensor) for tensor in tensors]
    LISTED.update([cls for cls in classes if backend_of(cls).shape_is_list])
    details = _details(operation, tensors, reduction, backend, asked)
    classes = tuple(classes)
    several = operation in ("einsum", CLASSICAL)
    call: Any = (classes, shapes, *details) if several else (classes[0], shapes[0], *details)
    with suppress(TypeError):
        return compiled(operation, pattern, *call, **sizes)
    with suppress(NotConcrete):  # what the cache must not keep, such as a callable that nothing names
        return build(operation, pattern, *call, **sizes)
    return None


def is_concrete(shape: Any) -> bool:
    """Whether all sizes are known, and ints."""
    return isinstance(shape, (tuple, list)) and all(type(size) is int and size >= 0 for size in shape)


def _details(operation: str, tensors: Sequence[Any], reduction: Any, backend: Backend, asked: Any) -> tuple[Any, ...]:
    if operation in ("einsum", CLASSICAL):
        return tuple([backend.dtype(tensor) for tensor in tensors]), asked
    if operation == "reduce":
        return reduction, backend.dtype(tensors[0])
    if operation == "view":
        return (backend.strides(tensors[0]),)
    return ()


def _program(
    operation: str, tensors: Sequence[Any], pattern: str, sizes: dict[str, Any], reduction: Any, backend: Backend
) -> Program:
    classes = tuple([type(tensor) for tensor in tensors])
    ranks = tuple([_rank(place, tensors, pattern, operation, backend) for place in range(len(tensors))])
    given = tuple(sizes)
    if operation != "reduce":
        return program(operation, pattern, classes, ranks, given)
    if callable(reduction):  # what it returns while a tracer watches is not looked into
        return program(operation, pattern, classes, ranks, given, CUSTOM).reduced_by(reduction)
    return program(operation, pattern, classes, ranks, given, reduction, backend.dtype(tensors[0]))


def _rank(place: int, tensors: Sequence[Any], pattern: str, operation: str, backend: Backend) -> int:
    """The rank, from the pattern where the framework does not reveal it.

    Raises:
        BackendError: PLT505, the pattern does not tell either.
    """
    tensor = tensors[place]
    rank = backend.rank(tensor)
    if rank is not None:
        return rank
    tree = parse_equation(pattern, len(tensors)) if operation == CLASSICAL else parse(pattern)
    expr = tree.left[min(place, len(tree.left) - 1)]
    for item in expr.items:
        if isinstance(item, Ellipsis):
            message = f"{backend.name} does not reveal the rank of this {type(tensor).__name__}; name the axes"
            raise fail("PLT505", message + " instead of the ellipsis", tree.text, [(item.start, item.stop)])
    return len(expr.items)
