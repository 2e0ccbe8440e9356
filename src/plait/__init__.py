"""plait: one readable notation for tensor operations, on every array framework."""

from plait._api import asnumpy as asnumpy
from plait._api import einsum as einsum
from plait._api import explain as explain
from plait._api import pack as pack
from plait._api import parse_shape as parse_shape
from plait._api import rearrange as rearrange
from plait._api import reduce as reduce
from plait._api import repeat as repeat
from plait._api import unpack as unpack
from plait._api import view as view
from plait._executor.cache import cache_clear as cache_clear
from plait._executor.cache import cache_info as cache_info
from plait._executor.options import options as options
from plait._pattern import Pattern as Pattern
from plait._pattern import PatternPipeline as PatternPipeline
from plait._pattern import compile as compile
from plait.errors import AxisError as AxisError
from plait.errors import AxisWarning as AxisWarning
from plait.errors import BackendError as BackendError
from plait.errors import CopyRequiredError as CopyRequiredError
from plait.errors import PatternSyntaxError as PatternSyntaxError
from plait.errors import PlaitError as PlaitError
from plait.errors import SizeError as SizeError

__version__ = "0.1.0"
