"""The context manager `plait.options`, which keeps the options in a context variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from plait._caches import forget_callables

if TYPE_CHECKING:
    from plait._executor.einsum_options import OptionValues
    from plait._plan.contraction.contraction_plan import ContractionPlan
else:
    ContractionPlan = Any  # for `typing.get_type_hints`, so that `import plait` does not import the class

ContractOption: TypeAlias = "str | float | Sequence[Sequence[int]] | Callable[..., Any] | ContractionPlan"
"""A name, seconds, a contraction path, a function that finds one, or a saved plan; a string, as making the type slows
`import`."""

CURRENT_OPTIONS: ContextVar[OptionValues | None] = ContextVar("plait.options", default=None)
"""The options of the current context; ``None`` outside any ``with`` block."""

_OUTER_OPTIONS: ContextVar[tuple[OptionValues | None, ...]] = ContextVar("plait.outer_options", default=())
"""The options outside of each ``with`` block that the current context is in, the outermost first.

They are not kept in the `options` object, since several threads or tasks may be in blocks of the same object.
"""


_MAX_RANK_USES: list[None] = []
"""Not empty once ``max_rank`` has been used in this process."""


def ranks_may_be_limited() -> bool:
    """Whether callables that are built now have to choose by ``max_rank``; see `plait._executor.rank_limit`."""
    return bool(_MAX_RANK_USES)


class _Unchanged:
    """The type of the default of an option that the caller does not give."""

    def __repr__(self) -> str:
        return "..."


UNCHANGED: Any = _Unchanged()
"""The default of an option that the caller does not give."""


class options:  # noqa: N801  # in lower case, because it is used like a function: `with plait.options(strict=True)`
    """Set options for every call inside a ``with`` block; an option that is not given keeps its outer value.

    The options apply to the thread or asynchronous task that enters the block, and to tasks that start with a copy of
    its context, as those of ``asyncio`` do. A compiler such as ``torch.compile`` uses the options that apply while it
    traces.

    Args:
        contract: the contraction path for three or more operands: ``"auto"``, a search whose time follows the
            estimated time of the contraction; the seconds that a search may take; ``"optimal"``, the path with the
            fewest operations; ``"dp"``, the same without outer products; ``"greedy"``; ``"random-greedy"``; another
            name that opt_einsum knows; ``"cotengra"``; a path in the form of ``numpy.einsum_path`` and opt_einsum;
            a function that finds one, such as the optimizers of opt_einsum and cotengra; or a `ContractionPlan`, for
            the pattern and the shapes that it was made for.
        memory_limit: how many bytes an einsum may allocate beyond its operands, the result included: an integer, or
            text such as ``"1GiB"``; ``None`` for no limit. Axes are sliced and the contraction is made block by block
            where it needs more, on NumPy, PyTorch, JAX and Dask. The operands may then be arrays in files, of h5py or
            zarr.
        strict: whether to raise an error for an axis that one operand alone has and the result lacks, instead of
            summing over it.
        kernels: whether the compiled kernels of the package ``plait-kernels`` compute copies and reductions of large
            tensors, if the package is installed. This option and ``max_rank`` apply to every operation, the others to
            `einsum` alone.
        max_rank: the highest rank of a tensor that any operation plans, at least 3; ``None`` for no limit. Core ML, for
            example, supports 5 dimensions, and ncnn 4. Transposes of more axes are made in several steps, and an
            einsum as products of matrices.
        einsum: ``"matmul"`` for products of matrices and of elements, beside transposes and reshapes, in place of the
            framework's einsum: for a graph that is exported to a runtime without one. ``"auto"`` for the fastest.
        progress: whether to show a bar while an einsum under a ``memory_limit`` is computed in blocks, or a function
            ``f(done, total)`` that is called after each block.

    Raises:
        AxisError: ``contract`` or ``einsum`` is not a known name, or the path does not fit the operands.
        SizeError: ``memory_limit`` is not an exact integer, or text with a unit; ``max_rank`` is not an integer of at
            least 3.

    Examples:
        >>> import numpy as np, plait
        >>> a, b, c = np.ones((2, 30)), np.ones((30, 4)), np.ones((4, 5))
        >>> with plait.options(contract=[(1, 2), (0, 1)]):
        ...     plait.einsum(a, b, c, "i j, j k, k l -> i l").shape
        (2, 5)
        >>> with plait.options(strict=True):
        ...     plait.einsum(a, "i j -> i")
        Traceback (most recent call last):
            ...
        plait.AxisError: [PLT204] axis 'j' would be summed, but appears only once (strict=True)
          i j -> i
            ^
          input: 2 30
    """

    __slots__ = ("_given",)

    def __init__(
        self,
        *,
        contract: ContractOption = UNCHANGED,
        memory_limit: int | str | None = UNCHANGED,
        strict: bool = UNCHANGED,
        kernels: bool = UNCHANGED,
        max_rank: int | None = UNCHANGED,
        einsum: str = UNCHANGED,
        progress: bool | Callable[[int, int], Any] = UNCHANGED,
    ) -> None:
        from plait._executor.einsum_options import normalize_options_by_name

        given = {
            "contract": contract,
            "memory_limit": memory_limit,
            "strict": strict,
            "kernels": kernels,
            "max_rank": max_rank,
            "einsum": einsum,
            "progress": progress,
        }
        self._given = normalize_options_by_name(
            {name: value for name, value in given.items() if value is not UNCHANGED}
        )
        if self._given.get("max_rank") is not None and not _MAX_RANK_USES:
            _MAX_RANK_USES.append(None)  # before the callables are forgotten, so that no thread adds others of them
            forget_callables()

    def __enter__(self) -> options:  # noqa: PYI034  # typing's Self is newer than Python 3.10
        enter_options(lambda options: options._replace(**self._given))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        exit_options()

    def __repr__(self) -> str:
        return f"plait.options({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"


def enter_options(change: Callable[[OptionValues], OptionValues]) -> None:
    """Change the options of the context until `exit_options` is called."""
    from plait._executor.einsum_options import DEFAULT_OPTIONS

    before = CURRENT_OPTIONS.get()
    chosen = change(before or DEFAULT_OPTIONS)
    _OUTER_OPTIONS.set((*_OUTER_OPTIONS.get(), before))
    CURRENT_OPTIONS.set(None if chosen == DEFAULT_OPTIONS else chosen)


def exit_options() -> tuple[OptionValues | None, OptionValues | None]:
    """Restore the options before the last `enter_options`; return those that end, and the restored ones."""
    ended = CURRENT_OPTIONS.get()
    *outer, before = _OUTER_OPTIONS.get()
    _OUTER_OPTIONS.set(tuple(outer))
    CURRENT_OPTIONS.set(before)
    return ended, before


def options_with_backend_kwargs(options: OptionValues | None, **kwargs: Any) -> OptionValues | None:
    """Return the options with arguments for the framework's own einsum added, without those that are ``None``."""
    given = tuple([(name, value) for name, value in kwargs.items() if value is not None])
    if not given:
        return options
    from plait._executor.einsum_options import DEFAULT_OPTIONS

    return (options or DEFAULT_OPTIONS)._replace(backend_kwargs=given)


def kwargs_without_out_sharding(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without ``out_sharding``, which only the last pairwise contraction gets."""
    return {name: value for name, value in kwargs.items() if name != "out_sharding"}
