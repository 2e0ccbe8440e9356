"""Each way beside plain PyTorch on the same numbers: how far they are apart, and how long each takes."""

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
    """The sizes of the tensors, in elements, and their type."""

    batch: int = 2
    queries: int = 128
    keys: int = 128
    heads: int = 8
    channels: int = 256
    dtype: torch.dtype = torch.float32

    def draw(self, length: int) -> torch.Tensor:
        """A sequence: ``batch × length × channels``."""
        return torch.randn(self.batch, length, self.channels, dtype=self.dtype)


Calls: TypeAlias = tuple[Callable[..., Any], Callable[..., torch.Tensor]]
"""A way on one problem, and plain PyTorch on the same: two functions of nothing, or of a mask."""


def projected_already(attention: Callable[..., torch.Tensor], problem: Problem) -> Calls:
    """Queries, keys and values are drawn."""
    tensors = (problem.draw(problem.queries), problem.draw(problem.keys), problem.draw(problem.keys))
    return partial(attention, *tensors, problem.heads), partial(plain.attention, *tensors, problem.heads)


def with_arrays(problem: Problem) -> Calls:
    """The sequences and four linear layers are drawn, and NumPy sees their memory."""
    layers = plain.Attention(problem.channels, problem.heads, bias=False).to(problem.dtype)
    x, context = problem.draw(problem.queries), problem.draw(problem.keys)
    given = asnumpy(x), asnumpy(context), weights.for_numpy(layers)
    return partial(numpy_einsum.attention, *given), partial(layers, x, context)


def with_layers(problem: Problem) -> Calls:
    """The sequences and four linear layers are drawn, and the module takes over their weights."""
    layers = plain.Attention(problem.channels, problem.heads).to(problem.dtype)
    module = torch_einmix.Attention(problem.channels, problem.heads).to(problem.dtype)
    module.load_state_dict(weights.for_einmix(layers))
    x, context = problem.draw(problem.queries), problem.draw(problem.keys)
    return partial(module, x, context), partial(layers, x, context)


WAYS: dict[str, Callable[[Problem], Calls]] = {
    "numpy_einsum": with_arrays,
    "torch_rearrange": partial(projected_already, torch_rearrange.attention),
    "torch_einmix": with_layers,
    "torch_grouped": partial(projected_already, torch_grouped.attention),
}
"""Each way's file, and how its calls are made."""


@dataclass(frozen=True)
class Outcome:
    """A way beside plain PyTorch: its lines of code, the largest difference of an element, the ratio of the times."""

    name: str
    lines: int
    difference: float
    time: float


@torch.no_grad()
def compare(name: str, rounds: int) -> Outcome:
    """Compare one way with plain PyTorch: the elements in float64, the times in float32."""
    torch.manual_seed(0)
    ours, theirs = (asnumpy(call()) for call in WAYS[name](Problem(dtype=torch.float64)))
    difference = float(np.abs(ours - theirs).max())
    return Outcome(name, lines(name), difference, ratio(*WAYS[name](Problem()), rounds))


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> float:
    """The least time of one over that of the other, their calls in turn; a round without the clock comes first."""
    least = [float("inf"), float("inf")]
    for number in range(rounds + 1):
        for place, call in enumerate((ours, theirs)):
            start = perf_counter()
            call()
            if number:
                least[place] = min(least[place], perf_counter() - start)
    return least[0] / least[1]


def lines(name: str) -> int:
    """The lines of a way's file, without documentation, comments and blanks."""
    text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            documented.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    told = [line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in documented]
    return sum(bool(line) and not line.startswith("#") for line in told)
