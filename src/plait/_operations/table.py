"""The operations that have a pattern with an arrow. A new one is a file and a case."""

from __future__ import annotations

from plait._caches import cached
from plait._operations.operation import Operation

OPERATIONS = ("rearrange", "view", "reduce", "repeat", "einsum")


@cached(maxsize=8)
def find_operation(name: str) -> Operation:
    """The rule and the lowering of an operation; its file is imported by the first call that needs it."""
    if name in ("rearrange", "view"):
        from plait._operations.rearrange import REARRANGE, VIEW

        return REARRANGE if name == "rearrange" else VIEW
    if name == "reduce":
        from plait._operations.reduce import REDUCE

        return REDUCE
    if name == "repeat":
        from plait._operations.repeat import REPEAT

        return REPEAT
    if name == "einsum":
        from plait._operations.einsum import EINSUM

        return EINSUM
    raise KeyError(name)
