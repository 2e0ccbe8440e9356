"""Kernels become ready aside: no call waits for a compiler.

Numba compiles for seconds, and a process that ends while a compiler runs in one of its threads may crash. So another
process compiles, and leaves the kernel on the disk; a thread of this one only imports Numba and loads it. The end of
the process does not wait for the import, which is Python's and may stop anywhere, but for a load that has begun, a
matter of milliseconds. A fork waits for both, since the child would find modules that nobody goes on importing.
"""

from __future__ import annotations

import atexit
import logging  # noqa: F401  # before the forks are guarded
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any

from plait.backends.kernels.state import COMPILING, Kernel


class _Desk:
    """The kernels that were asked for, and the thread that sees to them."""

    def __init__(self) -> None:
        self.queue: list[Kernel] = []
        self.doing: list[Kernel] = []
        self.closed = self.paused = False
        self.forget()

    def forget(self) -> None:
        """After a fork the child has no thread: what was under way has to be asked for again."""
        for kernel in self.queue + self.doing:
            kernel.asked = False
        self.lock, self.importing, self.loading = Lock(), Lock(), Lock()
        self.queue, self.doing, self.working = [], [], False

    def pause(self) -> None:
        self.paused = self.importing.acquire(timeout=10)

    def resume(self) -> None:
        if self.paused:
            self.importing.release()

    def close(self) -> None:
        """The process ends: nothing is begun any more."""
        self.closed = True
        self.loading.acquire(timeout=10)


_DESK = _Desk()
atexit.register(_DESK.close)


@lru_cache(maxsize=1)
def _guard_forks() -> None:
    """A fork takes the locks of whoever registered last first; `logging` has one that the import needs."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_DESK.pause, after_in_parent=_DESK.resume, after_in_child=_DESK.forget)


def ask(kernel: Kernel) -> None:
    """Have a kernel made ready; returns at once."""
    _guard_forks()
    with _DESK.lock:
        if kernel.asked or _DESK.closed:
            return
        kernel.asked, kernel.why = True, COMPILING
        _DESK.queue.append(kernel)
        if _DESK.working:
            return
        _DESK.working = True
    try:
        Thread(target=_work, name="plait-kernels", daemon=True).start()
    except RuntimeError as error:  # the interpreter is shutting down, or the machine has too many threads
        _DESK.working = False
        kernel.failed(f"no thread to load the kernel: {error}")


def wait(seconds: float) -> bool:
    """Wait until nothing is on its way any more, for so long at most: for benchmarks and tests. Whether it is so."""
    last = monotonic() + seconds
    while _DESK.working and monotonic() < last:
        sleep(0.05)
    return not _DESK.working


def _work() -> None:
    while True:
        with _DESK.lock:
            kernels, _DESK.queue = _DESK.queue, []
            _DESK.doing = kernels
            _DESK.working = bool(kernels)
        if not kernels:
            return
        missing = [kernel for kernel in kernels if not _load(kernel)]
        if missing and not _DESK.closed and _compile_aside([kernel.key for kernel in missing]):
            missing = [kernel for kernel in missing if not _load(kernel)]
        for kernel in missing:
            if kernel.why == COMPILING:
                kernel.failed("the kernel could not be compiled")


def _load(kernel: Kernel) -> bool:
    """Take a kernel from the disk; whether there is nothing more to do."""
    with _DESK.importing:
        try:
            from plait.backends.kernels.compiling import found, prepared

            made = prepared(kernel.key)
            with _DESK.loading:
                if _DESK.closed:
                    return True
                function = found(*made)
        except Exception as error:  # a stranger's package may be broken in any way
            kernel.failed(f"numba failed: {type(error).__name__}: {error}".splitlines()[0][:200])
            return True
        if function is not None:
            kernel.arrived(function)
        return function is not None


def _compile_aside(keys: list[str]) -> bool:
    """Whether another process compiled the kernels."""
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").stem.lower().startswith(("python", "pypy")):
        return False  # the interpreter is part of a program, which must not be started twice
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, sys.path)))}
    detached: dict[str, Any] = (
        {"creationflags": 0x4200}  # a process group of its own, of low priority
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "plait.backends.kernels.warming", *keys]
    try:
        return subprocess.Popen(command, env=environment, **quiet, **detached).wait() == 0  # noqa: S603
    except OSError:
        return False
