"""Layers of PyTorch: modules with plait's operations, for ``nn.Sequential`` and for use inside other modules.

Examples:
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

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.jit import is_scripting

from plait.layers import MixSpec, OperationSpec, _spec, _torch_script


class _Layer(nn.Module):
    """A module whose ``repr`` shows the arguments of its constructor."""

    if TYPE_CHECKING:  # TorchScript would read annotations that exist at run time
        spec: OperationSpec | MixSpec
        script: Any

    def extra_repr(self) -> str:
        return self.spec.arguments_text

    def __prepare_scriptable__(self) -> nn.Module:
        self.script = _torch_script.script_layer(self.spec, getattr(self, "module", None))
        return self


class _Operation(_Layer):
    """The base class of the modules without parameters of their own; a reduction that is a module is a child."""

    if TYPE_CHECKING:
        spec: OperationSpec
        module: nn.Module | None

        def __call__(self, tensor: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor: ...

    def __init__(self, spec: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.extract_reduction_module(spec, nn.Module)

    def forward(self, tensor: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        if is_scripting():
            one = tensor if isinstance(tensor, torch.Tensor) else torch.stack(tensor)
            return _torch_script.run_layer([one], self.script)
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import torch
        >>> from plait.layers.torch import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(torch.zeros(2, 3, 4, 5)).shape
        torch.Size([2, 60])
    """


class Reduce(_spec.ReduceInitMixin, _Operation):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a module, it becomes the
    child ``module``.

    Examples:
        >>> import torch
        >>> from plait.layers.torch import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(torch.zeros(2, 3, 4, 6)).shape
        torch.Size([2, 3, 2, 3])
    """


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import torch
        >>> from plait.layers.torch import Repeat
        >>> Repeat("b c -> b c r", r=3)(torch.zeros(2, 5)).shape
        torch.Size([2, 5, 3])
    """


class EinMix(_Layer):  # its docstring is complete: the documentation is built without importing PyTorch
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Args:
        pattern: the axes of the input, ``->`` and the axes of the result; groups and an ellipsis are allowed on both
            sides.
        weight_shape: the axes of the weight, separated by blanks.
        bias_shape: the axes of the bias, separated by blanks, or ``None`` for no bias.
        device: the device of the parameters.
        dtype: the element type of the parameters.
        sizes: the sizes, in elements, of all axes of the weight and the bias.

    Attributes:
        weight: a parameter of the shape ``weight_shape``, drawn uniformly from ±√3 / √fan_in, where fan_in is the
            number of weight elements in each sum.
        bias: a parameter drawn uniformly from ±1 / √fan_in, or ``None``; it has one dimension for each axis of the
            right side, of length 1 where ``bias_shape`` does not have the axis.

    Raises:
        PlaitError: the pattern, a shape or a size is wrong.

    Examples:
        >>> import torch
        >>> from plait.layers.torch import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer(torch.zeros(2, 10, 32)).shape
        torch.Size([2, 10, 128])
        >>> layer.weight.shape, layer.bias.shape
        (torch.Size([8, 4, 16]), torch.Size([1, 1, 8, 16]))
    """

    if TYPE_CHECKING:
        spec: MixSpec
        weight: nn.Parameter
        bias: nn.Parameter | None

        def __call__(self, tensor: torch.Tensor) -> torch.Tensor: ...

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
        for name, parameter in (("weight", self.spec.weight), ("bias", self.spec.bias)):
            empty = (
                None if parameter is None else nn.Parameter(torch.empty(parameter.shape, device=device, dtype=dtype))
            )
            self.register_parameter(name, empty)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new elements for the weight and the bias."""
        for tensor, parameter in ((self.weight, self.spec.weight), (self.bias, self.spec.bias)):
            if parameter is not None:
                nn.init.uniform_(tensor, -parameter.bound, parameter.bound)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        if is_scripting():
            return _torch_script.run_layer([tensor, self.weight], self.script, self.bias)
        product = self.spec.product.einsum(tensor, self.weight)
        bias = self.bias
        if bias is not None and bias.dtype is not product.dtype and bias.dtype is self.weight.dtype:  # autocast is on
            bias = bias.to(product.dtype)
        return self.spec.add_bias_and_group(product, bias)
