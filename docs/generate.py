"""Writes ``docs/errors.md`` from the table of codes and the snapshot of the tests: ``python docs/generate.py``."""

from __future__ import annotations

from pathlib import Path

from weft.errors import CODES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
SNAPSHOT = ROOT / "tests" / "errors" / "snapshot.txt"

HEAD = """# Errors

Every mistake that weft finds is a `weft.WeftError`, which is a `ValueError`. The code is stable: it can be searched
for, and it decides the class. `error.code`, `error.message`, `error.pattern`, `error.spans` and `error.facts` hold
the parts of the text.

| class | codes | about |
|---|---|---|
| `PatternSyntaxError` | W1xx | the text of a pattern |
| `AxisError` | W2xx | a rule of the operation |
| `SizeError` | W3xx | ranks and sizes |
| `CopyNeeded` | W4xx | a view was asked for, and none exists |
| `BackendError` | W5xx | the framework behind the tensor |

(This page is made by `python docs/generate.py` from the table of codes and the snapshot of the tests.)
"""


def page() -> str:
    """The text of the page."""
    parts = SNAPSHOT.read_text(encoding="utf-8").split("\n\n## ")[1:]
    example: dict[str, str] = {}
    for part in parts:
        name, text = part.rstrip("\n").split("\n", 1)
        example.setdefault(name[:4], text)
    sections = [f"\n## {code}: {meaning}\n\n```text\n{example[code]}\n```\n" for code, (_, meaning) in CODES.items()]
    return HEAD + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
