"""An array larger than the memory of a worker, on a Dask cluster of two: plait beside Dask's own calls by hand.

    python -m benchmarks.dask_cluster                the table: about a minute
    python -m benchmarks.dask_cluster --only plait    one variant
    python -m benchmarks.dask_cluster --json FILE    the figures, for a program to read

Tasks are those of the graph that is sent, before and after Dask's own optimisation. The peak is the larger of the two
workers' resident memory, seen every ten milliseconds, the interpreter with its imports included. Each variant has
workers of its own, in which nothing has run before, and both variants are checked to give the same.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import plait

LIMIT = 384
"""What a worker may take, in MiB."""

MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One variant of one workload."""

    workload: str
    variant: str
    array: float  # MiB
    tasks: int
    optimised: int
    peak: float  # MiB
    seconds: float
    restarts: int


def images():
    """1.2 GiB: a batch cut into chunks of 24 MiB."""
    return da.random.default_rng(0).random((400, 3, 512, 512), chunks=(8, 3, 512, 512), dtype=np.float32)


def rows():
    """1.2 GiB: many rows, cut along both axes into chunks of 24 MiB."""
    return da.random.default_rng(1).random((1_280_000, 256), chunks=(50_000, 128), dtype=np.float32)


def plane():
    """1.2 GiB: one image, cut along both axes into chunks of 9 MiB."""
    return da.random.default_rng(2).random((17_920, 17_920), chunks=(512, 4480), dtype=np.float32)


def volumes():
    """1.2 GiB: 64 volumes of 500 rows, a chunk of 5 MiB for 128 rows of one volume, the last of each shorter."""
    return da.random.default_rng(3).random((64, 500, 10_000), chunks=(1, 128, 10_000), dtype=np.float32)


def patches_plait(x):
    return plait.reduce(plait.rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=16, q=16), "b n d -> n d", "mean")


def patches_hand(x):
    b, c, height, width = x.shape
    x = x.reshape(b, c, height // 16, 16, width // 16, 16).transpose(0, 2, 4, 3, 5, 1)
    return x.reshape(b, height * width // 256, 256 * c).mean(axis=0)


def heads_plait(x):
    return plait.reduce(plait.rearrange(x, "n (h d) -> h n d", h=16), "h n d -> h d", "std")


def heads_hand(x):
    return x.reshape(x.shape[0], 16, x.shape[1] // 16).transpose(1, 0, 2).std(axis=1)


def products_plait(x):
    return plait.einsum(x, x, "n i, n j -> i j")


def products_hand(x):
    return da.einsum("ni,nj->ij", x, x, optimize=True)


def merge_plait(x):
    return plait.reduce(plait.rearrange(x, "h w -> (h w)"), "(n k) -> n", "max", k=4096)


def merge_hand(x):
    return x.reshape(x.size).reshape(x.size // 4096, 4096).max(axis=1)


def stays_plait(x):
    return plait.reduce(plait.rearrange(x, "v r c -> (v r c)"), "(n k) -> n", "max", k=10_000)


def stays_hand(x):
    return x.reshape(x.size).reshape(x.size // 10_000, 10_000).max(axis=1)


WORKLOADS = {
    "patches, mean over images": (images, {"plait": patches_plait, "by hand": patches_hand}),
    "heads, std over rows": (rows, {"plait": heads_plait, "by hand": heads_hand}),
    "products of columns": (rows, {"plait": products_plait, "by hand": products_hand}),
    "merge along borders, max": (volumes, {"plait": stays_plait, "by hand": stays_hand}),
    "merge of two cut axes, max": (plane, {"plait": merge_plait, "by hand": merge_hand}),
}


def _start(dask_worker):
    """Watch a worker's memory; runs there."""
    import threading

    import psutil

    process = psutil.Process()
    dask_worker.peak = 0

    def watch():
        while True:
            dask_worker.peak = max(dask_worker.peak, process.memory_info().rss)
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()


def measure(workload: str, variant: str, array, call) -> tuple[Row, np.ndarray]:
    """Compute once, on workers of its own."""
    result = call(array)
    (optimised,) = dask.optimize(result)
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit=LIMIT * MIB,
        host="127.0.0.1",
        dashboard_address=None,
    )
    with cluster, Client(cluster) as client:
        client.run(_start)
        workers = set(client.scheduler_info()["workers"])
        start = time.perf_counter()
        found = client.compute(result).result()
        seconds = time.perf_counter() - start
        peak = max(client.run(lambda dask_worker: getattr(dask_worker, "peak", 0)).values())
        lost = len(workers - set(client.scheduler_info()["workers"]))
    tasks, fewer = len(result.__dask_graph__()), len(optimised.__dask_graph__())
    row = Row(workload, variant, array.nbytes / MIB, tasks, fewer, peak / MIB, seconds, lost)
    return row, found


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        f"| {'array, MiB':>10} | {'workload':<28} | {'':<7} | tasks | optimised | peak of a worker, MiB | seconds |",
        f"|{'-' * 11}:|{'-' * 30}|{'-' * 9}|{'-' * 6}:|{'-' * 10}:|{'-' * 22}:|{'-' * 8}:|",
    ]
    lines += [
        f"| {row.array:>10.0f} | {row.workload:<28} | {row.variant:<7} | {row.tasks:>5} | {row.optimised:>9} "
        f"| {row.peak:>21.0f} | {row.seconds:>7.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--workload", choices=[*WORKLOADS], action="append", help="one workload (may be repeated)")
    parser.add_argument("--only", choices=["plait", "by hand"], help="one variant")
    options = parser.parse_args()
    rows = []
    for workload in options.workload or WORKLOADS:
        make, variants = WORKLOADS[workload]
        results = []
        for variant, call in variants.items():
            if options.only not in (None, variant):
                continue
            row, found = measure(workload, variant, make(), call)
            rows.append(row)
            results.append(found)
        np.testing.assert_allclose(results[0], results[-1], rtol=1e-4)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
