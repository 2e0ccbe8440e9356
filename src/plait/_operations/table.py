"""The operations that have a pattern with an arrow. A new one is a file and a row."""

from __future__ import annotations

from plait._operations.einsum import EINSUM
from plait._operations.operation import Operation
from plait._operations.rearrange import REARRANGE, VIEW
from plait._operations.reduce import REDUCE
from plait._operations.repeat import REPEAT

TABLE: dict[str, Operation] = {row.name: row for row in (REARRANGE, VIEW, REDUCE, REPEAT, EINSUM)}
