"""Layers of PyTorch: modules with plait's operations, for ``nn.Sequential`` and everywhere else.

>>> from torch import nn
>>> from plait.layers.torch import EinMix, Reduce
>>> nn.Sequential(
...     nn.Conv2d(1, 16, 3, padding=1),
...     Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
... )
Sequential(
  (0): Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): Reduce('b c (h 2) (w 2) -> b (c h w)', 'max')
  (2): EinMix('b f -> b k', 'f k', 'k', f=256, k=10)
)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.jit import is_scripting

from plait.layers import MixSpec, OperationSpec, _spec, _torch_script


class _Layer(nn.Module):
    """A module that is written as the call that makes it."""

    def extra_repr(self) -> str:
        return self.spec.arguments

    def __prepare_scriptable__(self) -> nn.Module:
        self.script = _torch_script.scripts(self.spec, getattr(self, "module", None))
        return self


class _Operation(_Layer):
    """A module without parameters, except those of a reduction that is itself a module."""

    def __init__(self, operation: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.split_module(operation, nn.Module)

    def forward(self, tensor: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        if is_scripting():
            one = tensor if isinstance(tensor, torch.Tensor) else torch.stack(tensor)
            return _torch_script.run_layer([one], self.script)
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a module."""


class Reduce(_spec.ReduceConstructor, _Operation):
    """`plait.reduce` as a module; a reduction that is a module is its child ``module``."""


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a module."""


class EinMix(_Layer):  # its docstring is written out: the documentation shows it, and is built without PyTorch
    """A general linear layer: einsum of the input and a weight, and a bias.

    Args:
        pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        device: where the parameters are made.
        dtype: the element type of the parameters.
        sizes: the sizes of axes, in elements: of all in the weight and the bias.

    Attributes:
        weight: uniform in ±√3 / √fan_in, where fan_in is the number of elements of the weight in each sum.
        bias: uniform in ±1 / √fan_in, or ``None``; one dimension for each axis of the right side.

    Raises:
        PlaitError: the pattern, a shape or a size is wrong.
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, device=device, dtype=dtype)
        for name, made in (("weight", self.spec.weight), ("bias", self.spec.bias)):
            empty = None if made is None else nn.Parameter(torch.empty(made.shape, device=device, dtype=dtype))
            self.register_parameter(name, empty)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        for parameter, made in ((self.weight, self.spec.weight), (self.bias, self.spec.bias)):
            if made is not None:
                nn.init.uniform_(parameter, -made.bound, made.bound)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        if is_scripting():
            return _torch_script.run_layer([tensor, self.weight], self.script, self.bias)
        product = self.spec.product.einsum(tensor, self.weight)
        bias = self.bias
        if bias is not None and bias.dtype is not product.dtype and bias.dtype is self.weight.dtype:  # under autocast
            bias = bias.to(product.dtype)
        return self.spec.apply_bias(product, bias)
