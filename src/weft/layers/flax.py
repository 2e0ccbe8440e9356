"""Layers of Flax Linen: modules with weft's operations, for ``nn.Sequential`` and everywhere else.

>>> import jax
>>> from flax import linen as nn
>>> from weft.layers.flax import EinMix, Reduce
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

from weft.layers import mix, spec
from weft.layers.jax_parameters import cast, uniform

Sizes = Mapping[str, int]
_AROUND = {field.name: field.default for field in dataclasses.fields(nn.Dense)}["parent"]
"""The parent of a module that is not told one: the module whose method makes it."""


class _Layer(nn.Module):
    """A module that takes sizes by keywords too."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" not in vars(cls) and not inspect.get_annotations(cls):
            cls.__init__ = cls.__init__  # its own, or it would get that of a dataclass, which knows no sizes
        super().__init_subclass__(**options)


def _fill(layer: _Layer, sizes: Sizes | None, more: Sizes, **fields: Any) -> None:
    """What the constructor of a dataclass does."""
    for name, value in {**fields, "sizes": FrozenDict(spec.gathered(sizes, more))}.items():
        setattr(layer, name, value)
    layer.__post_init__()
