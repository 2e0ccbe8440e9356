"""No call touches a byte beyond its arrays: the fuzzer places them beside pages that cannot be read or written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz.py")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mprotect")
@pytest.mark.parametrize("seed", [1, 2])
def test_no_call_touches_memory_beyond_its_arrays(seed) -> None:
    command = [sys.executable, str(FUZZER), "--minutes", "0.15", "--seed", str(seed)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mprotect")
def test_an_access_beyond_an_array_ends_the_process() -> None:
    code = (
        "import ctypes, fuzz; memory = fuzz.GuardedMemory()\n"
        "for at_end, place in ((True, 5), (False, -1)):\n"
        "    array = memory.allocate(5, at_end=at_end)\n"
        "    if CHOSEN == at_end: ctypes.string_at(array.ctypes.data + place, 1)\n"
    )
    for chosen in ("True", "False", "None"):
        command = [sys.executable, "-c", code.replace("CHOSEN", chosen)]
        status = subprocess.run(command, cwd=FUZZER.parent, capture_output=True, check=False).returncode
        assert (status == 0) == (chosen == "None")
