"""Writes what the documentation takes from elsewhere: ``python docs/generate.py``.

``docs/errors.md`` is made of the table of codes and the snapshot of the tests; in ``docs/frameworks.md`` the parts
between two marks are made of ``docs/conformance``, which a run of the conformance suite wrote (see tests/record.py),
and of the files that the marks name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from plait.errors import CODES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
SNAPSHOT = ROOT / "tests" / "errors" / "snapshot.txt"
FRAMEWORKS = ROOT / "docs" / "frameworks.md"
CONFORMANCE = ROOT / "docs" / "conformance"

HEAD = """# Errors

Every mistake that plait finds is a `plait.PlaitError`, which is a `ValueError` and a `RuntimeError`. The code is
stable: it can be searched for, and it decides the class. `error.code`, `error.message`, `error.pattern`, `error.spans`
and `error.facts` hold the parts of the text. The classes are in `plait` and in `plait.errors`, whose `CODES` has each
code with its class and its meaning. An axis of `einsum` that looks misspelt is a warning, `plait.AxisWarning`.

| class | codes | about |
|---|---|---|
| `PatternSyntaxError` | PLT1xx | the text of a pattern |
| `AxisError` | PLT2xx | a rule of the operation |
| `SizeError` | PLT3xx | ranks and sizes |
| `CopyRequiredError` | PLT4xx | a view was asked for, and none exists |
| `BackendError` | PLT5xx | the framework behind the tensor |

(This page is made by `python docs/generate.py` from the table of codes and the snapshot of the tests.)
"""

COLUMNS = {
    "rearrange": ("rearrange",),
    "reduce": ("reduce", "reduce_with_a_callable"),
    "repeat": ("repeat",),
    "einsum": ("einsum", "classical_einsum"),
    "pack, lists, parse_shape": ("pack_and_unpack", "parse_shape", "list_of_tensors_is_stacked"),
    "asnumpy": ("asnumpy",),
    "dtypes": (
        *("rearrange_and_repeat_keep_the_dtype", "reduce_of_every_dtype"),
        "half_precision_is_accumulated_wider",
    ),
    "empty, NaN": ("reduce_of_no_elements", "reduce_of_nan_and_infinity"),
    "view or copy": ("view_or_copy", "view_is_a_view_or_an_error"),
    "gradients": ("gradient_of_rearrange_and_repeat", "gradient_of_reduce"),
    "errors": ("errors_are_those_of_numpy",),
}
"""The columns of the table, and the tests of the conformance suite that each counts."""


def page() -> str:
    """The text of the page of errors."""
    parts = SNAPSHOT.read_text(encoding="utf-8").split("\n\n## ")[1:]
    example: dict[str, str] = {}
    for part in parts:
        name, text = part.rstrip("\n").split("\n", 1)
        example.setdefault(name.split()[0], text)
    sections = [f"\n## {code}: {meaning}\n\n```text\n{example[code]}\n```\n" for code, (_, meaning) in CODES.items()]
    return HEAD + "".join(sections)


def records() -> dict[str, dict[str, Any]]:
    """What the conformance suite found, by framework."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CONFORMANCE.glob("*.json"))}


def conformance() -> str:
    """The table: frameworks down, and across how many tests of each kind passed."""
    lines = [f"| framework | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for name, record in records().items():
        if "areas" not in record:
            continue
        cells = []
        for areas in COLUMNS.values():
            passed = sum(record["areas"].get(area, {}).get("passed", 0) for area in areas)
            cells.append(str(passed) if passed else "none")
        lines.append(f"| {name} {record['version']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def lacking() -> str:
    """What frameworks do not have, in a list."""
    lines = []
    for name, record in records().items():
        reasons: dict[str, list[str]] = {}
        for dtype, reason in record.get("unsupported_dtypes", {}).items():
            reasons.setdefault(reason, []).append(dtype)
        lines += [f"* {name}: no {', '.join(dtypes)} ({reason})." for reason, dtypes in reasons.items()]
        copying = record.get("copying_operations", {})
        lines += [f"* {name}: `{what}` copies ({reason})." for what, reason in copying.items()]
    return "\n".join(lines)


def tracers() -> str:
    """What passed beyond the suite, by framework, in the words of the tests' names."""
    return "\n".join(
        f"* **{name}**: {'; '.join(test.replace('_', ' ') for test in record['tracers'])}."
        for name, record in records().items()
        if record.get("tracers")
    )


def file(path: str) -> str:
    """A file of the repository, as a block of code."""
    return f"```py\n{(ROOT / path).read_text(encoding='utf-8')}```"


def frameworks() -> str:
    """The text of the page of frameworks, with what stands between its marks made anew."""
    parts = {"conformance": conformance, "lacking": lacking, "tracers": tracers}

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- {name} -->\n{parts[name]() if name in parts else file(name)}\n<!-- end -->"

    text = FRAMEWORKS.read_text(encoding="utf-8")
    return re.sub(r"<!-- (?P<name>\S+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    FRAMEWORKS.write_text(frameworks(), encoding="utf-8")
