"""The conformance suite of plait's backends, for the author of a backend to run on their own tensors, with pytest."""

from importlib.util import find_spec as _find_spec

_missing_packages = [name for name in ("numpy", "pytest") if _find_spec(name) is None]
if _missing_packages:
    raise ImportError(
        f"plait.testing needs {' and '.join(_missing_packages)}: pip install {' '.join(_missing_packages)}"
    )

from plait.testing._framework import Framework  # noqa: E402  # it needs NumPy
from plait.testing._suite import BackendTests  # noqa: E402  # it needs NumPy and pytest

__all__ = ["BackendTests", "Framework"]

for _public in (BackendTests, Framework):
    _public.__module__ = "plait.testing"  # messages show this instead of a private module
