"""What TorchDynamo is told beyond the attributes of `weft.run.follow`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_told: set[int] = set()


def leave_to_python(functions: Sequence[Callable[..., Any]]) -> None:
    """Keep Dynamo from compiling weft's own frames.

    It inlines them where it compiles the caller. Where it does not, as in a loop with a graph break, weft's frames are
    as much Python as those of torch, and a graph for each of them would only reach the recompile limit.
    """
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
    """Leave a call with a mistake in it to Python, which raises the error where the caller can catch it.

    With ``fullgraph=True`` there is no way back to Python, and Dynamo's own error shows the text of weft's.
    """
    import torch._dynamo

    torch._dynamo.graph_break(msg=text)


class LeftToPython(BaseException):
    """Raised while Dynamo reads a frame that Python is to run; no handler of the caller's is meant to see it."""


def give_up_the_frame(text: str) -> None:
    """Leave the caller's whole frame to Python, as `give_up` leaves a call.

    A method has no other way: where Dynamo leaves a call of one to Python, it calls the stand-in without ``self``.
    """
    raise LeftToPython(text)
