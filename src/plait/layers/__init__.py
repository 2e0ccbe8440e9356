"""Operations as layers of a framework: `plait.layers.torch`, `plait.layers.flax` and so on, a module for each.

Every module has the layers ``Rearrange``, ``Reduce``, ``Repeat`` and ``EinMix``. The attribute ``spec`` of a layer
holds its checked arguments: an `OperationSpec` or a `MixSpec`, which are independent of frameworks.
"""

from plait._pattern import Pattern  # noqa: F401  # annotations of these classes name it
from plait._types import Reduction  # noqa: F401  # as above
from plait.layers._einmix import MixSpec, Parameter
from plait.layers._spec import OperationSpec

__all__ = ["MixSpec", "OperationSpec", "Parameter"]

for _class in (MixSpec, OperationSpec, Parameter):
    _class.__module__ = "plait.layers"  # pickles of layers then name no private path
