"""Calls whose arguments make no key of the cache: lists of tensors, symbols for sizes, callables, and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from plait._executor.cache import LIST_SHAPES, lookup
from plait._executor.compile import CLASSICAL, add_context, build_callable, concrete_sizes, executable, no_view_error
from plait._executor.program import Executable
from plait._executor.recipe import plan_data
from plait._executor.tensors import is_concrete, shape_of, stack
from plait._executor.trace import trace
from plait._executor.tracer_hooks import exception_graph_breaks
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis
from plait._operations.reduce import CUSTOM, check_reduction
from plait._shapes.sizes import report
from plait.backends.interface import Backend, no_view
from plait.backends.registry import backend_of, one_backend
from plait.errors import PlaitError, fail, short


def call(
    operation: str,
    tensors: Sequence[Any],
    pattern: Any,
    sizes: dict[str, Any],
    reduction: Any = "",
    options: Any = None,
) -> Any:
    """Make one call.

    Args:
        operation: a row of the table, or ``CLASSICAL``.
        tensors: the tensors; one that is a list or tuple is stacked first.
        pattern: the pattern, or the equation.
        sizes: the given sizes.
        reduction: of ``reduce``, a name or a callable.
        options: of ``einsum``.

    Raises:
        PlaitError: something in the call is wrong.
    """
    function, tensors = resolve(operation, tensors, pattern, sizes, reduction, options)
    try:
        return function(*tensors)
    except PlaitError as error:
        shapes = [shape_of(tensor) for tensor in tensors]
        if all(is_concrete(shape) for shape in shapes):
            add_context(error, pattern, shapes, sizes)
        raise
    except Exception as error:  # such as a callable's, which a tracer may not be able to run
        exception_graph_breaks(error)
        raise


def resolve(
    operation: str,
    tensors: Sequence[Any],
    pattern: Any,
    sizes: dict[str, Any],
    reduction: Any = "",
    options: Any = None,
) -> tuple[Callable[..., Any], Sequence[Any]]:
    """The function that makes a call, and the tensors that it takes; see `call`."""
    if not isinstance(pattern, str):
        raise fail("PLT101", f"the pattern must be text, and this is {type(pattern).__name__}: {short(pattern)}")
    shapes: list[Any] = []
    try:
        if operation == "view" and any(isinstance(tensor, (list, tuple)) for tensor in tensors):
            raise fail("PLT401", "a list of tensors is stacked, which copies; rearrange does that", pattern)
        tensors = [stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
        shapes += [shape_of(tensor) for tensor in tensors]
        backend = one_backend(tuple([type(tensor) for tensor in tensors]))
        shapes[:] = [backend.shape(tensor) for tensor in tensors]
        if operation == "reduce" and not callable(reduction):
            check_reduction(reduction)
        exact = concrete_sizes(pattern, sizes, backend.is_symbolic)
        exact = {name: size if type(size) is int else backend.size_from_user(size) for name, size in exact.items()}
        if all(is_concrete(shape) for shape in shapes):
            details = _details(operation, tensors, reduction, backend, options)
            function = _concrete(operation, tensors, shapes, pattern, exact, details)
            if function is not None:
                return function, tensors
        if operation == "view" and backend.view is no_view:
            raise no_view_error(pattern)
        return _traced(operation, tensors, pattern, exact, reduction, backend, options), tensors
    except PlaitError as error:
        if all(is_concrete(shape) for shape in shapes):
            add_context(error, pattern, shapes, sizes)
        raise
    except Exception as error:
        exception_graph_breaks(error)
        raise


def _concrete(
    operation: str,
    tensors: Sequence[Any],
    shapes: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    details: tuple[Any, ...],
) -> Callable[..., Any] | None:
    """The callable where all sizes are ints after all, as for a list of arrays, or sizes of NumPy's ints."""
    classes: Any = tuple([type(tensor) for tensor in tensors])
    LIST_SHAPES.update([cls for cls in classes if backend_of(cls).shape_is_list])
    several = operation in ("einsum", CLASSICAL)
    key: Any = (classes, tuple(shapes)) if several else (classes[0], shapes[0])
    try:
        entry = lookup(operation, pattern, *key, *details, **sizes)
    except TypeError:  # what the cache must not keep, such as a callable that no module names
        entry = None
    if entry is not None:
        planned: Callable[..., Any] = entry.plan()
        return planned
    if any(type(size) is not int for size in sizes.values()):  # a symbol
        return None
    return build_callable(operation, pattern, *key, *details, **sizes)


def _details(operation: str, tensors: Sequence[Any], reduction: Any, backend: Backend, options: Any) -> tuple[Any, ...]:
    if operation in ("einsum", CLASSICAL):
        return tuple([backend.dtype(tensor) for tensor in tensors]), options
    if operation == "reduce":
        return reduction, backend.dtype(tensors[0])
    if operation == "view":
        return (backend.strides(tensors[0]),)
    return ()


def _traced(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any,
    backend: Backend,
    options: Any,
) -> Callable[..., Any]:
    """The call where sizes are not all known: the plan runs once, on symbols."""
    found = _executable(operation, tensors, pattern, sizes, reduction, backend)
    plan, kwargs = found.plan, None
    if operation in ("einsum", CLASSICAL):
        from plait._executor.einsum_options import with_given_path

        plan, kwargs = with_given_path(plan, options), dict(options.backend_kwargs) if options else None
    data, fail_as = plan_data(plan), partial(report, plan.solved)
    return lambda *tensors: trace(data, tensors, sizes, backend, found.reduction, fail_as, kwargs)


def _executable(
    operation: str, tensors: Sequence[Any], pattern: str, sizes: dict[str, Any], reduction: Any, backend: Backend
) -> Executable:
    classes = tuple([type(tensor) for tensor in tensors])
    ranks = tuple([_rank(place, tensors, pattern, operation, backend) for place in range(len(tensors))])
    given = tuple(sizes)
    if operation != "reduce":
        return executable(operation, pattern, classes, ranks, given)
    if callable(reduction):  # what it returns while a tracer watches is not looked into
        return executable(operation, pattern, classes, ranks, given, CUSTOM).with_reduction(reduction)
    return executable(operation, pattern, classes, ranks, given, reduction, backend.dtype(tensors[0]))


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
