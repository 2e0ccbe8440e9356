"""What an ``EinMix`` is in every framework: a product with a weight, and a bias.

    b t (h c) -> b t (h d)   weight_shape: h c d   bias_shape: h d

is one einsum of the input and the weight. A bias is added while every axis is a dimension of its own, and only then
are the groups of the right side formed. The idea is that of the layer of the same name in einops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any, NamedTuple

from plait._executor.compile import check_names, concrete_sizes
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, Name, Number, TensorExpr, Tree, collect_names, item_leaves
from plait._operations.rules import Side, collect_axes, forbid_grouped_ellipsis, one_tensor, subject, text_and_spans
from plait._pattern import Pattern
from plait.errors import PlaitError, did_you_mean, make_error, short_repr
from plait.layers._spec import Spec, check_argument_names, checked_pattern


class Parameter(NamedTuple):
    """A weight or a bias before it is made: drawn uniformly between ``-bound`` and ``bound``."""

    shape: tuple[int, ...]
    bound: float


@dataclass(frozen=True)
class MixSpec(Spec):
    """A general linear layer. Immutable, hashable, picklable.

    Attributes:
        pattern: what goes in and what comes out, with the given sizes.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        weight: the shape of the weight, and the bound of its elements: √3 / √fan_in.
        bias: the same of the bias, 1 / √fan_in; ``None`` for no bias.
        product: the einsum of a tensor and the weight.
        grouping: from its result, and the bias, to the right side of the pattern; ``None`` where they are the same.
    """

    pattern: Pattern
    weight_shape: str
    bias_shape: str | None
    weight: Parameter = field(repr=False)
    bias: Parameter | None = field(repr=False)
    product: Pattern = field(repr=False)
    grouping: Pattern | None = field(repr=False)

    def __call__(self, tensor: Any, weight: Any, bias: Any = None) -> Any:
        """Multiply a tensor with the weight, sum what the right side leaves out, add the bias, form the groups."""
        return self.apply_bias(self.product.einsum(tensor, weight), bias)

    def apply_bias(self, product: Any, bias: Any) -> Any:
        """The result, from the product of tensor and weight."""
        with_bias = bias is not None  # a variable: where a tensor decides a jump, Paddle's tracer of bytecode gives up
        if with_bias:
            product = product + bias
        return product if self.grouping is None else self.grouping.rearrange(product)

    def output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the result for a tensor of this shape, in elements; ``None`` is a size that is not known."""
        flat = self.product.output_shape(shape, self.weight.shape)
        return flat if self.grouping is None else self.grouping.output_shape(flat)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, for a configuration that is saved; the sizes as one dict."""
        shapes = {"weight_shape": self.weight_shape, "bias_shape": self.bias_shape}
        return {"pattern": self.pattern.text, **shapes, "sizes": self.pattern.sizes}

    @classmethod
    def read(
        cls, pattern: str, weight_shape: str, bias_shape: str | None, sizes: dict[str, Any], **own: Any
    ) -> MixSpec:
        """Read the arguments of ``EinMix``.

        Args:
            pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
            weight_shape: the axes of the weight, with blanks between them; ``1`` is a unit axis.
            bias_shape: the axes that the bias depends on, or ``None`` for no bias.
            sizes: the sizes, in elements, of all axes of the weight and of the bias, and of those of the input that
                cannot be inferred.
            own: the arguments of a framework's own layers; an axis of such a name cannot be given a size.

        Raises:
            PlaitError: a text cannot be read, an axis is where it may not be, or a size is missing or wrong.
        """
        check_argument_names(pattern, **own)
        tree = parse(str(parse(pattern)))
        left, right = one_tensor(tree, "EinMix")
        before, after = collect_axes(left, tree, "EinMix"), collect_axes(right, tree, "EinMix")
        _check_sides(left, before, after, tree)
        weight = _axes(weight_shape, "weight_shape")
        bias = None if bias_shape is None else _axes(bias_shape, "bias_shape")
        _check_new(before, after, weight, tree)
        check_names(sizes, collect_names((*tree.left, *weight.left)), tree.text)
        known = concrete_sizes(tree.text, sizes)
        _check_parameter(weight, {**before.names, **after.names}, "the pattern", "weight", known, tree)
        if bias:
            _check_parameter(bias, after.names, "the right side", "bias", known, tree)
        fan_in = prod(known[name] for name in collect_names(weight.left) if name not in after.names) or 1
        weight_lengths = [known[item.text] if isinstance(item, Name) else 1 for item in weight.left[0].items]
        # the bias has a dimension for each named axis of the right side, of length 1 if it does not depend on the axis
        kept = collect_names(bias.left) if bias else {}
        bias_lengths = [known[name] if name in kept else 1 for name in after.names]
        product, flat = _product(left, right, weight, bias)
        return cls(
            Pattern(tree.text, known),
            str(weight.left[0]),
            None if bias is None else str(bias.left[0]),
            Parameter(tuple(weight_lengths), sqrt(3 / fan_in)),
            None if bias is None else Parameter(tuple(bias_lengths), sqrt(1 / fan_in)),
            _checked_product(product, known, left, tree),
            None if flat is None else checked_pattern("rearrange", f"{flat} -> {right}", {}),
        )


def _check_sides(left: TensorExpr, before: Side, after: Side, tree: Tree) -> None:
    """Raise where an ellipsis is on one side only, or in a group of the input, or a number makes a new axis."""
    forbid_grouped_ellipsis(left, before, tree)
    if bool(before.dots) != bool(after.dots):
        side = "left" if before.dots else "right"
        message = f"the ellipsis stands on the {side} only, and EinMix keeps its axes; put it on both sides"
        raise make_error("PLT208", message, *text_and_spans(tree, before.dots or after.dots))
    _forbid_lengths([*before.lengths, *after.lengths], "EinMix", "h", tree)


def _forbid_lengths(lengths: list[Number], taker: str, example: str, tree: Tree) -> None:
    if lengths:
        message = f"{taker} takes no axis without a name but 1; give it a name, as in {example}={lengths[0].value}"
        raise make_error("PLT207", message, *text_and_spans(tree, lengths))


def _axes(text: str, label: str) -> Tree:
    """The tree of ``weight_shape`` or ``bias_shape``: names and units, with blanks between them."""
    if not isinstance(text, str):
        raise make_error("PLT101", f"{label} must be text, and this is {type(text).__name__}: {short_repr(text)}")
    tree = parse(text)
    if tree.right is not None or len(tree.left) != 1:
        spans = [(tree.left[0].stop, len(text))]
        raise make_error("PLT201", f"{label} is the axes of one tensor, without an arrow or a comma", tree.text, spans)
    (expr,) = tree.left
    side = collect_axes(expr, tree, label)
    foreign = [item for item in expr.items if not isinstance(item, (Name, Number))]
    if foreign:
        raise make_error(
            "PLT201", f"{label} takes names, without groups or an ellipsis", *text_and_spans(tree, foreign)
        )
    _forbid_lengths(side.lengths, label, "c", tree)
    return tree


def _check_new(before: Side, after: Side, weight: Tree, tree: Tree) -> None:
    known = {*before.names, *collect_names(weight.left)}
    new = [name for text, name in after.names.items() if text not in known]
    if new:
        message = f"{subject(new)} on the right only; put it in weight_shape too"
        raise make_error("PLT205", message, *text_and_spans(tree, new), {"weight_shape": str(weight.left[0])})


def _check_parameter(
    parameter: Tree, known: dict[str, Name], where: str, kind: str, sizes: dict[str, int], tree: Tree
) -> None:
    """Raise where an axis of a weight or a bias appears nowhere else, or has no size."""
    axes, facts = collect_names(parameter.left), {"pattern": tree.text}
    lost = [name for text, name in axes.items() if text not in known]
    if lost:
        hint = did_you_mean(lost[0].text, known)
        message = f"{lost[0].text} of {kind}_shape is no axis of {where}{hint}"
        raise make_error("PLT212", message, *text_and_spans(parameter, lost), facts)
    missing = [name for text, name in axes.items() if text not in sizes]
    if missing:
        wanted = ", ".join(f"{name.text}=..." for name in missing)
        message = f"the sizes of all axes of the {kind} must be given; add {wanted}"
        raise make_error("PLT303", message, *text_and_spans(parameter, missing), facts)


def _product(left: TensorExpr, right: TensorExpr, weight: Tree, bias: Tree | None) -> tuple[str, str | None]:
    """The pattern of the einsum, and its result where that is not yet the right side.

    A bias is added to one dimension for each name. Should the bias depend on an axis before the ellipsis, the
    ellipsis comes first, so that the bias broadcasts along it.
    """
    inputs = f"{left}, {weight.left[0]}"
    if bias is None:
        return f"{inputs} -> {right}", None
    axes = [leaf for item in right.items for leaf in item_leaves(item) if not isinstance(leaf, Number)]
    dots = next((place for place, leaf in enumerate(axes) if isinstance(leaf, Ellipsis)), 0)
    if collect_names(bias.left).keys() & {leaf.text for leaf in axes[:dots] if isinstance(leaf, Name)}:
        axes.insert(0, axes.pop(dots))
    flat = " ".join(map(str, axes))
    return f"{inputs} -> {flat}", None if flat == str(right) else flat


def _checked_product(product: str, sizes: dict[str, int], left: TensorExpr, tree: Tree) -> Pattern:
    """The pattern of the einsum; what can still be wrong is the input, and the error shows the caller's pattern."""
    flat = " ".join([str(leaf) for item in left.items for leaf in item_leaves(item)])
    given = {name: sizes[name] for name in collect_names((left,)) if name in sizes}
    try:
        checked_pattern("rearrange", f"{left} -> {flat}", given)
    except PlaitError as error:
        error.pattern = tree.text
        raise
    return checked_pattern("einsum", product, sizes)
