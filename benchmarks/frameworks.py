"""Measure what a call of plait adds on each framework to hand-written calls, compared with einops.

From the root of the repository, in an environment that has the frameworks::

    python -m benchmarks.frameworks [NAME ...]

Without names it measures every installed framework. The tensors have the shape 2x3x4x6: so small that the overhead of a
call takes longer than the computation. For a lazy framework, the time is that of building the graph. The times are
those of the fastest round, in microseconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import version
from timeit import Timer

import numpy as np

import plait

ROUNDS = 9
"""The number of rounds; every variant has one turn in a round."""

TURN_SECONDS = 0.02
"""The length of a turn, in seconds."""

CALL_TEMPLATE_BY_OPERATION = {
    "space to depth": "{library}.rearrange(x, 'b c (h p) (w q) -> b (c p q) h w', p=2, q=2)",
    "mean": "{library}.reduce(x, 'b c h w -> b c', 'mean')",
    "repeat": "{library}.repeat(x, 'b c h w -> b c h w r', r=3)",
}
"""The operations by name, as calls of einops and plait."""


@dataclass(frozen=True)
class Framework:
    """A framework to measure.

    Attributes:
        name: the name of the framework.
        package: the package that must be installed.
        setup: code that makes a tensor ``x`` of the array ``a``, and imports the module ``m``.
        native: the hand-written expressions, one for each operation of `CALL_TEMPLATE_BY_OPERATION`.
        has_einops: whether einops supports the framework.
    """

    name: str
    package: str
    setup: str
    native: tuple[str, str, str]
    has_einops: bool = True


SPACE_TO_DEPTH_SHAPES_AND_AXES = "(2, 3, 2, 2, 3, 2)", "(0, 1, 3, 5, 2, 4)", "(2, 12, 2, 3)"
"""The first shape, the permutation and the second shape of the operation "space to depth"."""

NUMPY_LIKE_SPACE_TO_DEPTH = "m.reshape(m.transpose(m.reshape(x, {}), {}), {})".format(*SPACE_TO_DEPTH_SHAPES_AND_AXES)
"""The operation "space to depth" in frameworks with functions like those of NumPy."""

FRAMEWORKS = (
    Framework(
        "jax",
        "jax",
        "import jax.numpy as m; x = m.asarray(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "tensorflow",
        "tensorflow",
        "import tensorflow as m; x = m.constant(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.reduce_mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "mlx",
        "mlx",
        "import mlx.core as m; x = m.array(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "tinygrad",
        "tinygrad",
        "from tinygrad import Tensor; x = Tensor(a)",
        (
            f"x.reshape({SPACE_TO_DEPTH_SHAPES_AND_AXES[0]}).permute({SPACE_TO_DEPTH_SHAPES_AND_AXES[1]}).reshape({SPACE_TO_DEPTH_SHAPES_AND_AXES[2]})",
            "x.mean((2, 3))",
            "x.unsqueeze(-1).expand((2, 3, 4, 6, 3))",
        ),
    ),
    Framework(
        "dask",
        "dask",
        "import dask.array as m; x = m.from_array(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
        has_einops=False,
    ),
    Framework(
        "pytensor",
        "pytensor",
        "import pytensor.tensor as m; x = m.constant(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "paddle",
        "paddle",
        "import paddle as m; x = m.to_tensor(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(m.unsqueeze(x, -1), (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "chainer",
        "chainer",
        "import chainer; import chainer.functions as m; x = chainer.Variable(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.average(x, (2, 3))", "m.broadcast_to(m.expand_dims(x, -1), (2, 3, 4, 6, 3))"),
        has_einops=False,
    ),
    Framework(
        "mxnet",
        "mxnet",
        "import mxnet; m = mxnet.np; x = m.array(a)",
        (NUMPY_LIKE_SPACE_TO_DEPTH, "m.mean(x, (2, 3))", "m.broadcast_to(m.expand_dims(x, -1), (2, 3, 4, 6, 3))"),
        has_einops=False,
    ),
)


def measure_microseconds(expressions: dict[str, str], namespace: dict[str, object]) -> dict[str, float]:
    """Return the microseconds of one call of each expression, by variant."""
    timers = {name: Timer(text, globals=namespace) for name, text in expressions.items()}
    counts = {}
    for name, timer in timers.items():
        timer.timeit(20)  # warm up
        counts[name] = max(5, round(TURN_SECONDS / (timer.timeit(20) / 20)))
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(counts[name]) / counts[name] * 1e6)
    return best


def measure_table_rows(framework: Framework) -> list[str]:
    """Measure one framework, and return the rows of its table in Markdown."""
    namespace: dict[str, object] = {
        "a": np.random.default_rng(0).random((2, 3, 4, 6), dtype=np.float32),
        "plait": plait,
    }
    exec(framework.setup, namespace)  # the text comes from this file
    libraries = ["plait"]
    if framework.has_einops and importlib.util.find_spec("einops"):
        import einops

        namespace["einops"] = einops
        libraries.insert(0, "einops")
    rows = []
    for (name, call), native in zip(CALL_TEMPLATE_BY_OPERATION.items(), framework.native, strict=True):
        for library in libraries:
            actual, expected = eval(call.format(library=library), namespace), eval(native, namespace)
            np.testing.assert_allclose(plait.asnumpy(actual), plait.asnumpy(expected), rtol=1e-6)
        microseconds = measure_microseconds(
            {"native": native, **{library: call.format(library=library) for library in libraries}}, namespace
        )
        cells = [f"{microseconds['native']:.1f}"]
        cells += [
            f"{microseconds[key] - microseconds['native']:+.1f}" if key in microseconds else ""
            for key in ("einops", "plait")
        ]
        rows.append(f"| {framework.name} {name} | {' | '.join(cells)} |")
    return rows


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frameworks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a framework; by default all that are installed")
    options = parser.parse_args()
    by_name = {framework.name: framework for framework in FRAMEWORKS}
    for name in options.names:
        if name not in by_name:
            parser.error(f"{name!r} is none of {', '.join(by_name)}")
    selected = [by_name[name] for name in options.names] if options.names else FRAMEWORKS
    print("| | by hand, µs | einops adds | plait adds |\n|---|---|---|---|")
    for framework in selected:
        if importlib.util.find_spec(framework.package) is None:
            print(f"{framework.name} is not installed", file=sys.stderr)
            continue
        print("\n".join(measure_table_rows(framework)), flush=True)
    print(f"\nPython {sys.version.split()[0]}, plait {version('plait')}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
