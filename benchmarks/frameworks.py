"""What a call of plait adds on each framework, beside the calls written by hand and einops.

From the root of the repository, in an environment that has the frameworks::

    python -m benchmarks.frameworks [NAME ...]

Without names, every framework that is installed. Eager calls on tensors of 2x3x4x6, so small that the call costs more
than the work; a framework that works lazily is timed as it plans. Microseconds, the least of several rounds in turn.
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
TURN = 0.02
"""Seconds of one variant's turn in a round."""

CALLS = {
    "space to depth": "{library}.rearrange(x, 'b c (h p) (w q) -> b (c p q) h w', p=2, q=2)",
    "mean": "{library}.reduce(x, 'b c h w -> b c', 'mean')",
    "repeat": "{library}.repeat(x, 'b c h w -> b c h w r', r=3)",
}
"""The operations, as einops and plait spell them."""


@dataclass(frozen=True)
class Framework:
    """How a framework makes a tensor ``x`` of the array ``a``, and what an expert writes for each of `CALLS`."""

    name: str
    package: str
    make: str
    native: tuple[str, str, str]
    einops: bool = True


SHAPES = "(2, 3, 2, 2, 3, 2)", "(0, 1, 3, 5, 2, 4)", "(2, 12, 2, 3)"
NUMPY_LIKE = f"m.reshape(m.transpose(m.reshape(x, {SHAPES[0]}), {SHAPES[1]}), {SHAPES[2]})"

FRAMEWORKS = (
    Framework(
        "jax",
        "jax",
        "import jax.numpy as m; x = m.asarray(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "tensorflow",
        "tensorflow",
        "import tensorflow as m; x = m.constant(a)",
        (NUMPY_LIKE, "m.reduce_mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "mlx",
        "mlx",
        "import mlx.core as m; x = m.array(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "tinygrad",
        "tinygrad",
        "from tinygrad import Tensor; x = Tensor(a)",
        (
            f"x.reshape({SHAPES[0]}).permute({SHAPES[1]}).reshape({SHAPES[2]})",
            "x.mean((2, 3))",
            "x.unsqueeze(-1).expand((2, 3, 4, 6, 3))",
        ),
    ),
    Framework(
        "dask",
        "dask",
        "import dask.array as m; x = m.from_array(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
        einops=False,
    ),
    Framework(
        "pytensor",
        "pytensor",
        "import pytensor.tensor as m; x = m.constant(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(x[..., None], (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "paddle",
        "paddle",
        "import paddle as m; x = m.to_tensor(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(m.unsqueeze(x, -1), (2, 3, 4, 6, 3))"),
    ),
    Framework(
        "chainer",
        "chainer",
        "import chainer; import chainer.functions as m; x = chainer.Variable(a)",
        (NUMPY_LIKE, "m.average(x, (2, 3))", "m.broadcast_to(m.expand_dims(x, -1), (2, 3, 4, 6, 3))"),
        einops=False,
    ),
    Framework(
        "mxnet",
        "mxnet",
        "import mxnet; m = mxnet.np; x = m.array(a)",
        (NUMPY_LIKE, "m.mean(x, (2, 3))", "m.broadcast_to(m.expand_dims(x, -1), (2, 3, 4, 6, 3))"),
        einops=False,
    ),
)


def times(expressions: dict[str, str], namespace: dict[str, object]) -> dict[str, float]:
    """Microseconds of each expression."""
    timers = {name: Timer(text, globals=namespace) for name, text in expressions.items()}
    counts = {}
    for name, timer in timers.items():
        timer.timeit(20)  # warm
        counts[name] = max(5, round(TURN / (timer.timeit(20) / 20)))
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(counts[name]) / counts[name] * 1e6)
    return best


def table(framework: Framework) -> list[str]:
    """The rows of one framework, in Markdown."""
    namespace: dict[str, object] = {
        "a": np.random.default_rng(0).random((2, 3, 4, 6), dtype=np.float32),
        "plait": plait,
    }
    exec(framework.make, namespace)  # the text is this file's own
    libraries = ["plait"]
    if framework.einops and importlib.util.find_spec("einops"):
        import einops

        namespace["einops"] = einops
        libraries.insert(0, "einops")
    rows = []
    for (name, call), native in zip(CALLS.items(), framework.native, strict=True):
        for library in libraries:
            ours, theirs = eval(call.format(library=library), namespace), eval(native, namespace)
            np.testing.assert_allclose(plait.asnumpy(ours), plait.asnumpy(theirs), rtol=1e-6)
        found = times({"native": native, **{library: call.format(library=library) for library in libraries}}, namespace)
        cells = [f"{found['native']:.1f}"]
        cells += [f"{found[key] - found['native']:+.1f}" if key in found else "" for key in ("einops", "plait")]
        rows.append(f"| {framework.name} {name} | {' | '.join(cells)} |")
    return rows


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frameworks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a framework; all that are installed, without any")
    options = parser.parse_args()
    known = {framework.name: framework for framework in FRAMEWORKS}
    for name in options.names:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    chosen = [known[name] for name in options.names] if options.names else FRAMEWORKS
    print("| | by hand, µs | einops adds | plait adds |\n|---|---|---|---|")
    for framework in chosen:
        if importlib.util.find_spec(framework.package) is None:
            print(f"{framework.name} is not installed", file=sys.stderr)
            continue
        print("\n".join(table(framework)), flush=True)
    print(f"\nPython {sys.version.split()[0]}, plait {version('plait')}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
