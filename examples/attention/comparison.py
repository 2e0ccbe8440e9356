"""Compare each implementation with PyTorch alone on the same numbers: the difference of the results, and the times."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import torch

from examples.attention import numpy_einsum, plain, torch_einmix, torch_grouped, torch_rearrange, weights
from plait import asnumpy


@dataclass(frozen=True)
class Problem:
    """The sizes of the tensors, in elements, and their element type.

    Attributes:
        batch: the number of sequences.
        queries: the length of the sequences that attend.
        keys: the length of the sequences that are attended to.
        heads: the number of heads.
        channels: the number of channels of all heads together.
        dtype: the element type.
    """

    batch: int = 2
    queries: int = 128
    keys: int = 128
    heads: int = 8
    channels: int = 256
    dtype: torch.dtype = torch.float32

    def draw_sequences(self, length: int) -> torch.Tensor:
        """Draw random sequences of the shape ``batch × length × channels``."""
        return torch.randn(self.batch, length, self.channels, dtype=self.dtype)


CallPair: TypeAlias = tuple[Callable[..., Any], Callable[..., torch.Tensor]]
"""An implementation and PyTorch alone, applied to the same tensors: two functions with an optional mask."""


def prepare_projected(attention: Callable[..., torch.Tensor], problem: Problem) -> CallPair:
    """Draw projected queries, keys and values for a function that takes them."""
    tensors = (
        problem.draw_sequences(problem.queries),
        problem.draw_sequences(problem.keys),
        problem.draw_sequences(problem.keys),
    )
    return partial(attention, *tensors, problem.heads), partial(plain.attention, *tensors, problem.heads)


def prepare_numpy(problem: Problem) -> CallPair:
    """Draw sequences and four linear layers, and give NumPy views of them to `numpy_einsum`."""
    layers = plain.Attention(problem.channels, problem.heads, bias=False).to(problem.dtype)
    x, context = problem.draw_sequences(problem.queries), problem.draw_sequences(problem.keys)
    given = asnumpy(x), asnumpy(context), weights.weights_for_numpy(layers)
    return partial(numpy_einsum.attention, *given), partial(layers, x, context)


def prepare_einmix(problem: Problem) -> CallPair:
    """Draw sequences and four linear layers, and load the weights of the layers into `torch_einmix`."""
    layers = plain.Attention(problem.channels, problem.heads).to(problem.dtype)
    module = torch_einmix.Attention(problem.channels, problem.heads).to(problem.dtype)
    module.load_state_dict(weights.state_for_einmix(layers))
    x, context = problem.draw_sequences(problem.queries), problem.draw_sequences(problem.keys)
    return partial(module, x, context), partial(layers, x, context)


IMPLEMENTATIONS: dict[str, Callable[[Problem], CallPair]] = {
    "numpy_einsum": prepare_numpy,
    "torch_rearrange": partial(prepare_projected, torch_rearrange.attention),
    "torch_einmix": prepare_einmix,
    "torch_grouped": partial(prepare_projected, torch_grouped.attention),
}
"""The modules of the implementations, and functions that prepare their calls."""


@dataclass(frozen=True)
class Comparison:
    """An implementation compared with PyTorch alone.

    Attributes:
        name: a key of `IMPLEMENTATIONS`.
        lines: the number of lines of code.
        difference: the largest absolute difference of an element, in float64.
        time_ratio: the time of the implementation divided by that of PyTorch alone, in float32.
    """

    name: str
    lines: int
    difference: float
    time_ratio: float


@torch.no_grad()
def compare(name: str, rounds: int) -> Comparison:
    """Compare one implementation with PyTorch alone."""
    torch.manual_seed(0)
    actual, expected = (asnumpy(call()) for call in IMPLEMENTATIONS[name](Problem(dtype=torch.float64)))
    difference = float(np.abs(actual - expected).max())
    return Comparison(
        name, count_lines(name), difference, measure_time_ratio(*IMPLEMENTATIONS[name](Problem()), rounds)
    )


def measure_time_ratio(actual: Callable[[], Any], expected: Callable[[], Any], rounds: int) -> float:
    """Return the ratio of the minimal times of two functions, called in turn after one round of warm-up."""
    best_times = [float("inf"), float("inf")]
    for number in range(rounds + 1):
        for index, call in enumerate((actual, expected)):
            start = perf_counter()
            call()
            if number:
                best_times[index] = min(best_times[index], perf_counter() - start)
    return best_times[0] / best_times[1]


def count_lines(name: str) -> int:
    """Count the lines of an implementation without docstrings, comments and blank lines."""
    text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    docstring_lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            docstring_lines.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code_lines = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in docstring_lines]
    return sum(bool(line) and not line.startswith("#") for line in code_lines)
