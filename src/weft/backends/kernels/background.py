"""Kernels become ready aside: no call waits for a compiler.

Numba compiles for seconds, and a process that ends while a compiler runs in one of its threads may crash. So another
process compiles, and leaves the kernel on the disk; a thread of this one only loads it, and the end of the process
waits for a load that has begun, which is a matter of milliseconds.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from weft.backends.kernels.state import COMPILING, Kernel


class _Desk:
    """The kernels that were asked for, and the thread that sees to them."""

    def __init__(self) -> None:
        self.forget()
        self.closed = False

    def forget(self) -> None:
        """After a fork the child has no thread, and nobody who waits."""
        self.lock, self.loading = Lock(), Lock()
        self.queue: list[Kernel] = []
        self.working = False

    def close(self) -> None:
        """The process ends: nothing is begun any more, and what is being loaded may finish."""
        self.closed = True
        self.loading.acquire(timeout=10)


_DESK = _Desk()
atexit.register(_DESK.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_DESK.forget)


def ask(kernel: Kernel) -> None:
    """Have a kernel made ready; returns at once."""
    with _DESK.lock:
        if kernel.asked or _DESK.closed:
            return
        kernel.asked, kernel.why = True, COMPILING
        _DESK.queue.append(kernel)
        if _DESK.working:
            return
        _DESK.working = True
    try:
        Thread(target=_work, name="weft-kernels", daemon=True).start()
    except RuntimeError as error:  # the interpreter is shutting down, or the machine has too many threads
        _DESK.working = False
        kernel.failed(f"no thread to load the kernel: {error}")


def _work() -> None:
    while True:
        with _DESK.lock:
            kernels, _DESK.queue = _DESK.queue, []
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
    with _DESK.loading:
        if _DESK.closed:
            return True
        try:
            from weft.backends.kernels.compiling import found

            function = found(kernel.key)
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
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "weft.backends.kernels.warming", *keys]
    try:
        return subprocess.Popen(command, env=environment, **quiet, **detached).wait() == 0  # noqa: S603
    except OSError:
        return False
