"""Amounts of memory that the caller gives, as numbers of bytes or as text with a unit, such as ``"1.5 GiB"``."""

from __future__ import annotations

import re
from typing import Any

from plait._shapes.sizes import to_exact_size
from plait.errors import make_error, short_repr

_BYTES_BY_UNIT = {"b": 1} | {
    f"{prefix}{infix}b": base ** (power + 1)
    for power, prefix in enumerate("kmgtp")
    for infix, base in (("", 1000), ("i", 1024))
}
"""By unit in lower case, the number of bytes."""

_AMOUNT = re.compile(r"\s*([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)\s*([kmgtp]?i?b)\s*", re.IGNORECASE)


def parse_memory_limit(limit: Any) -> int:
    """Return a limit in bytes, which is given as an integer or as text with a unit.

    >>> [parse_memory_limit(limit) for limit in (4096, "4 KiB", "1.5 GB")]
    [4096, 4096, 1500000000]

    Raises:
        SizeError: PLT301, it is neither; PLT306, it is negative.
    """
    if not isinstance(limit, str):
        return to_exact_size("memory_limit", limit)
    match = _AMOUNT.fullmatch(limit)
    unit = match and _BYTES_BY_UNIT.get(match[2].lower())
    if match is None or unit is None:
        message = (
            f"memory_limit must be a number of bytes, or text such as '512MiB' or '1.5 GB', not {short_repr(limit)}"
        )
        raise make_error("PLT301", message)
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit
