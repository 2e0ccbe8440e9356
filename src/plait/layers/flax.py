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

from plait.layers import _einmix as mix
from plait.layers import _spec as spec
from plait.layers._jax_parameters import cast, uniform

Sizes = Mapping[str, int]
_AROUND = {field.name: field.default for field in dataclasses.fields(nn.Dense)}["parent"]
"""The parent of a module that is not told one: the module whose method makes it."""


class _Layer(nn.Module):
    """A module that takes sizes by keywords too."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" not in vars(cls) and not inspect.get_annotations(cls):
            # its own, or it would get that of a dataclass, which takes sizes as a dict only
            cls.__init__ = cls.__init__  # type: ignore[method-assign]
        super().__init_subclass__(**options)


def _fill(layer: _Layer, sizes: Sizes | None, more: Sizes, **fields: Any) -> None:
    """What the constructor of a dataclass does."""
    own = ("name", "parent", "dtype", "param_dtype")
    spec.unambiguous(fields["pattern"], **{name: fields[name] for name in own if name in fields})
    for name, value in {**fields, "sizes": FrozenDict(spec.gathered(sizes, more))}.items():
        setattr(layer, name, value)
    layer.__post_init__()


class Rearrange(_Layer):
    """`plait.rearrange` as a module.

    Args:
        pattern: what goes in and what comes out.
        sizes: the sizes of axes, in elements, that cannot be inferred.
        parent: the module that this one belongs to; the one around it, if it is not given.
        name: the name of the module.
        more: sizes by keywords.

    Raises:
        PlaitError: the pattern or a size is wrong.
    """

    pattern: str
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        sizes: Sizes | None = None,
        *,
        parent: Any = _AROUND,
        name: str | None = None,
        **more: int,
    ) -> None:
        _fill(self, sizes, more, pattern=pattern, parent=parent, name=name)

    def __post_init__(self) -> None:
        self.spec = spec.rearrange(self.pattern, dict(self.sizes))
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


class Reduce(_Layer):
    """`plait.reduce` as a module.

    Args:
        pattern: what goes in and what comes out.
        reduction: a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``, be it a module.
        sizes: the sizes of axes, in elements, that cannot be inferred.
        parent: the module that this one belongs to; the one around it, if it is not given.
        name: the name of the module.
        more: sizes by keywords.

    Raises:
        PlaitError: the pattern, the reduction or a size is wrong.
    """

    pattern: str
    reduction: spec.Reduction
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        reduction: spec.Reduction,
        sizes: Sizes | None = None,
        *,
        parent: Any = _AROUND,
        name: str | None = None,
        **more: int,
    ) -> None:
        _fill(self, sizes, more, pattern=pattern, reduction=reduction, parent=parent, name=name)

    def __post_init__(self) -> None:
        self.spec = spec.reduce(self.pattern, self.reduction, dict(self.sizes))
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec.pattern.reduce(tensor, self.reduction)  # a module is another one here: bound to its variables


class Repeat(_Layer):
    """`plait.repeat` as a module.

    Args:
        pattern: what goes in and what comes out.
        sizes: the sizes of axes, in elements: of all that stand on the right only.
        parent: the module that this one belongs to; the one around it, if it is not given.
        name: the name of the module.
        more: sizes by keywords.

    Raises:
        PlaitError: the pattern or a size is wrong.
    """

    pattern: str
    sizes: Sizes = FrozenDict()

    def __init__(
        self,
        /,
        pattern: str,
        sizes: Sizes | None = None,
        *,
        parent: Any = _AROUND,
        name: str | None = None,
        **more: int,
    ) -> None:
        _fill(self, sizes, more, pattern=pattern, parent=parent, name=name)

    def __post_init__(self) -> None:
        self.spec = spec.repeat(self.pattern, dict(self.sizes))
        super().__post_init__()

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


class EinMix(_Layer):
    """A general linear layer: einsum of the input and a weight, and a bias.

    Args:
        pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        sizes: the sizes of axes, in elements: of all in the weight and the bias.
        dtype: the element type of the computation; ``None`` is that of the input and the parameters.
        param_dtype: the element type of the parameters.
        weight_init: how the weight is drawn, instead of uniformly: one of `flax.linen.initializers`.
        bias_init: the same of the bias.
        parent: the module that this one belongs to; the one around it, if it is not given.
        name: the name of the module.
        more: sizes by keywords.

    Attributes:
        weight: uniform in ±√3 / √fan_in, where fan_in elements of the weight meet in one of the result.
        bias: uniform in ±1 / √fan_in, or ``None``; one dimension for each axis of the right side.

    Raises:
        PlaitError: the pattern, a shape or a size is wrong.
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
        parent: Any = _AROUND,
        name: str | None = None,
        **more: int,
    ) -> None:
        shapes = {"pattern": pattern, "weight_shape": weight_shape, "bias_shape": bias_shape}
        kinds = {"dtype": dtype, "param_dtype": param_dtype, "weight_init": weight_init, "bias_init": bias_init}
        _fill(self, sizes, more, **shapes, **kinds, parent=parent, name=name)

    def __post_init__(self) -> None:
        self.spec = mix.mix(self.pattern, self.weight_shape, self.bias_shape, dict(self.sizes))
        super().__post_init__()

    def setup(self) -> None:
        for name, init in (("weight", self.weight_init), ("bias", self.bias_init)):
            made = getattr(self.spec, name)
            drawn = made and self.param(name, init or uniform(made.bound), made.shape, self.param_dtype)
            setattr(self, name, drawn)

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(*cast(self.dtype, tensor, self.weight, self.bias))
