"""Compiled kernels of the package ``plait-kernels``: copies and reductions in one pass over memory, on several threads.

A backend describes its tensors by `KernelFunctions`; `build_kernel` returns the `Kernel` of one copy or reduction, and
`build_gradient_kernel` that of the gradient of a reduction. The library is loaded when the first large tensor arrives,
and never compiles anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from plait._caches import clearable_lru_cache
from plait.backends.costs import KernelCosts

TensorMemory: TypeAlias = "tuple[int, int, int]"
"""The address of a tensor's first element, and the addresses between which its memory lies."""

StepFunction: TypeAlias = Callable[[Any, Any], Any]
"""``f(tensor, argument)`` executes a step of a plan."""

KERNEL_REDUCTIONS = frozenset({"min", "max", "sum", "mean", "prod", "any", "all", "var", "std", "logsumexp"})
"""The reductions that have kernels."""

MAX_KERNEL_RANK = 64
"""The most dimensions of a tensor that a kernel reads, as in ``plait_kernels.MAX_RANK``."""


_COSTS_OF_COMPENSATED_SUMS = KernelCosts(element=0.5)
_COSTS_OF_EXTREMA = KernelCosts(element=0.06)


def reduction_costs(reduction: str, element: str | None) -> KernelCosts:
    """Return the costs of a reduction of an element type; sums in double precision add up rounding errors as well."""
    if reduction in {"sum", "mean"} and element in {"float64", "complex128"}:
        return _COSTS_OF_COMPENSATED_SUMS
    return _COSTS_OF_EXTREMA if reduction in {"min", "max"} else KernelCosts()


class KernelFunctions(NamedTuple):
    """What kernels need to know of the tensors of one framework.

    Attributes:
        element_name: ``f(dtype)`` returns the name of an element type in ``plait_kernels.ELEMENTS``, or ``None``.
        memory: ``f(tensor)`` returns the address of its first element, and those between which its memory lies.
        allocate: ``f(tensor, shape, reduction)`` allocates memory for the result of a reduction, or of a copy if the
            reduction is ``None``.
        result_itemsize: ``f(dtype, reduction)`` returns the bytes of an element of that result.
        to_result: ``f(tensor)`` converts a result of rank 0 to what the framework's own reduction returns.
        why_no_kernel: ``f(tensor)`` returns why no kernel may read the memory of a tensor, or ``None`` if one may.
        record_copy: ``f(call)`` wraps the function of a copy so that its gradient is recorded; ``None`` if none can be.
        record_reduction: ``f(reduction, dtype, axes, call)`` wraps the function of a reduction along some dimensions so
            that its gradient is recorded, which kernels compute too; it returns ``None`` if they cannot.
        min_elements: the number of elements from which a kernel is faster.
        costs: ``f(reduction, element_name)`` returns the costs of a reduction.
        min_elements_with_gradient: ``f(reduction, row)`` returns the number from which it is faster if the gradient of
            a reduction is recorded, and the reduction has no schedule. ``row`` is the number of neighbouring elements
            that are reduced to one.
    """

    element_name: Callable[[Any], str | None]
    memory: Callable[[Any], TensorMemory]
    allocate: Callable[[Any, tuple[int, ...], str | None], Any]
    result_itemsize: Callable[[Any, str | None], int]
    to_result: Callable[[Any], Any] = lambda tensor: tensor
    why_no_kernel: Callable[[Any], str | None] = lambda _: None
    record_copy: Callable[[StepFunction], StepFunction] | None = None
    record_reduction: Callable[[str, Any, tuple[int, ...], StepFunction], StepFunction | None] | None = None
    min_elements: int = 1 << 15
    costs: Callable[[str, str | None], KernelCosts] = reduction_costs
    min_elements_with_gradient: Callable[[str, int], int] = lambda *_: 1 << 16


class Kernel:
    """Fills memory with the copy or the reduction of a tensor; it may be called for any tensor of the same layout."""

    __slots__ = ("_memory", "_run")

    def __init__(
        self, run: Callable[[TensorMemory, TensorMemory], None], memory: Callable[[Any], TensorMemory]
    ) -> None:
        self._run, self._memory = run, memory

    def __call__(self, source: Any, result: Any) -> None:
        """Fill ``result``, which has the strides for which the kernel was built.

        Raises:
            MemoryError: if scratch memory cannot be allocated.
        """
        self._run(self._memory(source), self._memory(result))


class GradientKernel:
    """Fills memory with the gradient of a reduction; it may be called for any tensors of the same layouts."""

    __slots__ = ("_memory", "_run")

    def __init__(
        self,
        run: Callable[[TensorMemory, TensorMemory, TensorMemory, TensorMemory], None],
        memory: Callable[[Any], TensorMemory],
    ) -> None:
        self._run, self._memory = run, memory

    def __call__(self, source: Any, result: Any, result_gradient: Any, gradient: Any) -> None:
        """Fill ``gradient``. The source and the result may be any tensor if the reduction does not need them.

        Raises:
            MemoryError: if scratch memory cannot be allocated.
        """
        memory = self._memory
        self._run(memory(source), memory(result), memory(result_gradient), memory(gradient))


def build_gradient_kernel(
    reduction: str,
    element: str,
    shape: Sequence[int],
    strides: Sequence[Sequence[int]],
    reduced: Sequence[int],
    memory: Callable[[Any], TensorMemory],
) -> GradientKernel:
    """Return the kernel of the gradient of a reduction, for which `has_gradient_kernel` is true.

    Args:
        reduction: the name of the reduction.
        element: the name of the element type.
        shape: the shape of the source, which has elements and at most `MAX_KERNEL_RANK` dimensions.
        strides: the strides of the source, of the result, of the gradient of the result, and of the gradient of the
            source, in bytes; each has as many as the shape.
        reduced: the dimensions that are reduced.
        memory: `KernelFunctions.memory`.
    """
    return GradientKernel(_load_library().bind_gradient(reduction, element, shape, *strides, reduced), memory)


def build_copy_kernel(
    itemsize: int,
    shape: Sequence[int],
    strides: Sequence[int],
    out_strides: Sequence[int],
    memory: Callable[[Any], TensorMemory],
) -> Kernel:
    """Return the kernel of a copy between two layouts of one shape, where kernels are available.

    The arguments are those of `build_kernel`.
    """
    return Kernel(_load_library().bind("copy", "bool", itemsize, shape, strides, out_strides), memory)


def has_gradient_kernel(reduction: str, element: str | None) -> bool:
    """Return whether there is a kernel for the gradient of a reduction of an element type."""
    if why_unavailable() is not None or element is None or reduction not in KERNEL_REDUCTIONS:
        return False
    found: bool = _load_library().supports_gradient(reduction, element)
    return found


def build_kernel(
    reduction: str | None,
    element: str | None,
    itemsize: int,
    shape: Sequence[int],
    strides: Sequence[int],
    out_strides: Sequence[int],
    reduced: Sequence[int],
    memory: Callable[[Any], TensorMemory],
) -> Kernel | None:
    """Return the kernel of a reduction, or of a copy if ``reduction`` is ``None``; ``None`` if there is no kernel.

    Args:
        reduction: the name of the reduction.
        element: the name of the element type; ``None`` for one that can only be copied.
        itemsize: the size of an element, in bytes.
        shape: the shape of the source.
        strides: the strides of the source, in bytes.
        out_strides: the strides of the result, in bytes, with 0 for the reduced dimensions.
        reduced: the dimensions that are reduced.
        memory: `KernelFunctions.memory`.
    """
    if why_no_kernel(reduction, element) is not None or 0 in shape or len(shape) > MAX_KERNEL_RANK:
        return None
    library = _load_library()
    return Kernel(
        library.bind(reduction or "copy", element or "bool", itemsize, shape, strides, out_strides, reduced), memory
    )


def why_no_kernel(reduction: str | None, element: str | None) -> str | None:
    """Return why there is no kernel for a reduction of an element type, or for a copy; ``None`` if there is one."""
    reason = why_unavailable()
    if reason is not None or reduction is None:
        return reason
    if element is None or reduction not in KERNEL_REDUCTIONS or not _load_library().supports(reduction, element):
        return f"no kernel computes {reduction} of {'this element type' if element is None else element}"
    return None


def why_unavailable() -> str | None:
    """Return why there are no kernels in this process; ``None`` if there are."""
    if os.environ.get("PLAIT_KERNELS", "").lower() in {"off", "0", "no"}:
        return "PLAIT_KERNELS is off"
    library = _load_library()
    return library if isinstance(library, str) else None


@clearable_lru_cache(maxsize=1)
def _load_library() -> Any:
    """Return the library of ``plait_kernels``, or why it cannot be loaded, as a `str`."""
    try:
        import plait_kernels

        return plait_kernels.load()
    except ModuleNotFoundError:
        return 'the package plait-kernels is not installed: pip install "plait[fast]"'
    except (ImportError, OSError) as error:
        return f"the package plait-kernels cannot be loaded: {error}"
