"""What the layers of all frameworks share: their arguments, read once, what a call does, and their documentation."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from plait._executor.compile import lower_pattern
from plait._executor.tensors import stack
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, collect_names
from plait._operations.reduce import CUSTOM, check_reduction
from plait._operations.rules import two_sides
from plait._pattern import Pattern
from plait._plan.graph import Plan
from plait.errors import PlaitError, make_error, short_repr

Reduction: TypeAlias = "str | Callable[[Any, tuple[int, ...]], Any]"

Layer = TypeVar("Layer")

SCRIPTED_RANKS = 8
"""The highest rank for which `plans` serves a pattern with an ellipsis."""


class Spec:
    """What the specifications of all layers share.

    It is not a dataclass: Paddle's tracer of bytecode takes apart a class whose only base is `object` and that is a
    dataclass, and makes it anew field by field, which a frozen one refuses.
    """

    pattern: Pattern

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, for a configuration that is saved; the sizes as one dict."""
        raise NotImplementedError

    @property
    def arguments(self) -> str:
        """The arguments of the constructor as a call has them, for a ``repr``: ``'b (h p) -> b h p', p=2``."""
        config = self.config
        sizes = config.pop("sizes")
        given = [format_value(value) for value in config.values() if value is not None]
        return ", ".join([*given, *(f"{name}={size}" for name, size in sizes.items())])

    def stacked(self, tensors: Any) -> Any:
        """A list of tensors as the one that a call makes of it, for frameworks that ask for shapes before the call."""
        try:
            return stack(tensors) if isinstance(tensors, (tuple, list)) else tensors
        except PlaitError as error:
            error.pattern = self.pattern.text
            raise


@dataclass(frozen=True)
class OperationSpec(Spec):
    """One operation with its pattern. Immutable; hashable and picklable if the reduction is.

    Attributes:
        operation: ``"rearrange"``, ``"reduce"`` or ``"repeat"``.
        pattern: the pattern with its sizes.
        reduction: a name or a callable, of ``"reduce"`` only.
    """

    operation: str
    pattern: Pattern
    reduction: Reduction | None = None

    def __call__(self, tensor: Any, module: Any = None) -> Any:
        """The operation on a tensor, or on a list of equally shaped ones; with the module of `split_module`, if any."""
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


class RearrangeConstructor:
    """The constructor of a layer ``Rearrange`` whose next base takes the specification."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            sizes: the sizes of axes, in elements, that cannot be inferred.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(operation("rearrange", pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


class ReduceConstructor:
    """The constructor of a layer ``Reduce`` whose next base takes the specification."""

    def __init__(self, /, pattern: str, reduction: Reduction, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            reduction: a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``.
            sizes: the sizes of axes, in elements, that cannot be inferred.

        Raises:
            PlaitError: the pattern, the reduction or a size is wrong.
        """
        super().__init__(operation("reduce", pattern, sizes, reduction))  # type: ignore[call-arg]  # of the framework's layer


class RepeatConstructor:
    """The constructor of a layer ``Repeat`` whose next base takes the specification."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Read the arguments.

        Args:
            pattern: what goes in and what comes out.
            sizes: the sizes of axes, in elements: of all that appear on the right only.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(operation("repeat", pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


def operation(
    kind: str, pattern: str, sizes: dict[str, Any], reduction: Reduction | None = None, **own: Any
) -> OperationSpec:
    """The specification of a layer of one operation, with every error of its function that needs no tensor."""
    name = ""
    if kind == "reduce":
        name = CUSTOM if callable(reduction) else check_reduction(reduction)
    check_argument_names(pattern, **own)
    return OperationSpec(kind, checked_pattern(kind, pattern, sizes, name), reduction)


def checked_pattern(operation: str, text: str, sizes: dict[str, Any], reduction: str = "") -> Pattern:
    """A pattern that is known to keep the rule of its operation, and to be solvable for some tensor."""
    two_sides(parse(text), operation)
    pattern = Pattern(text, sizes)
    ranks = [_named_dimensions(expr.items) for expr in parse(pattern.text).left]
    given = tuple(pattern.sizes)
    lower_pattern(operation, pattern.text, tuple(ranks if operation == "einsum" else ranks[:1]), given, reduction)
    return pattern


def check_argument_names(text: str, **own: Any) -> None:
    """Raise PLT213 if an argument of the framework's own layers was meant as the size of an axis of that name."""
    numbers = [name for name, value in own.items() if isinstance(value, int) and not isinstance(value, bool)]
    if not numbers:
        return
    tree = parse(text)
    axes = collect_names((*tree.left, *(tree.right or ())))
    for name in numbers:
        if name in axes:
            message = f"{name} is an argument of the layer, and not the size of an axis; call the axis something else"
            raise make_error("PLT213", message, tree.text, [(axes[name].start, axes[name].stop)])


def merge_sizes(sizes: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that were given as one dict, and those that were given as keywords."""
    if sizes is None:
        return dict(more)
    if not isinstance(sizes, Mapping) or not all(isinstance(name, str) for name in sizes):
        raise make_error("PLT301", f"sizes is a dict of axes and their sizes, and this is {short_repr(sizes)}")
    both = [name for name in more if name in sizes]
    if both:
        raise make_error("PLT311", f"the size {both[0]} is given twice, in the dict and as a keyword")
    return {**sizes, **more}


def split_module(operation: OperationSpec, kind: type) -> tuple[OperationSpec, Any]:
    """The operation without its reduction, and the reduction, where that is a module of the framework's own.

    As an attribute of the layer it is found by whatever looks for parameters; in a specification it is not.
    """
    if isinstance(operation.reduction, kind):
        return replace(operation, reduction=None), operation.reduction
    return operation, None


def forbid_module(operation: OperationSpec, kind: type) -> OperationSpec:
    """Refuse a module as reduction, for frameworks where nothing would find its parameters inside of a layer."""
    if isinstance(operation.reduction, kind):
        message = (
            f"the parameters of {short_repr(operation.reduction)} would not be found; a reduction here is a function"
        )
        raise make_error("PLT209", message, operation.pattern.text)
    return operation


def format_value(value: Any) -> str:
    """One argument as text; a callable by its name."""
    return getattr(value, "__name__", None) or repr(value)


_SHARED = {
    "pattern": "what goes in and what comes out.",
    "reduction": "a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``.",
    "sizes": "the sizes of axes, in elements, that cannot be inferred.",
    "weight_shape": "the axes of the weight, with blanks between them.",
    "bias_shape": "the axes that the bias depends on, or ``None`` for no bias.",
    **dict.fromkeys(["bias_init", "b_init", "bias_initializer", "initial_bias"], "the same of the bias."),
    "param_dtype": "the element type of the parameters.",
    "name": "the name of the module.",
    "parent": "the module that this one belongs to; by default the one whose method makes it.",
    "more": "sizes by keywords.",
    "prefix": "what the name of the block begins with, as in every block.",
    "params": "parameters to share, as in every block; there are none.",
    "keywords": "those sizes too, and the keywords of `keras.layers.Layer`, such as ``name`` and ``dtype``.",
    "PlaitError": "the pattern or a size is wrong.",
}
_BY_LAYER = {
    "Rearrange": {},
    "Reduce": {"PlaitError": "the pattern, the reduction or a size is wrong."},
    "Repeat": {"sizes": "the sizes of axes, in elements: of all that appear on the right only."},
    "EinMix": {
        "pattern": f"{_SHARED['pattern'][:-1]}; groups and an ellipsis are allowed on both sides.",
        "sizes": "the sizes of axes, in elements: of all in the weight and the bias.",
        "PlaitError": "the pattern, a shape or a size is wrong.",
    },
}
PARAMETERS = MappingProxyType(
    {
        "weight": "uniform in ±√3 / √fan_in, where fan_in is the number of elements of the weight in each sum.",
        "bias": "uniform in ±1 / √fan_in, or ``None``; one dimension for each axis of the right side.",
    }
)
"""What the parameters of most frameworks' ``EinMix`` are, for `documented`."""


def documented(attributes: Mapping[str, str] = MappingProxyType({}), /, **own: str) -> Callable[[Layer], Layer]:
    """A decorator that adds the attributes of a layer, its arguments and its errors to its docstring; ``own`` are the
    texts of the arguments that are not in the tables above, or differ from them.
    """

    def complete(layer: Any) -> Any:
        texts = {**_SHARED, **_BY_LAYER[layer.__name__], **own}
        arguments = [name for name in inspect.signature(layer.__init__).parameters if name != "self"]
        sections = {
            "Args": {name: texts[name] for name in arguments},
            "Attributes": attributes,
            "Raises": {"PlaitError": texts["PlaitError"]},
        }
        parts = [inspect.cleandoc(layer.__doc__ or "")]
        for title, entries in sections.items():
            lines = [
                textwrap.fill(f"{name}: {text}", 116, initial_indent=" " * 4, subsequent_indent=" " * 8)
                for name, text in entries.items()
            ]
            parts += ["\n".join([f"{title}:", *lines])] if lines else []
        layer.__doc__ = "\n\n".join(parts) + "\n"
        return layer

    return complete


def plans(operation: str, pattern: Pattern, reduction: str = "", *others: int) -> dict[int, Plan]:
    """The plan of a pattern for each rank of the first tensor, where the ranks of the others are given."""
    items = parse(pattern.text).left[0].items
    least = _named_dimensions(items)
    ranks = range(least, max(least, SCRIPTED_RANKS) + 1) if least < len(items) else [least]
    given = tuple(pattern.sizes)
    return {rank: lower_pattern(operation, pattern.text, (rank, *others), given, reduction) for rank in ranks}


def _named_dimensions(items: Sequence[Any]) -> int:
    return sum(not isinstance(item, Ellipsis) for item in items)
