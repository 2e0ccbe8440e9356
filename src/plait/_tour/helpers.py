"""The functions in plain Python and NumPy that the tour's lines of code call; the page shows their source."""

from __future__ import annotations

from inspect import isfunction

import numpy as np

import plait
from plait._tour.pictures import Array, query_patch_position


def reverse_rows(image: Array) -> Array:
    """Reverse the order of the rows, which the notation cannot express."""
    return image[::-1]


def take_second_tile(tiles: Array) -> Array:
    """Return the second tile of the first row."""
    tile: Array = tiles[0, 1]
    return tile


def invert_every_other_square_in_place(squares: Array) -> None:
    """Replace every other square by its negative, in place, as on a chessboard."""
    squares[::2, ::2] = 1 - squares[::2, ::2]
    squares[1::2, 1::2] = 1 - squares[1::2, 1::2]


def crop_blossom_in_grey(flower: Array) -> Array:
    """Crop the photograph to a square with the blossom, in grey, and brighten it up to 1."""
    height, width = flower.shape[:2]
    top, left, side = round(height * 0.19), round(width * 0.255), round(height * 0.69) // 16 * 16
    grey: Array = flower[top : top + side, left : left + side].mean(axis=-1)
    bright: Array = np.power(grey / grey.max(), np.float32(0.6))
    return bright


def sepia_matrix() -> Array:
    """Return the matrix that converts colours to sepia: one row for red, green and blue of the result."""
    return np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)


def opponent_colour_matrix() -> Array:
    """Return the matrix of the opponent colours of the eye: lightness, red minus green, blue minus yellow."""
    return np.array([[1, 1, 1], [1, -1, 0], [-0.5, -0.5, 1]], np.float32)


def attention_keys(patches: Array) -> Array:
    """Return one key vector for each patch and head: its difference from the mean patch, with a fixed length."""
    centred: Array = (patches - patches.mean((0, 1))) / (patches.std((0, 1)) + 1e-6)
    heads = plait.rearrange(centred, "h w (head d) -> h w head d", head=3)
    scale = np.float32(10**0.5)  # then scores are between -10 and 10
    keys: Array = heads / np.linalg.norm(heads, axis=-1, keepdims=True) * scale
    return keys


def softmax_from_logsumexp(scores: Array, total: Array) -> Array:
    """Return weights that sum to one; ``total`` is the logarithm of the sum of the exponentials of the scores."""
    weights: Array = np.exp(scores - total)
    return weights


def attention_of_query_patch(weights: Array) -> Array:
    """Return the attention weights of the query patch: one map for each head."""
    row, column = query_patch_position(*weights.shape[1:3])
    maps: Array = weights[:, row, column]
    return maps


HELPER_FUNCTIONS = {name: value for name, value in vars().items() if isfunction(value) and value.__module__ == __name__}
"""The functions of this file by name, which the lines of code of the tour may call."""
