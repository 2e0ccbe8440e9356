"""Layers of Flax Linen: modules with plait's operations, for ``nn.Sequential`` and everywhere else.

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

A module of Linen is a dataclass of its arguments. The sizes are one of them, a dict, which may be given as such or by
keywords: ``Rearrange("(a b) c -> a b c", {"a": 12})`` is ``Rearrange("(a b) c -> a b c", a=12)``. An axis that is
called as an argument is, ``name`` say, can stand in the dict only.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from plait.layers import MixSpec, Parameter, _spec
from plait.layers._jax_parameters import cast, uniform
from plait.layers._spec import Reduction

Sizes = Mapping[str, int]
_ENCLOSING = {field.name: field.default for field in dataclasses.fields(nn.Dense)}["parent"]
"""The default of ``parent``: the module whose method makes this one."""


class _Layer(nn.Module):
    """A module that takes sizes by keywords too."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" not in vars(cls) and not inspect.get_annotations(cls):
            # its own, or it would get that of a dataclass, which takes sizes as a dict only
            cls.__init__ = cls.__init__  # type: ignore[method-assign]
        super().__init_subclass__(**options)


def _initialize(layer: _Layer, sizes: Sizes | None, more: Sizes, parent: Any, name: str | None, **kinds: Any) -> None:
    """The last of what the constructor of a dataclass does."""
    _spec.check_argument_names(layer.pattern, parent=parent, name=name, **kinds)
    layer.sizes = FrozenDict(_spec.merge_sizes(sizes, more))
    layer.parent = parent
    layer.name = name
    layer.__post_init__()


class _Operation(_Layer):
    """A module of one operation, which is not a reduction."""

    pattern: str
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        sizes: Sizes | None = None,
        *,
        parent: Any = _ENCLOSING,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern = pattern
        _initialize(self, sizes, more, parent, name)

    def __post_init__(self) -> None:
        self.spec = _spec.operation(self._kind, self.pattern, dict(self.sizes))
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


@_spec.documented()
class Rearrange(_Operation):
    """`plait.rearrange` as a module."""

    _kind = "rearrange"


@_spec.documented()
class Reduce(_Layer):
    """`plait.reduce` as a module; a reduction that is a module is its field ``reduction``."""

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
        parent: Any = _ENCLOSING,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern = pattern
        self.reduction = reduction
        _initialize(self, sizes, more, parent, name)

    def __post_init__(self) -> None:
        self.spec = _spec.operation("reduce", self.pattern, dict(self.sizes), self.reduction)
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec.pattern.reduce(tensor, self.reduction)  # a module is another one here: bound to its variables


@_spec.documented()
class Repeat(_Operation):
    """`plait.repeat` as a module."""

    _kind = "repeat"


@_spec.documented(
    _spec.PARAMETERS,
    dtype="the element type of the computation; ``None`` is that of the input and the parameters.",
    weight_init="how the weight is drawn, instead of uniformly: one of `flax.linen.initializers`.",
)
class EinMix(_Layer):
    """A general linear layer: einsum of the input and a weight, and a bias."""

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
        parent: Any = _ENCLOSING,
        name: str | None = None,
        **more: int,
    ) -> None:
        self.pattern, self.weight_shape, self.bias_shape = pattern, weight_shape, bias_shape
        self.dtype, self.param_dtype = dtype, param_dtype
        self.weight_init, self.bias_init = weight_init, bias_init
        _initialize(self, sizes, more, parent, name, dtype=dtype, param_dtype=param_dtype)

    def __post_init__(self) -> None:
        self.spec = MixSpec.read(self.pattern, self.weight_shape, self.bias_shape, dict(self.sizes))
        super().__post_init__()

    def setup(self) -> None:
        def draw(name: str, made: Parameter, init: nn.initializers.Initializer | None) -> jax.Array:
            return self.param(name, init or uniform(made.bound), made.shape, self.param_dtype)

        bias = self.spec.bias
        self.weight = draw("weight", self.spec.weight, self.weight_init)
        self.bias = None if bias is None else draw("bias", bias, self.bias_init)

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(*cast(self.dtype, tensor, self.weight, self.bias))
