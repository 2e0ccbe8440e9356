"""The specification of an ``EinMix``, the general linear layer: a product with a weight, and a bias.

A layer with the pattern ``b t (h c) -> b t (h d)``, the weight shape ``h c d`` and the bias shape ``h d`` computes one
einsum of the input and the weight. The bias is added while each axis of the result is a dimension of its own; the axes
are merged into the groups of the right side afterwards. The layer is made after that of the same name in einops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any, NamedTuple

from plait._executor.compile import check_size_names, sizes_to_ints
from plait._executor.uncached_dispatch import convert_error_for_caller
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, Name, Number, TensorExpr, Tree, collect_names, item_leaves
from plait._operations.rules import (
    TensorAxes,
    collect_axes,
    forbid_grouped_ellipsis,
    format_missing_axes,
    require_unary_sides,
    text_and_spans,
)
from plait._pattern import Pattern, pattern_within_rank
from plait.errors import PlaitError, did_you_mean, make_error, short_repr
from plait.layers._spec import (
    LayerSpec,
    compile_checked,
    forbid_int_arguments_named_like_axes,
    separate_max_rank,
    sizes_and_max_rank,
)


class Parameter(NamedTuple):
    """The shape of a weight or a bias, and the range from which its elements are drawn.

    Attributes:
        shape: the length of each dimension, in elements.
        bound: the elements are drawn uniformly from ``-bound`` to ``bound``.
    """

    shape: tuple[int, ...]
    bound: float


@dataclass(frozen=True)
class MixSpec(LayerSpec):
    """The specification of a layer ``EinMix``: a callable that is independent of frameworks, made by `MixSpec.read`.

    It is immutable; it can be hashed and pickled.

    Attributes:
        pattern: the compiled pattern, from the axes of the input to those of the result, with the given sizes.
        weight_shape: the axes of the weight, separated by blanks.
        bias_shape: the axes of the bias, separated by blanks, or ``None`` for no bias.
        weight: the shape of the weight, and the bound of its elements: √3 / √fan_in, where fan_in is the number of
            weight elements in each sum.
        bias: the shape of the bias, and the bound of its elements: 1 / √fan_in; ``None`` for no bias. It has one
            dimension for each axis of the right side, of length 1 where ``bias_shape`` does not have the axis.
        product: the einsum of the input and the weight.
        grouping: the pattern that merges the axes of the product into the groups of the right side; ``None`` if there
            are no groups to merge.

    Examples:
        >>> import numpy as np
        >>> from plait.layers import MixSpec
        >>> linear = MixSpec.read("b c -> b d", "c d", "d", {"c": 3, "d": 4})
        >>> linear.weight.shape, linear.bias.shape
        ((3, 4), (1, 4))
        >>> linear(np.ones((2, 3)), np.ones((3, 4)), np.zeros((1, 4))).shape
        (2, 4)
    """

    pattern: Pattern
    weight_shape: str
    bias_shape: str | None
    weight: Parameter = field(repr=False)
    bias: Parameter | None = field(repr=False)
    product: Pattern = field(repr=False)
    grouping: Pattern | None = field(repr=False)

    def __call__(self, tensor: Any, weight: Any, bias: Any = None) -> Any:
        """Multiply the input by the weight, sum the axes that are missing on the right, and add the bias.

        Args:
            tensor: a tensor of the shape on the left of the pattern.
            weight: a tensor of the shape ``self.weight.shape``.
            bias: a tensor of the shape ``self.bias.shape``, or ``None`` if the layer has no bias.

        Returns:
            A tensor of the shape on the right of the pattern.

        Raises:
            PlaitError: the tensor or the weight does not fit the pattern.
        """
        return self.add_bias_and_group(self.product.einsum(tensor, weight), bias)

    def add_bias_and_group(self, product: Any, bias: Any) -> Any:
        """Add the bias to the product of the input and the weight, and merge its axes into groups."""
        has_bias = bias is not None  # Paddle's bytecode tracer fails on a branch whose condition contains a tensor
        if has_bias:
            try:
                product = product + bias
            except Exception as error:
                error = convert_error_for_caller(
                    error, "EinMix", (product, bias), self.pattern.text, self.pattern.sizes
                )
                if not isinstance(error, PlaitError):
                    raise
                raise error from error.__cause__
        return product if self.grouping is None else self.grouping.rearrange(product)

    def output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Compute the shape of the result, in elements, from that of the input; ``None`` is an unknown length."""
        product_shape = self.product.output_shape(shape, self.weight.shape)
        return product_shape if self.grouping is None else self.grouping.output_shape(product_shape)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, for a saved configuration; the sizes are one dict, ``"sizes"``."""
        shapes = {"weight_shape": self.weight_shape, "bias_shape": self.bias_shape}
        return {"pattern": self.pattern.text, **shapes, "sizes": sizes_and_max_rank(self.pattern)}

    @classmethod
    def read(
        cls, pattern: str, weight_shape: str, bias_shape: str | None, sizes: dict[str, Any], **layer_arguments: Any
    ) -> MixSpec:
        """Check the arguments of an ``EinMix``, and return its specification.

        Args:
            pattern: the axes of the input, ``->`` and the axes of the result; groups and an ellipsis are allowed on
                both sides.
            weight_shape: the axes of the weight, separated by blanks; ``1`` is a unit axis.
            bias_shape: the axes of the bias, separated by blanks, or ``None`` for no bias.
            sizes: the sizes, in elements, of all axes of the weight and the bias, and of the axes of the input that
                cannot be inferred; and ``max_rank``, the highest rank of a tensor, as in `plait.options`.
            layer_arguments: the arguments that only the framework's layers have, such as ``dtype``. An integer whose
                name is that of an axis is an error, since it was meant as a size.

        Returns:
            The specification.

        Raises:
            PatternSyntaxError: a text cannot be read.
            AxisError: an axis is missing, or appears where it is not allowed.
            SizeError: a size is missing or wrong.

        Examples:
            >>> from plait.layers import MixSpec
            >>> MixSpec.read("b (t p) c -> b t d", "p c d", None, {"p": 4, "c": 3, "d": 8}).weight.shape
            (4, 3, 8)
        """
        forbid_int_arguments_named_like_axes(pattern, **layer_arguments)
        tree = parse(str(parse(pattern)))
        left, right = require_unary_sides(tree, "EinMix")
        left_axes, right_axes = collect_axes(left, tree, "EinMix"), collect_axes(right, tree, "EinMix")
        _check_ellipses_and_numbers(left, left_axes, right_axes, tree)
        weight = _parse_parameter_shape(weight_shape, "weight_shape")
        bias = None if bias_shape is None else _parse_parameter_shape(bias_shape, "bias_shape")
        _check_new_axes(left_axes, right_axes, weight, tree)
        axes = collect_names((*tree.left, *weight.left))
        sizes, max_rank = separate_max_rank(sizes, axes)
        check_size_names(sizes, axes, tree.text)
        int_sizes = sizes_to_ints(tree.text, sizes)
        _check_parameter_axes(weight, {**left_axes.names, **right_axes.names}, "the pattern", "weight", int_sizes, tree)
        if bias:
            _check_parameter_axes(bias, right_axes.names, "the right side", "bias", int_sizes, tree)
        fan_in = prod(int_sizes[name] for name in collect_names(weight.left) if name not in right_axes.names) or 1
        weight_lengths = [int_sizes[item.text] if isinstance(item, Name) else 1 for item in weight.left[0].items]
        bias_axes = collect_names(bias.left) if bias else {}
        bias_lengths = [int_sizes[name] if name in bias_axes else 1 for name in right_axes.names]
        product, flat_right = _einsum_pattern_and_ungrouped_axes(left, right, weight, bias)
        return cls(
            pattern_within_rank(tree.text, int_sizes, max_rank),
            str(weight.left[0]),
            None if bias is None else str(bias.left[0]),
            Parameter(tuple(weight_lengths), sqrt(3 / fan_in)),
            None if bias is None else Parameter(tuple(bias_lengths), sqrt(1 / fan_in)),
            _compile_einsum(product, int_sizes, max_rank, left, tree),
            None
            if flat_right is None
            else compile_checked("rearrange", f"{flat_right} -> {right}", {}, max_rank=max_rank),
        )


def _check_ellipses_and_numbers(left: TensorExpr, left_axes: TensorAxes, right_axes: TensorAxes, tree: Tree) -> None:
    """Raise an error for an ellipsis on one side only or in a group of the input, and for a number other than 1."""
    forbid_grouped_ellipsis(left, left_axes, tree)
    if bool(left_axes.ellipses) != bool(right_axes.ellipses):
        side = "left" if left_axes.ellipses else "right"
        message = f"'...' appears only on the {side}; EinMix keeps its axes, so write it on both sides"
        raise make_error("PLT208", message, *text_and_spans(tree, left_axes.ellipses or right_axes.ellipses))
    _forbid_numbers([*left_axes.numbers, *right_axes.numbers], "EinMix", "h", tree)


def _forbid_numbers(numbers: list[Number], context: str, example: str, tree: Tree) -> None:
    """Raise PLT207 if there are numbers other than 1, which are axes without a name."""
    if numbers:
        message = (
            f"{context} needs a name for each axis; name {numbers[0].value}, and pass e.g. {example}={numbers[0].value}"
        )
        raise make_error("PLT207", message, *text_and_spans(tree, numbers))


def _parse_parameter_shape(text: str, argument: str) -> Tree:
    """Parse ``weight_shape`` or ``bias_shape``: names and unit axes, separated by blanks."""
    if not isinstance(text, str):
        raise make_error("PLT101", f"{argument} must be a string, not {type(text).__name__}: {short_repr(text)}")
    tree = parse(text)
    if tree.right is not None or len(tree.left) != 1:
        spans = [(tree.left[0].stop, len(text))]
        raise make_error("PLT201", f"{argument} describes one tensor, without an arrow or a comma", tree.text, spans)
    (expr,) = tree.left
    side = collect_axes(expr, tree, argument)
    invalid = [item for item in expr.items if not isinstance(item, (Name, Number))]
    if invalid:
        raise make_error(
            "PLT201", f"{argument} can contain names only, without groups or '...'", *text_and_spans(tree, invalid)
        )
    _forbid_numbers(side.numbers, argument, "c", tree)
    return tree


def _check_new_axes(left_axes: TensorAxes, right_axes: TensorAxes, weight: Tree, pattern_tree: Tree) -> None:
    """Raise PLT205 if an axis of the right side is an axis of neither the input nor the weight."""
    operand_axes = {*left_axes.names, *collect_names(weight.left)}
    new = [name for text, name in right_axes.names.items() if text not in operand_axes]
    if new:
        message = f"{format_missing_axes(new)} on the left; add {'them' if len(new) > 1 else 'it'} to weight_shape"
        raise make_error("PLT205", message, *text_and_spans(pattern_tree, new), {"weight_shape": str(weight.left[0])})


def _check_parameter_axes(
    parameter: Tree, allowed: dict[str, Name], allowed_in: str, kind: str, sizes: dict[str, int], pattern_tree: Tree
) -> None:
    """Raise an error if an axis of a weight or a bias (the kind) is not among the allowed ones, or has no size."""
    axes, details = collect_names(parameter.left), {"pattern": pattern_tree.text}
    unknown = [name for text, name in axes.items() if text not in allowed]
    if unknown:
        hint = did_you_mean(unknown[0].text, allowed)
        message = f"axis '{unknown[0].text}' of {kind}_shape is not an axis of {allowed_in}{hint}"
        raise make_error("PLT212", message, *text_and_spans(parameter, unknown), details)
    missing = [name for text, name in axes.items() if text not in sizes]
    if missing:
        wanted = ", ".join(f"{name.text}=..." for name in missing)
        message = f"the {kind} needs the length of every axis; pass {wanted}"
        raise make_error("PLT303", message, *text_and_spans(parameter, missing), details)


def _einsum_pattern_and_ungrouped_axes(
    left: TensorExpr, right: TensorExpr, weight: Tree, bias: Tree | None
) -> tuple[str, str | None]:
    """Return the pattern of the einsum, and the axes of its result; ``None`` for these if they are the right side.

    For a layer with a bias, each axis of the result is a dimension of its own. If the bias has an axis before the
    ellipsis, the ellipsis is moved to the front, so that the bias broadcasts along it.
    """
    operands = f"{left}, {weight.left[0]}"
    if bias is None:
        return f"{operands} -> {right}", None
    axes = [leaf for item in right.items for leaf in item_leaves(item) if not isinstance(leaf, Number)]
    ellipsis_index = next((index for index, leaf in enumerate(axes) if isinstance(leaf, Ellipsis)), 0)
    if collect_names(bias.left).keys() & {leaf.text for leaf in axes[:ellipsis_index] if isinstance(leaf, Name)}:
        axes.insert(0, axes.pop(ellipsis_index))
    flat_right = " ".join(map(str, axes))
    return f"{operands} -> {flat_right}", None if flat_right == str(right) else flat_right


def _compile_einsum(product: str, sizes: dict[str, int], max_rank: int | None, left: TensorExpr, tree: Tree) -> Pattern:
    """Compile the pattern of the einsum; if the axes of the input are wrong, the error shows the layer's pattern."""
    flat_left = " ".join([str(leaf) for item in left.items for leaf in item_leaves(item)])
    given = {name: sizes[name] for name in collect_names((left,)) if name in sizes}
    try:
        compile_checked("rearrange", f"{left} -> {flat_left}", given)
    except PlaitError as error:
        error.pattern = tree.text
        raise
    return compile_checked("einsum", product, sizes, max_rank=max_rank)
