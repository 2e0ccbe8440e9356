"""Measure how long a compiler or an exporter takes to trace calls of plait, hand-written code and einops.

From the root of the repository, in an environment that has the frameworks::

    python -m benchmarks.tracing [NAME ...]

Without names it measures every installed framework. ``heads`` is a function that splits the last axis into heads and
merges them again, twenty times; ``blocks`` are twelve attention blocks, forward and backward. Each variant is traced
anew in each round. The time is the processor time of the process, in milliseconds, in the fastest round, and in
brackets divided by that of the hand-written code.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import einops
import numpy as np

import plait

ROUNDS = 7
"""The number of rounds; every variant has one turn in a round."""

REPETITIONS = 20
"""How many times ``heads`` splits and merges."""

BLOCKS = 12
"""The number of attention blocks."""

SHAPE = (2, 16, 64)
"""The shape of the input: batch, time, channels."""

HEADS = 8
"""The number of heads, into which the channels are split."""

Variants = dict[str, Callable[[], Any]]
"""By name of the variant a function that traces it once."""


def heads_by_hand(permute: Callable[[Any, tuple[int, ...]], Any], reshape: Callable[[Any, Any], Any]) -> Any:
    """Return ``heads`` as hand-written code, with a framework's functions."""

    def heads(x: Any) -> Any:
        for _ in range(REPETITIONS):
            b, t, c = x.shape
            y = permute(reshape(x, (b, t, HEADS, c // HEADS)), (0, 2, 1, 3))
            b, h, t, d = y.shape
            x = reshape(permute(y, (0, 2, 1, 3)), (b, t, h * d))
        return x

    return heads


def heads_of_library(library: ModuleType) -> Any:
    """Return ``heads`` with calls of einops or plait."""

    def heads(x: Any) -> Any:
        for _ in range(REPETITIONS):
            y = library.rearrange(x, "b t (h d) -> b h t d", h=HEADS)
            x = library.rearrange(y, "b h t d -> b t (h d)")
        return x

    return heads


def new_function(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a new function that does the same, of which a framework has no trace yet."""

    def call(x: Any) -> Any:
        return function(x)

    return call


def heads_variants(permute: Callable[[Any, tuple[int, ...]], Any], reshape: Callable[[Any, Any], Any]) -> Variants:
    """Return ``heads`` in all variants."""
    return {
        "by hand": heads_by_hand(permute, reshape),
        "einops": heads_of_library(einops),
        "plait": heads_of_library(plait),
    }


def measure_torch() -> None:
    """Measure ``torch.compile`` and ``torch.export``."""
    import torch

    def attention_by_hand(x: Any, inner: Any, outer: Any) -> Any:
        b, t, c = x.shape
        q, k, v = (x @ inner).reshape(b, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1)
        mixed = torch.einsum("bhij,bhjd->bhid", weights, v)
        return x + mixed.permute(0, 2, 1, 3).reshape(b, t, c) @ outer

    def attention_of_library(library: ModuleType) -> Callable[[Any, Any, Any], Any]:
        def attention(x: Any, inner: Any, outer: Any) -> Any:
            q, k, v = library.rearrange(x @ inner, "b t (n h d) -> n b h t d", n=3, h=HEADS)
            weights = library.einsum(q, k, "b h i d, b h j d -> b h i j").softmax(-1)
            mixed = library.einsum(weights, v, "b h i j, b h j d -> b h i d")
            return x + library.rearrange(mixed, "b h t d -> b t (h d)") @ outer

        return attention

    class Blocks(torch.nn.Module):
        def __init__(self, attention: Callable[[Any, Any, Any], Any]) -> None:
            super().__init__()
            channels = SHAPE[-1]
            self.attention = attention
            self.inner = torch.nn.ParameterList([torch.randn(channels, 3 * channels) / 8 for _ in range(BLOCKS)])
            self.outer = torch.nn.ParameterList([torch.randn(channels, channels) / 8 for _ in range(BLOCKS)])

        def forward(self, x: Any) -> Any:
            for inner, outer in zip(self.inner, self.outer, strict=True):
                x = self.attention(x, inner, outer)
            return x

    class Module(torch.nn.Module):
        def __init__(self, function: Callable[[Any], Any]) -> None:
            super().__init__()
            self.function = function

        def forward(self, x: Any) -> Any:
            return self.function(x)

    def compile_and_call(function: Any, dynamic: bool | None) -> Callable[[], Any]:
        def trace() -> Any:
            torch._dynamo.reset()
            return torch.compile(function, backend="eager", fullgraph=True, dynamic=dynamic)(x)

        return trace

    def compile_and_call_backward(module: Any) -> Callable[[], Any]:
        trace = compile_and_call(module, None)
        return lambda: trace().sum().backward()

    def export(function: Any, strict: bool) -> Callable[[], Any]:
        def trace() -> Any:
            torch._dynamo.reset()
            return torch.export.export(Module(function), (x,), strict=strict)

        return trace

    torch.set_num_threads(1)
    x = torch.randn(SHAPE)
    heads = heads_variants(torch.permute, torch.reshape)
    attentions = {
        "by hand": attention_by_hand,
        "einops": attention_of_library(einops),
        "plait": attention_of_library(plait),
    }
    for dynamic in (False, True):
        title = f"torch.compile, heads, {'dynamic' if dynamic else 'static'}"
        report(title, {name: compile_and_call(function, dynamic) for name, function in heads.items()})
    report(
        "torch.compile, blocks", {name: compile_and_call_backward(Blocks(each)) for name, each in attentions.items()}
    )
    for strict in (False, True):
        title = f"torch.export, heads, {'strict' if strict else 'not strict'}"
        report(title, {name: export(function, strict) for name, function in heads.items()})


def measure_jax() -> None:
    """Measure ``jax.jit``."""
    import jax

    x = jax.numpy.asarray(np.zeros(SHAPE, np.float32))

    def trace(function: Any) -> Callable[[], Any]:
        return lambda: jax.jit(new_function(function)).lower(x)

    variants = heads_variants(jax.numpy.transpose, jax.numpy.reshape)
    report("jax.jit, heads", {name: trace(function) for name, function in variants.items()})


def measure_tensorflow() -> None:
    """Measure ``tf.function``."""
    import tensorflow as tf

    def permute(tensor: Any, order: tuple[int, ...]) -> Any:
        return tf.transpose(tensor, order)

    def trace(function: Any, shape: tuple[int | None, ...]) -> Callable[[], Any]:
        specification = tf.TensorSpec(shape, tf.float32)
        return lambda: tf.function(new_function(function)).get_concrete_function(specification)

    def heads_by_hand_dynamic(x: Any) -> Any:
        for _ in range(REPETITIONS):
            shape = tf.shape(x)
            y = permute(tf.reshape(x, (shape[0], shape[1], HEADS, SHAPE[-1] // HEADS)), (0, 2, 1, 3))
            shape = tf.shape(y)
            x = tf.reshape(permute(y, (0, 2, 1, 3)), (shape[0], shape[2], SHAPE[-1]))
        return x

    variants = heads_variants(permute, tf.reshape)
    report("tf.function, heads, static", {name: trace(function, SHAPE) for name, function in variants.items()})
    variants["by hand"] = heads_by_hand_dynamic
    shape = (None, None, SHAPE[-1])
    report("tf.function, heads, dynamic", {name: trace(function, shape) for name, function in variants.items()})


def measure_keras() -> None:
    """Measure the building of a functional model of Keras."""
    import keras

    def trace(function: Any) -> Callable[[], Any]:
        def build() -> Any:
            x = keras.Input(SHAPE[1:], batch_size=SHAPE[0])
            return keras.Model(x, function(x))

        return build

    variants = heads_variants(keras.ops.transpose, keras.ops.reshape)
    del variants["einops"]  # it does not know the tensors of a functional model
    report("keras functional model, heads", {name: trace(function) for name, function in variants.items()})


def measure_mlx() -> None:
    """Measure ``mx.compile``."""
    import mlx.core as mx

    x = mx.zeros(SHAPE)

    def trace(function: Any) -> Callable[[], Any]:
        return lambda: mx.compile(new_function(function))(x)

    variants = heads_variants(mx.transpose, mx.reshape)
    report("mx.compile, heads", {name: trace(function) for name, function in variants.items()})


MEASURE_BY_PACKAGE = {
    "torch": measure_torch,
    "jax": measure_jax,
    "tensorflow": measure_tensorflow,
    "keras": measure_keras,
    "mlx": measure_mlx,
}
"""By package that must be installed, the function that measures it and prints the rows of the table."""


def report(title: str, variants: Variants) -> None:
    """Trace the variants in turn, and print a row of the table."""
    best = dict.fromkeys(variants, float("inf"))
    for trace in variants.values():
        trace()  # imports what the first trace of a process imports
    for _ in range(ROUNDS):
        for name, trace in variants.items():
            gc.collect()
            start = time.process_time()
            trace()
            best[name] = min(best[name], time.process_time() - start)
    cells = [
        f"{best[name] * 1000:.3g} ({best[name] / best['by hand']:.2f})" if name in best else "-"
        for name in ("by hand", "einops", "plait")
    ]
    print(f"| {' | '.join([title, *cells])} |", flush=True)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Measure how long tracing takes.")
    parser.add_argument("names", nargs="*", help="packages to measure (default: all that are installed)")
    names = parser.parse_args().names or [name for name in MEASURE_BY_PACKAGE if importlib.util.find_spec(name)]
    print("| | by hand | einops | plait |\n|---|---:|---:|---:|")
    for name in names:
        MEASURE_BY_PACKAGE[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
