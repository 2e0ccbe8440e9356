"""Operations as layers: ``from plait.layers.torch import Rearrange, Reduce, Repeat, EinMix``, and so on.

`_spec` and `_einmix` say what a layer is, free of any framework; each other file is one framework's glue.
"""
