"""Layers of Haiku: modules with plait's operations, for ``hk.Sequential`` and for use inside other modules.

Examples:
    >>> import haiku as hk, jax
    >>> from plait.layers.haiku import EinMix, Reduce
    >>> @hk.without_apply_rng
    ... @hk.transform
    ... def model(images):
    ...     return hk.Sequential([
    ...         hk.Conv2D(16, 3),
    ...         Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
    ...         EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
    ...     ])(images)
    >>> images = jax.numpy.ones((32, 8, 8, 1))
    >>> parameters = model.init(jax.random.key(0), images)
    >>> model.apply(parameters, images).shape
    (32, 10)
"""

from __future__ import annotations

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from plait._types import Reduction
from plait.layers import MixSpec, OperationSpec, Parameter, _spec
from plait.layers._jax_parameters import uniform_initializer


class _Operation(hk.Module):
    """The base class of the modules without parameters."""

    def __init__(self, spec: OperationSpec, name: str | None) -> None:
        super().__init__(name=name)
        self.spec = spec

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


@_spec.complete_docstring()
class Rearrange(_Operation):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import haiku as hk, jax.numpy as jnp
        >>> from plait.layers.haiku import Rearrange
        >>> function = hk.transform(lambda x: Rearrange("b c h w -> b (c h w)")(x))
        >>> function.apply({}, None, jnp.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """

    def __init__(self, /, pattern: str, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation_spec("rearrange", pattern, sizes, name=name), name)


@_spec.complete_docstring()
class Reduce(_Operation):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import haiku as hk, jax.numpy as jnp
        >>> from plait.layers.haiku import Reduce
        >>> function = hk.transform(lambda x: Reduce("b c (h 2) (w 2) -> b c h w", "max")(x))
        >>> function.apply({}, None, jnp.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """

    def __init__(self, /, pattern: str, reduction: Reduction, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation_spec("reduce", pattern, sizes, reduction, name=name), name)


@_spec.complete_docstring()
class Repeat(_Operation):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import haiku as hk, jax.numpy as jnp
        >>> from plait.layers.haiku import Repeat
        >>> function = hk.transform(lambda x: Repeat("b c -> b c r", r=3)(x))
        >>> function.apply({}, None, jnp.zeros((2, 5))).shape
        (2, 5, 3)
    """

    def __init__(self, /, pattern: str, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation_spec("repeat", pattern, sizes, name=name), name)


@_spec.complete_docstring(
    w_init="the initializer of the weight, such as one of `haiku.initializers`; uniform by default."
)
class EinMix(hk.Module):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    The parameters ``weight`` and ``bias`` have the input's element type, or float32 if that is an integer or bool. The
    weight has the shape ``weight_shape``; it is drawn uniformly from ±√3 / √fan_in, where fan_in is the number of
    weight elements in each sum. The bias is drawn uniformly from ±1 / √fan_in; it has one dimension for each axis of
    the right side, of length 1 where ``bias_shape`` does not have the axis.

    Examples:
        >>> import haiku as hk, jax, jax.numpy as jnp
        >>> from plait.layers.haiku import EinMix
        >>> function = hk.transform(lambda x: EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)(x))
        >>> x = jnp.zeros((2, 10, 32))
        >>> parameters = function.init(jax.random.key(0), x)
        >>> function.apply(parameters, None, x).shape
        (2, 10, 128)
        >>> jax.tree.map(jnp.shape, parameters["ein_mix"])
        {'bias': (1, 1, 8, 16), 'weight': (8, 4, 16)}
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        w_init: hk.initializers.Initializer | None = None,
        b_init: hk.initializers.Initializer | None = None,
        name: str | None = None,
        **sizes: int,
    ) -> None:
        spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, name=name)
        super().__init__(name=name)
        self.spec = spec
        self.w_init = w_init
        self.b_init = b_init

    def __call__(self, tensor: Any) -> jax.Array:
        input_dtype = getattr(tensor, "dtype", None)
        is_inexact = isinstance(input_dtype, jnp.dtype) and jnp.issubdtype(input_dtype, jnp.inexact)
        dtype = jax.dtypes.canonicalize_dtype(input_dtype if is_inexact else jnp.float32)

        def draw(name: str, parameter: Parameter, init: hk.initializers.Initializer | None) -> jax.Array:
            default = lambda shape, dtype: uniform_initializer(parameter.bound)(hk.next_rng_key(), shape, dtype)
            return hk.get_parameter(name, parameter.shape, dtype, init=init or default)

        bias = self.spec.bias
        weight = draw("weight", self.spec.weight, self.w_init)
        return self.spec(tensor, weight, None if bias is None else draw("bias", bias, self.b_init))
