"""Layers of Keras 3, on its TensorFlow, JAX and PyTorch backends.

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

The layers are registered with Keras: a process that has imported this module loads a ``.keras`` file without
``custom_objects``. One that was saved with einops' layers needs ``custom_objects=keras_custom_objects``.
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

from plait.layers import MixSpec, Parameter, _spec
from plait.layers._spec import Reduction

_KEYWORDS = frozenset({"activity_regularizer", "autocast", "dtype", "input_shape", "name", "trainable"})
"""What goes to Keras, unless it is an integer: the size of an axis of that name."""

_ROLES = ("initializer", "regularizer", "constraint")


def _is_size(name: str, value: Any) -> bool:
    return name not in _KEYWORDS or (isinstance(value, Integral) and not isinstance(value, bool))


class _Layer(keras.layers.Layer):
    """A layer that Keras can ask for its configuration, and for the shape and type of its result."""

    def __init__(self, read: Callable[[dict[str, Any]], Any], sizes: dict[str, Any] | None, keywords: Any) -> None:
        more = {name: value for name, value in keywords.items() if _is_size(name, value)}
        specification = read(_spec.merge_sizes(sizes, more))
        super().__init__(**{name: value for name, value in keywords.items() if name not in more})
        self.spec = specification

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the result; of a list of tensors the shapes are a list."""
        several = input_shape and isinstance(input_shape[0], (tuple, list))
        like = [*map(KerasTensor, input_shape)] if several else KerasTensor(input_shape)
        return self.spec.output_shape(self.spec.stacked(like).shape)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """The shape and the element type of the result."""
        like = keras.tree.map_structure(lambda tensor: KerasTensor(tensor.shape, tensor.dtype), inputs)
        like = self.dtype_policy.convert_input(self.spec.stacked(like), self.autocast, self.input_dtype)
        return KerasTensor(self.spec.output_shape(like.shape), self._output_dtype(like))

    def _output_dtype(self, tensor: KerasTensor) -> str:
        return tensor.dtype

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; the sizes as one dict, since an axis may have any name."""
        return {**super().get_config(), **self.spec.config}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec.arguments}, name={self.name}, built={self.built}>"


class _Operation(_Layer):
    """A layer without weights."""

    def call(self, inputs: Any) -> Any:
        return self.spec(inputs)


@register_keras_serializable(package="plait")
@_spec.documented()
class Rearrange(_Operation):
    """`plait.rearrange` as a layer."""

    def __init__(self, /, pattern: str, *, sizes: dict[str, int] | None = None, **keywords: Any) -> None:
        super().__init__(partial(_spec.operation, "rearrange", pattern), sizes, keywords)


@register_keras_serializable(package="plait")
@_spec.documented(
    reduction="a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``. A model with a callable is saved"
    " and loaded as Keras does with every function: register it, as the layers are, or give it as custom object.",
)
class Reduce(_Operation):
    """`plait.reduce` as a layer."""

    def __init__(
        self, /, pattern: str, reduction: Reduction, *, sizes: dict[str, int] | None = None, **keywords: Any
    ) -> None:
        super().__init__(partial(_spec.operation, "reduce", pattern, reduction=reduction), sizes, keywords)
        _spec.forbid_module(self.spec, keras.layers.Layer)

    def _output_dtype(self, tensor: KerasTensor) -> str:
        reduction = self.spec.reduction
        if isinstance(reduction, str):
            return _spec.operation("reduce", "a ->", {}, reduction)(KerasTensor((None,), tensor.dtype)).dtype
        return replace(self.spec, reduction=lambda tensor, axes: _Applied(reduction, axes)(tensor))(tensor).dtype

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; the sizes as one dict, since an axis may have any name."""
        config = super().get_config()
        return {**config, "reduction": serialize_keras_object(config["reduction"])}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Reduce:
        """The layer of a configuration."""
        return super().from_config({**config, "reduction": deserialize_keras_object(config["reduction"])})


class _Applied(keras.Operation):
    """A callable reduction of symbolic tensors: Keras traces it, so that it may call the functions of any framework."""

    def __init__(self, reduction: Callable[[Any, tuple[int, ...]], Any], axes: tuple[int, ...]) -> None:
        super().__init__()
        self.reduction, self.axes = reduction, axes

    def call(self, tensor: Any) -> Any:
        return self.reduction(tensor, self.axes)


@register_keras_serializable(package="plait")
@_spec.documented()
class Repeat(_Operation):
    """`plait.repeat` as a layer."""

    def __init__(self, /, pattern: str, *, sizes: dict[str, int] | None = None, **keywords: Any) -> None:
        super().__init__(partial(_spec.operation, "repeat", pattern), sizes, keywords)


@register_keras_serializable(package="plait")
@_spec.documented(
    {
        "weight": "made when the layer is built.",
        "bias": "made when the layer is built, or ``None``; one dimension for each axis of the right side.",
    },
    weight_initializer="what the weight is drawn from; ``None`` is uniform in ±√3 / √fan_in, where fan_in is the number"
    " of elements of the weight in each sum.",
    bias_initializer="what the bias is drawn from; ``None`` is uniform in ±1 / √fan_in.",
    weight_regularizer="what the weight adds to the loss.",
    bias_regularizer="what the bias adds to the loss.",
    weight_constraint="what the weight is held to.",
    bias_constraint="what the bias is held to.",
)
class EinMix(_Layer):
    """A general linear layer: einsum of the input and a weight, and a bias."""

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
        self.weight_initializer = initializers.get(weight_initializer) or _uniform(self.spec.weight)
        self.bias_initializer = initializers.get(bias_initializer) or _uniform(self.spec.bias)
        self.weight_regularizer = regularizers.get(weight_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.weight_constraint = constraints.get(weight_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.weight = self.bias = None

    def build(self, input_shape: Any = None) -> None:
        """Make the weight and the bias, whose shapes do not depend on the input."""
        self.weight = self._make("weight", self.spec.weight)
        self.bias = self._make("bias", self.spec.bias)

    def _make(self, name: str, made: Parameter | None) -> Any:
        roles = {role: getattr(self, f"{name}_{role}") for role in _ROLES}
        return None if made is None else self.add_weight(name=name, shape=made.shape, **roles)

    def call(self, inputs: Any) -> Any:
        """The product, in the type that Keras gives one of the input and a weight: that of the layer, mostly."""
        dtypes = [tensor.dtype for tensor in keras.tree.flatten(inputs)]
        dtype = keras.backend.result_type(*dtypes, self.compute_dtype)
        tensors = (inputs, self.weight, self.bias)
        return self.spec(
            *keras.tree.map_structure(lambda tensor: tensor if tensor is None else ops.cast(tensor, dtype), tensors)
        )

    def _output_dtype(self, tensor: KerasTensor) -> str:
        return keras.backend.result_type(tensor.dtype, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; the sizes as one dict, since an axis may have any name."""
        names = [f"{name}_{role}" for name in ("weight", "bias") for role in _ROLES]
        return {**super().get_config(), **{name: serialize_keras_object(getattr(self, name)) for name in names}}


def _uniform(made: Parameter | None) -> Any:
    return None if made is None else initializers.RandomUniform(-made.bound, made.bound)


keras_custom_objects = {kind.__name__: kind for kind in (Rearrange, Reduce, Repeat, EinMix)}
"""The layers by name: what loads a model that was saved with einops' layers, as ``custom_objects``."""
