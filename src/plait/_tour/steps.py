"""The steps of the tour, as data. Each may use the results of those before it."""

from __future__ import annotations

from functools import partial

from plait._tour.pictures import (
    apart,
    heat,
    overlay,
    patches_apart,
    plain,
    swatch,
)
from plait._tour.record import Call, Picture, Step

PHOTOGRAPHS = Step(
    "Meet",
    "Two photographs",
    "Everything below happens to these two arrays: height, width and channel, float32 from 0 to 1.",
    (Call("size", "plait.parse_shape", ("china",), "height width channel"),),
    before=(),
    after=(
        Picture("china", ("china",), plain, "china", "A red and green pavilion of four storeys above a lake."),
        Picture("flower", ("flower",), plain, "flower", "An orange dahlia before dark green leaves."),
    ),
)

MOVE = (
    Step(
        "Move",
        "Turn",
        "Writing the axes in another order transposes; with the rows reversed first, that is a quarter turn.",
        (
            Call("transposed", "plait.rearrange", ("china",), "h w c -> w h c"),
            Call("reversed_rows", "upside_down", ("china",)),
            Call("turned", "plait.rearrange", ("reversed_rows",), "h w c -> w h c"),
        ),
        before=("china",),
        after=(
            Picture("transposed", ("transposed",), plain, "transposed", "The pavilion, mirrored about its diagonal."),
            Picture("turned", ("turned",), plain, "turned", "The pavilion, turned clockwise by a quarter."),
        ),
    ),
    Step(
        "Move",
        "Tiles",
        "A group in parentheses splits a dimension: sixteen tiles, of which one is a crop, and rows may trade places"
        " with columns.",
        (
            Call(
                "tiles",
                "plait.rearrange",
                ("china",),
                "(row h) (column w) c -> row column h w c",
                sizes={"row": 4, "column": 4},
            ),
            Call("roof", "crop", ("tiles",)),
            Call(
                "traded",
                "plait.rearrange",
                ("china",),
                "(row h) (column w) c -> (column h) (row w) c",
                sizes={"row": 4, "column": 4},
            ),
        ),
        before=("china",),
        after=(
            Picture("tiles", ("tiles",), apart, "tiles", "The photograph as a grid of four by four tiles."),
            Picture("roof", ("roof",), plain, "roof", "One tile: the top of the pavilion's roof."),
            Picture("traded", ("traded",), plain, "traded", "The tiles mirrored about the diagonal of the grid."),
        ),
    ),
    Step(
        "Move",
        "Channels apart",
        "The channel becomes the outer part of the width: red, green and blue stand side by side.",
        (Call("channels", "plait.rearrange", ("flower",), "h w c -> h (c w)"),),
        before=("flower",),
        after=(
            Picture(
                "channels",
                ("channels",),
                plain,
                "channels",
                "Three grey dahlias: bright in red, middling in green, nearly black in blue.",
            ),
        ),
    ),
    Step(
        "Move",
        "Side by side",
        "A list of tensors has one more axis in front; where that axis goes decides how the photographs meet.",
        (
            Call("pair", "plait.rearrange", (("china", "flower"),), "n h w c -> h (n w) c"),
            Call(
                "woven",
                "plait.rearrange",
                (("china", "flower"),),
                "n h (strip w) c -> h (strip n w) c",
                sizes={"strip": 16},
            ),
        ),
        before=("china", "flower"),
        after=(
            Picture("pair", ("pair",), plain, "pair", "The pavilion on the left, the dahlia on the right."),
            Picture("woven", ("woven",), plain, "woven", "Sixteen strips of each photograph, taking turns."),
        ),
    ),
    Step(
        "Move",
        "Patches and back",
        "A compiled pattern knows its own inverse: cut into patches of 16 by 16 pixels, joined, not a bit is lost.",
        (
            Call("cut", "plait.compile", (), "(h p) (w q) c -> h w (p q c)", sizes={"p": 16, "q": 16}),
            Call("patches", "cut.rearrange", ("china",)),
            Call("join", "cut.inverse"),
            Call("joined", "join.rearrange", ("patches",)),
            Call("exact", "np.array_equal", ("joined", "china")),
        ),
        before=("china",),
        after=(
            Picture("patches", ("patches",), patches_apart, "patches", "The photograph, burst into small squares."),
            Picture("joined", ("joined",), plain, "joined", "The pavilion, whole again."),
        ),
        proves=("exact",),
    ),
    Step(
        "Move",
        "A view, no copy",
        "A view promises the same memory, so writing to the squares writes to the sheet; what needs a copy is refused.",
        (
            Call("sheet", "np.copy", ("flower",)),
            Call(
                "squares",
                "plait.view",
                ("sheet",),
                "(row h) (column w) c -> row column h w c",
                sizes={"row": 8, "column": 8},
            ),
            Call("", "negate_every_other", ("squares",)),
            Call("shared", "np.shares_memory", ("squares", "sheet")),
            Call("flat", "plait.view", ("sheet",), "h w c -> (w h) c", refused=True),
        ),
        before=("flower",),
        after=(Picture("sheet", ("sheet",), plain, "sheet", "A chessboard of the dahlia and of its negative."),),
        proves=("shared",),
    ),
)

COMBINE = (
    Step(
        "Combine",
        "Pooling",
        "An axis that is missing on the right is reduced: of each block of 8 by 8 pixels, the largest or the mean.",
        (
            Call("largest", "plait.reduce", ("china",), "(h p) (w q) c -> h w c", "max", {"p": 8, "q": 8}),
            Call("pooled", "plait.reduce", ("china",), "(h p) (w q) c -> h w c", "mean", {"p": 8, "q": 8}),
        ),
        before=("china",),
        after=(
            Picture("largest", ("largest",), plain, "largest", "A small, bright pavilion of coarse pixels."),
            Picture("pooled", ("pooled",), plain, "pooled", "A small, soft pavilion of coarse pixels."),
        ),
    ),
    Step(
        "Combine",
        "Texture",
        "The standard deviation within each block of 4 by 4 pixels, is a map of where things happen.",
        (Call("texture", "plait.reduce", ("china",), "(h p) (w q) c -> h w", "std", {"p": 4, "q": 4}),),
        before=("china",),
        after=(
            Picture(
                "texture",
                ("texture",),
                heat,
                "texture",
                "The tiles of the roofs and the trees glow; sky and water are dark.",
            ),
        ),
    ),
)

COPY = (
    Step(
        "Copy",
        "Enlarge",
        "An axis that is new on the right is a copy: each pooled pixel becomes a block, the nearest neighbour of 64.",
        (Call("enlarged", "plait.repeat", ("pooled",), "h w c -> (h p) (w q) c", sizes={"p": 8, "q": 8}),),
        before=("pooled",),
        after=(
            Picture("enlarged", ("enlarged",), plain, "enlarged", "The coarse pavilion, in the size of the original."),
        ),
    ),
    Step(
        "Copy",
        "Grey, as colour",
        "The mean over the channel leaves height and width; repeating it gives three equal channels, without a copy.",
        (
            Call("grey", "plait.reduce", ("flower",), "h w c -> h w", "mean"),
            Call("grey_rgb", "plait.repeat", ("grey",), "h w -> h w c", sizes={"c": 3}),
        ),
        before=("flower",),
        after=(Picture("grey", ("grey_rgb",), plain, "grey_rgb", "The dahlia in shades of grey."),),
    ),
)

JOIN = (
    Step(
        "Join",
        "Pack and unpack",
        "Two photographs and a single colour differ in rank, and travel as one: packed, toned all at once, unpacked.",
        (
            Call("mean_colour", "plait.reduce", (("china", "flower"),), "n h w c -> c", "mean"),
            Call("packed, shapes", "plait.pack", (("china", "flower", "mean_colour"),), "* c"),
            Call("sepia", "sepia_tone"),
            Call("toned", "plait.einsum", ("packed", "sepia"), "n c, tone c -> n tone"),
            Call("old_china, old_flower, old_colour", "plait.unpack", ("toned", "shapes"), "* c"),
        ),
        before=("china", "flower"),
        after=(
            Picture("old-china", ("old_china",), plain, "old_china", "The pavilion, as an old brown print."),
            Picture("old-flower", ("old_flower",), plain, "old_flower", "The dahlia, as an old brown print."),
            Picture("old-colour", ("old_colour",), swatch, "old_colour", "A rectangle of one brown: the mean colour."),
        ),
    ),
)

MULTIPLY = (
    Step(
        "Multiply",
        "A mosaic of dahlias",
        "A product of two tensors, with groups on the right: the mean of each block colours one small flower.",
        (
            Call("blossom", "dahlia", ("flower",)),
            Call("stamp", "plait.reduce", ("blossom",), "(p h) (q w) -> p q", "mean", {"p": 16, "q": 16}),
            Call("colours", "plait.reduce", ("china",), "(h p) (w q) c -> h w c", "mean", {"p": 8, "q": 8}),
            Call("mosaic", "plait.einsum", ("colours", "stamp"), "h w c, p q -> (h p) (w q) c"),
        ),
        before=("pooled",),
        after=(
            Picture("stamp", ("stamp",), plain, "stamp", "The dahlia on sixteen by sixteen grey pixels."),
            Picture("mosaic", ("mosaic",), plain, "mosaic", "The pavilion, made of thousands of tiny flowers."),
        ),
    ),
    Step(
        "Multiply",
        "Self-attention",
        "Three heads of multi-head attention compare all patches: by light, by red against green, by blue against"
        " yellow. Where does a piece of roof look, and what is the photograph when every patch is what it looks at?",
        (
            Call("opponent", "opponent_colours"),
            Call("signals", "plait.einsum", ("china", "opponent"), "h w c, k c -> h w k"),
            Call("values", "plait.rearrange", ("signals",), "(h p) (w q) k -> h w (k p q)", sizes={"p": 16, "q": 16}),
            Call("keys", "normalise", ("values",)),
            Call("scores", "plait.einsum", ("keys", "keys"), "i j head d, y x head d -> head i j y x"),
            Call("total", "plait.reduce", ("scores",), "head i j y x -> head i j 1 1", "logsumexp"),
            Call("weights", "softmax", ("scores", "total")),
            Call("mixed", "plait.einsum", ("weights", "values"), "head i j y x, y x (head d) -> i j (head d)"),
            Call("seen", "plait.rearrange", ("mixed",), "h w (k p q) -> (h p) (w q) k", sizes={"p": 16, "q": 16}),
            Call("back", "np.linalg.inv", ("opponent",)),
            Call("attended", "plait.einsum", ("seen", "back"), "h w k, c k -> h w c"),
            Call("maps", "look", ("weights",)),
        ),
        before=("china",),
        after=(
            Picture(
                "head-light",
                ("china", "maps"),
                partial(overlay, head=0),
                "maps[0]: light",
                "The patch of roof, framed, looks at all of the pavilion and at the trees: at what is dark.",
            ),
            Picture(
                "head-red-green",
                ("china", "maps"),
                partial(overlay, head=1),
                "maps[1]: red, green",
                "The patch of roof looks at the other orange and red parts of the pavilion.",
            ),
            Picture(
                "head-blue-yellow",
                ("china", "maps"),
                partial(overlay, head=2),
                "maps[2]: blue, yellow",
                "The patch of roof looks at orange tiles and at leaves in the sun.",
            ),
            Picture("attended", ("attended",), plain, "attended", "The pavilion, as if painted: textures are mixed."),
        ),
    ),
)

STEPS: tuple[Step, ...] = (PHOTOGRAPHS, *MOVE, *COMBINE, *COPY, *JOIN, *MULTIPLY)
"""The whole tour, in order."""
