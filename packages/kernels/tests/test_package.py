"""The installed package: its files, its version and its license."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import plait_kernels
import pytest


def test_the_package_is_installed_with_its_library() -> None:
    names = {Path(file).name for file in metadata.files("plait-kernels")}
    library = plait_kernels.load().path
    assert {library.name, "py.typed", "LICENSE"} <= names
    assert Path(plait_kernels.__file__).parent == library.parent
    assert metadata.version("plait-kernels") == plait_kernels.__version__
    assert metadata.metadata("plait-kernels")["License-Expression"] == "MIT"
    assert metadata.requires("plait-kernels") is None


def test_one_wheel_serves_every_version_of_python() -> None:
    assert "Tag: py3-none-" in metadata.distribution("plait-kernels").read_text("WHEEL")


def test_the_license_is_that_of_the_repository() -> None:
    original = Path(__file__).parents[3] / "LICENSE"
    if not original.exists():
        pytest.skip("the tests are not in the repository")
    assert (Path(__file__).parents[1] / "LICENSE").read_text() == original.read_text()
