"""The command ``plait tour``: runs the steps, prints them to the terminal, and writes an HTML page with pictures."""

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
from plait._tour.pictures import FILE_MARK, PHOTOGRAPHER_BY_PHOTOGRAPH, encode_png, load_photographs
from plait._tour.runner import StepResult, run_steps
from plait._tour.steps import STEPS

_MAX_BYTES_SEARCHED_FOR_MARK = 4096
"""How many bytes at the start of a file are searched for the mark of the tour."""

_TERMINAL_AXIS_COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_cyan")
"""The terminal colour of each axis of a pattern, in the order of the axes."""
_TERMINAL_STYLES = {
    "plain": "none",
    "function": "bold",
    "text": "dim",
    **{f"axis-{i}": axis for i, axis in enumerate(_TERMINAL_AXIS_COLOURS)},
}
"""The style of each kind of `plait._tour.runner.CodePart` in the terminal."""


class OutputError(Exception):
    """The output folder cannot be written, or contains a file that the tour did not write."""


def run_tour(output: str) -> None:
    """Run the tour: print its lines, and write a page and pictures to the folder ``output``, which is created.

    Raise `OutputError` if the folder cannot be used; before anything runs, its files and permissions are checked.
    """
    folder = Path(output)
    index = folder / "index.html"
    paths = {picture.name: folder / "pictures" / f"{picture.name}.png" for step in STEPS for picture in step.after}
    _prepare_folder(folder, [index, *paths.values()])
    out = Console(theme=Theme(_TERMINAL_STYLES), highlight=False, markup=False, emoji=False, soft_wrap=True)
    out.print(Text("plait tour", style="bold"), Text("every operation on two photographs", style="dim"))
    step_results: list[StepResult] = []
    files: dict[Path, bytes] = {}
    console = Console(stderr=True)
    silent = not console.is_terminal or bool(os.environ.get("CI"))
    columns = SpinnerColumn(), BarColumn(), TextColumn("{task.description}")
    shared = sys.stdout.isatty()  # a terminal shows both lines and progress bar; a pipe gets the lines unchanged
    with Progress(*columns, console=console, transient=True, disable=silent, redirect_stdout=shared) as progress:
        task = progress.add_task("reading the photographs", total=len(STEPS))
        runs = run_steps(STEPS, load_photographs())
        for number, step in enumerate(STEPS):
            progress.update(task, description=step.title, completed=number)
            result = next(runs)
            _print_step(out, number, result)
            step_results.append(result)
            files.update({paths[name]: encode_png(image) for name, image in result.images.items()})
    try:
        size = sum(
            path.write_bytes(content) for path, content in {**files, index: render_page(step_results).encode()}.items()
        )
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    out.print(f"\nWrote {index} and {len(files)} pictures ({size / 1e6:.1f} MB).\n")
    out.print("  Look at it ", index.resolve().as_uri())
    out.print('  See a plan  plait explain "b (h p) c -> b h (c p)" 2,6,4 p=2')
    out.print("  Read more   README.md, then docs/notation.md")


def _prepare_folder(folder: Path, targets: Sequence[Path]) -> None:
    """Create the folder; raise `OutputError` if one of the target files exists and the tour did not write it."""
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        foreign = [target for target in targets if target.exists() and not _is_tour_file(target)]
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if foreign:
        raise OutputError(f"{foreign[0]} was not written by the tour; choose another folder with --output")
    if not all(os.access(each, os.W_OK) for each in (folder, folder / "pictures")):
        raise OutputError(f"cannot write to {folder}: Permission denied")


def _is_tour_file(path: Path) -> bool:
    """Whether the tour wrote this file."""
    with path.open("rb") as file:
        return FILE_MARK.encode() in file.read(_MAX_BYTES_SEARCHED_FOR_MARK)


def _print_step(out: Console, number: int, result: StepResult) -> None:
    """Print one step: its title, and for each call the code, the shapes and the times."""
    out.print(f"\n{number:>2}  {result.step.title}", style="bold")
    for call_result in result.call_results:
        out.print(Text("    ").append_tokens((part.text, part.kind) for part in call_result.call.parts()))
        shapes = " -> ".join(
            [text for text in (call_result.inputs, "refused" if call_result.error else call_result.output) if text]
        )
        again = (
            ""
            if call_result.repeated_seconds is None
            else f"   again {format_milliseconds(call_result.repeated_seconds):>10}"
        )
        out.print(
            f"        {shapes:<62} first {format_milliseconds(call_result.first_seconds):>10}{again}", style="dim"
        )
        for text in call_result.error.splitlines():
            out.print(f"        {text}", style="red")
    for name in result.step.true_results:
        out.print(f"    {name}: yes", style="green")


def format_milliseconds(seconds: float) -> str:
    """Return a time in milliseconds as text, with three significant digits from 0.1 ms on.

    >>> format_milliseconds(0.0000042), format_milliseconds(0.1234)
    ('0.0042 ms', '123 ms')
    """
    value = seconds * 1000
    return f"{value:.{4 - bisect((0.1, 1, 10, 100), value)}f} ms"


def render_page(step_results: Sequence[StepResult]) -> str:
    """Return the HTML of the page: one file, which loads only the pictures in its folder."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("plait._tour", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ms"] = format_milliseconds
    chapters = groupby(enumerate(step_results), key=lambda numbered: numbered[1].step.chapter)
    template = environment.get_template("page.html.j2")
    return template.render(
        mark=FILE_MARK,
        chapters=[{"title": title, "steps": list(steps)} for title, steps in chapters],
        pictures={picture.name: picture for each in step_results for picture in each.step.after},
        images={name: image for each in step_results for name, image in each.images.items()},
        photographers=PHOTOGRAPHER_BY_PHOTOGRAPH,
        versions=f"plait {plait.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        calls=sum(len(each.call_results) for each in step_results),
    )
