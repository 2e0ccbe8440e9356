"""What each step computes, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from plait._tour.helpers import HELPERS
from plait._tour.pictures import photographs, prepare
from plait._tour.steps import STEPS

H, W = 96, 128


def blocks(image, size):
    """Blocks of ``size`` by ``size`` pixels: ``h w size size c``, with loops."""
    return np.stack(
        [
            np.stack([image[i : i + size, j : j + size] for j in range(0, image.shape[1], size)])
            for i in range(0, image.shape[0], size)
        ]
    )


def woven(one, other):
    strips = [part for pair in zip(np.split(one, 16, 1), np.split(other, 16, 1), strict=True) for part in pair]
    return np.concatenate(strips, 1)


def traded(image):
    """``(row h) (column w) c -> (column h) (row w) c``: tile (row, column) goes to (column, row)."""
    out = np.empty_like(image)
    h, w = image.shape[0] // 4, image.shape[1] // 4
    for row in range(4):
        for column in range(4):
            tile = image[row * h : row * h + h, column * w : column * w + w]
            out[column * h : column * h + h, row * w : row * w + w] = tile
    return out


def chequered(image):
    out = image.copy()
    for i in range(8):
        for j in range(8):
            place = slice(i * H // 8, (i + 1) * H // 8), slice(j * W // 8, (j + 1) * W // 8)
            if (i + j) % 2 == 0:
                out[place] = 1 - out[place]
    return out


EXPECTED = {
    "transposed": lambda china, flower: china.transpose(1, 0, 2),
    "turned": lambda china, flower: np.rot90(china, -1),
    "tiles": lambda china, flower: np.array([np.split(row, 4, 1) for row in np.split(china, 4, 0)]),
    "roof": lambda china, flower: china[: H // 4, W // 4 : W // 2],
    "traded": lambda china, flower: traded(china),
    "channels": lambda china, flower: np.concatenate([flower[..., 0], flower[..., 1], flower[..., 2]], 1),
    "pair": lambda china, flower: np.hstack([china, flower]),
    "woven": woven,
    "patches": lambda china, flower: blocks(china, 16).reshape(H // 16, W // 16, 768),
    "joined": lambda china, flower: china,
    "sheet": lambda china, flower: chequered(flower),
    "largest": lambda china, flower: blocks(china, 8).max((2, 3)),
    "pooled": lambda china, flower: blocks(china, 8).mean((2, 3)),
    "texture": lambda china, flower: blocks(china, 4).std((2, 3, 4)),
    "enlarged": lambda china, flower: blocks(china, 8).mean((2, 3)).repeat(8, 0).repeat(8, 1),
    "grey": lambda china, flower: flower.mean(2),
    "grey_rgb": lambda china, flower: np.dstack([flower.mean(2)] * 3),
    "mean_colour": lambda china, flower: np.concatenate([china, flower]).mean((0, 1), "f8"),  # in f4 it loses digits
    "packed": lambda china, flower: np.vstack(
        [china.reshape(-1, 3), flower.reshape(-1, 3), np.concatenate([china, flower]).mean((0, 1), "f8")]
    ),
    "colours": lambda china, flower: blocks(china, 8).mean((2, 3)),
}
"""Each result by hand, from both photographs."""


@pytest.mark.parametrize("name", EXPECTED)
def test_a_result_is_what_plain_numpy_gives(name, made, small):
    expected = EXPECTED[name](small["china"], small["flower"])
    assert made[name].shape == expected.shape
    np.testing.assert_allclose(made[name], expected, atol=1e-5)


def test_the_round_trip_is_exact(made, small):
    assert made["exact"] is True
    assert made["joined"].tobytes() == small["china"].tobytes()


def test_the_view_shares_memory(made):
    assert made["shared"] is True
    assert np.shares_memory(made["squares"], made["sheet"])


def test_parse_shape(made):
    assert made["size"] == {"height": H, "width": W, "channel": 3}


def test_sepia_tones_all_that_was_packed(made, small):
    for old, new in (("china", small["china"]), ("flower", small["flower"]), ("colour", made["mean_colour"])):
        np.testing.assert_allclose(made[f"old_{old}"], new @ made["sepia"].T, atol=1e-5)


def test_every_cell_of_the_mosaic_is_the_stamp_in_one_colour(made):
    stamp, colours, mosaic = made["stamp"], made["colours"], made["mosaic"]
    np.testing.assert_allclose(
        stamp, blocks(made["blossom"][..., None], made["blossom"].shape[0] // 16).mean((2, 3, 4)), atol=1e-6
    )
    for i in range(colours.shape[0]):
        for j in range(colours.shape[1]):
            cell = mosaic[i * 16 : i * 16 + 16, j * 16 : j * 16 + 16]
            np.testing.assert_allclose(cell, stamp[..., None] * colours[i, j], atol=1e-6)


def test_attention_is_that_of_a_loop_over_heads_and_patches(made, small):
    signals = small["china"].astype(float) @ made["opponent"].T
    patches = blocks(signals, 16).reshape(-1, 256, 3)  # patch, pixel, head
    centred = (patches - patches.mean(0)) / patches.std(0)
    mixed = np.empty_like(patches)
    maps = []
    for head in range(3):
        unit = centred[..., head] / np.linalg.norm(centred[..., head], axis=1, keepdims=True)
        for query in range(len(patches)):
            scores = 10 * unit @ unit[query]
            weights = np.exp(scores) / np.exp(scores).sum()
            mixed[query, :, head] = weights @ patches[..., head]
            if query == (H // 16 // 4) * (W // 16) + W // 16 // 3:
                maps.append(weights.reshape(H // 16, W // 16))
    np.testing.assert_allclose(made["maps"], maps, atol=1e-4)
    rows = mixed.reshape(H // 16, W // 16, 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(H, W, 3)
    np.testing.assert_allclose(made["attended"], rows @ np.linalg.inv(made["opponent"]).T, atol=2e-3)
    np.testing.assert_allclose(made["weights"].sum((3, 4)), 1, atol=1e-4)


def test_every_result_is_checked_or_shown():
    """A step that nothing looks at is not a step."""
    for step in STEPS:
        shown = {name for picture in step.after for name in picture.of}
        assert shown
        assert step.sentence.endswith((".", "?"))
        assert all(picture.alt.endswith(".") for picture in step.after)


def test_names_of_pictures_are_unique_and_before_comes_before():
    seen = []
    for step in STEPS:
        assert set(step.before) <= set(seen)
        seen += [picture.name for picture in step.after]
    assert len(seen) == len(set(seen))


def test_every_helper_is_used():
    assert set(HELPERS) <= {call.function for step in STEPS for call in step.calls}


def test_the_photographs_divide_evenly():
    assert {name: image.shape for name, image in photographs().items()} == {
        "china": (416, 640, 3),
        "flower": (416, 640, 3),
    }


def test_prepare_scales_bytes():
    image = prepare(np.arange(40 * 33 * 3, dtype=np.uint64).astype(np.uint8).reshape(40, 33, 3))
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.float32
    assert (image.min(), image.max()) == (0, 1)
