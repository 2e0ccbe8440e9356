"""How MLX is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(imports="import mlx.core as mx", module="mx", reductions={})
