"""The threads of the library: after a fork, at the end of the interpreter, and under many threads of Python."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from calls import LIBRARY, call

SUM = """
import os, sys, threading
import numpy as np
from calls import LIBRARY, call

numbers = np.ones(4_000_000, np.float32)

def check_sum(threads=4):
    result = np.empty((), np.float32)
    assert call("sum", "float32", numbers, result, (0,), threads) == 0
    assert result == 4_000_000
"""


def _run(code: str, **variables: str) -> str:
    """Run code in a new process, and return what it prints."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PLAIT_THREADS", "OMP_NUM_THREADS"}} | variables
    folder = Path(__file__).parent
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SUM + code]
    process = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_a_child_that_was_forked_after_a_call_has_threads_of_its_own() -> None:
    _run("""
check_sum()
for _ in range(10):
    child = os.fork()
    if child == 0:
        check_sum()
        grandchild = os.fork()
        if grandchild == 0:
            check_sum()
            os._exit(0)
        os._exit(os.waitpid(grandchild, 0)[1])
    assert os.waitpid(child, 0)[1] == 0
    check_sum()
""")


@needs_fork
@pytest.mark.skipif(
    "ASAN_OPTIONS" in os.environ, reason="the address sanitizer may not be forked while threads allocate"
)
def test_a_child_that_was_forked_during_a_call_has_threads_of_its_own() -> None:
    _run("""
is_done = False

def repeat():
    while not is_done:
        check_sum()

threads = [threading.Thread(target=repeat) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        for _ in range(3):
            check_sum()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
is_done = True
for thread in threads:
    thread.join()
""")


@pytest.mark.parametrize("attempt", range(3))
def test_the_interpreter_ends_while_threads_compute(attempt) -> None:
    _run("""
import time

def repeat():
    while True:
        check_sum()

check_sum()
for _ in range(4):
    threading.Thread(target=repeat, daemon=True).start()
time.sleep(0.05)
""")


def test_many_threads_of_python_compute_at_once() -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.integers(-9, 9, (500, 1000 + i)).astype(np.float32) for i in range(8)]

    def compute(number: int) -> None:
        array = arrays[number % len(arrays)]
        total, copy = np.empty(array.shape[1], np.float32), np.empty(array.shape[::-1], np.float32)
        assert call("sum", "float32", array, total, (0,), 3) == 0
        np.testing.assert_array_equal(total, array.sum(0))
        assert call("copy", "bool", array.T, copy, (), 3) == 0
        np.testing.assert_array_equal(copy, array.T)

    with ThreadPoolExecutor(16) as pool:
        assert [*pool.map(compute, range(300))] == [None] * 300


def test_a_call_releases_the_lock_of_the_interpreter() -> None:
    numbers = np.broadcast_to(np.ones(1000), (400_000, 1000))
    result = np.empty(())
    ends = []

    def compute() -> None:
        assert call("sum", "float64", numbers, result, (0, 1), 1) == 0
        ends.append(time.perf_counter())

    thread = threading.Thread(target=compute)
    thread.start()
    ticks = []
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    assert sum(tick < ends[0] for tick in ticks) > 5, "another thread did not run during the call"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PLAIT_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"PLAIT_THREADS": "nonsense", "OMP_NUM_THREADS": "5"}, 5),
        ({"PLAIT_THREADS": "0", "OMP_NUM_THREADS": "-3"}, None),
        ({"PLAIT_THREADS": "", "OMP_NUM_THREADS": "4,2"}, 4),
        ({"PLAIT_THREADS": "100000"}, 256),
        ({"PLAIT_THREADS": "99999999999999999999999"}, 256),
        ({}, None),
    ],
)
def test_the_number_of_threads_is_read_from_the_environment(variables, expected) -> None:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = int(_run("print(LIBRARY.threads()); check_sum(0)", **variables))
    assert count == (cpus if expected is None else expected)


def test_the_number_of_threads_can_be_set_and_restored() -> None:
    default = LIBRARY.threads()
    assert LIBRARY.set_threads(3) == default
    assert LIBRARY.threads() == 3
    assert LIBRARY.set_threads(-5) == 3
    assert LIBRARY.threads() == default
    LIBRARY.set_threads(2**31 - 1)
    assert LIBRARY.threads() == 256


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_call_starts_no_more_threads_than_it_may_use() -> None:
    code = """
for threads in (1, 2, 5, 3):
    check_sum(threads)
    print(len(os.listdir("/proc/self/task")))
"""
    counts = [int(line) for line in _run(code, OPENBLAS_NUM_THREADS="1").split()]
    assert [count - counts[0] for count in counts] == [0, 1, 4, 4]
