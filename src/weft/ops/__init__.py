"""The operations: one file each, with its rule and its lowering, and one table of them all."""

from weft.ops.operation import Operation as Operation
from weft.ops.table import TABLE as TABLE
