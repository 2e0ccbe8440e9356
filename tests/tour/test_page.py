"""The page and its pictures."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from plait._tour import pictures
from plait._tour.command import milliseconds, page
from plait._tour.steps import STEPS

VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Collects tags, and checks that each is closed where it should be."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for each, attrs in self.tags if each == tag]


@pytest.fixture(scope="module")
def html(done):
    return page(done)


@pytest.fixture(scope="module")
def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_every_line_of_code_and_every_plan_is_on_the_page(read, done):
    for each in done:
        assert each.step.title in read.text
        assert each.step.sentence in read.text
        for ran in each.ran:
            assert ran.call.code in read.text
            assert ran.call.pattern in read.text
            assert ran.plan in read.text
            assert ran.error in read.text


def test_the_refusal_is_shown_with_its_carets(read):
    assert "plait.CopyRequiredError [PLT401]: " in read.text
    assert "\n           ^^^^^\n" in read.text


def test_every_picture_is_there_in_its_size_with_a_text(read, done):
    drawn = {f"pictures/{name}.png": drawn for each in done for name, drawn in each.drawn.items()}
    images = read.all("img")
    assert {image["src"] for image in images} == set(drawn)
    for image in images:
        with Image.open(BytesIO(pictures.png(drawn[image["src"]]))) as file:
            assert file.format == "PNG"
            assert file.size == (int(image["width"]), int(image["height"]))
        assert image["alt"].endswith(".")


def test_the_page_asks_for_nothing_else(html, read):
    assert not {"script", "iframe", "object"} & {tag for tag, _ in read.tags}
    assert [link["href"] for link in read.all("link")] == ["data:,"]
    assert not re.search(r"url\(|@import|src=\"http", html)


def test_links_within_the_page_lead_somewhere(read):
    places = {attrs["id"] for _, attrs in read.tags if "id" in attrs}
    links = {attrs["href"][1:] for attrs in read.all("a") if attrs["href"].startswith("#")}
    assert links == places
    assert len(places) == len(STEPS)


def test_photographers_are_named(read):
    assert "danielbuechele (CC BY 2.0)" in read.text
    assert "vultilion (CC BY 2.0)" in read.text


def test_text_is_escaped(html):
    assert " -&gt; " in html
    assert " -> " not in unescape(html.split("<body>")[0])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2e-6, "0.0042 ms"), (4.2e-4, "0.420 ms"), (4.2e-3, "4.20 ms"), (0.042, "42.0 ms"), (0.42, "420 ms")],
)
def test_milliseconds(seconds, text):
    assert milliseconds(seconds) == text


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_png_keeps_every_element(channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, *channels), np.uint8)
    with Image.open(BytesIO(pictures.png(image))) as file:
        assert file.text == {"Software": "plait tour"}
        np.testing.assert_array_equal(np.asarray(file), image)


def test_plain_rounds_and_cuts_off():
    assert pictures.plain(np.array([[-1, 0, 0.5, 1, 2]])).tolist() == [[0, 0, 128, 255, 255]]


def test_apart_leaves_transparent_gaps():
    sheet = pictures.apart(np.ones((2, 3, 4, 5, 3)), gap=2)
    assert sheet.shape == (2 * 4 + 2, 3 * 5 + 2 * 2, 4)
    assert (sheet[4:6] == 0).all()
    assert (sheet[:4, :5] == 255).all()


def test_heat_goes_from_dark_to_bright():
    low, high = pictures.heat(np.array([[0.0, 2.0]]))[0]
    assert low.tolist() == [13, 11, 38]
    assert high.tolist() == [252, 246, 184]


def test_heat_of_a_constant_is_defined():
    assert (pictures.heat(np.ones((2, 2))) == (13, 11, 38)).all()


def test_overlay_shows_the_asking_patch_as_it_is(made, small):
    shown = pictures.overlay(small["china"], made["maps"], 0)
    row, column = 96 // 16 // 4 * 16, 128 // 16 // 3 * 16
    patch = slice(row, row + 16), slice(column, column + 16)
    np.testing.assert_array_equal(shown[patch], pictures.plain(small["china"])[patch])
    assert (shown[row - 1, column : column + 16] == 255).all()
