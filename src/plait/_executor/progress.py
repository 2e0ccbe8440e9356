"""The progress of a contraction that is computed in blocks, shown as a bar, or reported to a function of the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from plait.errors import make_error, short_repr

ProgressOption: TypeAlias = "bool | Callable[[int, int], Any]"
"""Whether to show a bar, or a function ``f(done, total)`` that is called after each block."""


def check_progress_option(progress: Any) -> ProgressOption:
    """Return the option ``progress``; raise PLT511 if a bar is wanted, and the package that draws it is missing."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        message = (
            f"progress must be True, False, or a function of the blocks done and all blocks, not {short_repr(progress)}"
        )
        raise make_error("PLT214", message)
    if progress:
        try:
            import rich.progress  # noqa: F401  # to see whether it is there
        except ImportError as error:
            raise make_error("PLT511", "progress=True needs rich: pip install 'plait[progress]'") from error
    return progress


def report_progress(blocks: Iterable[Any], total: int, progress: ProgressOption) -> Iterator[Any]:
    """Yield the blocks; after each one the caller's function is called, or the bar moves on."""
    if progress is False:
        yield from blocks
    elif progress is True:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as bar:
            yield from bar.track(blocks, total=total, description="einsum")
    else:
        for done, block in enumerate(blocks, 1):
            yield block
            progress(done, total)
