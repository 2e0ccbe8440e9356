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


def launch(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *map(str, arguments)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


@pytest.mark.parametrize("count", [2, 4])
def test_on_several_processes(count, tmp_path):
    launch(HERE / "on_processes.py", count, tmp_path)
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(count)]
    assert all(list(report) == list(reports[0]) for report in reports)
    assert len(reports[0]) > 500
    failed = {name: text for report in reports for name, text in report.items() if text}
    assert not failed, "\n".join([f"{len(failed)} of {len(reports[0])}", *failed, *list(failed.values())[:3]])
