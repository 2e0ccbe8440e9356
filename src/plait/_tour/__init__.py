"""The tour (``plait tour``): a demonstration of every operation on two photographs, in the terminal and as a web page.

This file imports no other module of the package, so that missing dependencies can be reported before they are imported.
"""

from __future__ import annotations

from importlib.util import find_spec

REQUIRED_PACKAGES_BY_MODULE = {
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "rich": "rich",
    "jinja2": "jinja2",
}
"""The modules that the tour imports, each with the name of the package to install."""


def missing_packages() -> list[str]:
    """Return the packages that the tour needs and that are not installed, by their names for pip."""
    return [package for module, package in REQUIRED_PACKAGES_BY_MODULE.items() if find_spec(module) is None]
