"""How CuPy is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(imports="import cupy as cp", module="cp")
