"""plait: one readable notation for tensor operations, on every array framework."""

from __future__ import annotations

from plait import errors
from plait._api import asnumpy, einsum, explain, pack, parse_shape, rearrange, reduce, repeat, unpack, view
from plait._caches import cache_clear
from plait._executor.cache import cache_info
from plait._executor.options import options
from plait._executor.sharing import share_intermediates
from plait._pattern import Pattern, PatternPipeline, compile
from plait.errors import (
    AxisError,
    AxisWarning,
    BackendError,
    CopyRequiredError,
    PatternSyntaxError,
    PlaitError,
    SizeError,
)

__all__ = [
    "AxisError",
    "AxisWarning",
    "BackendError",
    "ContractionPlan",
    "CopyRequiredError",
    "Pattern",
    "PatternPipeline",
    "PatternSyntaxError",
    "PatternWithConstants",
    "PlaitError",
    "SizeError",
    "asnumpy",
    "cache_clear",
    "cache_info",
    "compile",
    "einsum",
    "errors",
    "explain",
    "options",
    "pack",
    "parse_shape",
    "rearrange",
    "reduce",
    "repeat",
    "share_intermediates",
    "unpack",
    "view",
]

__version__ = "0.2.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._pattern_with_constants import PatternWithConstants
    from plait._plan.contraction.contraction_plan import ContractionPlan

_NAMES_OF_OTHERS = ("errors", "ContractionPlan", "PatternWithConstants")
"""A module, and classes that few programs need, so that they are imported when they are asked for."""

for _name in __all__:
    if (
        _name not in _NAMES_OF_OTHERS
    ):  # so that tracebacks and pickles refer to plait.SizeError, not to a private module
        globals()[_name].__module__ = "plait"


def __getattr__(name: str) -> type[ContractionPlan | PatternWithConstants]:
    """Return a class that is imported only if it is asked for."""
    if name == "ContractionPlan":
        from plait._plan.contraction.contraction_plan import ContractionPlan

        return ContractionPlan
    if name == "PatternWithConstants":
        from plait._pattern_with_constants import PatternWithConstants

        return PatternWithConstants
    raise AttributeError(f"module 'plait' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *[name for name in globals() if name.startswith("__")]]
