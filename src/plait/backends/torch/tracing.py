"""Instructions for TorchDynamo beyond the attributes of `plait._executor.tracer_hooks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

_told: set[int] = set()


def leave_to_python(functions: Sequence[Callable[..., Any]]) -> None:
    """Keep Dynamo from compiling plait's own frames where it does not inline them: that meets the recompile limit."""
    if len(_told) == len(functions):
        return
    try:
        from torch._C._dynamo import eval_frame

        skip = eval_frame._FrameExecStrategy(eval_frame._FrameAction.SKIP, eval_frame._FrameAction.SKIP)
        for function in functions:
            eval_frame.set_code_exec_strategy(function.__code__, skip)
    except (ImportError, AttributeError):  # another torch may have no such switch, and needs none to be right
        pass
    _told.update(map(id, functions))


def give_up(text: str) -> None:
    """Leave a call with a mistake to Python, which raises plait's error; ``fullgraph=True`` shows only its text."""
    import torch._dynamo

    torch._dynamo.graph_break(msg=text)


class LeftToPython(BaseException):
    """Raised while Dynamo reads a frame that Python is to run; no handler of the caller's is meant to see it."""


def give_up_the_frame(text: str) -> None:
    """Leave the caller's whole frame to Python: of a method, Dynamo would call the stand-in without ``self``."""
    raise LeftToPython(text)


_autocasts: Any = getattr(torch._C, "_is_any_autocast_enabled", torch.is_autocast_cpu_enabled)


def why_not_decompose(tensor: torch.Tensor) -> str | None:
    """Why one call is best for a tensor, or ``None``."""
    if not tensor.is_cpu:
        return f"on {tensor.device.type} one call takes the whole device"
    if tensor.layout is not torch.strided or tensor.is_quantized or _autocasts():
        return "its elements are not combined as they are"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tracer watches, whose compiler fuses it"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "it is transformed, which knows what becomes of it"
    return None
