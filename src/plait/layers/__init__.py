"""Operations as layers: ``from plait.layers.torch import Rearrange, Reduce, Repeat, EinMix``, and so on.

The arguments of a layer, read and checked, are its ``spec``: an `OperationSpec` or a `MixSpec`, free of any framework.
"""

from plait.layers._einmix import MixSpec, Parameter
from plait.layers._spec import OperationSpec

__all__ = ["MixSpec", "OperationSpec", "Parameter"]

for _class in (MixSpec, OperationSpec, Parameter):
    _class.__module__ = "plait.layers"  # pickles of layers then name no private path
