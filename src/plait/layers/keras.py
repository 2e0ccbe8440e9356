"""Layers of Keras 3, on its TensorFlow, JAX and PyTorch backends.

The layers are registered with Keras: a process that has imported this module loads a ``.keras`` file without
``custom_objects``. A file that was saved with einops' layers needs ``custom_objects=keras_custom_objects``.

Examples:
    >>> import keras
    >>> from plait.layers.keras import EinMix, Reduce
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((8, 8, 16)),
    ...         Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
    ...         EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
    ...     ]
    ... )
    >>> model.output_shape
    (None, 10)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import keras
from keras import KerasTensor, constraints, initializers, ops, regularizers
from keras.saving import deserialize_keras_object, register_keras_serializable, serialize_keras_object

from plait._types import Reduction
from plait.layers import MixSpec, Parameter, _spec

_KERAS_KEYWORDS = frozenset({"activity_regularizer", "autocast", "dtype", "input_shape", "name", "trainable"})
"""The keywords that are passed on to Keras, unless the value is an integer: then it is the size of an axis."""

_PARAMETER_OPTIONS = ("initializer", "regularizer", "constraint")
"""The options that ``EinMix`` has for the weight and for the bias, as in ``weight_initializer``."""


def _is_axis_size_keyword(name: str, value: Any) -> bool:
    """Return whether a keyword is the size of an axis, and not an argument of `keras.layers.Layer`."""
    return name not in _KERAS_KEYWORDS or (isinstance(value, Integral) and not isinstance(value, bool))


class _Layer(keras.layers.Layer):
    """The base class of the layers: it computes the configuration, and the shape and element type of the result."""

    def __init__(self, read_spec: Callable[[dict[str, Any]], Any], sizes: dict[str, Any] | None, keywords: Any) -> None:
        keyword_sizes = {name: value for name, value in keywords.items() if _is_axis_size_keyword(name, value)}
        spec = read_spec(_spec.merge_sizes(sizes, keyword_sizes))
        super().__init__(**{name: value for name, value in keywords.items() if name not in keyword_sizes})
        self.spec = spec

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Compute the shape of the result; for a list of tensors, ``input_shape`` is the list of their shapes."""
        is_list = input_shape and isinstance(input_shape[0], (tuple, list))
        symbolic = [*map(KerasTensor, input_shape)] if is_list else KerasTensor(input_shape)
        return self.spec.output_shape(self.spec.stack_inputs(symbolic).shape)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Compute the shape and the element type of the result."""
        symbolic = keras.tree.map_structure(lambda tensor: KerasTensor(tensor.shape, tensor.dtype), inputs)
        symbolic = self.dtype_policy.convert_input(self.spec.stack_inputs(symbolic), self.autocast, self.input_dtype)
        return KerasTensor(self.spec.output_shape(symbolic.shape), self._output_dtype(symbolic))

    def _output_dtype(self, tensor: KerasTensor) -> str:
        """Return the element type of the result for an input that is converted and stacked already."""
        return tensor.dtype

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name; the sizes are one dict, since an axis may have any name."""
        return {**super().get_config(), **self.spec.config}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec.arguments_text}, name={self.name}, built={self.built}>"


class _Operation(_Layer):
    """The base class of the layers without weights."""

    def call(self, inputs: Any) -> Any:
        return self.spec(inputs)


@register_keras_serializable(package="plait")
@_spec.complete_docstring()
class Rearrange(_Operation):
    """A layer that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import keras
        >>> from plait.layers.keras import Rearrange
        >>> tuple(Rearrange("b c h w -> b (c h w)")(keras.ops.zeros((2, 3, 4, 5))).shape)
        (2, 60)
    """

    def __init__(self, /, pattern: str, *, sizes: dict[str, int] | None = None, **keywords: Any) -> None:
        super().__init__(partial(_spec.operation_spec, "rearrange", pattern), sizes, keywords)


@register_keras_serializable(package="plait")
@_spec.complete_docstring(
    reduction="the name of a reduction of `plait.reduce`, or a callable ``f(tensor, axes)``. To load a model that was"
    " saved with a callable, register the callable with Keras, or pass it in ``custom_objects``.",
)
class Reduce(_Operation):
    """A layer that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. The reduction cannot be a layer, since
    Keras would not find its parameters.

    Examples:
        >>> import keras
        >>> from plait.layers.keras import Reduce
        >>> tuple(Reduce("b c (h 2) (w 2) -> b c h w", "max")(keras.ops.zeros((2, 3, 4, 6))).shape)
        (2, 3, 2, 3)
    """

    def __init__(
        self, /, pattern: str, reduction: Reduction, *, sizes: dict[str, int] | None = None, **keywords: Any
    ) -> None:
        super().__init__(partial(_spec.operation_spec, "reduce", pattern, reduction=reduction), sizes, keywords)
        _spec.forbid_reduction_module(self.spec, keras.layers.Layer)

    def _output_dtype(self, tensor: KerasTensor) -> str:
        reduction = self.spec.reduction
        if isinstance(reduction, str):
            return _spec.operation_spec("reduce", "a ->", {}, self.spec.reduction)(
                KerasTensor((None,), tensor.dtype)
            ).dtype
        traced = replace(self.spec, reduction=lambda tensor, axes: _TracedReduction(reduction, axes)(tensor))
        return traced(tensor).dtype

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name; the sizes are one dict, since an axis may have any name."""
        config = super().get_config()
        return {**config, "reduction": serialize_keras_object(config["reduction"])}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Reduce:
        """Create the layer from its configuration."""
        return super().from_config({**config, "reduction": deserialize_keras_object(config["reduction"])})


class _TracedReduction(keras.Operation):
    """A Keras operation that calls a callable reduction.

    Keras traces it to find the element type of the result, so the callable may use functions of Keras's backend.
    """

    def __init__(self, reduction: Callable[[Any, tuple[int, ...]], Any], axes: tuple[int, ...]) -> None:
        super().__init__()
        self.reduction, self.axes = reduction, axes

    def call(self, tensor: Any) -> Any:
        return self.reduction(tensor, self.axes)


@register_keras_serializable(package="plait")
@_spec.complete_docstring()
class Repeat(_Operation):
    """A layer that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import keras
        >>> from plait.layers.keras import Repeat
        >>> tuple(Repeat("b c -> b c r", r=3)(keras.ops.zeros((2, 5))).shape)
        (2, 5, 3)
    """

    def __init__(self, /, pattern: str, *, sizes: dict[str, int] | None = None, **keywords: Any) -> None:
        super().__init__(partial(_spec.operation_spec, "repeat", pattern), sizes, keywords)


@register_keras_serializable(package="plait")
@_spec.complete_docstring(
    {
        "weight": "a variable of the shape ``weight_shape``, created when the layer is built.",
        "bias": "a variable, created when the layer is built, or ``None``; it has one dimension for each axis of the"
        " right side, of length 1 where ``bias_shape`` does not have the axis.",
    },
    weight_initializer="the initializer of the weight; ``None`` draws uniformly from ±√3 / √fan_in, where fan_in is the"
    " number of weight elements in each sum.",
    bias_initializer="the initializer of the bias; ``None`` draws uniformly from ±1 / √fan_in.",
    weight_regularizer="the regularizer of the weight.",
    bias_regularizer="the regularizer of the bias.",
    weight_constraint="the constraint on the weight.",
    bias_constraint="the constraint on the bias.",
)
class EinMix(_Layer):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import keras
        >>> from plait.layers.keras import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> tuple(layer(keras.ops.zeros((2, 10, 32))).shape)
        (2, 10, 128)
        >>> tuple(layer.weight.shape), tuple(layer.bias.shape)
        ((8, 4, 16), (1, 1, 8, 16))
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        sizes: dict[str, int] | None = None,
        weight_initializer: Any = None,
        bias_initializer: Any = None,
        weight_regularizer: Any = None,
        bias_regularizer: Any = None,
        weight_constraint: Any = None,
        bias_constraint: Any = None,
        **keywords: Any,
    ) -> None:
        super().__init__(partial(MixSpec.read, pattern, weight_shape, bias_shape), sizes, keywords)
        self.weight_initializer = initializers.get(weight_initializer) or _uniform_initializer(self.spec.weight)
        self.bias_initializer = initializers.get(bias_initializer) or _uniform_initializer(self.spec.bias)
        self.weight_regularizer = regularizers.get(weight_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.weight_constraint = constraints.get(weight_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.weight = self.bias = None

    def build(self, input_shape: Any = None) -> None:
        """Create the weight and the bias, whose shapes do not depend on the input."""
        self.weight = self._add_parameter("weight", self.spec.weight)
        self.bias = self._add_parameter("bias", self.spec.bias)

    def _add_parameter(self, name: str, parameter: Parameter | None) -> Any:
        """Create the variable of the weight or the bias with its options; return ``None`` if there is no bias."""
        options = {option: getattr(self, f"{name}_{option}") for option in _PARAMETER_OPTIONS}
        return None if parameter is None else self.add_weight(name=name, shape=parameter.shape, **options)

    def call(self, inputs: Any) -> Any:
        """Compute the result in the element type to which Keras promotes the input and the layer's compute dtype."""
        dtypes = [tensor.dtype for tensor in keras.tree.flatten(inputs)]
        dtype = keras.backend.result_type(*dtypes, self.compute_dtype)
        tensors = (inputs, self.weight, self.bias)
        return self.spec(
            *keras.tree.map_structure(lambda tensor: tensor if tensor is None else ops.cast(tensor, dtype), tensors)
        )

    def _output_dtype(self, tensor: KerasTensor) -> str:
        return keras.backend.result_type(tensor.dtype, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name; the sizes are one dict, since an axis may have any name."""
        names = [f"{name}_{option}" for name in ("weight", "bias") for option in _PARAMETER_OPTIONS]
        return {**super().get_config(), **{name: serialize_keras_object(getattr(self, name)) for name in names}}


def _uniform_initializer(parameter: Parameter | None) -> Any:
    """Return the default initializer of a weight or a bias, or ``None`` if there is no bias."""
    return None if parameter is None else initializers.RandomUniform(-parameter.bound, parameter.bound)


keras_custom_objects = {layer.__name__: layer for layer in (Rearrange, Reduce, Repeat, EinMix)}
"""The layer classes by name: the ``custom_objects`` with which Keras loads a model that has einops' layers."""
