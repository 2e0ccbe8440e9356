"""What ``plait tour`` does: runs the steps, tells the terminal, writes the page."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from plait._tour.page import milliseconds, page
from plait._tour.photographs import photographs
from plait._tour.pictures import MARK
from plait._tour.record import Done, Part, Ran, Step
from plait._tour.runner import run
from plait._tour.steps import STEPS

_HEAD = 4096
"""The mark is within this many bytes from the start of a file."""

_AXES = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_cyan")


class OutputError(Exception):
    """The folder cannot be written, or holds a file that is not the tour's."""


def tour(output: str) -> None:
    """Run the tour: lines to the standard output, a page and pictures to a folder.

    Args:
        output: the folder; made if it is not there.

    Raises:
        OutputError: before anything runs.
    """
    folder = Path(output)
    _prepare(folder)
    out = Console(highlight=False)
    out.print(Text("plait tour", style="bold"), Text("every operation on two photographs", style="dim"))
    done = []
    for each in _with_progress(STEPS):
        done.append(each)
        _report(out, len(done) - 1, each)
    size = _write(folder, done)
    _goodbye(out, folder, sum(len(each.drawn) for each in done), size)


def _with_progress(steps: Sequence[Step]) -> Iterator[Done]:
    console = Console(stderr=True)
    silent = not console.is_terminal or bool(os.environ.get("CI"))
    columns = SpinnerColumn(), BarColumn(), TextColumn("{task.description}")
    shared = sys.stdout.isatty()  # then the lines must go around the bar; a pipe must get them untouched
    with Progress(*columns, console=console, transient=True, disable=silent, redirect_stdout=shared) as progress:
        task = progress.add_task("reading the photographs", total=len(steps))
        results = run(steps, photographs())
        for step in steps:
            progress.update(task, description=step.title)
            yield next(results)
            progress.advance(task)


def _report(out: Console, number: int, done: Done) -> None:
    """One step: its title, and for each call the code, the shapes and the times."""
    out.print()
    out.print(Text(f"{number:>2}  {done.step.title}", style="bold"))
    for ran in done.ran:
        line = Text("    ")
        for part in ran.call.parts():
            line.append(part.text, style=_style(part))
        out.print(line, soft_wrap=True)
        out.print(Text(f"        {_numbers(ran)}".rstrip(), style="dim"), soft_wrap=True)
        for text in ran.error.splitlines():
            out.print(Text(f"        {text}", style="red"), soft_wrap=True)
    for proof in done.step.proves:
        out.print(Text(f"    {proof}: yes", style="green"))


def _style(part: Part) -> str:
    if part.kind.startswith("axis"):
        return _AXES[int(part.kind.split()[1]) % len(_AXES)]
    return {"function": "bold", "text": "dim"}.get(part.kind, "")


def _numbers(ran: Ran) -> str:
    shapes = " -> ".join(text for text in (ran.inputs, "refused" if ran.error else ran.output) if text)
    again = "" if ran.again is None else f"   again {milliseconds(ran.again):>10}"
    return f"{shapes:<62} first {milliseconds(ran.first):>10}{again}"


def _goodbye(out: Console, folder: Path, pictures: int, size: int) -> None:
    index = folder / "index.html"
    out.print()
    out.print(Text(f"Wrote {index} and {pictures} pictures ({size / 1e6:.1f} MB)."), soft_wrap=True)
    out.print()
    for label, text in (
        ("Look at it", index.resolve().as_uri()),
        ("See a plan", 'plait explain "b (h p) c -> b h (c p)" 2,6,4 p=2'),
        ("Read more", "README.md, then docs/notation.md"),
    ):
        out.print(Text(f"  {label:<11} {text}"), soft_wrap=True)


def _prepare(folder: Path) -> None:
    """Make the folder, and refuse one that holds a file of the same name that the tour did not write."""
    targets = [folder / "index.html", *(_picture(folder, picture.name) for step in STEPS for picture in step.after)]
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        strange = [target for target in targets if target.exists() and not _ours(target)]
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if strange:
        raise OutputError(f"{strange[0]} is not a file of the tour, and stays; choose another folder with --output")
    if not all(os.access(each, os.W_OK) for each in (folder, folder / "pictures")):
        raise OutputError(f"cannot write to {folder}: Permission denied")


def _picture(folder: Path, name: str) -> Path:
    return folder / "pictures" / f"{name}.png"


def _ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)


def _write(folder: Path, done: Sequence[Done]) -> int:
    """Write the pictures, then the page that shows them; return how many bytes that made."""
    contents = {_picture(folder, name): drawn.file for each in done for name, drawn in each.drawn.items()}
    contents[folder / "index.html"] = page(done).encode()
    try:
        return sum(path.write_bytes(content) for path, content in contents.items())
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
