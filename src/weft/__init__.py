"""weft: one readable notation for tensor operations, on every array framework."""

from weft.api import asnumpy as asnumpy
from weft.api import einsum as einsum
from weft.api import explain as explain
from weft.api import pack as pack
from weft.api import parse_shape as parse_shape
from weft.api import rearrange as rearrange
from weft.api import reduce as reduce
from weft.api import repeat as repeat
from weft.api import unpack as unpack
from weft.api import view as view
from weft.compiled import Composed as Composed
from weft.compiled import Pattern as Pattern
from weft.compiled import compile as compile
from weft.errors import AxisError as AxisError
from weft.errors import AxisWarning as AxisWarning
from weft.errors import BackendError as BackendError
from weft.errors import CopyNeeded as CopyNeeded
from weft.errors import PatternSyntaxError as PatternSyntaxError
from weft.errors import SizeError as SizeError
from weft.errors import WeftError as WeftError
from weft.run.cache import cache_clear as cache_clear
from weft.run.cache import cache_info as cache_info
from weft.run.options import options as options

__version__ = "0.1.0"
