"""weft: one readable notation for tensor operations, on every array framework."""

from weft.api import einsum as einsum
from weft.api import rearrange as rearrange
from weft.api import reduce as reduce
from weft.api import repeat as repeat
from weft.api import view as view
