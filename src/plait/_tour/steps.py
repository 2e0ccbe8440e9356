"""The steps of the tour, as data; a step may use the results of the steps before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from plait._tour.pictures import (
    draw_heat_map,
    image_of_one_colour,
    join_patches_with_gaps,
    join_tiles_with_gaps,
    tint_by_attention,
    to_uint8,
)
from plait._tour.runner import Call, Picture, Step, parse_call


def _parse_calls(code: str) -> tuple[Call, ...]:
    """Parse several lines of code, one call each."""
    return tuple([parse_call(line.strip()) for line in code.strip().splitlines()])


def _picture(result: str, alt: str, draw: Callable[..., Any] = to_uint8, name: str = "") -> Picture:
    """Return a picture of one result; the file is called ``name``, or like the result."""
    return Picture(name or result.replace("_", "-"), (result,), draw, result, alt)


def _attention_picture(head: int, colour_names: str, alt: str) -> Picture:
    """Return a picture of the attention map of one head over the photograph."""
    name = f"head-{colour_names.replace(', ', '-')}"
    return Picture(name, ("china", "maps"), partial(tint_by_attention, head=head), f"maps[{head}]: {colour_names}", alt)


STEPS: tuple[Step, ...] = (
    Step(
        "Meet",
        "Two photographs",
        "Everything below happens to these two arrays: height, width and channel, float32 from 0 to 1.",
        _parse_calls('size = plait.parse_shape(china, "height width channel")'),
        before=(),
        after=(
            _picture("china", "A red and green pavilion of four storeys above a lake."),
            _picture("flower", "An orange dahlia before dark green leaves."),
        ),
    ),
    Step(
        "Move",
        "Turn",
        "Writing the axes in another order transposes; with the rows reversed first, that is a quarter turn.",
        _parse_calls("""
            transposed = plait.rearrange(china, "h w c -> w h c")
            reversed_rows = reverse_rows(china)
            turned = plait.rearrange(reversed_rows, "h w c -> w h c")
        """),
        before=("china",),
        after=(
            _picture("transposed", "The pavilion, mirrored about its diagonal."),
            _picture("turned", "The pavilion, turned clockwise by a quarter."),
        ),
    ),
    Step(
        "Move",
        "Tiles",
        "A group in parentheses splits a dimension: sixteen tiles, of which one is a crop, and rows may trade places"
        " with columns.",
        _parse_calls("""
            tiles = plait.rearrange(china, "(row h) (column w) c -> row column h w c", row=4, column=4)
            roof = take_second_tile(tiles)
            traded = plait.rearrange(china, "(row h) (column w) c -> (column h) (row w) c", row=4, column=4)
        """),
        before=("china",),
        after=(
            _picture("tiles", "The photograph as a grid of four by four tiles.", join_tiles_with_gaps),
            _picture("roof", "One tile: the top of the pavilion's roof."),
            _picture("traded", "The tiles mirrored about the diagonal of the grid."),
        ),
    ),
    Step(
        "Move",
        "Channels apart",
        "The channel becomes the outer part of the width: red, green and blue stand side by side.",
        _parse_calls('channels = plait.rearrange(flower, "h w c -> h (c w)")'),
        before=("flower",),
        after=(_picture("channels", "Three grey dahlias: bright in red, middling in green, nearly black in blue."),),
    ),
    Step(
        "Move",
        "Side by side",
        "A list of tensors has one more axis in front; where that axis goes decides how the photographs meet.",
        _parse_calls("""
            pair = plait.rearrange([china, flower], "n h w c -> h (n w) c")
            woven = plait.rearrange([china, flower], "n h (strip w) c -> h (strip n w) c", strip=16)
        """),
        before=("china", "flower"),
        after=(
            _picture("pair", "The pavilion on the left, the dahlia on the right."),
            _picture("woven", "Sixteen strips of each photograph, taking turns."),
        ),
    ),
    Step(
        "Move",
        "Patches and back",
        "A compiled pattern knows its own inverse: cut into patches of 16 by 16 pixels, joined, not a bit is lost.",
        _parse_calls("""
            cut = plait.compile("(h p) (w q) c -> h w (p q c)", p=16, q=16)
            patches = cut.rearrange(china)
            join = cut.inverse()
            joined = join.rearrange(patches)
            exact = np.array_equal(joined, china)
        """),
        before=("china",),
        after=(
            _picture("patches", "The photograph, burst into small squares.", join_patches_with_gaps),
            _picture("joined", "The pavilion, whole again."),
        ),
        true_results=("exact",),
    ),
    Step(
        "Move",
        "A view, no copy",
        "A view promises the same memory, so writing to the squares writes to the sheet; what needs a copy is refused.",
        _parse_calls("""
            sheet = np.copy(flower)
            squares = plait.view(sheet, "(row h) (column w) c -> row column h w c", row=8, column=8)
            invert_every_other_square_in_place(squares)
            shared = np.shares_memory(squares, sheet)
            flat = plait.view(sheet, "h w c -> (w h) c")  # refused
        """),
        before=("flower",),
        after=(_picture("sheet", "A chessboard of the dahlia and of its negative."),),
        true_results=("shared",),
    ),
    Step(
        "Combine",
        "Pooling",
        "An axis that is missing on the right is reduced: of each block of 8 by 8 pixels, the largest or the mean.",
        _parse_calls("""
            largest = plait.reduce(china, "(h p) (w q) c -> h w c", "max", p=8, q=8)
            pooled = plait.reduce(china, "(h p) (w q) c -> h w c", "mean", p=8, q=8)
        """),
        before=("china",),
        after=(
            _picture("largest", "A small, bright pavilion of coarse pixels."),
            _picture("pooled", "A small, soft pavilion of coarse pixels."),
        ),
    ),
    Step(
        "Combine",
        "Texture",
        "The standard deviation within each block of 4 by 4 pixels, is a map of where things happen.",
        _parse_calls('texture = plait.reduce(china, "(h p) (w q) c -> h w", "std", p=4, q=4)'),
        before=("china",),
        after=(
            _picture("texture", "The tiles of the roofs and the trees glow; sky and water are dark.", draw_heat_map),
        ),
    ),
    Step(
        "Copy",
        "Enlarge",
        "An axis that is new on the right is a copy: each pooled pixel becomes a block, the nearest neighbour of 64.",
        _parse_calls('enlarged = plait.repeat(pooled, "h w c -> (h p) (w q) c", p=8, q=8)'),
        before=("pooled",),
        after=(_picture("enlarged", "The coarse pavilion, in the size of the original."),),
    ),
    Step(
        "Copy",
        "Grey, as colour",
        "The mean over the channel leaves height and width; repeating it gives three equal channels, without a copy.",
        _parse_calls("""
            grey = plait.reduce(flower, "h w c -> h w", "mean")
            grey_rgb = plait.repeat(grey, "h w -> h w c", c=3)
        """),
        before=("flower",),
        after=(_picture("grey_rgb", "The dahlia in shades of grey.", name="grey"),),
    ),
    Step(
        "Join",
        "Pack and unpack",
        "Two photographs and a single colour differ in rank, and travel as one: packed, toned all at once, unpacked.",
        _parse_calls("""
            mean_colour = plait.reduce([china, flower], "n h w c -> c", "mean")
            packed, shapes = plait.pack([china, flower, mean_colour], "* c")
            sepia = sepia_matrix()
            toned = plait.einsum(packed, sepia, "n c, tone c -> n tone")
            old_china, old_flower, old_colour = plait.unpack(toned, shapes, "* c")
        """),
        before=("china", "flower"),
        after=(
            _picture("old_china", "The pavilion, as an old brown print."),
            _picture("old_flower", "The dahlia, as an old brown print."),
            _picture("old_colour", "A rectangle of one brown: the mean colour.", image_of_one_colour),
        ),
    ),
    Step(
        "Multiply",
        "A mosaic of dahlias",
        "A product of two tensors, with groups on the right: the mean of each block colours one small flower.",
        _parse_calls("""
            blossom = crop_blossom_in_grey(flower)
            stamp = plait.reduce(blossom, "(p h) (q w) -> p q", "mean", p=16, q=16)
            colours = plait.reduce(china, "(h p) (w q) c -> h w c", "mean", p=8, q=8)
            mosaic = plait.einsum(colours, stamp, "h w c, p q -> (h p) (w q) c")
        """),
        before=("pooled",),
        after=(
            _picture("stamp", "The dahlia on sixteen by sixteen grey pixels."),
            _picture("mosaic", "The pavilion, made of thousands of tiny flowers."),
        ),
    ),
    Step(
        "Multiply",
        "Self-attention",
        "Three heads of multi-head attention compare all patches: by light, by red against green, by blue against"
        " yellow. Where does a piece of roof look, and what is the photograph when every patch is what it looks at?",
        _parse_calls("""
            opponent = opponent_colour_matrix()
            signals = plait.einsum(china, opponent, "h w c, k c -> h w k")
            values = plait.rearrange(signals, "(h p) (w q) k -> h w (k p q)", p=16, q=16)
            keys = attention_keys(values)
            scores = plait.einsum(keys, keys, "i j head d, y x head d -> head i j y x")
            total = plait.reduce(scores, "head i j y x -> head i j 1 1", "logsumexp")
            weights = softmax_from_logsumexp(scores, total)
            mixed = plait.einsum(weights, values, "head i j y x, y x (head d) -> i j (head d)")
            seen = plait.rearrange(mixed, "h w (k p q) -> (h p) (w q) k", p=16, q=16)
            back = np.linalg.inv(opponent)
            attended = plait.einsum(seen, back, "h w k, c k -> h w c")
            maps = attention_of_query_patch(weights)
        """),
        before=("china",),
        after=(
            _attention_picture(
                0, "light", "The patch of roof, framed, looks at all of the pavilion and at the trees: at what is dark."
            ),
            _attention_picture(
                1, "red, green", "The patch of roof looks at the other orange and red parts of the pavilion."
            ),
            _attention_picture(2, "blue, yellow", "The patch of roof looks at orange tiles and at leaves in the sun."),
            _picture("attended", "The pavilion, as if painted: textures are mixed."),
        ),
    ),
)
"""All steps of the tour, in order."""
