"""What ``plait tour`` does: runs the steps, tells the terminal, writes the page with the template beside this file."""

from __future__ import annotations

import os
import platform
import sys
from bisect import bisect
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import jinja2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text
from rich.theme import Theme

import plait
from plait._tour.pictures import MARK, PHOTOGRAPHERS, photographs, png
from plait._tour.runner import Done, run
from plait._tour.steps import STEPS

_HEAD = 4096
"""The mark is within this many bytes from the start of a file."""

_AXES = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_cyan")
_STYLES = {"plain": "none", "function": "bold", "text": "dim", **{f"axis-{i}": axis for i, axis in enumerate(_AXES)}}
"""How the terminal shows each kind of `Part`."""


class OutputError(Exception):
    """The folder cannot be written, or holds a file that is not the tour's."""


def tour(output: str) -> None:
    """Run the tour: lines to the standard output, a page and pictures to a folder, which is made if it is not there.

    An `OutputError` comes before anything runs, unless the disk fills up.
    """
    folder = Path(output)
    index = folder / "index.html"
    paths = {picture.name: folder / "pictures" / f"{picture.name}.png" for step in STEPS for picture in step.after}
    _prepare(folder, [index, *paths.values()])
    out = Console(theme=Theme(_STYLES), highlight=False, markup=False, emoji=False, soft_wrap=True)
    out.print(Text("plait tour", style="bold"), Text("every operation on two photographs", style="dim"))
    done: list[Done] = []
    files: dict[Path, bytes] = {}
    console = Console(stderr=True)
    silent = not console.is_terminal or bool(os.environ.get("CI"))
    columns = SpinnerColumn(), BarColumn(), TextColumn("{task.description}")
    shared = sys.stdout.isatty()  # then the lines must go around the bar; a pipe must get them untouched
    with Progress(*columns, console=console, transient=True, disable=silent, redirect_stdout=shared) as progress:
        task = progress.add_task("reading the photographs", total=len(STEPS))
        results = run(STEPS, photographs())
        for number, step in enumerate(STEPS):
            progress.update(task, description=step.title, completed=number)
            each = next(results)
            _report(out, number, each)
            done.append(each)
            files.update({paths[name]: png(image) for name, image in each.drawn.items()})
    try:
        size = sum(path.write_bytes(content) for path, content in {**files, index: page(done).encode()}.items())
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    out.print(f"\nWrote {index} and {len(files)} pictures ({size / 1e6:.1f} MB).\n")
    out.print("  Look at it ", index.resolve().as_uri())
    out.print('  See a plan  plait explain "b (h p) c -> b h (c p)" 2,6,4 p=2')
    out.print("  Read more   README.md, then docs/notation.md")


def _prepare(folder: Path, targets: Sequence[Path]) -> None:
    """Make the folder, and refuse one that holds a file of the same name that the tour did not write."""
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        strange = [target for target in targets if target.exists() and not _is_ours(target)]
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if strange:
        raise OutputError(f"{strange[0]} is not a file of the tour, and stays; choose another folder with --output")
    if not all(os.access(each, os.W_OK) for each in (folder, folder / "pictures")):
        raise OutputError(f"cannot write to {folder}: Permission denied")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)


def _report(out: Console, number: int, done: Done) -> None:
    """One step: its title, and for each call the code, the shapes and the times."""
    out.print(f"\n{number:>2}  {done.step.title}", style="bold")
    for ran in done.ran:
        out.print(Text("    ").append_tokens((part.text, part.kind) for part in ran.call.parts()))
        shapes = " -> ".join([text for text in (ran.inputs, "refused" if ran.error else ran.output) if text])
        again = "" if ran.again is None else f"   again {milliseconds(ran.again):>10}"
        out.print(f"        {shapes:<62} first {milliseconds(ran.first):>10}{again}", style="dim")
        for text in ran.error.splitlines():
            out.print(f"        {text}", style="red")
    for proof in done.step.proves:
        out.print(f"    {proof}: yes", style="green")


def milliseconds(seconds: float) -> str:
    """A time in three places at least, so that columns of them compare.

    >>> milliseconds(0.0000042), milliseconds(0.1234)
    ('0.0042 ms', '123 ms')
    """
    value = seconds * 1000
    return f"{value:.{4 - bisect((0.1, 1, 10, 100), value)}f} ms"


def page(done: Sequence[Done]) -> str:
    """The page as HTML: one file, which asks for the pictures beside it and for nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("plait._tour", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ms"] = milliseconds
    chapters = groupby(enumerate(done), key=lambda numbered: numbered[1].step.chapter)
    template = environment.get_template("page.html.j2")
    return template.render(
        mark=MARK,
        chapters=[{"title": title, "steps": list(steps)} for title, steps in chapters],
        pictures={picture.name: picture for each in done for picture in each.step.after},
        drawn={name: image for each in done for name, image in each.drawn.items()},
        photographers=PHOTOGRAPHERS,
        versions=f"plait {plait.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        calls=sum(len(each.ran) for each in done),
    )
