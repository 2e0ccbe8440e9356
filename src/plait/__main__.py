"""Runs the command line interface as ``python -m plait``."""

from __future__ import annotations

from plait._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
