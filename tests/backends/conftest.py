"""Cases that no framework of this run is for leave the list; they are no skips, since nothing is left out."""

from __future__ import annotations


def pytest_collection_modifyitems(config, items):
    empty = [item for item in items if "NOTSET" in item.name]
    items[:] = [item for item in items if "NOTSET" not in item.name]
    config.hook.pytest_deselected(items=empty)
