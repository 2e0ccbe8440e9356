"""The page: what ran, drawn with the template beside this file."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby

import jinja2
import numpy as np

import plait
from plait._tour.photographs import CREDITS
from plait._tour.pictures import MARK
from plait._tour.record import Done

_PIXELATED = 200
"""Pictures narrower than this many pixels are shown enlarged, with hard edges."""

_WIDE = 1000
"""Pictures of at least this many pixels take a whole row."""


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
        credits=CREDITS,
        versions=f"plait {plait.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        calls=sum(len(each.ran) for each in done),
    )
