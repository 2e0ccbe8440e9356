"""The operations that have a pattern with an arrow. A new one is a file and a row."""

from __future__ import annotations

from weft.ops.einsum import EINSUM
from weft.ops.operation import Operation
from weft.ops.rearrange import REARRANGE
from weft.ops.reduce import REDUCE
from weft.ops.repeat import REPEAT
from weft.ops.view import VIEW

TABLE: dict[str, Operation] = {row.name: row for row in (REARRANGE, VIEW, REDUCE, REPEAT, EINSUM)}
