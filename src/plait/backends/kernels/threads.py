"""Divides the tasks of a kernel among threads; kernels run without holding the GIL.

A task is one tile of a copy, or one iteration of the outer loops of a reduction.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

_SHARE = 1 << 20
"""The bytes that each thread gets at least: for fewer, waking a thread takes longer than it saves."""


class _Pool:
    """The threads besides the calling one; a forked process starts without them."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.forget()

    def forget(self) -> None:
        self.lock = Lock()
        self.workers: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with self.lock:
            if self.workers is None:
                self.workers = ThreadPoolExecutor(max(threads() - 1, 1), "plait")  # another thread may have set 1
            return self.workers.submit(function, *arguments)


_POOL = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def threads() -> int:
    """Return how many threads a kernel may use, the calling one included.

    It is ``PLAIT_THREADS``, or ``OMP_NUM_THREADS``, or the number of CPUs that this process may use.
    """
    if _POOL.count is None:
        asked = [os.environ.get(name, "").split(",")[0].strip() for name in ("PLAIT_THREADS", "OMP_NUM_THREADS")]
        numbers = [int(text) for text in asked if text.isdecimal() and int(text)]
        _POOL.count = numbers[0] if numbers else _cpus()
    return _POOL.count


def set_threads(count: int | None) -> None:
    """Set the number of threads of the kernels; ``None`` restores the default, from the environment or the CPUs."""
    with _POOL.lock:
        if _POOL.workers:
            _POOL.workers.shutdown(wait=False)
        _POOL.workers, _POOL.count = None, count


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared(kernel: Callable[..., Any], arguments: tuple[Any, ...], tasks: int, size: int) -> None:
    """Call a kernel for all tasks, on as many threads as are worth it for ``size`` bytes.

    No task is divided, so the result does not depend on the number of threads.
    """
    parts = min(threads(), tasks, size // _SHARE)
    if parts < 2:
        kernel(*arguments, 0, tasks)
        return
    bounds = [tasks * part // parts for part in range(parts + 1)]
    waiting: list[Future[Any]] = []
    begun = 1
    try:
        try:
            for begun in range(1, parts):
                waiting += [_POOL.submit(kernel, *arguments, bounds[begun], bounds[begun + 1])]
            begun = parts
        except RuntimeError:  # no thread can be started: the interpreter is shutting down, or the machine has too many
            kernel(*arguments, bounds[begun], tasks)
        kernel(*arguments, 0, bounds[1])
    finally:
        wait(waiting)  # also after an exception, such as an interrupt: threads write to arrays that the caller may free
    for future in waiting:
        future.result()
