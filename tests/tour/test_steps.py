"""The results of each step of the tour, compared with plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from plait._tour.helpers import HELPER_FUNCTIONS
from plait._tour.pictures import load_photographs, prepare_photograph
from plait._tour.steps import STEPS

HEIGHT, WIDTH = 96, 128


def blocks_by_loops(image, size):
    """Blocks of ``size`` by ``size`` pixels: ``h w size size c``, with loops."""
    return np.stack(
        [
            np.stack([image[i : i + size, j : j + size] for j in range(0, image.shape[1], size)])
            for i in range(0, image.shape[0], size)
        ]
    )


def interleave_strips(one, other):
    strips = [part for pair in zip(np.split(one, 16, 1), np.split(other, 16, 1), strict=True) for part in pair]
    return np.concatenate(strips, 1)


def transpose_tiles(image):
    """``(row h) (column w) c -> (column h) (row w) c``: tile (row, column) goes to (column, row)."""
    out = np.empty_like(image)
    h, w = image.shape[0] // 4, image.shape[1] // 4
    for row in range(4):
        for column in range(4):
            tile = image[row * h : row * h + h, column * w : column * w + w]
            out[column * h : column * h + h, row * w : row * w + w] = tile
    return out


def negate_chessboard_squares(image):
    out = image.copy()
    for i in range(8):
        for j in range(8):
            square = slice(i * HEIGHT // 8, (i + 1) * HEIGHT // 8), slice(j * WIDTH // 8, (j + 1) * WIDTH // 8)
            if (i + j) % 2 == 0:
                out[square] = 1 - out[square]
    return out


REFERENCE_FUNCTION_BY_RESULT_NAME = {
    "transposed": lambda china, flower: china.transpose(1, 0, 2),
    "turned": lambda china, flower: np.rot90(china, -1),
    "tiles": lambda china, flower: np.array([np.split(row, 4, 1) for row in np.split(china, 4, 0)]),
    "roof": lambda china, flower: china[: HEIGHT // 4, WIDTH // 4 : WIDTH // 2],
    "traded": lambda china, flower: transpose_tiles(china),
    "channels": lambda china, flower: np.concatenate([flower[..., 0], flower[..., 1], flower[..., 2]], 1),
    "pair": lambda china, flower: np.hstack([china, flower]),
    "woven": interleave_strips,
    "patches": lambda china, flower: blocks_by_loops(china, 16).reshape(HEIGHT // 16, WIDTH // 16, 768),
    "joined": lambda china, flower: china,
    "sheet": lambda china, flower: negate_chessboard_squares(flower),
    "largest": lambda china, flower: blocks_by_loops(china, 8).max((2, 3)),
    "pooled": lambda china, flower: blocks_by_loops(china, 8).mean((2, 3)),
    "texture": lambda china, flower: blocks_by_loops(china, 4).std((2, 3, 4)),
    "enlarged": lambda china, flower: blocks_by_loops(china, 8).mean((2, 3)).repeat(8, 0).repeat(8, 1),
    "grey": lambda china, flower: flower.mean(2),
    "grey_rgb": lambda china, flower: np.dstack([flower.mean(2)] * 3),
    "mean_colour": lambda china, flower: np.concatenate([china, flower]).mean(
        (0, 1), "f8"
    ),  # float32 would lose digits
    "packed": lambda china, flower: np.vstack(
        [china.reshape(-1, 3), flower.reshape(-1, 3), np.concatenate([china, flower]).mean((0, 1), "f8")]
    ),
    "colours": lambda china, flower: blocks_by_loops(china, 8).mean((2, 3)),
}
"""Each expected result, computed from both photographs with plain NumPy."""


@pytest.mark.parametrize("name", REFERENCE_FUNCTION_BY_RESULT_NAME)
def test_results_equal_plain_numpy(name, value_by_name, cropped_photographs):
    expected = REFERENCE_FUNCTION_BY_RESULT_NAME[name](cropped_photographs["china"], cropped_photographs["flower"])
    assert value_by_name[name].shape == expected.shape
    np.testing.assert_allclose(value_by_name[name], expected, atol=1e-5)


def test_patches_and_back_is_exact(value_by_name, cropped_photographs):
    assert value_by_name["exact"] is True
    assert value_by_name["joined"].tobytes() == cropped_photographs["china"].tobytes()


def test_view_shares_memory_with_its_input(value_by_name):
    assert value_by_name["shared"] is True
    assert np.shares_memory(value_by_name["squares"], value_by_name["sheet"])


def test_parse_shape_result_is_the_photograph_size(value_by_name):
    assert value_by_name["size"] == {"height": HEIGHT, "width": WIDTH, "channel": 3}


def test_sepia_applies_to_every_packed_tensor(value_by_name, cropped_photographs):
    for old, new in (
        ("china", cropped_photographs["china"]),
        ("flower", cropped_photographs["flower"]),
        ("colour", value_by_name["mean_colour"]),
    ):
        np.testing.assert_allclose(value_by_name[f"old_{old}"], new @ value_by_name["sepia"].T, atol=1e-5)


def test_every_mosaic_cell_is_the_stamp_times_one_colour(value_by_name):
    stamp, colours, mosaic = value_by_name["stamp"], value_by_name["colours"], value_by_name["mosaic"]
    np.testing.assert_allclose(
        stamp,
        blocks_by_loops(value_by_name["blossom"][..., None], value_by_name["blossom"].shape[0] // 16).mean((2, 3, 4)),
        atol=1e-6,
    )
    for i in range(colours.shape[0]):
        for j in range(colours.shape[1]):
            cell = mosaic[i * 16 : i * 16 + 16, j * 16 : j * 16 + 16]
            np.testing.assert_allclose(cell, stamp[..., None] * colours[i, j], atol=1e-6)


def test_attention_equals_loops_over_heads_and_patches(value_by_name, cropped_photographs):
    signals = cropped_photographs["china"].astype(float) @ value_by_name["opponent"].T
    patches = blocks_by_loops(signals, 16).reshape(-1, 256, 3)  # patch, pixel, head
    centred = (patches - patches.mean(0)) / patches.std(0)
    mixed = np.empty_like(patches)
    maps = []
    for head in range(3):
        unit = centred[..., head] / np.linalg.norm(centred[..., head], axis=1, keepdims=True)
        for query in range(len(patches)):
            scores = 10 * unit @ unit[query]
            weights = np.exp(scores) / np.exp(scores).sum()
            mixed[query, :, head] = weights @ patches[..., head]
            if query == (HEIGHT // 16 // 4) * (WIDTH // 16) + WIDTH // 16 // 3:
                maps.append(weights.reshape(HEIGHT // 16, WIDTH // 16))
    np.testing.assert_allclose(value_by_name["maps"], maps, atol=1e-4)
    rows = mixed.reshape(HEIGHT // 16, WIDTH // 16, 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(value_by_name["attended"], rows @ np.linalg.inv(value_by_name["opponent"]).T, atol=2e-3)
    np.testing.assert_allclose(value_by_name["weights"].sum((3, 4)), 1, atol=1e-4)


def test_every_step_has_pictures_and_complete_sentences():
    """Every step has a picture, and its texts are complete sentences."""
    for step in STEPS:
        shown = {name for picture in step.after for name in picture.result_names}
        assert shown
        assert step.sentence.endswith((".", "?"))
        assert all(picture.alt.endswith(".") for picture in step.after)


def test_picture_names_are_unique_and_shown_again_only_in_later_steps():
    seen = []
    for step in STEPS:
        assert set(step.before) <= set(seen)
        seen += [picture.name for picture in step.after]
    assert len(seen) == len(set(seen))


def test_every_helper_function_is_used():
    assert set(HELPER_FUNCTIONS) <= {call.function for step in STEPS for call in step.calls}


def test_photograph_sizes_are_multiples_of_32():
    assert {name: image.shape for name, image in load_photographs().items()} == {
        "china": (416, 640, 3),
        "flower": (416, 640, 3),
    }


def test_prepare_photograph_scales_bytes():
    image = prepare_photograph(np.arange(40 * 33 * 3, dtype=np.uint64).astype(np.uint8).reshape(40, 33, 3))
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.float32
    assert (image.min(), image.max()) == (0, 1)
