"""How the array API standard is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(
    imports="",
    module="xp",
    setup="xp = {tensor}.__array_namespace__()",
    view="xp.reshape({tensor}, {shape}, copy=False)",
    permute="xp.permute_dims({tensor}, {axes})",
    diagonal="xp.reshape({tensor}, (*{tensor}.shape[:-2], {tensor}.shape[-1] ** 2))[..., ::{tensor}.shape[-1] + 1]",
    not_einsum="",  # the standard has none
)
