"""What a layer of one operation is before it belongs to a framework: a pattern read once, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from plait._executor.compile import planned
from plait._executor.slow_path import stacked
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, names
from plait._operations.reduce import CUSTOM, check_reduction
from plait._operations.rules import two_sides
from plait._pattern import Pattern
from plait.errors import PlaitError, fail, short

Reduction: TypeAlias = "str | Callable[[Any, tuple[int, ...]], Any]"


class Spec:
    """What the specifications of all layers have.

    It is no dataclass, so that Paddle's tracer of bytecode takes those that inherit from it for objects like any
    other: a dataclass, and nothing else, it takes apart and makes anew field by field, which frozen ones refuse.
    """

    pattern: Pattern

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, for a configuration that is saved; the sizes as one dict."""
        raise NotImplementedError

    @property
    def arguments(self) -> str:
        """The arguments of the constructor as it takes them, for a ``repr``."""
        return written(*[value for name, value in self.config.items() if name != "sizes"], sizes=self.pattern.sizes)

    @property
    def keywords(self) -> dict[str, str]:
        """The same by name, for frameworks that print the name of every argument."""
        config = self.config
        sizes = config.pop("sizes")
        return {name: shown(value) for name, value in {**config, **sizes}.items() if value is not None}

    def stacked(self, tensors: Sequence[Any]) -> Any:
        """A list of tensors as the one that a call makes of it, for frameworks that ask for shapes before the call.

        Raises:
            SizeError: PLT308, it is empty, or the shapes differ.
        """
        try:
            return stacked(tensors)
        except PlaitError as error:
            error.pattern = self.pattern.text
            raise


@dataclass(frozen=True)
class OperationSpec(Spec):
    """One operation with its pattern. Immutable; hashable and picklable as far as the reduction is.

    Attributes:
        operation: ``"rearrange"``, ``"reduce"`` or ``"repeat"``.
        pattern: the pattern with its sizes.
        reduction: a name or a callable, of ``"reduce"`` only.
    """

    operation: str
    pattern: Pattern
    reduction: Reduction | None = None

    def __call__(self, tensor: Any, module: Any = None) -> Any:
        """The operation on a tensor, or on a list of equally shaped ones; with a module that was taken `apart`."""
        if self.operation == "reduce":
            return self.pattern.reduce(tensor, self.reduction if module is None else module)
        if self.operation == "repeat":
            return self.pattern.repeat(tensor)
        return self.pattern.rearrange(tensor)

    def output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the result for a tensor of this shape, in elements; ``None`` is a size that is not known."""
        return self.pattern.output_shape(shape)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, for a configuration that is saved; the sizes as one dict."""
        reduction = {} if self.reduction is None else {"reduction": self.reduction}
        return {"pattern": self.pattern.text, **reduction, "sizes": self.pattern.sizes}


class Rearranging:
    """The constructor of a layer ``Rearrange``, whose next base takes the specification."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            sizes: the sizes of axes, in elements, that cannot be inferred.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(rearrange(pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


class Reducing:
    """The constructor of a layer ``Reduce``, whose next base takes the specification."""

    def __init__(self, /, pattern: str, reduction: Reduction, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            reduction: a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``.
            sizes: the sizes of axes, in elements, that cannot be inferred.

        Raises:
            PlaitError: the pattern, the reduction or a size is wrong.
        """
        super().__init__(reduce(pattern, reduction, sizes))  # type: ignore[call-arg]  # of the framework's layer


class Repeating:
    """The constructor of a layer ``Repeat``, whose next base takes the specification."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            sizes: the sizes of axes, in elements: of all that stand on the right only.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(repeat(pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


def apart(operation: OperationSpec, kind: type) -> tuple[OperationSpec, Any]:
    """The operation without its reduction, and the reduction, where that is a module of the framework's own.

    As an attribute of the layer it is found there by whatever looks for parameters; in a specification it is not.
    """
    if isinstance(operation.reduction, kind):
        return replace(operation, reduction=None), operation.reduction
    return operation, None


def without_parameters(operation: OperationSpec, kind: type) -> OperationSpec:
    """The operation, for frameworks where a layer cannot have a module inside that is called with more than tensors.

    Raises:
        AxisError: PLT209, its reduction is such a module, whose parameters nothing would find.
    """
    if isinstance(operation.reduction, kind):
        message = f"the parameters of {short(operation.reduction)} would not be found; a reduction here is a function"
        raise fail("PLT209", message, operation.pattern.text)
    return operation


def unambiguous(text: str, **arguments: Any) -> None:
    """Make sure that no argument of a constructor was meant to be the size of an axis of that name.

    Args:
        text: the pattern.
        arguments: the layer's own arguments, which no axis can have for a name, where it needs a size.

    Raises:
        AxisError: PLT213, one is a whole number, and the pattern has an axis that is called so.
    """
    if not any(isinstance(value, int) and not isinstance(value, bool) for value in arguments.values()):
        return
    tree = parse(text)
    axes = names((*tree.left, *(tree.right or ())))
    for name, value in arguments.items():
        if name in axes and isinstance(value, int) and not isinstance(value, bool):
            message = f"{name} is an argument of the layer, and not the size of an axis; call the axis something else"
            raise fail("PLT213", message, tree.text, [(axes[name].start, axes[name].stop)])


def rearrange(pattern: str, sizes: dict[str, Any]) -> OperationSpec:
    """What the layer ``Rearrange`` does; the errors of `plait.rearrange` that need no tensor are raised here."""
    return OperationSpec("rearrange", checked("rearrange", pattern, sizes))


def reduce(pattern: str, reduction: Reduction, sizes: dict[str, Any]) -> OperationSpec:
    """What the layer ``Reduce`` does; the errors of `plait.reduce` that need no tensor are raised here."""
    named = CUSTOM if callable(reduction) else check_reduction(reduction)
    return OperationSpec("reduce", checked("reduce", pattern, sizes, named), reduction)


def repeat(pattern: str, sizes: dict[str, Any]) -> OperationSpec:
    """What the layer ``Repeat`` does; the errors of `plait.repeat` that need no tensor are raised here."""
    return OperationSpec("repeat", checked("repeat", pattern, sizes))


def checked(operation: str, text: str, sizes: dict[str, Any], reduction: str = "") -> Pattern:
    """A pattern that keeps the rule of its operation, and can be solved.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: it breaks the rule of the operation, or a size names no axis.
        SizeError: a size is no exact integer, or one cannot be inferred.
    """
    two_sides(parse(text), operation)
    pattern = Pattern(text, sizes)
    left = parse(pattern.text).left
    ranks = tuple([sum(not isinstance(item, Ellipsis) for item in expr.items) for expr in left])
    planned(operation, pattern.text, ranks if operation == "einsum" else ranks[:1], tuple(pattern.sizes), reduction)
    return pattern


def written(*values: Any, sizes: dict[str, int]) -> str:
    """Arguments as a call has them: ``'b (h p) -> b h p', p=2``."""
    given = [shown(value) for value in values if value is not None]
    return ", ".join([*given, *(f"{name}={size}" for name, size in sizes.items())])


def shown(value: Any) -> str:
    """One argument as text; a callable by its name."""
    return getattr(value, "__name__", None) or repr(value)


def gathered(sizes: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that came as one dict, and those that came as keywords.

    Raises:
        SizeError: PLT301, what came as a dict is none; PLT311, one was given both ways.
    """
    if sizes is None:
        return dict(more)
    if not isinstance(sizes, Mapping) or not all(isinstance(name, str) for name in sizes):
        raise fail("PLT301", f"sizes is a dict of axes and their sizes, and this is {short(sizes)}")
    both = [name for name in more if name in sizes]
    if both:
        raise fail("PLT311", f"the size {both[0]} is given twice, in the dict and as a keyword")
    return {**sizes, **more}
