"""`plait.options`: how einsums are contracted inside a ``with`` block, by a context variable that is part of a key."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Token
    from types import TracebackType
    from typing import Any

    from plait._executor.einsum_options import EinsumOptions

    Contract = str | Sequence[Sequence[int]] | Callable[..., Any]

CURRENT_OPTIONS: ContextVar[EinsumOptions | None] = ContextVar("plait.options", default=None)
"""The options that hold now; ``None`` outside any block."""


class _Unchanged:
    """An option that is not given."""

    def __repr__(self) -> str:
        return "..."


UNCHANGED: Any = _Unchanged()


class options:  # noqa: N801  # it reads as a function, as in `with plait.options(strict=True)`
    """Ask something of every `einsum` inside a ``with`` block; what is not given stays as it is outside.

    The options hold for the thread and the asynchronous task that entered the block, and for those it starts from a
    copy of its context, as ``asyncio`` does. A compiler such as ``torch.compile`` sees those that hold while it traces.

    Args:
        contract: in which order three tensors and more are multiplied: ``"auto"``; ``"greedy"``; ``"optimal"``, the
            fewest operations; another name that opt_einsum knows, such as ``"dp"``; ``"cotengra"``; a path, as
            ``numpy.einsum_path`` and opt_einsum give it; or a function that finds one, as opt_einsum's optimizers do.
        memory_limit: the most elements that an intermediate result may have; ``None`` for no limit. What no order of
            pairs keeps below it is contracted at once.
        strict: whether an axis that only one tensor has, and the result has not, is an error: without it, it is summed.

    Raises:
        AxisError: there is no such way to find a path, or the path does not fit.
        SizeError: the limit is no exact integer.

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
        plait.AxisError: [PLT204] j stands once, on the left only, and would be summed, which strict=True does not allow
          i j -> i
            ^
          input: 2 30
    """

    __slots__ = ("_given", "_tokens")

    def __init__(
        self, *, contract: Contract = UNCHANGED, memory_limit: int | None = UNCHANGED, strict: bool = UNCHANGED
    ) -> None:
        from plait._executor.einsum_options import check_options

        given = {"contract": contract, "memory_limit": memory_limit, "strict": strict}
        self._given = check_options({name: value for name, value in given.items() if value is not UNCHANGED})
        self._tokens: list[Token[EinsumOptions | None]] = []

    def __enter__(self) -> options:  # noqa: PYI034  # typing's Self is newer than Python 3.10
        from plait._executor.einsum_options import DEFAULT_OPTIONS

        chosen = (CURRENT_OPTIONS.get() or DEFAULT_OPTIONS)._replace(**self._given)
        self._tokens.append(CURRENT_OPTIONS.set(None if chosen == DEFAULT_OPTIONS else chosen))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        CURRENT_OPTIONS.reset(self._tokens.pop())

    def __repr__(self) -> str:
        return f"plait.options({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"


def with_backend_kwargs(options: EinsumOptions | None, **kwargs: Any) -> EinsumOptions | None:
    """The options of one call: those that hold, and arguments of the framework's own einsum."""
    given = tuple([(name, value) for name, value in kwargs.items() if value is not None])
    if not given:
        return options
    from plait._executor.einsum_options import DEFAULT_OPTIONS

    return (options or DEFAULT_OPTIONS)._replace(backend_kwargs=given)


def without_out_sharding(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of every contraction but the last, which alone is sharded as the caller says."""
    return {name: value for name, value in kwargs.items() if name != "out_sharding"}
