"""Layers of Equinox: modules with plait's operations, for ``eqx.nn.Sequential`` and for use inside other modules.

Like Equinox's own layers they can be written for one example; `jax.vmap` applies them to a batch.

Examples:
    >>> import equinox as eqx, jax
    >>> from plait.layers.equinox import EinMix, Reduce
    >>> first, second = jax.random.split(jax.random.key(0))
    >>> model = eqx.nn.Sequential([
    ...     eqx.nn.Conv2d(1, 16, 3, padding=1, key=first),
    ...     Reduce("c (h 2) (w 2) -> (c h w)", "max"),
    ...     EinMix("f -> k", weight_shape="f k", bias_shape="k", f=256, k=10, key=second),
    ... ])
    >>> jax.vmap(model)(jax.numpy.ones((32, 1, 8, 8))).shape
    (32, 10)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp

from plait._types import Reduction
from plait.layers import MixSpec, OperationSpec, _spec
from plait.layers._jax_parameters import uniform_initializer


class _Operation(eqx.Module):
    """The base class of the modules without parameters; ``spec`` is static, and so not a leaf of the module's tree."""

    spec: OperationSpec = eqx.field(static=True)

    def __init__(self, spec: OperationSpec) -> None:
        self.spec = spec

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """Apply the operation to an array, or to a list of equally shaped arrays; the key is ignored."""
        return self.spec(tensor)


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.equinox import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(jnp.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """

    if TYPE_CHECKING:  # otherwise type checkers derive a constructor from the fields, as for a dataclass

        def __init__(self, /, pattern: str, **sizes: int) -> None: ...


@_spec.complete_docstring()
class Reduce(_Operation):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a module, it becomes the
    field ``module``.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.equinox import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(jnp.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """

    module: eqx.Module | None = None

    def __init__(self, /, pattern: str, reduction: Reduction, **sizes: int) -> None:
        self.spec, self.module = _spec.extract_reduction_module(
            _spec.operation_spec("reduce", pattern, sizes, reduction), eqx.Module
        )

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        return self.spec(tensor, self.module)


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from plait.layers.equinox import Repeat
        >>> Repeat("b c -> b c r", r=3)(jnp.zeros((2, 5))).shape
        (2, 5, 3)
    """

    if TYPE_CHECKING:  # otherwise type checkers derive a constructor from the fields, as for a dataclass

        def __init__(self, /, pattern: str, **sizes: int) -> None: ...


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    key="the random key from which the parameters are drawn.",
    dtype="the element type of the parameters; ``None`` is float32, or float64 if JAX is set to 64 bits.",
)
class EinMix(eqx.Module):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from plait.layers.equinox import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16, key=jax.random.key(0))
        >>> layer(jnp.zeros((2, 10, 32))).shape
        (2, 10, 128)
        >>> layer.weight.shape, layer.bias.shape
        ((8, 4, 16), (1, 1, 8, 16))
    """

    weight: jax.Array
    bias: jax.Array | None
    spec: MixSpec = eqx.field(static=True)

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        key: jax.Array,
        dtype: Any = None,
        **sizes: int,
    ) -> None:
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, key=key, dtype=dtype)
        dtype = jnp.result_type(float) if dtype is None else dtype
        weight_key, bias_key = jax.random.split(key)
        weight, bias = self.spec.weight, self.spec.bias
        self.weight = uniform_initializer(weight.bound)(weight_key, weight.shape, dtype)
        self.bias = None if bias is None else uniform_initializer(bias.bound)(bias_key, bias.shape, dtype)

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """Multiply an array by the weight, and add the bias; the key is ignored."""
        return self.spec(tensor, self.weight, self.bias)
