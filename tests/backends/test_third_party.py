"""A framework that plait has never heard of, installed as its users would install it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "third_party" / "tinytensors"
INFO = "tinytensors-1.0.dist-info"
FILES = {
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: tinytensors\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: plait\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[plait.backends]\ntinytensors = tinytensors.for_plait:TinyBackend\n",
}
USE = """
import sys
import tinytensors, plait
x = tinytensors.Tensor(map(float, range(24)), (2, 12))
assert "tinytensors.for_plait" not in sys.modules, "loaded before it was needed"
y = plait.rearrange(x, "a (b c) -> c (b a)", c=3)
assert type(y) is tinytensors.Tensor
assert y.shape == (3, 8)
assert y.numbers[:4] == [0.0, 12.0, 3.0, 15.0]
assert plait.reduce(x, "a (b c) -> b", "max", c=3).numbers == [14.0, 17.0, 20.0, 23.0]
assert plait.reduce(x, "a b ->", "sum").numbers == [276.0]
assert plait.repeat(x, "a b -> (a 2) b").shape == (4, 12)
assert plait.rearrange([x, x], "n a b -> (n a) b").shape == (4, 12)
assert plait.einsum(x, x, "a b, c b -> a c").shape == (2, 2)
assert plait.einsum(x, x, "a b, a b -> ").numbers == [4324.0]
assert plait.pack([x, x], "a *")[0].numbers[12:15] == [0.0, 1.0, 2.0]
assert plait.asnumpy(x).tolist()[1][0] == 12.0
try:
    plait.rearrange(x, "a (b c) -> a b c", c=5)
except plait.SizeError as error:
    assert error.code == "PLT302"
else:
    raise AssertionError("5 does not divide 12")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that a wheel of the framework is installed into, by pip."""
    wheel = tmp_path_factory.mktemp("wheel") / "tinytensors-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in SOURCE.glob("*.py"):
            archive.write(path, f"tinytensors/{path.name}")
        for name, text in FILES.items():
            archive.writestr(name, text)
        archive.writestr(f"{INFO}/RECORD", "".join(f"{name},,\n" for name in (*archive.namelist(), f"{INFO}/RECORD")))
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-warn-script-location"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(folder), str(wheel)], check=True)
    return folder


def python(folder: Path | None, code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*([str(folder)] if folder else []), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_an_entry_point_makes_plait_serve_a_framework(installed):
    pytest.importorskip("numpy", reason="numpy is not installed")
    result = python(installed, USE)
    assert result.returncode == 0, result.stderr


def test_without_the_entry_point_it_is_unknown(installed):
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    text = entry.read_text(encoding="utf-8")
    entry.write_text("", encoding="utf-8")
    try:
        result = python(installed, USE)
    finally:
        entry.write_text(text, encoding="utf-8")
    assert "PLT501" in result.stderr
    assert "tinytensors.Tensor is no tensor of a framework that plait knows" in result.stderr


@pytest.mark.parametrize(
    "line", ["tinytensors = tinytensors.missing:Backend", "tinytensors = tinytensors.for_plait:Missing"]
)
def test_an_entry_point_that_does_not_load_disturbs_nobody(installed, line):
    pytest.importorskip("numpy", reason="numpy is not installed")
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    text = entry.read_text(encoding="utf-8")
    entry.write_text(f"[plait.backends]\n{line}\n", encoding="utf-8")
    code = """
import numpy as np
import tinytensors, plait
try:
    plait.rearrange(tinytensors.Tensor([1.0], (1,)), "a -> a 1")
except plait.BackendError as error:
    assert error.code == "PLT502", error
else:
    raise AssertionError
assert plait.rearrange(np.ones((2, 3)), "a b -> b a").shape == (3, 2)
"""
    try:
        result = python(installed, code)
    finally:
        entry.write_text(text, encoding="utf-8")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["reshape", "permute", "expand", "concat", "stack", "einsum", "to_numpy", "reduction"])
def test_a_backend_without_a_required_function_is_refused_when_it_is_loaded(installed, name):
    code = f"""
import tinytensors, plait
from tinytensors.for_plait import TinyBackend
del TinyBackend.{name}
try:
    plait.rearrange(tinytensors.Tensor([1.0], (1,)), "a -> a 1")
except plait.BackendError as error:
    assert error.code == "PLT502", error
    assert "TinyBackend has no {name}" in error.message, error
else:
    raise AssertionError
"""
    result = python(installed, code)
    assert result.returncode == 0, result.stderr


def test_a_backend_that_is_no_backend_is_refused_when_it_is_loaded(installed):
    code = """
import tinytensors, plait
import tinytensors.for_plait
tinytensors.for_plait.TinyBackend = lambda kind: tinytensors
try:
    plait.rearrange(tinytensors.Tensor([1.0], (1,)), "a -> a 1")
except plait.BackendError as error:
    assert error.code == "PLT502", error
    assert "which is not a subclass of Backend" in error.message, error
else:
    raise AssertionError
"""
    result = python(installed, code)
    assert result.returncode == 0, result.stderr
