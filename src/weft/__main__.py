"""``python -m weft``: the command, where it is not on the path."""

from __future__ import annotations

from weft.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
