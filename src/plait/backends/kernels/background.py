"""Makes kernels ready in the background, so that no call waits for a compiler.

Numba compiles for seconds, and a process that ends while one of its threads compiles may crash. So another process
compiles the kernels and stores them on the disk, and a thread of this process only imports Numba and loads them. At its
end the process does not wait for the import, which is Python code and may stop anywhere, but waits for a kernel that is
being loaded, which takes milliseconds. A fork waits for both, or the child would have modules imported in part.
"""

from __future__ import annotations

import atexit
import logging  # noqa: F401  # registers its handler for forks before `_guard_forks` does
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any

from plait.backends.kernels.state import COMPILING, Kernel


class _Requests:
    """The kernels that were requested, and the state of the thread that makes them ready."""

    def __init__(self) -> None:
        self.queue: list[Kernel] = []
        self.doing: list[Kernel] = []
        self.closed = self.paused = False
        self.forget()

    def forget(self) -> None:
        """Reset everything in a forked child: it has no thread, and its kernels must be requested again."""
        for kernel in self.queue + self.doing:
            kernel.asked = False
        self.lock, self.importing, self.loading = Lock(), Lock(), Lock()
        self.queue, self.doing, self.working = [], [], False

    def pause(self) -> None:
        """Wait until the thread neither imports nor loads, at most ten seconds, and stop it from doing so."""
        self.paused = self.importing.acquire(timeout=10)

    def resume(self) -> None:
        if self.paused:
            self.importing.release()

    def close(self) -> None:
        """Let nothing begin any more, since the process ends, and wait for a kernel that is being loaded."""
        self.closed = True
        self.loading.acquire(timeout=10)


_REQUESTS = _Requests()
atexit.register(_REQUESTS.close)


@lru_cache(maxsize=1)
def _guard_forks() -> None:
    """Make every fork wait for the thread.

    The handlers before a fork run in reverse order of registration. `logging`, imported above, has registered earlier,
    so that its lock, which the import of Numba needs, is taken only after the import was waited for.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_REQUESTS.pause, after_in_parent=_REQUESTS.resume, after_in_child=_REQUESTS.forget)


def ask(kernel: Kernel) -> None:
    """Request a kernel from the background thread, which is started if it does not run; return at once."""
    _guard_forks()
    with _REQUESTS.lock:
        if kernel.asked or _REQUESTS.closed:
            return
        kernel.asked, kernel.why = True, COMPILING
        _REQUESTS.queue.append(kernel)
        if _REQUESTS.working:
            return
        _REQUESTS.working = True
    try:
        Thread(target=_work, name="plait-kernels", daemon=True).start()
    except RuntimeError as error:  # the interpreter is shutting down, or the machine has too many threads
        _REQUESTS.working = False
        kernel.failed(f"no thread to load the kernel: {error}")


def wait(seconds: float) -> bool:
    """Wait until all requested kernels are ready or have failed, for benchmarks and tests.

    Return ``False`` if this takes longer than ``seconds``.
    """
    last = monotonic() + seconds
    while _REQUESTS.working and monotonic() < last:
        sleep(0.05)
    return not _REQUESTS.working


def _work() -> None:
    """Make the requested kernels ready until there are no more requests; the function of the thread."""
    while True:
        with _REQUESTS.lock:
            kernels, _REQUESTS.queue = _REQUESTS.queue, []
            _REQUESTS.doing = kernels
            _REQUESTS.working = bool(kernels)
        if not kernels:
            return
        missing = [kernel for kernel in kernels if not _load(kernel)]
        if missing and not _REQUESTS.closed and _compile_aside([kernel.key for kernel in missing]):
            missing = [kernel for kernel in missing if not _load(kernel)]
        for kernel in missing:
            if kernel.why == COMPILING:
                kernel.failed("the kernel could not be compiled")


def _load(kernel: Kernel) -> bool:
    """Load a kernel from the disk; return ``False`` if it must be compiled first, ``True`` also after a failure."""
    with _REQUESTS.importing:
        try:
            from plait.backends.kernels.compiling import found, prepared

            made = prepared(kernel.key)
            with _REQUESTS.loading:
                if _REQUESTS.closed:
                    return True
                function = found(*made)
        except Exception as error:  # a broken Numba may raise anything
            kernel.failed(f"numba failed: {type(error).__name__}: {error}".splitlines()[0][:200])
            return True
        if function is not None:
            kernel.arrived(function)
        return function is not None


def _compile_aside(keys: list[str]) -> bool:
    """Compile kernels in another process, and return whether it succeeded."""
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").stem.lower().startswith(("python", "pypy")):
        return False  # the executable is an application with Python in it, which would be started a second time
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
