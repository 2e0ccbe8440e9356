"""How Dask is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(imports="import dask.array as da", module="da")
