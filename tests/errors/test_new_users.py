"""Mistakes of new users: each message says what is wrong and how to correct it."""

from __future__ import annotations

import pytest

import plait

np = pytest.importorskip("numpy")

X = np.zeros((2, 3, 4, 6), np.float32)
IMAGE = np.zeros((4, 6, 3), np.uint8)
Q = np.zeros((2, 5, 8))
K = np.zeros((2, 7, 8))

MISTAKES_AND_ADVICE = {
    # argument order and types
    "tensor and pattern swapped": (
        lambda: plait.rearrange("b c h w -> b h w c", X),
        "the tensor comes before the pattern",
    ),
    "pattern and reduction swapped": (
        lambda: plait.reduce(X, "mean", "b c h w -> b"),
        "the pattern comes before the reduction",
    ),
    "no pattern": (lambda: plait.rearrange(X, None), "must be a string, not NoneType"),
    "a tuple for a pattern": (lambda: plait.rearrange(X, (0, 2, 3, 1)), "must be a string, not tuple"),
    "an axis number that is a name": (lambda: plait.einsum(Q, ["b", "i", "d"]), "write an equation or a pattern"),
    "a list of numbers": (lambda: plait.rearrange([1, 2, 3], "a -> a 1"), "expected a tensor, not int"),
    "a shape for a tensor": (lambda: plait.rearrange((2, 3), "a b -> b a"), "expected a tensor, not int"),
    "a float size": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p", p=4 / 2), "write p=2"),
    "a size as text": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p", p="2"), "p='2' is not an integer"),
    "a size of True": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p", p=True), "is a bool"),
    "a tuple of sizes": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p", p=(2, 2)), "is not an integer"),
    "a negative size": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p", p=-1), "is negative"),
    # the notation
    "a typographic arrow": (lambda: plait.rearrange(X, "b c h w → b h w c"), "write the arrow as '->'"),
    "a half arrow": (lambda: plait.rearrange(X, "b c h w > b h w c"), "write the arrow as '->'"),
    "an equals arrow": (lambda: plait.rearrange(X, "b c h w => b h w c"), "unexpected character '='"),
    "no arrow": (lambda: plait.rearrange(X, "b h w c"), "needs an arrow between input and output"),
    "letters without blanks": (lambda: plait.rearrange(X, "bchw -> bhwc"), "write blanks between axes: 'b c h w'"),
    "an equation last": (lambda: plait.einsum(Q, K, "bid,bjd->bij"), "write blanks between axes: 'b i d'"),
    "two dots": (lambda: plait.rearrange(X, "b .. w -> w b .."), "write an ellipsis as '...'"),
    "two ellipses": (lambda: plait.rearrange(X, "... h ... -> h ..."), "only once"),
    "an open group": (lambda: plait.rearrange(X, "b c (h w -> b c h w"), "never closed"),
    "commas between axes": (
        lambda: plait.rearrange(X, "b, c, h, w -> b h w c"),
        "takes one tensor, but the left side has 4",
    ),
    "a star": (lambda: plait.rearrange(X, "b * -> * b"), "only pack and unpack do"),
    "an underscore": (lambda: plait.rearrange(X, "b _ h w -> b h w"), "only parse_shape does"),
    "brackets of Python": (lambda: plait.rearrange(X, "b [c] h w -> b c h w"), "does not support brackets"),
    "a name that begins with a digit": (
        lambda: plait.rearrange(X, "b 2c h w -> b h w 2c"),
        "cannot begin with a digit",
    ),
    "a hidden name": (lambda: plait.rearrange(X, "_b c h w -> c h w _b"), "cannot begin or end with an underscore"),
    "minus one": (lambda: plait.rearrange(X, "b c h w -> b -1"), "unexpected '-'"),
    # axes
    "a dropped axis": (lambda: plait.rearrange(X, "b c h w -> b c h"), "use reduce"),
    "an added axis": (lambda: plait.rearrange(X, "b c h w -> b c h w r", r=2), "use repeat"),
    "a sum by repeat": (lambda: plait.repeat(X, "b c h w -> b c"), "use reduce"),
    "an added axis of reduce": (lambda: plait.reduce(X, "b c h w -> b k", "max", k=2), "use repeat"),
    "an added length": (lambda: plait.rearrange(X, "b c h w -> b c h w 2"), "use repeat"),
    "an axis twice": (lambda: plait.rearrange(X, "b h h w -> b h w"), "axis 'h' appears twice"),
    "a misspelt axis": (lambda: plait.rearrange(X, "b chan h w -> b h w chn"), "do not appear|does not appear"),
    "a misspelt size": (lambda: plait.rearrange(X, "b c (h patch) w -> b c h w patch", pach=2), "did you mean 'patch'"),
    "a size of no axis": (
        lambda: plait.rearrange(X, "b c h w -> b h w c", zoom=2),
        "'zoom' is not an axis of the pattern",
    ),
    "keepdims": (lambda: plait.reduce(X, "b c h w -> b c", "mean", keepdims=True), "write 1 on the right"),
    "axis": (lambda: plait.reduce(X, "b c h w -> b c", "mean", axis=1), "leave the axis out on the right"),
    "dtype": (lambda: plait.reduce(X, "b c h w -> b c", "sum", dtype="float64"), "convert the tensor"),
    "out": (lambda: plait.einsum(Q, K, "b i d, b j d -> b i j", out=None), "returns a new result"),
    "optimize": (lambda: plait.einsum(Q, K, "b i d, b j d -> b i j", optimize=True), r"plait\.options\(contract="),
    # ranks and sizes
    "too few axes": (
        lambda: plait.rearrange(X, "b h w -> b w h"),
        "has rank 4, but the pattern 'b h w' has 3 dimensions",
    ),
    "too many axes": (lambda: plait.rearrange(IMAGE, "b h w c -> b c h w"), "has rank 3, but"),
    "a size that does not divide": (lambda: plait.rearrange(X, "b (c p) h w -> b c p h w", p=2), r"\(length 3\)"),
    "two unknown sizes": (lambda: plait.rearrange(X, "b c (h p) w -> b c h w p"), "e.g. p=2"),
    "a new axis without a size": (lambda: plait.repeat(X, "b c h w -> b c h w r"), "e.g. r=2"),
    "another length": (lambda: plait.rearrange(X, "b c h w -> b h w c", c=1), "has length 3, but c=1"),
    "a dimension that is not 1": (
        lambda: plait.rearrange(X, "b 1 h w -> b h w"),
        "must have length 1, but has length 3",
    ),
    "operands that do not agree": (
        lambda: plait.einsum(Q, K, "b i d, b i d -> b i"),
        "but i=5 in dimension 1 of tensor 0",
    ),
    "a tensor too few": (lambda: plait.einsum(Q, "b i d, b j d -> b i j"), "but einsum was given 1"),
    "lists of different shapes": (lambda: plait.rearrange([Q, K], "n b t d -> b t (n d)"), "but tensor 0 has shape"),
    # reductions, types and frameworks
    "the mean of an image": (lambda: plait.reduce(IMAGE, "h w c -> c", "mean"), r"e\.g\. np\.mean"),
    "a median": (lambda: plait.reduce(X, "b c h w -> b", "median"), r"e\.g\. np\.median"),
    "a misspelt reduction": (lambda: plait.reduce(X, "b c h w -> b", "avg"), "known: min, max, sum, mean"),
    "the axis of a reduction": (lambda: plait.reduce(X, "b c h w -> b", 3), r"a function f\(tensor, axes\)"),
    "a view that needs a copy": (lambda: plait.view(X, "b c h w -> b (h w c)"), "use rearrange"),
    "a list for view": (lambda: plait.view([Q, Q], "n b t d -> b n t d"), "use rearrange"),
    "a tensor for pack": (lambda: plait.pack(X, "b *"), "pack needs a list of tensors"),
    "pack without a star": (lambda: plait.pack([Q, K], "b t d"), r"exactly one '\*'"),
    "unpack by another shape": (lambda: plait.unpack(Q, [(2,), (2,)], "b * d"), "the packed dimension has length 5"),
}


@pytest.mark.parametrize("name", MISTAKES_AND_ADVICE)
def test_message_of_a_common_mistake_gives_advice(name):
    call, advice = MISTAKES_AND_ADVICE[name]
    with pytest.raises(plait.PlaitError) as caught:
        call()
    assert caught.match(advice)
