"""How PyTorch's tracers treat plait: TorchDynamo, and tensors that must not be decomposed into several calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

_excluded_function_ids: set[int] = set()
"""The identities of the functions that Dynamo does not compile."""


def exclude_frames_from_dynamo(functions: Sequence[Callable[..., Any]]) -> None:
    """Keep Dynamo from compiling plait's functions as frames of their own, which would reach its recompile limit.

    Dynamo may still inline them into a caller.
    """
    if len(_excluded_function_ids) == len(functions):
        return
    try:
        from torch._C._dynamo import eval_frame

        skip_strategy = eval_frame._FrameExecStrategy(eval_frame._FrameAction.SKIP, eval_frame._FrameAction.SKIP)
        for function in functions:
            eval_frame.set_code_exec_strategy(function.__code__, skip_strategy)
    except (ImportError, AttributeError):  # other versions may lack it, and are only slower
        pass
    _excluded_function_ids.update(map(id, functions))


def break_graph(text: str) -> None:
    """Break the graph at a call with a mistake, so that Python executes it and raises plait's error.

    With ``fullgraph=True`` Dynamo raises an error with this text.
    """
    import torch._dynamo

    torch._dynamo.graph_break(msg=text)


class FrameLeftToPython(BaseException):
    """Raised while Dynamo traces a frame that Python must execute; no caller may catch it."""


def leave_frame_to_python(text: str) -> None:
    """Make Dynamo give up the frame that it traces, so that Python executes it.

    A method uses this instead of `break_graph`, after which Dynamo would call the method without ``self``.
    """
    raise FrameLeftToPython(text)


_is_autocast_enabled: Any = getattr(torch._C, "_is_any_autocast_enabled", torch.is_autocast_cpu_enabled)


def why_not_decompose(tensor: torch.Tensor) -> str | None:
    """Return why an operation on a tensor is best made by one call of PyTorch; ``None`` if several may be faster."""
    if not tensor.is_cpu:
        return f"one call on {tensor.device.type} uses the whole device"
    if tensor.layout is not torch.strided or tensor.is_quantized or _is_autocast_enabled():
        return "the tensor is quantized or not strided, or autocast is enabled"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tracer records the calls, and its compiler can fuse them"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "a function transform or forward-mode differentiation is active, and needs PyTorch's own call"
    return None


def is_transformed() -> bool:
    """Whether calls are traced, transformed or cast now, so that their results are no values to keep."""
    return (
        _is_autocast_enabled()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or bool(torch._C._len_torch_dispatch_stack())
        or torch.jit.is_tracing()
    )
