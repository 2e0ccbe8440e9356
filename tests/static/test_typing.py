"""What mypy and pyright infer of plait's public functions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import numpy as np
import numpy.typing as npt
import plait

x: npt.NDArray[np.float32] = np.zeros((2, 3), np.float32)
reveal_type(plait.rearrange(x, "a b -> b a"))
reveal_type(plait.rearrange([x, x], "n a b -> n b a"))
reveal_type(plait.rearrange((x, x), "n a b -> n b a"))
reveal_type(plait.view(x, "a b -> b a"))
reveal_type(plait.reduce(x, "a b -> a", "max"))
reveal_type(plait.reduce(x, "a b -> a", lambda t, axes: t.max(axes)))
reveal_type(plait.repeat(x, "a b -> a b c", c=3))
reveal_type(plait.pack([x, x], "a *")[0])
reveal_type(plait.unpack(x, [(1,), (2,)], "a *")[0])
reveal_type(plait.parse_shape(x, "a b"))
reveal_type(plait.compile("a b -> b a"))
reveal_type(plait.compile("a b -> b a") >> plait.compile("b a -> (b a)"))
reveal_type(plait.compile("a b -> b a").output_shape((2, 3)))
reveal_type(plait.compile("a b -> b a").output_shape((2, None)))
"""
ARRAY = "an array of float32"
EXPECTED = [*[ARRAY] * 9, "dict[str, int]", "Pattern", "PatternPipeline", "tuple[int, ...]", "tuple[int | None, ...]"]

MISTAKES = """
import numpy as np
import plait

plait.rearrange(np.zeros(4), "(a b) -> a b", a=2.0)
plait.rearrange(np.zeros(4), 5)
plait.reduce(np.zeros(4), "a ->", 3)
plait.compile("a -> a") >> "a -> a"
"""


def normal(text: str) -> str:
    if "ndarray[" in text and ("float32" in text or "_32Bit" in text):
        return ARRAY
    return re.sub(r"^plait\._pattern\.", "", text).replace("builtins.", "")


@pytest.mark.slow
def test_mypy(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "good.py").write_text(SOURCE)
    (tmp_path / "bad.py").write_text(MISTAKES)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    good = subprocess.run([*command, "good.py"], capture_output=True, text=True, check=False, cwd=tmp_path)
    revealed = [line.partition('"')[2].rpartition('"')[0] for line in good.stdout.splitlines() if "Revealed" in line]
    assert [normal(text) for text in revealed] == EXPECTED, good.stdout
    bad = subprocess.run([*command, "bad.py"], capture_output=True, text=True, check=False, cwd=tmp_path)
    lines = {int(line.split(":")[1]) for line in bad.stdout.splitlines() if ": error:" in line}
    assert lines == {5, 6, 7, 8}, bad.stdout


@pytest.mark.slow
def test_pyright(tmp_path):
    pytest.importorskip("pyright")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node")
    (tmp_path / "good.py").write_text(SOURCE)
    (tmp_path / "bad.py").write_text(MISTAKES)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]

    def check(name):
        run = subprocess.run([*command, name], capture_output=True, text=True, check=False, cwd=tmp_path)
        return json.loads(run.stdout)["generalDiagnostics"]

    found = check("good.py")
    revealed = [
        entry["message"].partition('is "')[2].rstrip('"') for entry in found if entry["severity"] == "information"
    ]
    assert [normal(text) for text in revealed] == EXPECTED, found
    lines = {entry["range"]["start"]["line"] + 1 for entry in check("bad.py") if entry["severity"] == "error"}
    assert lines == {5, 6, 7, 8}


def test_the_package_says_that_it_is_typed():
    import plait

    assert Path(plait.__file__).with_name("py.typed").exists()
