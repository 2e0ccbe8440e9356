"""Large tasks are shared out among threads, which run kernels without the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

_SHARE = 1 << 20
"""Bytes: less is not worth waking a thread for."""


class _Pool:
    """The threads beside the calling one. A forked process begins without them."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.forget()

    def forget(self) -> None:
        self.lock = Lock()
        self.workers: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with self.lock:
            if self.workers is None:
                self.workers = ThreadPoolExecutor(threads() - 1, "plait")
            return self.workers.submit(function, *arguments)


_POOL = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def threads() -> int:
    """How many threads a task may use: ``PLAIT_THREADS``, ``OMP_NUM_THREADS``, or the CPUs of this process."""
    if _POOL.count is None:
        asked = [os.environ.get(name, "").split(",")[0].strip() for name in ("PLAIT_THREADS", "OMP_NUM_THREADS")]
        numbers = [int(text) for text in asked if text.isdecimal() and int(text)]
        _POOL.count = numbers[0] if numbers else _cpus()
    return _POOL.count


def set_threads(count: int | None) -> None:
    """Use so many threads from now on; ``None`` asks the environment again."""
    with _POOL.lock:
        if _POOL.workers:
            _POOL.workers.shutdown(wait=False)
        _POOL.workers, _POOL.count = None, count


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared(kernel: Callable[..., Any], arguments: tuple[Any, ...], tasks: int, size: int) -> None:
    """Call a kernel for all tasks, in as many ranges as the bytes they move are worth.

    Each task is computed the same whoever computes it, so the result does not depend on the number of threads.
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
        wait(waiting)  # whatever happens here, such as an interrupt: they write to memory that is let go of after this
    for future in waiting:
        future.result()
