"""``python -m plait``: the command, where it is not on the path."""

from __future__ import annotations

from plait._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
