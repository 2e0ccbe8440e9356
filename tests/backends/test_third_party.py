"""A framework that plait has never heard of, installed as its users would install it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TINYTENSORS_FOLDER = Path(__file__).parent / "third_party" / "tinytensors"
CONFORMANCE_TEST_FILE = TINYTENSORS_FOLDER.parent / "conformance.py"
PAGE = Path(__file__).parent.parent.parent / "docs" / "frameworks.md"
DIST_INFO_FOLDER = "tinytensors-1.0.dist-info"
DIST_INFO_CONTENTS = {
    f"{DIST_INFO_FOLDER}/METADATA": "Metadata-Version: 2.1\nName: tinytensors\nVersion: 1.0\n",
    f"{DIST_INFO_FOLDER}/WHEEL": "Wheel-Version: 1.0\nGenerator: plait\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{DIST_INFO_FOLDER}/entry_points.txt": "[plait.backends]\ntinytensors = tinytensors.for_plait:TinyBackend\n",
}
SCRIPT_THAT_USES_TINYTENSORS = """
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
def site_folder(tmp_path_factory):
    """The folder that a wheel of the framework is installed into, by pip."""
    wheel = tmp_path_factory.mktemp("wheel") / "tinytensors-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in TINYTENSORS_FOLDER.glob("*.py"):
            archive.write(path, f"tinytensors/{path.name}")
        for name, text in DIST_INFO_CONTENTS.items():
            archive.writestr(name, text)
        archive.writestr(
            f"{DIST_INFO_FOLDER}/RECORD",
            "".join(f"{name},,\n" for name in (*archive.namelist(), f"{DIST_INFO_FOLDER}/RECORD")),
        )
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-warn-script-location"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(folder), str(wheel)], check=True)
    return folder


def run_interpreter(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def run_code(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return run_interpreter(folder, "-c", code)


def run_suite(folder: Path, tmp_path: Path, fault: str = "", *options: str) -> subprocess.CompletedProcess[str]:
    """Run the conformance suite on tinytensors; ``fault`` is code that breaks its backend."""
    pytest.importorskip("numpy", reason="numpy is not installed")
    file = tmp_path / "test_tinytensors.py"
    file.write_text(f"{CONFORMANCE_TEST_FILE.read_text(encoding='utf-8')}\n\n{fault}", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return run_interpreter(
        folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *options, str(file)
    )


def test_an_entry_point_makes_plait_serve_a_framework(site_folder):
    pytest.importorskip("numpy", reason="numpy is not installed")
    result = run_code(site_folder, SCRIPT_THAT_USES_TINYTENSORS)
    assert result.returncode == 0, result.stderr


def test_without_the_entry_point_the_framework_is_unknown(site_folder):
    (entry,) = site_folder.glob("*.dist-info/entry_points.txt")
    text = entry.read_text(encoding="utf-8")
    entry.write_text("", encoding="utf-8")
    try:
        result = run_code(site_folder, SCRIPT_THAT_USES_TINYTENSORS)
    finally:
        entry.write_text(text, encoding="utf-8")
    assert "PLT501" in result.stderr
    assert "tinytensors.Tensor is not a tensor of a framework that plait supports" in result.stderr


@pytest.mark.parametrize(
    "line", ["tinytensors = tinytensors.missing:Backend", "tinytensors = tinytensors.for_plait:Missing"]
)
def test_an_entry_point_that_does_not_load_disturbs_nobody(site_folder, line):
    pytest.importorskip("numpy", reason="numpy is not installed")
    (entry,) = site_folder.glob("*.dist-info/entry_points.txt")
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
        result = run_code(site_folder, code)
    finally:
        entry.write_text(text, encoding="utf-8")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["reshape", "permute", "expand", "concat", "stack", "einsum", "to_numpy", "reduction"])
def test_a_backend_without_a_required_function_is_refused_when_it_is_loaded(site_folder, name):
    code = f"""
import tinytensors, plait
from tinytensors.for_plait import TinyBackend
del TinyBackend.{name}
try:
    plait.rearrange(tinytensors.Tensor([1.0], (1,)), "a -> a 1")
except plait.BackendError as error:
    assert error.code == "PLT502", error
    assert "TinyBackend does not define {name}" in error.message, error
else:
    raise AssertionError
"""
    result = run_code(site_folder, code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("error", ["KeyError(name)", "NotImplementedError", "AttributeError(name)"])
def test_a_reduction_that_a_backend_lacks_is_an_error_of_plait(site_folder, error):
    code = f"""
import tinytensors, plait
from tinytensors.for_plait import TinyBackend
def reduction(self, name, dtype):
    raise {error}
TinyBackend.reduction = reduction
try:
    plait.reduce(tinytensors.Tensor([1.0], (1,)), "a ->", "max")
except plait.BackendError as error:
    assert error.code == "PLT503", error
    assert "has no reduction 'max'" in error.message, error
else:
    raise AssertionError
"""
    result = run_code(site_folder, code)
    assert result.returncode == 0, result.stderr


def test_a_backend_that_is_no_backend_is_refused_when_it_is_loaded(site_folder):
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
    result = run_code(site_folder, code)
    assert result.returncode == 0, result.stderr


def test_the_conformance_suite_passes(site_folder, tmp_path):
    result = run_suite(site_folder, tmp_path)
    assert result.returncode == 0, result.stdout
    summary = result.stdout.splitlines()[-1]
    assert int(summary.split(" passed")[0]) >= 300, summary


FAULT_SOURCE_CODE_BY_FUNCTION = {
    "permute": """
TinyBackend.permute = staticmethod(lambda tensor, order: tinytensors.permute(tensor, list(order)[::-1]))
""",
    "reshape": """
def column_major(tensor, shape):
    backwards = tinytensors.permute(tensor, range(len(tensor.shape))[::-1])
    return tinytensors.permute(tinytensors.reshape(backwards, list(shape)[::-1]), range(len(shape))[::-1])
TinyBackend.reshape = staticmethod(column_major)
""",
    "expand": """
def expand(tensor, shape):
    return tinytensors.Tensor(list(tensor.numbers) * (math.prod(shape) // max(1, len(tensor.numbers))), shape)
TinyBackend.expand = staticmethod(expand)
""",
    'reduction("mean", dtype)': """
REDUCTIONS["mean"] = lambda numbers: sum(numbers) / (len(numbers) - 1)
""",
    'reduction("any", dtype)': """
REDUCTIONS["any"] = lambda numbers: bool(numbers and numbers[0])
""",
    'reduction("all", dtype)': """
REDUCTIONS["all"] = any
""",
    "einsum": """
def without_sums(equation, *tensors, einsum=TinyBackend.einsum):
    left, output = equation.split("->")
    first = []
    for term, tensor in zip(left.split(","), tensors):
        for number, letter in enumerate(term):
            if letter not in output and "..." not in term:
                tensor = tinytensors.part(tensor, number, 0, min(1, tensor.shape[number]))
        first.append(tensor)
    return einsum(equation, *first)
TinyBackend.einsum = staticmethod(without_sums)
""",
    "to_numpy": """
import numpy as np
TinyBackend.to_numpy = staticmethod(lambda tensor: np.array(tensor.numbers).reshape(tensor.shape, order="F"))
""",
    "stack": """
TinyBackend.stack = staticmethod(lambda tensors: tinytensors.stack(tensors[::-1]))
""",
}
"""Faults of the backend, by the function that the message of a test names."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULT_SOURCE_CODE_BY_FUNCTION)
def test_the_conformance_suite_names_a_wrong_function(site_folder, tmp_path, name):
    fault = (
        f"import math\nfrom tinytensors.for_plait import REDUCTIONS, TinyBackend\n{FAULT_SOURCE_CODE_BY_FUNCTION[name]}"
    )
    result = run_suite(site_folder, tmp_path, fault, "--maxfail=1")
    assert result.returncode == 1, result.stdout
    assert f"wrong function of the backend: TinyBackend.{name}" in result.stdout


def test_page_quotes_the_output_of_a_failing_conformance_test(site_folder, tmp_path):
    fault = f"from tinytensors.for_plait import TinyBackend\n{FAULT_SOURCE_CODE_BY_FUNCTION['permute']}"
    result = run_suite(site_folder, tmp_path, fault, "--maxfail=2")
    page = PAGE.read_text(encoding="utf-8").rpartition("```text\n")[2].partition("```")[0]
    first, *lines = [f"E       {line}" for line in page.splitlines()]
    assert "\n".join([first.replace("plait", "AssertionError: plait", 1), *lines]) in result.stdout


@pytest.mark.slow
def test_the_conformance_suite_finds_a_maximum_that_ignores_nan(site_folder, tmp_path):
    """The functions are right on a small tensor without NaN."""
    fault = 'from tinytensors.for_plait import REDUCTIONS\nREDUCTIONS["max"] = max\n'
    result = run_suite(site_folder, tmp_path, fault)
    assert result.returncode == 1, result.stdout
    assert "plait.reduce(x, 'a b -> a', 'max') is wrong on tinytensors" in result.stdout
    assert "actual:   2.0" in result.stdout
    assert "expected: nan" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("1 failed")


def test_the_conformance_suite_says_which_call_raises(site_folder, tmp_path):
    fault = "from tinytensors.for_plait import TinyBackend\nTinyBackend.permute = staticmethod(lambda x: x)\n"
    result = run_suite(site_folder, tmp_path, fault, "--maxfail=1")
    assert result.returncode == 1, result.stdout
    assert "plait.rearrange(x, 'b c h w -> b h w c') is wrong on tinytensors" in result.stdout
    assert "it raises TypeError: " in result.stdout
    assert "wrong function of the backend: TinyBackend.permute(x, (2, 0, 1))" in result.stdout


def test_a_suite_without_a_framework_says_so(site_folder, tmp_path):
    result = run_suite(site_folder, tmp_path, "TestTiny.framework = Tiny", "--maxfail=1")
    assert result.returncode == 1, result.stdout
    assert "TestTiny must set the class attribute framework to an instance of a subclass of" in result.stdout
