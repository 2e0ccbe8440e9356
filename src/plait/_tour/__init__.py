"""The tour: every operation on two photographs, in the terminal and as a page.

This file imports nothing else of it, so that a missing package can be named before anything needs it.
"""

from __future__ import annotations

from importlib.util import find_spec

REQUIRED_PACKAGES = {
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "rich": "rich",
    "jinja2": "jinja2",
}
"""What the tour imports, and the name under which each is installed."""


def missing_packages() -> list[str]:
    """The packages that the tour needs and that are not installed, as pip calls them."""
    return [package for module, package in REQUIRED_PACKAGES.items() if find_spec(module) is None]
