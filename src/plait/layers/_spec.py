"""The specifications of layers, which need no framework, and what all layers share.

A specification checks the arguments of a layer's constructor, and its call computes the result. The layers share mixins
with constructors, and `complete_docstring`, which describes their arguments.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from plait._executor.compile import lower_pattern
from plait._executor.einsum_options import check_max_rank
from plait._executor.tensors import stack_tensors
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, collect_names
from plait._operations.reduce import CUSTOM_REDUCTION, check_reduction_name
from plait._operations.rules import require_one_output
from plait._pattern import Pattern, pattern_within_rank
from plait._plan.graph import Plan
from plait._types import Reduction
from plait.errors import PlaitError, make_error, short_repr

Layer = TypeVar("Layer")

MAX_SCRIPTED_RANK = 8
"""The highest rank of a tensor for which `lower_each_rank` lowers a pattern with an ellipsis."""


class LayerSpec:
    """The base class of the specifications of layers.

    It is not a dataclass: Paddle's bytecode tracer rebuilds a dataclass whose only base is `object` by setting its
    fields, and a frozen dataclass raises an error then.

    Attributes:
        pattern: the compiled pattern with its given sizes.
    """

    pattern: Pattern

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, for a saved configuration; the sizes are one dict, ``"sizes"``."""
        raise NotImplementedError

    @property
    def arguments_text(self) -> str:
        """The constructor's arguments as they appear in a ``repr``, such as ``'b (h p) -> b h p', p=2``."""
        config = self.config
        sizes = config.pop("sizes")
        given = [format_value(value) for value in config.values() if value is not None]
        return ", ".join([*given, *(f"{name}={size}" for name, size in sizes.items())])

    def stack_inputs(self, tensors: Any) -> Any:
        """Stack a list of tensors along a new first axis, as the layer's call does; return a single tensor unchanged.

        Keras needs it, since it computes the shape of a result before the call.
        """
        try:
            return stack_tensors(tensors) if isinstance(tensors, (tuple, list)) else tensors
        except PlaitError as error:
            error.pattern = self.pattern.text
            raise


@dataclass(frozen=True)
class OperationSpec(LayerSpec):
    """The specification of a layer ``Rearrange``, ``Reduce`` or ``Repeat``: a callable without any framework.

    It is immutable; it can be hashed and pickled if the reduction can.

    Attributes:
        operation: ``"rearrange"``, ``"reduce"`` or ``"repeat"``.
        pattern: the compiled pattern with its given sizes.
        reduction: the name of a reduction, or a callable ``f(tensor, axes)``; ``None`` unless the operation is
            ``"reduce"``.

    Examples:
        >>> import numpy as np, plait
        >>> from plait.layers import OperationSpec
        >>> pool = OperationSpec("reduce", plait.compile("b (h 2) -> b h"), "max")
        >>> pool(np.array([[1, 2, 3, 4]]))
        array([[2, 4]])
        >>> pool.output_shape((None, 6))
        (None, 3)
    """

    operation: str
    pattern: Pattern
    reduction: Reduction | None = None

    def __call__(self, tensor: Any, module: Any = None) -> Any:
        """Apply the operation.

        Args:
            tensor: a tensor of the shape on the left of the pattern, or a list of equally shaped tensors, which are
                stacked on a new first axis.
            module: a callable to reduce with instead of ``reduction``: the second result of `extract_reduction_module`.

        Returns:
            A tensor of the shape on the right of the pattern.

        Raises:
            PlaitError: the tensor does not fit the pattern.
        """
        if self.operation == "reduce":
            reduction: Any = self.reduction if module is None else module
            return self.pattern.reduce(tensor, reduction)
        if self.operation == "repeat":
            return self.pattern.repeat(tensor)
        return self.pattern.rearrange(tensor)

    def output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Compute the shape of the result, in elements, from that of the input; ``None`` is an unknown length."""
        return self.pattern.output_shape(shape)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, for a saved configuration; the sizes are one dict, ``"sizes"``.

        Examples:
            >>> import plait
            >>> from plait.layers import OperationSpec
            >>> OperationSpec("rearrange", plait.compile("b (h p) -> b h p", p=2)).config
            {'pattern': 'b (h p) -> b h p', 'sizes': {'p': 2}}
        """
        reduction = {} if self.reduction is None else {"reduction": self.reduction}
        return {"pattern": self.pattern.text, **reduction, "sizes": sizes_and_max_rank(self.pattern)}


class RearrangeInitMixin:
    """A mixin with the constructor of a layer ``Rearrange``; it passes the specification to the next base class."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Check the arguments and compile the pattern; no tensor is needed.

        Args:
            pattern: the axes of the input, ``->`` and the axes of the result.
            sizes: the sizes, in elements, of the axes that cannot be inferred from the input; and ``max_rank``, the
                highest rank of a tensor, as in `plait.options`.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(operation_spec("rearrange", pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


class ReduceInitMixin:
    """A mixin with the constructor of a layer ``Reduce``; it passes the specification to the next base class."""

    def __init__(self, /, pattern: str, reduction: Reduction, **sizes: int) -> None:
        """Check the arguments and compile the pattern; no tensor is needed.

        Args:
            pattern: the axes of the input, ``->`` and the axes of the result.
            reduction: the name of a reduction of `plait.reduce`, or a callable ``f(tensor, axes)``.
            sizes: the sizes, in elements, of the axes that cannot be inferred from the input; and ``max_rank``, the
                highest rank of a tensor, as in `plait.options`.

        Raises:
            PlaitError: the pattern, the reduction or a size is wrong.
        """
        super().__init__(operation_spec("reduce", pattern, sizes, reduction))  # type: ignore[call-arg]  # of the framework's layer


class RepeatInitMixin:
    """A mixin with the constructor of a layer ``Repeat``; it passes the specification to the next base class."""

    def __init__(self, /, pattern: str, **sizes: int) -> None:
        """Check the arguments and compile the pattern; no tensor is needed.

        Args:
            pattern: the axes of the input, ``->`` and the axes of the result.
            sizes: the sizes, in elements, of all axes that appear on the right only; and ``max_rank``, the highest rank
                of a tensor, as in `plait.options`.

        Raises:
            PlaitError: the pattern or a size is wrong.
        """
        super().__init__(operation_spec("repeat", pattern, sizes))  # type: ignore[call-arg]  # of the framework's layer


def operation_spec(
    operation: str, pattern: str, sizes: dict[str, Any], reduction: Reduction | None = None, **layer_arguments: Any
) -> OperationSpec:
    """Check the arguments of a layer of one operation, and return its specification.

    ``layer_arguments`` are the arguments that only the framework's layers have, such as ``name``. Every error of the
    operation that does not depend on a tensor is raised here.
    """
    reduction_name = ""
    if operation == "reduce":
        reduction_name = CUSTOM_REDUCTION if callable(reduction) else check_reduction_name(reduction)
    forbid_int_arguments_named_like_axes(pattern, **layer_arguments)
    tree = parse(pattern)
    exact_sizes, max_rank = separate_max_rank(sizes, collect_names((*tree.left, *(tree.right or ()))))
    return OperationSpec(
        operation, compile_checked(operation, pattern, exact_sizes, reduction_name, max_rank), reduction
    )


def compile_checked(
    operation: str, text: str, sizes: dict[str, Any], reduction: str = "", max_rank: int | None = None
) -> Pattern:
    """Compile a pattern, and raise an error if its operation forbids it or if no tensor fits it."""
    require_one_output(parse(text), operation)
    pattern = pattern_within_rank(text, sizes, max_rank)
    ranks = [_minimum_rank(expr.items) for expr in parse(pattern.text).left]
    given = tuple(pattern.sizes)
    ranks = ranks if operation == "einsum" else ranks[:1]
    lower_pattern(operation, pattern.text, tuple(ranks), given, reduction, max_rank)
    return pattern


def separate_max_rank(sizes: Mapping[str, Any], axes: Collection[str]) -> tuple[dict[str, Any], int | None]:
    """Return the sizes of a layer without ``max_rank``, and that; it is a size if there is an axis of this name.

    >>> separate_max_rank({"p": 2, "max_rank": 4}, ["h", "p"])
    ({'p': 2}, 4)
    """
    if "max_rank" in axes:
        return dict(sizes), None
    return {name: size for name, size in sizes.items() if name != "max_rank"}, check_max_rank(sizes.get("max_rank"))


def sizes_and_max_rank(pattern: Pattern) -> dict[str, int]:
    """Return the sizes of a layer's pattern as its constructor takes them."""
    limit = pattern._max_rank
    return pattern.sizes if limit is None else {**pattern.sizes, "max_rank": limit}


def forbid_int_arguments_named_like_axes(text: str, **layer_arguments: Any) -> None:
    """Raise PLT213 if an integer argument of the layer has the name of an axis: it was meant as a size."""
    integers = [
        name for name, value in layer_arguments.items() if isinstance(value, int) and not isinstance(value, bool)
    ]
    if not integers:
        return
    tree = parse(text)
    axes = collect_names((*tree.left, *(tree.right or ())))
    for name in integers:
        if name in axes:
            message = f"'{name}' is an argument of the layer; choose another name for the axis"
            raise make_error("PLT213", message, tree.text, [(axes[name].start, axes[name].stop)])


def merge_sizes(sizes: Any, keyword_sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the sizes that a layer gets as one dict with those that it gets as keywords."""
    if sizes is None:
        return dict(keyword_sizes)
    if not isinstance(sizes, Mapping) or not all(isinstance(name, str) for name in sizes):
        raise make_error("PLT301", f"sizes must be a dict of axes and their lengths, not {short_repr(sizes)}")
    both = [name for name in keyword_sizes if name in sizes]
    if both:
        raise make_error("PLT311", f"size '{both[0]}' is given twice, in the dict and as a keyword")
    return {**sizes, **keyword_sizes}


def extract_reduction_module(spec: OperationSpec, module_class: type) -> tuple[OperationSpec, Any]:
    """Take a reduction that is a module of the framework out of a specification.

    The layer keeps the module as an attribute, where the framework looks for parameters; it does not look into a
    specification. The second result is the module, or ``None`` if the reduction is not a module.
    """
    if isinstance(spec.reduction, module_class):
        return replace(spec, reduction=None), spec.reduction
    return spec, None


def forbid_reduction_module(spec: OperationSpec, module_class: type) -> OperationSpec:
    """Raise PLT209 if the reduction is a module of the framework, which would not find its parameters in the layer."""
    if isinstance(spec.reduction, module_class):
        message = (
            f"the reduction must be a function, since the layer would not register the parameters of "
            f"{short_repr(spec.reduction)}"
        )
        raise make_error("PLT209", message, spec.pattern.text)
    return spec


def format_value(value: Any) -> str:
    """Format an argument for a ``repr``: a callable as its name, any other value as its own ``repr``."""
    return getattr(value, "__name__", None) or repr(value)


_MAX_RANK_DOC = "; and ``max_rank``, the highest rank of a tensor, as in `plait.options`."

_ARGUMENT_DOCS = {
    "pattern": "the axes of the input, ``->`` and the axes of the result.",
    "reduction": "the name of a reduction of `plait.reduce`, or a callable ``f(tensor, axes)``.",
    "sizes": f"the sizes, in elements, of the axes that cannot be inferred from the input{_MAX_RANK_DOC}",
    "weight_shape": "the axes of the weight, separated by blanks.",
    "bias_shape": "the axes of the bias, separated by blanks, or ``None`` for no bias.",
    **dict.fromkeys(["bias_init", "b_init", "bias_initializer", "initial_bias"], "the same for the bias."),
    "param_dtype": "the element type of the parameters.",
    "name": "the name of the module.",
    "parent": "the module that contains this one; by default the one whose method creates it.",
    "more": "sizes as keywords.",
    "prefix": "the prefix of the block's name, as in every block.",
    "params": "parameters to share, as in every block; this block has none.",
    "keywords": "sizes as keywords, and the keywords of `keras.layers.Layer`, such as ``name`` and ``dtype``.",
    "PlaitError": "the pattern or a size is wrong.",
}
"""The description of each argument of a layer, and of its error, where `complete_docstring` gets no other."""

_ARGUMENT_DOCS_BY_LAYER = {
    "Rearrange": {},
    "Reduce": {"PlaitError": "the pattern, the reduction or a size is wrong."},
    "Repeat": {"sizes": f"the sizes, in elements, of all axes that appear on the right only{_MAX_RANK_DOC}"},
    "EinMix": {
        "pattern": f"{_ARGUMENT_DOCS['pattern'][:-1]}; groups and an ellipsis are allowed on both sides.",
        "sizes": f"the sizes, in elements, of all axes of the weight and the bias{_MAX_RANK_DOC}",
        "PlaitError": "the pattern, a shape or a size is wrong.",
    },
}
"""The descriptions that differ from `_ARGUMENT_DOCS`, by the name of the layer."""

WEIGHT_AND_BIAS_DOCS = MappingProxyType(
    {
        "weight": "a tensor of the shape ``weight_shape``, drawn uniformly from ±√3 / √fan_in, where fan_in is the"
        " number of weight elements in each sum.",
        "bias": "a tensor drawn uniformly from ±1 / √fan_in, or ``None``; it has one dimension for each axis of the"
        " right side, of length 1 where ``bias_shape`` does not have the axis.",
    }
)
"""The descriptions of the weight and the bias of an ``EinMix``, for `complete_docstring`."""


def complete_docstring(
    attributes: Mapping[str, str] = MappingProxyType({}), /, **argument_docs: str
) -> Callable[[Layer], Layer]:
    """Return a decorator that adds sections for arguments, attributes and errors to the docstring of a layer.

    ``argument_docs`` describes the arguments that are missing in `_ARGUMENT_DOCS`, or that differ from it.
    """

    def complete(layer: Any) -> Any:
        texts = {**_ARGUMENT_DOCS, **_ARGUMENT_DOCS_BY_LAYER[layer.__name__], **argument_docs}
        arguments = [name for name in inspect.signature(layer.__init__).parameters if name != "self"]
        sections = {
            "Args": {name: texts[name] for name in arguments},
            "Attributes": attributes,
            "Raises": {"PlaitError": texts["PlaitError"]},
        }
        description, examples, code = inspect.cleandoc(layer.__doc__ or "").partition("\n\nExamples:")
        parts = [description]
        for title, entries in sections.items():
            lines = [
                textwrap.fill(f"{name}: {text}", 116, initial_indent=" " * 4, subsequent_indent=" " * 8)
                for name, text in entries.items()
            ]
            parts += ["\n".join([f"{title}:", *lines])] if lines else []
        layer.__doc__ = "\n\n".join(parts) + examples + code + "\n"
        return layer

    return complete


def lower_each_rank(operation: str, pattern: Pattern, reduction: str = "", *other_ranks: int) -> dict[int, Plan]:
    """Return the plan of a pattern for each rank of the first tensor, given the ranks of the other tensors."""
    items = parse(pattern.text).left[0].items
    least = _minimum_rank(items)
    ranks = range(least, max(least, MAX_SCRIPTED_RANK) + 1) if least < len(items) else [least]
    given = tuple(pattern.sizes)
    limit = pattern._max_rank
    if limit is not None:
        ranks = [rank for rank in ranks if rank <= limit]
    return {
        rank: lower_pattern(operation, pattern.text, (rank, *other_ranks), given, reduction, limit) for rank in ranks
    }


def _minimum_rank(items: Sequence[Any]) -> int:
    """Return the smallest rank of a tensor that fits these items: an ellipsis may stand for no dimension."""
    return sum(not isinstance(item, Ellipsis) for item in items)
