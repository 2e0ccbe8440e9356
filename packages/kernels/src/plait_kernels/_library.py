"""The C library, its structs and its enumerations, as `ctypes` sees them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

INTERFACE_VERSION = 2
"""The version of ``plait_kernels.h`` that this module describes."""

MAX_RANK = 64
"""The most dimensions of an array."""

OPERATIONS = {
    name: number
    for number, name in enumerate(
        [
            "copy",
            "min",
            "max",
            "sum",
            "mean",
            "prod",
            "any",
            "all",
            "argmin",
            "argmax",
            "var",
            "std",
            "logsumexp",
            "softmax",
            "log_softmax",
        ]
    )
}
"""The numbers of the operations, by name."""

ELEMENTS = {
    name: number
    for number, name in enumerate(
        [
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "bfloat16",
            "float32",
            "float64",
            "complex64",
            "complex128",
            "datetime64",
        ]
    )
}
"""The numbers of the element types, by name."""

STATUS_TEXTS = (
    "no error",
    "an argument is invalid",
    "an element lies outside of the memory of its array",
    "elements of the result share memory with each other or with the source",
    "there is no kernel for this operation on this element type",
    "scratch memory could not be allocated",
)
"""What the status that a function returns means."""

NO_MEMORY = STATUS_TEXTS.index("scratch memory could not be allocated")

Memory = tuple[int, int, int]
"""The address of an array's first element, and the addresses between which its memory lies."""


class Array(ctypes.Structure):
    """The address of an array's first element, and the memory that it may touch, from ``begin`` up to ``end``."""

    _fields_ = [("data", ctypes.c_void_p), ("begin", ctypes.c_void_p), ("end", ctypes.c_void_p)]


class Task(ctypes.Structure):
    """What is computed: an operation, an element type, a shape, and the strides of the source and of the result."""

    _fields_ = [
        ("operation", ctypes.c_int32),
        ("element", ctypes.c_int32),
        ("itemsize", ctypes.c_int64),
        ("rank", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("reduced", ctypes.c_uint64),
        ("shape", ctypes.c_int64 * MAX_RANK),
        ("in_strides", ctypes.c_int64 * MAX_RANK),
        ("out_strides", ctypes.c_int64 * MAX_RANK),
    ]

    @classmethod
    def create(
        cls,
        operation: str,
        element: str,
        itemsize: int,
        shape: Sequence[int],
        in_strides: Sequence[int],
        out_strides: Sequence[int],
        reduced: Sequence[int] = (),
        threads: int = 0,
    ) -> Task:
        """Return a task; the strides are in bytes, and ``out_strides`` has one for each dimension of the source.

        Args:
            operation: a name of `OPERATIONS`.
            element: a name of `ELEMENTS`; a copy ignores it.
            itemsize: the bytes of an element of the source.
            shape: the shape of the source.
            in_strides: the strides of the source.
            out_strides: the strides of the result; those of reduced dimensions are ignored.
            reduced: the dimensions that are reduced.
            threads: the most threads to use; 0 for the default.
        """
        rank = len(shape)
        _check_rank(rank)
        task = cls(OPERATIONS[operation], ELEMENTS[element], itemsize, rank, threads, sum(1 << dim for dim in reduced))
        task.shape[:rank] = shape
        task.in_strides[:rank] = in_strides
        task.out_strides[:rank] = out_strides
        return task


class GradientTask(ctypes.Structure):
    """The gradient of a reduction: an operation, an element type, the shape of the source, and the strides of all."""

    _fields_ = [
        ("operation", ctypes.c_int32),
        ("element", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("reduced", ctypes.c_uint64),
        ("shape", ctypes.c_int64 * MAX_RANK),
        ("source_strides", ctypes.c_int64 * MAX_RANK),
        ("result_strides", ctypes.c_int64 * MAX_RANK),
        ("result_gradient_strides", ctypes.c_int64 * MAX_RANK),
        ("strides", ctypes.c_int64 * MAX_RANK),
    ]

    @classmethod
    def create(
        cls,
        operation: str,
        element: str,
        shape: Sequence[int],
        source_strides: Sequence[int],
        result_strides: Sequence[int],
        result_gradient_strides: Sequence[int],
        strides: Sequence[int],
        reduced: Sequence[int],
        threads: int = 0,
    ) -> GradientTask:
        """Return a task; the strides are in bytes, and each array has one for each dimension of the source.

        Args:
            operation: the name of a reduction in `OPERATIONS`.
            element: a name of `ELEMENTS`, the element type of all arrays.
            shape: the shape of the source.
            source_strides: the strides of the source; of no importance to a mean.
            result_strides: the strides of the result, used by minima, maxima, ``std`` and ``logsumexp``; as in the
                next, those of reduced dimensions are ignored.
            result_gradient_strides: the strides of the gradient of the result.
            strides: the strides of the gradient of the source.
            reduced: the dimensions that are reduced.
            threads: the most threads to use; 0 for the default.
        """
        rank = len(shape)
        _check_rank(rank)
        task = cls(OPERATIONS[operation], ELEMENTS[element], rank, threads, sum(1 << dim for dim in reduced))
        task.shape[:rank] = shape
        task.source_strides[:rank] = source_strides
        task.result_strides[:rank] = result_strides
        task.result_gradient_strides[:rank] = result_gradient_strides
        task.strides[:rank] = strides
        return task


def _check_rank(rank: int) -> None:
    """Raise an error if an array has more dimensions than are possible."""
    if rank > MAX_RANK:
        raise ValueError(f"an array of {rank} dimensions; at most {MAX_RANK} are possible")


class Library:
    """The functions of the C library."""

    def __init__(self, path: Path) -> None:
        self.path = path
        library = ctypes.CDLL(str(path))
        self.run = library.plait_run
        """``run(task, source, result)``, each by `ctypes.byref`, returns a status."""
        self.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.run_gradient = library.plait_run_gradient
        """``run_gradient(task, source, result, result_gradient, gradient)``, in the same way."""
        self.run_gradient.argtypes = [ctypes.c_void_p] * 5
        self.supports_numbers = library.plait_supports
        self.supports_gradient_numbers = library.plait_supports_gradient
        self.threads = library.plait_threads
        self.set_threads = library.plait_set_threads
        self._instruction_set = library.plait_instruction_set
        self._instruction_set.restype = ctypes.c_char_p
        self._set_instruction_set = library.plait_set_instruction_set
        self._set_instruction_set.argtypes = [ctypes.c_char_p]
        version = library.plait_interface_version()
        if version != INTERFACE_VERSION:
            raise ImportError(f"{path} has version {version} of the interface; {INTERFACE_VERSION} is needed")

    def bind(
        self,
        operation: str,
        element: str,
        itemsize: int,
        shape: Sequence[int],
        in_strides: Sequence[int],
        out_strides: Sequence[int],
        reduced: Sequence[int] = (),
    ) -> Callable[[Memory, Memory], None]:
        """Return the function of the memory of a source and of a result that computes a task.

        The arguments are those of `Task.create`. The function raises `MemoryError` if scratch memory cannot be
        allocated, and `ValueError` if the C library refuses its arguments.
        """
        task = Task.create(operation, element, itemsize, shape, in_strides, out_strides, reduced)
        run, reference = self.run, ctypes.byref(task)

        def run_task(source: Memory, result: Memory) -> None:
            status = run(reference, ctypes.byref(Array(*source)), ctypes.byref(Array(*result)))
            if status:
                raise_error_of_status(status)

        return run_task

    def bind_gradient(
        self,
        operation: str,
        element: str,
        shape: Sequence[int],
        source_strides: Sequence[int],
        result_strides: Sequence[int],
        result_gradient_strides: Sequence[int],
        strides: Sequence[int],
        reduced: Sequence[int],
    ) -> Callable[[Memory, Memory, Memory, Memory], None]:
        """Return the function that computes the gradient of a reduction.

        Its arguments are the memory of the source, of the result, of the gradient of the result, and of the gradient of
        the source, which it fills. The arguments of this method are those of `GradientTask.create`. The function raises
        the errors of `bind`.
        """
        task = GradientTask.create(
            operation, element, shape, source_strides, result_strides, result_gradient_strides, strides, reduced
        )
        run, reference = self.run_gradient, ctypes.byref(task)

        def run_task(source: Memory, result: Memory, result_gradient: Memory, gradient: Memory) -> None:
            status = run(
                reference,
                ctypes.byref(Array(*source)),
                ctypes.byref(Array(*result)),
                ctypes.byref(Array(*result_gradient)),
                ctypes.byref(Array(*gradient)),
            )
            if status:
                raise_error_of_status(status)

        return run_task

    def supports_gradient(self, operation: str, element: str) -> bool:
        """Return whether there is a kernel for the gradient of an operation on an element type, by their names."""
        return self.supports_gradient_numbers(OPERATIONS[operation], ELEMENTS[element]) == 0

    def supports(self, operation: str, element: str) -> bool:
        """Return whether there is a kernel for an operation on an element type, by their names."""
        return self.supports_numbers(OPERATIONS[operation], ELEMENTS[element]) == 0

    def instruction_set(self) -> str:
        """Return the name of the instruction set in use: ``baseline``, ``avx2`` or ``avx512``."""
        return self._instruction_set().decode()

    def set_instruction_set(self, name: str) -> bool:
        """Select an instruction set, for tests; return whether the CPU has it."""
        return self._set_instruction_set(name.encode()) == 0


def raise_error_of_status(status: int) -> NoReturn:
    """Raise the error of a status that is not 0."""
    raise (MemoryError if status == NO_MEMORY else ValueError)(STATUS_TEXTS[status])


def library_path() -> Path:
    """Return the path of the library, which lies beside this file."""
    name = {"win32": "libplait_kernels.dll", "darwin": "libplait_kernels.dylib"}.get(
        sys.platform, "libplait_kernels.so"
    )
    return Path(__file__).with_name(name)


@lru_cache(maxsize=1)
def load() -> Library:
    """Load the library; later calls return the same object.

    Raises:
        OSError: if the library is missing or does not fit the platform.
        ImportError: if its interface has another version.
    """
    return Library(library_path())
