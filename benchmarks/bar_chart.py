"""Draw the results of `benchmarks.memory_bound` as an SVG bar chart with a logarithmic scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.memory_bound_results import MemoryBoundResult

WIDTH = 1000
"""The width of the picture; all lengths in this module are in pixels."""

LEFT_MARGIN, RIGHT_MARGIN = 255, 60
"""The left margin, which has the names of the cases, and the right margin, for the number after the longest bar."""

TOP_MARGIN, BOTTOM_MARGIN = 118, 46
"""The top margin, which has the title and the legend, and the bottom margin, which has the labels of the scale."""

BAR_HEIGHT, CASE_GAP, GROUP_GAP = 11, 12, 10
"""The height of a bar, the space between two cases, and the additional space between two groups."""

NUMBER_WIDTH = 28
"""The width of the number after a bar."""

FRAMEWORK_HEADING_HEIGHT = 30
"""The height of the line with the name of a framework."""

BAR_COLOURS = {"einops": "#b0883a", "by hand": "#7c8794", "plait": "#2f7fd0", "plait, kernels": "#2f9e62"}
"""The colour of a bar by its label, visible on white and on black."""

STYLE_SHEET = """
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
"""The style sheet; background and text change together in dark mode."""


TITLE = "Reductions and copies: the time of a call, in times of memcpy"
"""The title of the chart."""


class LogScale:
    """A logarithmic scale that maps ratios to x coordinates, from one power of ten to another."""

    def __init__(self, ratios: Sequence[float]) -> None:
        self.lowest = floor(log10(min(ratios)))
        self.highest = max(self.lowest + 1, ceil(log10(max(ratios))))

    def x_of(self, ratio: float) -> float:
        """Return the x coordinate of a ratio."""
        fraction = (log10(ratio) - self.lowest) / (self.highest - self.lowest)
        return LEFT_MARGIN + fraction * (WIDTH - LEFT_MARGIN - RIGHT_MARGIN)

    def ticks(self) -> list[float]:
        """Return the powers of ten of the scale."""
        return [10.0**power for power in range(self.lowest, self.highest + 1)]


def draw_svg(results: Sequence[MemoryBoundResult]) -> str:
    """Return the bar chart as the text of an SVG file."""
    frameworks = [*dict.fromkeys(result.framework for result in results)]
    labels = [*dict.fromkeys(name for result in results for name in result.ratios_to_memcpy)]
    scale = LogScale([ratio for result in results for ratio in result.ratios_to_memcpy.values()])
    body: list[str] = []
    top = TOP_MARGIN
    for framework in frameworks:
        body.append(_text_element(LEFT_MARGIN - 10, top + FRAMEWORK_HEADING_HEIGHT - 12, framework, "framework", "end"))
        top += FRAMEWORK_HEADING_HEIGHT
        framework_results = [result for result in results if result.framework == framework]
        for result, previous in zip(framework_results, [framework_results[0], *framework_results], strict=False):
            top += GROUP_GAP * (result.group != previous.group)
            body += _draw_bars(result, top, scale)
            top += BAR_HEIGHT * len(result.ratios_to_memcpy) + CASE_GAP
    lines = [*_draw_title_and_legend(labels), *_draw_grid_lines(scale, top), *body]
    description = (
        f"Bars, on a logarithmic scale, of what {len(results)} reductions and copies take, in times of memcpy."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + BOTTOM_MARGIN}" role="img">\n'
        f"<title>{TITLE}</title>\n<desc>{escape(description)}</desc>\n<style>{STYLE_SHEET}</style>\n"
        f'<rect class="card" width="{WIDTH}" height="{top + BOTTOM_MARGIN}" rx="6"/>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def _draw_title_and_legend(labels: Sequence[str]) -> Iterator[str]:
    """Yield the SVG elements of the title and the legend."""
    yield _text_element(20, 32, TITLE, "title")
    yield _text_element(
        20, 54, "A logarithmic scale; shorter is faster. 1 is a copy of as many bytes in one piece.", "small"
    )
    left = 20
    for name in labels:
        yield f'<rect x="{left}" y="68" width="{BAR_HEIGHT}" height="{BAR_HEIGHT}" fill="{BAR_COLOURS[name]}"/>'
        yield _text_element(left + BAR_HEIGHT + 6, 78, name)
        left += 44 + 7 * len(name)


def _draw_grid_lines(scale: LogScale, bottom: int) -> Iterator[str]:
    """Yield the vertical lines of the scale, with labels above and below."""
    for tick in scale.ticks():
        x = scale.x_of(tick)
        kind = "unit" if tick == 1 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP_MARGIN}" y2="{bottom}"/>'
        for y in (TOP_MARGIN - 8, bottom + 18):
            yield _text_element(x, y, f"{tick:g}", anchor="middle")
    yield _text_element(scale.x_of(1), bottom + 34, "memcpy", "small", "middle")


def _draw_bars(result: MemoryBoundResult, top: int, scale: LogScale) -> Iterator[str]:
    """Yield the name of a case, its bars, and the number after each bar."""
    yield _text_element(
        LEFT_MARGIN - 10, top + BAR_HEIGHT * len(result.ratios_to_memcpy) / 2 + 4, result.case, anchor="end"
    )
    for number, (name, ratio) in enumerate(result.ratios_to_memcpy.items()):
        y, end = top + number * BAR_HEIGHT, scale.x_of(ratio)
        description = f"<title>{escape(f'{result.case}, {name}: {ratio:.3g} memcpy')}</title>"
        shape = f'x="{LEFT_MARGIN}" y="{y}" width="{max(end - LEFT_MARGIN, 1):.1f}" height="{BAR_HEIGHT - 1}"'
        yield f'<rect {shape} fill="{BAR_COLOURS[name]}">{description}</rect>'
        yield _text_element(
            _number_x(end, scale.x_of(1)), y + BAR_HEIGHT - 2, f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}", "small"
        )


def _number_x(end: float, unit: float) -> float:
    """Return the x coordinate of the number after a bar, or after the line of ``memcpy`` if they would overlap."""
    start = max(end, LEFT_MARGIN + 1) + 4
    return unit + 4 if start < unit < start + NUMBER_WIDTH else start


def _text_element(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Return an SVG text element; ``kind`` is its CSS class."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'
