"""A fuzzer of the C library: ``python fuzz.py --minutes 60`` draws calls and checks their results.

Every array lies directly before or behind a page that cannot be read, so that an access beyond its end ends the process
(on Windows the arrays are on the heap). The calls run in a child process. If one fails or crashes, the fuzzer prints
the command that repeats it.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from cases import check_copy, check_gradient, check_reduction
from drawing import RandomDraw, allocate_plainly
from elements import SUPPORTED, SUPPORTED_GRADIENTS

PAGE = mmap.PAGESIZE
MOST_FREE_BYTES = 1 << 26


class GuardedMemory:
    """Memory between two pages that can be neither read nor written."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._mprotect = library.mprotect
        self._mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._free: dict[int, list[tuple[mmap.mmap, np.ndarray]]] = {}
        self._used: list[tuple[int, tuple[mmap.mmap, np.ndarray]]] = []
        self._bytes = 0

    def allocate(self, count: int, *, at_end: bool) -> np.ndarray:
        """Return that many bytes that end at the page behind, or that begin at the page before."""
        pages = -(-count // PAGE)
        pages = 1 << max(0, pages - 1).bit_length()
        region = self._free.setdefault(pages, [])
        item = region.pop() if region else self._make(pages)
        self._used.append((pages, item))
        memory = item[1]
        return memory[len(memory) - count :] if at_end else memory[:count]

    def release(self) -> None:
        """Take back all memory."""
        for pages, item in self._used:
            self._free[pages].append(item)
        self._used.clear()
        if self._bytes > MOST_FREE_BYTES:
            self._free.clear()
            self._bytes = 0

    def _make(self, pages: int) -> tuple[mmap.mmap, np.ndarray]:
        size = (pages + 2) * PAGE
        region = mmap.mmap(-1, size)
        whole = np.frombuffer(region, np.uint8)
        address = whole.__array_interface__["data"][0]
        for guard in (address, address + size - PAGE):
            if self._mprotect(guard, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._bytes += size
        return region, whole[PAGE:-PAGE]


def run_case(seed: int, number: int, guarded: GuardedMemory | None) -> None:
    """Draw one call and check its result."""
    draw = RandomDraw(np.random.default_rng([seed, number]))

    def allocate(count: int) -> np.ndarray:
        return guarded.allocate(count, at_end=bool(draw.integer(0, 1))) if guarded else allocate_plainly(count)

    most_elements = draw.choice((30, 1_000, 1_000, 40_000, 40_000, 300_000))
    if number % 5 == 0:
        check_copy(draw, most_elements=most_elements, allocate=allocate)
    elif number % 5 == 1:
        operation, element = draw.choice(SUPPORTED_GRADIENTS)
        check_gradient(draw, operation, element, most_elements=most_elements, allocate=allocate)
    else:
        operation, element = draw.choice(SUPPORTED)
        check_reduction(draw, operation, element, most_elements=most_elements, allocate=allocate)
    if guarded:
        guarded.release()


def run_cases(seed: int, first: int, is_last: Callable[[int], bool], record: Path | None = None) -> int:
    """Run cases until one is the last, and return how many; ``record`` holds the number of the case that runs."""
    guarded = None if sys.platform == "win32" else GuardedMemory()
    number = first
    with record.open("wb", buffering=0) if record else tempfile.TemporaryFile(buffering=0) as file:
        while True:
            file.seek(0)
            file.write(b"%d" % number)
            run_case(seed, number, guarded)
            number += 1
            if is_last(number):
                return number - first


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Draw calls of the C library and check their results.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long it runs")
    parser.add_argument("--seed", type=int, default=0, help="selects the calls")
    parser.add_argument("--first", type=int, default=0, help="the number of the first call")
    parser.add_argument("--cases", type=int, help="how many calls it makes, instead of --minutes")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record or arguments.cases:
        last = arguments.first + (arguments.cases or sys.maxsize)
        end = time.monotonic() + (sys.maxsize if arguments.cases else 60 * arguments.minutes)
        count = run_cases(
            arguments.seed, arguments.first, lambda n: n >= last or time.monotonic() >= end, arguments.record
        )
        print(f"{count} calls without a fault")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "case"
        command = [sys.executable, "-X", "faulthandler", __file__, *sys.argv[1:], "--record", str(record)]
        status = subprocess.run(command, check=False).returncode
        if status:
            again = f"{Path(__file__).name} --seed {arguments.seed} --first {record.read_text()} --cases 1"
            print(f"the call ended with status {status}; to repeat it: python {again}", file=sys.stderr)
        return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
