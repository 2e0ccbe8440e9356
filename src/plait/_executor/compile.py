"""The cold half of a call: from text to a program, and from a program to the callable that the cache keeps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from plait._executor.caches import FORGET
from plait._executor.contraction import asked_path, contracted
from plait._executor.einsum_options import Asked, look_at_lonely
from plait._executor.program import Program, checked, tried
from plait._executor.tracer_hooks import FOLLOWED
from plait._notation.equation import parse_equation
from plait._notation.parser import normalise, parse
from plait._notation.tree import (
    Ellipsis,
    Item,
    Tree,
    names,
)
from plait._notation.unparse import item_text
from plait._operations.einsum import lower
from plait._operations.operation import Operation
from plait._operations.reduce import CUSTOM, check_kind, check_reduction
from plait._operations.table import TABLE
from plait._plan.contraction.network import network
from plait._plan.graph import Plan
from plait._plan.strides import Memory
from plait._shapes.sizes import (
    context,
    evaluate,
    exact,
    normalise_sizes,
    report,
    shape_text,
)
from plait._shapes.solver import solve_pattern, tensor_place
from plait.backends.interface import NO_VIEWS
from plait.backends.registry import backend_of, one_backend
from plait.errors import PlaitError, fail

PROGRAMS = 1024
"""How many programs are kept: patterns, each with its rank, names of sizes, and framework."""

CLASSICAL = "classical"
"""The operation of an equation in the classical form."""


class NotConcrete(TypeError):  # noqa: N818  # no error: the call goes another way
    """The call holds something that must not be cached: a symbol, a callable, a list. Never seen by a caller."""


def planned(operation: str, pattern: str, ranks: tuple[int, ...], given: tuple[str, ...], reduction: str = "") -> Plan:
    """The plan of a call, the same for every framework and shape.

    Raises:
        PlaitError: PLT1xx, PLT2xx, PLT303, PLT304 or PLT506.
    """
    row = TABLE["einsum" if operation == CLASSICAL else operation]
    tree = parse_equation(pattern, len(ranks)) if operation == CLASSICAL else parse(pattern)
    if row.trivially_valid and tree.plain and len(ranks) == 1:
        try:
            solved = solve_pattern(tree, ranks, given)
        except PlaitError:
            row.check(tree)  # what breaks the rule is said first
            raise
        if row.trivially_valid(solved):
            return row.lower(solved, reduction)
    check(row, tree, len(ranks))
    return row.lower(solve_pattern(tree, ranks, given), reduction)


@lru_cache(maxsize=PROGRAMS)
def program(
    operation: str,
    pattern: str,
    classes: tuple[type, ...],
    ranks: tuple[int, ...],
    given: tuple[str, ...],
    reduction: str = "",
    dtype: Any = None,
) -> Program:
    """The plan of a call, bound to the framework of these types.

    Raises:
        PlaitError: those of `planned`, and PLT5xx.
    """
    backend = one_backend(classes)
    backend.register_functions(FOLLOWED)
    plan = planned(operation, pattern, ranks, given, reduction)
    if not reduction or reduction == CUSTOM:
        return Program(plan, backend)
    kind = None if dtype is None else backend.kind(dtype)
    check_kind(reduction, kind, dtype)
    function = backend.reduction(reduction, dtype)
    return Program(plan, backend, tried(function, reduction, dtype) if kind == "other" else function)


def check(row: Operation, tree: Tree, count: int) -> None:
    """Raise where a pattern breaks the rule of its operation, or has another number of tensors."""
    row.check(tree)
    if len(tree.left) != count:
        several = "s" * (len(tree.left) != 1)
        message = f"the pattern has {len(tree.left)} tensor{several} on the left, and {row.name} was given {count}"
        raise fail("PLT202", message, tree.text, [(expr.start, expr.stop) for expr in tree.left])


def keep(operation: str, pattern: str, cls: Any, shape: Any, /, *details: Any, **sizes: Any) -> Callable[..., Any]:
    """`build`, for the cache to keep.

    Raises:
        NotConcrete: a callable that nothing else keeps must not be kept here, with all that it holds on to.
    """
    if operation == "reduce" and callable(details[0]) and not _is_named(details[0]):
        raise NotConcrete
    return build(operation, pattern, cls, shape, *details, **sizes)


def _is_named(function: Callable[..., Any]) -> bool:
    """Whether a module names this function, and so keeps it alive in any case."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(module, getattr(function, "__name__", ""), None) is function


def build(operation: str, pattern: str, cls: Any, shape: Any, /, *details: Any, **sizes: Any) -> Callable[..., Any]:
    """The callable of one call.

    Args:
        operation: a row of the table, or ``CLASSICAL``.
        pattern: the pattern, or the equation.
        cls: the type of the tensor; for ``einsum`` a tuple of types.
        shape: the shape of the tensor; for ``einsum`` a tuple of shapes.
        details: what else decides: of ``reduce`` the reduction and the element type, of ``view`` the strides, of
            ``einsum`` the element types, and what the caller asks.
        sizes: the given sizes.

    Raises:
        NotConcrete: something in the call is not to be cached.
        PlaitError: something in the call is wrong.
    """
    if type(cls) is tuple:
        classes, shapes = cls, shape
        known = [dimensions_of(each, cls) for each, cls in zip(shapes, classes, strict=True)]
        flat: Sequence[Any] = [size for each in known for size in each]
        ranks = tuple([len(each) for each in known])
    else:
        flat = dimensions_of(shape, cls)
        classes, shapes, ranks = (cls,), (shape,), (len(flat),)
    for size in flat:
        if type(size) is not int or size < 0:  # a negative one stands for a size that is not known yet
            raise NotConcrete
    for name, value in sizes.items():
        if type(value) is not int or value < 0 or normalise(name) != name:
            raise NotConcrete
    try:
        if type(cls) is tuple:
            return contracting(operation, pattern, classes, ranks, flat, sizes, *details)
        if operation == "reduce":
            bound = reducing(pattern, classes, ranks, tuple(sizes), *details)
        else:
            bound = program(operation, pattern, classes, ranks, tuple(sizes))
        if operation == "view":
            check_view(bound.plan, shape, details[0], sizes)
            return bound.bind(flat, sizes)
        if not bound.is_large(flat, sizes):
            return bound.bind(flat, sizes)
        from plait._executor.large.select import specialize_large

        return specialize_large(bound, flat, sizes, bound.bind(flat, sizes))
    except PlaitError as error:
        situate(error, pattern, shapes, sizes)
        raise


def contracting(
    operation: str,
    pattern: str,
    classes: tuple[type, ...],
    ranks: tuple[int, ...],
    flat: Sequence[int],
    sizes: dict[str, int],
    dtypes: tuple[Any, ...],
    asked: Asked | None,
) -> Callable[..., Any]:
    """The callable of an ``einsum``.

    Raises:
        PlaitError: those of `program`, PLT204, PLT214, PLT511 and PLT512.
    """
    bound = program(operation, pattern, classes, ranks, tuple(sizes))
    look_at_lonely(bound.plan.solved, asked)
    registers = bound.registers(flat, sizes)
    if asked is not None and asked.wishes:
        return wished(bound, registers, asked)
    call = contracted(bound, registers, classes, dtypes, asked)
    return bound.bind(flat, sizes) if call is None else call


def wished(bound: Program, registers: Sequence[int], asked: Asked) -> Callable[..., Any]:
    """The callable of an ``einsum`` of whose product the caller wishes something: by the framework's own einsum."""
    path = asked_path(network(bound.plan.solved, registers, across=False), asked)
    if path is not None:
        bound = Program(lower(bound.plan.solved, path=path), bound.backend)
    return bound.chain(registers, dict(asked.wishes))


def dimensions_of(shape: Any, cls: type) -> tuple[Any, ...]:
    """The shape as a tuple.

    Raises:
        NotConcrete: it is something that stands for one while a tracer watches.
    """
    if isinstance(shape, tuple):
        return shape
    dimensions = backend_of(cls).shape_as_tuple(shape)
    if dimensions is None:
        raise NotConcrete
    return dimensions


def reducing(
    pattern: str, classes: tuple[type, ...], ranks: tuple[int, ...], given: tuple[str, ...], reduction: Any, dtype: Any
) -> Program:
    """The program of a ``reduce``.

    Raises:
        PlaitError: PLT209, and those of `program`.
    """
    if callable(reduction):
        bound = program("reduce", pattern, classes, ranks, given, CUSTOM)
        return bound.reduced_by(checked(reduction, bound.backend))
    return program("reduce", pattern, classes, ranks, given, check_reduction(reduction), dtype)


def check_view(plan: Plan, shape: Sequence[int], strides: Sequence[int] | None, sizes: dict[str, int]) -> None:
    """Raise where the memory of a tensor does not allow the view.

    Raises:
        CopyRequiredError: PLT401, naming the group that forces the copy.
        BackendError: PLT507, the framework does not say how the tensor lies in memory.
    """
    tree = plan.solved.tree
    if strides is None:
        raise refused_view(tree.text)
    registers = [*shape, *sizes.values(), *plan.solved.constants]
    evaluate(registers, plan.instructions, partial(report, plan.solved))
    memory = Memory(shape, strides)
    left = tuple(range(len(shape)))
    for step in plan.inputs[0]:
        left = step.output(left)
        copying = memory.apply(step, [registers[register] for register in left])
        if copying is not None:
            item = output_items(tree, len(left))[copying]
            message = f"{item_text(item)} cannot be formed without a copy: its axes are not neighbours in memory"
            seen = {**context(plan.solved, registers), "strides": shape_text(strides)}
            raise fail("PLT401", message + "; rearrange copies", tree.text, [(item.start, item.stop)], seen)


def refused_view(pattern: str) -> Exception:
    """The error of ``view`` for a framework that does not say how its tensors lie in memory."""
    return fail("PLT507", NO_VIEWS, pattern)


def output_items(tree: Tree, rank: int) -> list[Item]:
    """For each dimension of the result, what the pattern has there."""
    right = (tree.right or ())[0]
    items: list[Item] = []
    for item in right.items:
        items += [item] * (rank - len(right.items) + 1 if isinstance(item, Ellipsis) else 1)
    return items


def concrete_sizes(pattern: str, sizes: dict[str, Any], symbolic: Callable[[Any], bool]) -> dict[str, Any]:
    """The given sizes as ints, but for symbols, under the names that Python gives them.

    Raises:
        SizeError: PLT301, PLT306 or PLT311.
    """
    normal = normalise_sizes(sizes)
    for name, value in normal.items():
        if (type(value) is int and value >= 0) or symbolic(value):
            continue
        try:
            normal[name] = exact(name, value)
        except PlaitError as error:
            point_at(error, pattern, name)
            raise
    return normal


def point_at(error: PlaitError, pattern: str, name: str) -> None:
    """Let an error show where in the pattern an axis stands."""
    try:
        tree = parse(pattern)
    except PlaitError:  # it will be raised in its turn
        return
    error.pattern = pattern
    node = names(tree.left + (tree.right or ())).get(name)
    if node is not None:
        error.spans = ((node.start, node.stop),)


def situate(error: PlaitError, pattern: Any, shapes: Sequence[Any], sizes: dict[str, Any]) -> None:
    """Add to an error what the call knows: the pattern, the shapes, and the sizes."""
    if error.code.startswith("PLT1"):
        return
    if error.pattern is None and isinstance(pattern, str):
        error.pattern = pattern
    if not error.facts:
        for place, shape in enumerate(shapes):
            error.facts[tensor_place(place, len(shapes)).removeprefix("the ")] = shape_text(shape)
        if sizes:
            error.facts["given"] = ", ".join(f"{name}={value}" for name, value in sizes.items())


FORGET.append(program.cache_clear)
