"""Layers of Flax Linen: modules with plait's operations, for ``nn.Sequential`` and for use inside other modules.

A module of Linen is a dataclass whose fields are its arguments. One field is the dict of sizes; it can be passed as a
dict or as keywords: ``Rearrange("(a b) c -> a b c", {"a": 12})`` equals ``Rearrange("(a b) c -> a b c", a=12)``. If an
axis has the name of an argument, such as ``name``, its size must be in the dict.

Examples:
    >>> import jax
    >>> from flax import linen as nn
    >>> from plait.layers.flax import EinMix, Reduce
    >>> model = nn.Sequential([
    ...     nn.Conv(16, (3, 3)),
    ...     Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
    ...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
    ... ])
    >>> logits, variables = model.init_with_output(jax.random.key(0), jax.numpy.ones((32, 8, 8, 1)))
    >>> logits.shape
    (32, 10)
    >>> jax.tree.map(jax.numpy.shape, variables["params"]["layers_2"])
    {'bias': (1, 10), 'weight': (256, 10)}
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from plait._types import Reduction
from plait.layers import MixSpec, Parameter, _spec
from plait.layers._jax_parameters import cast_arrays, uniform_initializer

Sizes = Mapping[str, int]
_DEFAULT_PARENT = {field.name: field.default for field in dataclasses.fields(nn.Dense)}["parent"]
"""The default of ``parent`` in Linen: the module whose method creates this one."""


class _Layer(nn.Module):
    """The base class of the modules: its subclasses take sizes as keywords too."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" not in vars(cls) and not inspect.get_annotations(cls):
            # otherwise Linen would generate the constructor of a dataclass, which takes sizes as a dict only
            cls.__init__ = cls.__init__  # type: ignore[method-assign]
        super().__init_subclass__(**options)


def _set_common_fields(
    layer: _Layer, sizes: Sizes | None, more: Sizes, parent: Any, name: str | None, **dtypes: Any
) -> None:
    """Set the fields that all layers have, and end the construction as the constructor of a dataclass does."""
    _spec.forbid_int_arguments_named_like_axes(layer.pattern, parent=parent, name=name, **dtypes)
    layer.sizes = FrozenDict(_spec.merge_sizes(sizes, more))
    layer.parent = parent
    layer.name = name
    layer.__post_init__()


class _OperationWithoutReduction(_Layer):
    """The base class of `Rearrange` and `Repeat`, which differ only in their operation."""

    pattern: str
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        sizes: Sizes | None = None,
        *,
        parent: Any = _DEFAULT_PARENT,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern = pattern
        _set_common_fields(self, sizes, more, parent, name)

    def __post_init__(self) -> None:
        self.spec = _spec.operation_spec(self._operation, self.pattern, dict(self.sizes))
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


@_spec.complete_docstring()
class Rearrange(_OperationWithoutReduction):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.flax import Rearrange
        >>> Rearrange("b c h w -> b (c h w)").apply({}, jnp.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """

    if TYPE_CHECKING:  # else type checkers derive a constructor from the fields, which takes sizes as a dict only

        def __init__(
            self,
            /,
            pattern: str,
            sizes: Sizes | None = None,
            *,
            parent: Any = ...,
            name: str | None = None,
            **more: int,
        ) -> None: ...

    _operation = "rearrange"


@_spec.complete_docstring()
class Reduce(_Layer):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a module, it becomes the
    field ``reduction``.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.flax import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max").apply({}, jnp.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """

    pattern: str
    reduction: Reduction
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        reduction: Reduction,
        sizes: Sizes | None = None,
        *,
        parent: Any = _DEFAULT_PARENT,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern = pattern
        self.reduction = reduction
        _set_common_fields(self, sizes, more, parent, name)

    def __post_init__(self) -> None:
        self.spec = _spec.operation_spec("reduce", self.pattern, dict(self.sizes), self.reduction)
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        # not self.spec(tensor): in a call, self.reduction is a copy of the module that is bound to its variables
        return self.spec.pattern.reduce(tensor, self.reduction)


@_spec.complete_docstring()
class Repeat(_OperationWithoutReduction):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.flax import Repeat
        >>> Repeat("b c -> b c r", r=3).apply({}, jnp.zeros((2, 5))).shape
        (2, 5, 3)
    """

    if TYPE_CHECKING:  # else type checkers derive a constructor from the fields, which takes sizes as a dict only

        def __init__(
            self,
            /,
            pattern: str,
            sizes: Sizes | None = None,
            *,
            parent: Any = ...,
            name: str | None = None,
            **more: int,
        ) -> None: ...

    _operation = "repeat"


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    dtype="the element type of the computation; ``None`` for the common type of the input and the parameters.",
    weight_init="the initializer of the weight, such as one of `flax.linen.initializers`; uniform by default.",
)
class EinMix(_Layer):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from plait.layers.flax import EinMix
        >>> layer, x = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16), jnp.zeros((2, 10, 32))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> layer.apply(variables, x).shape
        (2, 10, 128)
        >>> jax.tree.map(jnp.shape, variables["params"])
        {'bias': (1, 1, 8, 16), 'weight': (8, 4, 16)}
    """

    pattern: str
    weight_shape: str
    bias_shape: str | None = None
    sizes: Sizes = FrozenDict()
    dtype: Any = None
    param_dtype: Any = jnp.float32
    weight_init: nn.initializers.Initializer | None = None
    bias_init: nn.initializers.Initializer | None = None

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        sizes: Sizes | None = None,
        *,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        weight_init: nn.initializers.Initializer | None = None,
        bias_init: nn.initializers.Initializer | None = None,
        parent: Any = _DEFAULT_PARENT,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern, self.weight_shape, self.bias_shape = pattern, weight_shape, bias_shape
        self.dtype, self.param_dtype = dtype, param_dtype
        self.weight_init, self.bias_init = weight_init, bias_init
        _set_common_fields(self, sizes, more, parent, name, dtype=dtype, param_dtype=param_dtype)

    def __post_init__(self) -> None:
        self.spec = MixSpec.read(self.pattern, self.weight_shape, self.bias_shape, dict(self.sizes))
        super().__post_init__()

    def setup(self) -> None:
        def draw(name: str, parameter: Parameter, init: nn.initializers.Initializer | None) -> jax.Array:
            return self.param(name, init or uniform_initializer(parameter.bound), parameter.shape, self.param_dtype)

        bias = self.spec.bias
        self.weight = draw("weight", self.spec.weight, self.weight_init)
        self.bias = None if bias is None else draw("bias", bias, self.bias_init)

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(*cast_arrays(self.dtype, tensor, self.weight, self.bias))
