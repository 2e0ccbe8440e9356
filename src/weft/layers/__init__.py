"""Operations as layers: ``from weft.layers.torch import Rearrange, Reduce, Repeat, EinMix``, and so for each framework.

`spec` and `mix` say what a layer is, free of any framework; each other file is one framework's glue.
"""
