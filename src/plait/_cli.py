"""The command line interface: ``plait tour`` and ``plait explain``.

The exit code is 0 for success, 2 for invalid arguments (an option, a shape or a pattern), and 1 for any other error (a
missing package, or a folder that cannot be written).
"""

from __future__ import annotations

import argparse
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence

import plait
from plait.errors import PlaitError

_TOUR_USAGE_EXAMPLE = """\
  plait tour                                        every operation on two photographs, and a page to look at
"""
"""The example of ``plait tour`` in the help text."""

_EXPLAIN_USAGE_EXAMPLES = """\
  plait explain "h w c -> c h w" 480,640,3          the plan of a pattern for a tensor of that shape
  plait explain "b (h p) c -> b h (c p)" 2x6x4 p=2
  plait explain "b i d, b j d -> b i j" 8,128,64 8,256,64
"""
"""The examples of ``plait explain`` in the help text."""

_SHAPE_REGEX = re.compile(r"\(\)|[0-9]+([,x][0-9]+)*,?")
"""Matches a shape on the command line: ``2,3,4``, ``2x3x4`` or ``()``."""
_SIZE_REGEX = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<size>-?[0-9]+)")
"""Matches the size of an axis on the command line: ``p=16``."""
_MAX_DIGITS = 18
"""The most digits of a length or size on the command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with the given command-line arguments, or with those of the process, and return the exit code.

    >>> main(["explain", "h w -> w h", "2,3"])
    rearrange  h w -> w h
      input     2 3   h w
      permute   3 2   w h   view
      output    3 2   w h
    0
    """
    words = sys.argv[1:] if arguments is None else arguments
    # argparse would mistake a pattern such as "->h" for an option; leading white space does not change a pattern
    options = _build_parser().parse_args([f" {word}" if word.startswith("->") else word for word in words])
    return options.run(options)


def _build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with one subparser for each command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="plait",
        description="One readable notation for tensor operations, on every array framework.",
        epilog=f"examples:\n{_TOUR_USAGE_EXAMPLE}{_EXPLAIN_USAGE_EXAMPLES}",
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"plait {plait.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    tour_parser = commands.add_parser(
        "tour",
        help="run every operation on two photographs, and write a page that shows it",
        description="Runs plait's operations on two photographs, prints the shapes of all tensors, and writes a page.",
    )
    tour_parser.add_argument(
        "-o", "--output", default="plait-tour", metavar="DIR", help="the folder to write (default: plait-tour)"
    )
    tour_parser.set_defaults(run=_run_tour)

    explain_parser = commands.add_parser(
        "explain",
        help="print the plan of a pattern for given shapes",
        description="Prints the steps that plait takes for a pattern, and which of them copy. Computes nothing.",
        epilog=f"examples:\n{_EXPLAIN_USAGE_EXAMPLES}",
        formatter_class=raw,
    )
    explain_parser.add_argument("pattern", metavar="PATTERN", help='what goes in and what comes out: "h w c -> c h w"')
    explain_parser.add_argument(
        "operands",
        nargs="*",
        metavar="SHAPE|NAME=N",
        help="the shape of each tensor, as 2,3,4 or 2x3x4, and () for a scalar; the sizes of axes, as p=16",
    )
    explain_parser.set_defaults(run=_run_explain)
    return parser


def _run_tour(options: argparse.Namespace) -> int:
    """Run ``plait tour`` and return the exit code."""
    from plait._tour import missing_packages

    missing = missing_packages()
    if missing:
        print(f'plait tour needs {", ".join(missing)}: pip install "plait[tour]"', file=sys.stderr)
        return 1
    from plait._tour.command import OutputError, run_tour

    try:
        run_tour(options.output)
    except OutputError as error:
        print(f"plait tour: {error}", file=sys.stderr)
        return 1
    return 0


def _run_explain(options: argparse.Namespace) -> int:
    """Run ``plait explain`` and return the exit code."""
    try:
        shapes, sizes = parse_shapes_and_sizes(options.operands)
        print(plait.explain(options.pattern, *shapes, **sizes))
    except ArgumentTypeError as error:
        print(f"plait explain: {error}", file=sys.stderr)
        return 2
    except PlaitError as error:
        text = str(error).removeprefix(f"[{error.code}] ")
        print(f"plait.{type(error).__name__} [{error.code}]: {text}", file=sys.stderr)
        return 2
    return 0


def parse_shapes_and_sizes(words: Sequence[str]) -> tuple[list[tuple[int, ...]], dict[str, int]]:
    """Return the shapes and the sizes among the words of a command line; raise `ArgumentTypeError` for any other word.

    >>> parse_shapes_and_sizes(["2,3,4", "()", "p=16"])
    ([(2, 3, 4), ()], {'p': 16})
    """
    shapes: list[tuple[int, ...]] = []
    sizes: dict[str, int] = {}
    for word in words:
        numbers = re.findall("[0-9]+", word)
        size = _SIZE_REGEX.fullmatch(word)
        if any(len(number) > _MAX_DIGITS for number in numbers):
            raise ArgumentTypeError(f"{word[:40]!r} contains a length that is too large for a tensor")
        if size and size["name"] in sizes:
            raise ArgumentTypeError(f"the size {size['name']} is given twice")
        if size:
            sizes[size["name"]] = int(size["size"])
        elif _SHAPE_REGEX.fullmatch(word):
            shapes.append(tuple([int(number) for number in numbers]))
        elif "=" in word:
            raise ArgumentTypeError(f"{word!r} is not a size; write NAME=N with an integer, as in p=16")
        else:
            raise ArgumentTypeError(f"{word!r} is not a shape; write 2,3,4 or 2x3x4, or () for a scalar")
    return shapes, sizes
