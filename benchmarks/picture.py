"""The table of `benchmarks.movements` as a picture: a bar for each library and case, on a logarithmic scale, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.movement_standings import Row

WIDTH = 1000
LEFT, RIGHT = 255, 60
"""The margins: of the cases' names, and of the figure at the end of the longest bar."""

TOP, BOTTOM = 118, 46
BAR, GAP, MORE = 11, 12, 10
"""The height of a bar, the space between two cases, and what it is more between two groups."""

FIGURE = 28
"""The width of a figure at the end of a bar."""

HEADING = 30
"""The height of a framework's name, where there are several."""

COLOURS = {"einops": "#b0883a", "by hand": "#7c8794", "plait": "#2f7fd0", "plait, kernels": "#2f9e62"}
"""By what the bar shows; each is seen on white and on black."""

STYLE = """
    .card { fill: #ffffff }
    text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
    .title { font-size: 18px; font-weight: 600 }
    .framework { font-size: 14px; font-weight: 600 }
    .small { font-size: 10px; fill: #57606a }
    .grid { stroke: #8c959f; stroke-opacity: 0.35 }
    .unit { stroke: #8c959f; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
        .card { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9da7b3 }
    }
"""
"""Paper and ink change together, so that a picture can be read on a page of either kind."""


class Scale:
    """From a ratio to a place: whole powers of ten at both ends."""

    def __init__(self, ratios: Sequence[float]) -> None:
        self.lowest = floor(log10(min(ratios)))
        self.highest = max(self.lowest + 1, ceil(log10(max(ratios))))

    def place(self, ratio: float) -> float:
        """Pixels from the left."""
        part = (log10(ratio) - self.lowest) / (self.highest - self.lowest)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self.lowest, self.highest + 1)]


def drawn(rows: Sequence[Row]) -> str:
    """The picture, as the text of an SVG file."""
    frameworks = [*dict.fromkeys(row.framework for row in rows)]
    names = [*dict.fromkeys(name for row in rows for name in row.bars)]
    scale = Scale([ratio for row in rows for ratio in row.bars.values()])
    body: list[str] = []
    top = TOP
    for framework in frameworks:
        body.append(_text(LEFT - 10, top + HEADING - 12, framework, "framework", "end"))
        top += HEADING
        own = [row for row in rows if row.framework == framework]
        for row, before in zip(own, [own[0], *own], strict=False):
            top += MORE * (row.group != before.group)
            body += _bars(row, top, scale)
            top += BAR * len(row.bars) + GAP
    lines = [*_heading(names), *_grid(scale, top), *body]
    about = f"Bars, on a logarithmic scale, of what {len(rows)} reductions and copies take, in times of memcpy."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + BOTTOM}" role="img">\n'
        f"<title>{TITLE}</title>\n<desc>{escape(about)}</desc>\n<style>{STYLE}</style>\n"
        f'<rect class="card" width="{WIDTH}" height="{top + BOTTOM}" rx="6"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )


TITLE = "Reductions and copies: the time of a call, in times of memcpy"


def _heading(names: Sequence[str]) -> Iterator[str]:
    yield _text(20, 32, TITLE, "title")
    yield _text(20, 54, "A logarithmic scale; shorter is faster. 1 is a copy of as many bytes in one piece.", "small")
    left = 20
    for name in names:
        yield f'<rect x="{left}" y="68" width="{BAR}" height="{BAR}" fill="{COLOURS[name]}"/>'
        yield _text(left + BAR + 6, 78, name)
        left += 44 + 7 * len(name)


def _grid(scale: Scale, bottom: int) -> Iterator[str]:
    """The powers of ten, written above and below."""
    for tick in scale.ticks():
        x = scale.place(tick)
        kind = "unit" if tick == 1 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        for y in (TOP - 8, bottom + 18):
            yield _text(x, y, f"{tick:g}", anchor="middle")
    yield _text(scale.place(1), bottom + 34, "memcpy", "small", "middle")


def _bars(row: Row, top: int, scale: Scale) -> Iterator[str]:
    """The bars of a case, each with its figure behind it, and the case's name in front of them."""
    yield _text(LEFT - 10, top + BAR * len(row.bars) / 2 + 4, row.case, anchor="end")
    for number, (name, ratio) in enumerate(row.bars.items()):
        y, end = top + number * BAR, scale.place(ratio)
        about = f"<title>{escape(f'{row.case}, {name}: {ratio:.3g} memcpy')}</title>"
        shape = f'x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR - 1}"'
        yield f'<rect {shape} fill="{COLOURS[name]}">{about}</rect>'
        yield _text(
            _beside(end, scale.place(1)), y + BAR - 2, f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}", "small"
        )


def _beside(end: float, unit: float) -> float:
    """Where the figure of a bar stands: behind it, and behind the line of ``memcpy`` if that ran through it."""
    start = max(end, LEFT + 1) + 4
    return unit + 4 if start < unit < start + FIGURE else start


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'
