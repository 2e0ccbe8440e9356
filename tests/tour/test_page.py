"""The HTML page of the tour and its pictures."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from plait._tour import pictures
from plait._tour.command import format_milliseconds, render_page
from plait._tour.steps import STEPS

VOID_TAGS = {"meta", "link", "img", "br"}


class TagCollector(HTMLParser):
    """Collects the tags and the text of an HTML page, and checks that tags are closed in the right order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def attributes_of(self, tag):
        return [attrs for each, attrs in self.tags if each == tag]


@pytest.fixture(scope="module")
def html(step_results):
    return render_page(step_results)


@pytest.fixture(scope="module")
def collected_page(html):
    reader = TagCollector()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_shows_all_code_plans_and_errors(collected_page, step_results):
    for each in step_results:
        assert each.step.title in collected_page.text
        assert each.step.sentence in collected_page.text
        for call_result in each.call_results:
            assert call_result.call.code in collected_page.text
            assert call_result.call.pattern in collected_page.text
            assert call_result.plan in collected_page.text
            assert call_result.error in collected_page.text


def test_the_page_shows_the_error_with_carets(collected_page):
    assert "plait.CopyRequiredError [PLT401]: " in collected_page.text
    assert "\n           ^^^^^\n" in collected_page.text


def test_every_picture_has_its_size_and_a_text_alternative(collected_page, step_results):
    drawn = {f"pictures/{name}.png": drawn for each in step_results for name, drawn in each.images.items()}
    images = collected_page.attributes_of("img")
    assert {image["src"] for image in images} == set(drawn)
    for image in images:
        with Image.open(BytesIO(pictures.encode_png(drawn[image["src"]]))) as file:
            assert file.format == "PNG"
            assert file.size == (int(image["width"]), int(image["height"]))
        assert image["alt"].endswith(".")


def test_the_page_loads_no_other_resources(html, collected_page):
    assert not {"script", "iframe", "object"} & {tag for tag, _ in collected_page.tags}
    assert [link["href"] for link in collected_page.attributes_of("link")] == ["data:,"]
    assert not re.search(r"url\(|@import|src=\"http", html)


def test_internal_links_have_targets(collected_page):
    places = {attrs["id"] for _, attrs in collected_page.tags if "id" in attrs}
    links = {attrs["href"][1:] for attrs in collected_page.attributes_of("a") if attrs["href"].startswith("#")}
    assert links == places
    assert len(places) == len(STEPS)


def test_the_page_credits_the_photographers(collected_page):
    assert "danielbuechele (CC BY 2.0)" in collected_page.text
    assert "vultilion (CC BY 2.0)" in collected_page.text


def test_text_is_escaped_in_html(html):
    assert " -&gt; " in html
    assert " -> " not in unescape(html.split("<body>")[0])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2e-6, "0.0042 ms"), (4.2e-4, "0.420 ms"), (4.2e-3, "4.20 ms"), (0.042, "42.0 ms"), (0.42, "420 ms")],
)
def test_format_milliseconds(seconds, text):
    assert format_milliseconds(seconds) == text


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_encode_png_preserves_every_element(channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, *channels), np.uint8)
    with Image.open(BytesIO(pictures.encode_png(image))) as file:
        assert file.text == {"Software": "plait tour"}
        np.testing.assert_array_equal(np.asarray(file), image)


def test_to_uint8_rounds_and_clips():
    assert pictures.to_uint8(np.array([[-1, 0, 0.5, 1, 2]])).tolist() == [[0, 0, 128, 255, 255]]


def test_join_tiles_with_gaps_leaves_transparent_gaps():
    sheet = pictures.join_tiles_with_gaps(np.ones((2, 3, 4, 5, 3)), gap=2)
    assert sheet.shape == (2 * 4 + 2, 3 * 5 + 2 * 2, 4)
    assert (sheet[4:6] == 0).all()
    assert (sheet[:4, :5] == 255).all()


def test_heat_map_goes_from_dark_to_bright():
    low, high = pictures.draw_heat_map(np.array([[0.0, 2.0]]))[0]
    assert low.tolist() == [13, 11, 38]
    assert high.tolist() == [252, 246, 184]


def test_heat_map_of_a_constant_is_defined():
    assert (pictures.draw_heat_map(np.ones((2, 2))) == (13, 11, 38)).all()


def test_tint_by_attention_leaves_the_query_patch_unchanged(value_by_name, cropped_photographs):
    shown = pictures.tint_by_attention(cropped_photographs["china"], value_by_name["maps"], 0)
    row, column = 96 // 16 // 4 * 16, 128 // 16 // 3 * 16
    patch = slice(row, row + 16), slice(column, column + 16)
    np.testing.assert_array_equal(shown[patch], pictures.to_uint8(cropped_photographs["china"])[patch])
    assert (shown[row - 1, column : column + 16] == 255).all()
