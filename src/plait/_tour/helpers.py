"""The plain functions that the steps of the tour use beside plait. The page shows their source."""

from __future__ import annotations

from inspect import isfunction

import numpy as np

import plait
from plait._tour.pictures import Array, chosen


def upside_down(image: Array) -> Array:
    """The rows in reverse. The notation has no word for that: Python has."""
    return image[::-1]


def crop(tiles: Array) -> Array:
    """The second tile of the first row."""
    tile: Array = tiles[0, 1]
    return tile


def negate_every_other(squares: Array) -> None:
    """Turn every other square into its negative, in place, as on a chessboard."""
    squares[::2, ::2] = 1 - squares[::2, ::2]
    squares[1::2, 1::2] = 1 - squares[1::2, 1::2]


def dahlia(flower: Array) -> Array:
    """The blossom alone, square, in shades of grey, and brightened to reach 1."""
    height, width = flower.shape[:2]
    top, left, side = round(height * 0.19), round(width * 0.255), round(height * 0.69) // 16 * 16
    grey: Array = flower[top : top + side, left : left + side].mean(axis=-1)
    bright: Array = np.power(grey / grey.max(), np.float32(0.6))
    return bright


def sepia_tone() -> Array:
    """How much red, green and blue of the print come from red, green and blue of the photograph."""
    return np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)


def opponent_colours() -> Array:
    """Light, red against green, blue against yellow: the three signals that leave the eye."""
    return np.array([[1, 1, 1], [1, -1, 0], [-0.5, -0.5, 1]], np.float32)


def normalise(patches: Array) -> Array:
    """Compare patches by their difference from the mean patch, and by direction alone: one vector a head."""
    centred: Array = (patches - patches.mean((0, 1))) / (patches.std((0, 1)) + 1e-6)
    heads = plait.rearrange(centred, "h w (head d) -> h w head d", head=3)
    scale = np.float32(10**0.5)  # scores then lie between -10 and 10
    keys: Array = heads / np.linalg.norm(heads, axis=-1, keepdims=True) * scale
    return keys


def softmax(scores: Array, total: Array) -> Array:
    """Weights that sum to one, where ``total`` is the logarithm of the sum of exponentials."""
    weights: Array = np.exp(scores - total)
    return weights


def look(weights: Array) -> Array:
    """Where the chosen patch looks: one map a head."""
    row, column = chosen(*weights.shape[1:3])
    maps: Array = weights[:, row, column]
    return maps


HELPERS = {name: value for name, value in vars().items() if isfunction(value) and value.__module__ == __name__}
"""What a step may call by name: the functions of this file."""
