"""What ``plait tour`` does: runs the steps, tells the terminal, writes the page with the template beside this file."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import jinja2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

import plait
from plait._tour.pictures import MARK, PHOTOGRAPHERS, photographs
from plait._tour.runner import Done, Part, Ran, run
from plait._tour.steps import STEPS

_HEAD = 4096
"""The mark is within this many bytes from the start of a file."""

_PIXELATED = 200
"""Pictures narrower than this many pixels are shown enlarged, with hard edges."""

_WIDE = 1000
"""Pictures of at least this many pixels take a whole row."""

_AXES = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_cyan")


class OutputError(Exception):
    """The folder cannot be written, or holds a file that is not the tour's."""


def tour(output: str) -> None:
    """Run the tour: lines to the standard output, a page and pictures to a folder, which is made if it is not there.

    An `OutputError` comes before anything runs, unless the disk fills up.
    """
    folder = Path(output)
    _prepare(folder)
    out = Console(highlight=False)
    out.print(Text("plait tour", style="bold"), Text("every operation on two photographs", style="dim"))
    done: list[Done] = []
    for each in _with_progress():
        _report(out, len(done), each)
        done.append(each)
    index = folder / "index.html"
    contents = {_picture(folder, name): drawn.file for each in done for name, drawn in each.drawn.items()}
    try:
        size = sum(path.write_bytes(content) for path, content in {**contents, index: page(done).encode()}.items())
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    out.print()
    out.print(Text(f"Wrote {index} and {len(contents)} pictures ({size / 1e6:.1f} MB)."), soft_wrap=True)
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
        strange = [target for target in targets if target.exists() and not _is_ours(target)]
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if strange:
        raise OutputError(f"{strange[0]} is not a file of the tour, and stays; choose another folder with --output")
    if not all(os.access(each, os.W_OK) for each in (folder, folder / "pictures")):
        raise OutputError(f"cannot write to {folder}: Permission denied")


def _picture(folder: Path, name: str) -> Path:
    return folder / "pictures" / f"{name}.png"


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)


def _with_progress() -> Iterator[Done]:
    """The steps that have run, with a bar on the standard error where that is a terminal."""
    console = Console(stderr=True)
    silent = not console.is_terminal or bool(os.environ.get("CI"))
    columns = SpinnerColumn(), BarColumn(), TextColumn("{task.description}")
    shared = sys.stdout.isatty()  # then the lines must go around the bar; a pipe must get them untouched
    with Progress(*columns, console=console, transient=True, disable=silent, redirect_stdout=shared) as progress:
        task = progress.add_task("reading the photographs", total=len(STEPS))
        results = run(STEPS, photographs())
        for step in STEPS:
            progress.update(task, description=step.title)
            yield next(results)
            progress.advance(task)


def _report(out: Console, number: int, done: Done) -> None:
    """One step: its title, and for each call the code, the shapes and the times."""
    out.print()
    out.print(Text(f"{number:>2}  {done.step.title}", style="bold"))
    for ran in done.ran:
        line = Text("    ").append_tokens((part.text, _style(part)) for part in ran.call.parts())
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


def milliseconds(seconds: float) -> str:
    """A time in three places at least, so that columns of them compare.

    >>> milliseconds(0.0000042), milliseconds(0.1234)
    ('0.0042 ms', '123 ms')
    """
    value = seconds * 1000
    for limit, form in ((0.1, ".4f"), (1, ".3f"), (10, ".2f"), (100, ".1f")):
        if value < limit:
            return f"{value:{form}} ms"
    return f"{value:.0f} ms"


def page(done: Sequence[Done]) -> str:
    """The page as HTML: one file, which asks for the pictures beside it and for nothing else."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["ms"] = milliseconds
    chapters = groupby(enumerate(done), key=lambda numbered: numbered[1].step.chapter)
    template = environment.from_string(files("plait._tour").joinpath("page.html.j2").read_text("utf-8"))
    return template.render(
        mark=MARK,
        chapters=[{"title": title, "steps": list(steps)} for title, steps in chapters],
        pictures={picture.name: picture for each in done for picture in each.step.after},
        drawn={name: drawn for each in done for name, drawn in each.drawn.items()},
        pixelated=_PIXELATED,
        wide=_WIDE,
        photographers=PHOTOGRAPHERS,
        versions=f"plait {plait.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        calls=sum(len(each.ran) for each in done),
    )
