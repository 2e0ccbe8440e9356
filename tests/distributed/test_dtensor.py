"""DTensor on two and on four processes, and docs/dtensor.md on two."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "dtensor.md"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def run_interpreter(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *map(str, arguments)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def read_outcomes_and_assert_passed(folder, count):
    """Assert that every process ran the same checks and passed them; return the outcomes of the first."""
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]
    assert all(list(report) == list(found[0]) for report in found)
    failed = {name: text for report in found for name, text in report.items() if text}
    assert not failed, "\n".join([f"{len(failed)} of {len(found[0])}", *failed, *list(failed.values())[:3]])
    return found[0]


@pytest.mark.parametrize(("count", "checks"), [(2, 550), (4, 300)])
def test_checks_pass_on_several_processes(count, checks, tmp_path):
    run_interpreter(HERE / "on_processes.py", count, tmp_path)
    assert len(read_outcomes_and_assert_passed(tmp_path, count)) > checks


def test_examples_of_the_documentation(tmp_path):
    run_interpreter(HERE / "on_processes.py", 2, tmp_path, PAGE)
    assert list(read_outcomes_and_assert_passed(tmp_path, 2)) == ["dtensor.md"]


def test_plain_tensors_do_not_load_the_dtensor_backend():
    call = "plait.rearrange(torch.ones(2, 3), 'a b -> b a')"
    code = f"import sys, torch, plait; {call}; print([name for name in sys.modules if '.torch.dtensor' in name])"
    assert run_interpreter("-c", code).strip() == "[]"
