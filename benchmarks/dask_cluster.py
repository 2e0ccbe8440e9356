"""Compare plait with Dask's own calls on a cluster of two workers, with arrays larger than the memory of a worker.

    python -m benchmarks.dask_cluster                the table: about a minute
    python -m benchmarks.dask_cluster --only plait    one variant
    python -m benchmarks.dask_cluster --json FILE    the figures, for a program to read

The tasks are those of the graph before and after Dask's optimisation. The peak is the larger resident memory of the two
workers, sampled every ten milliseconds, with the interpreter and its imports. Each variant runs on new workers, and the
results of both variants are compared.
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

WORKER_MEMORY_MIB = 384
"""The memory limit of a worker, in MiB."""

MIB = 2**20


@dataclass(frozen=True)
class Measurement:
    """The measurements of one variant of one workload.

    Attributes:
        workload: the name of the workload.
        variant: ``"plait"`` or ``"by hand"``.
        array_mib: the size of the input, in MiB.
        tasks: the number of tasks of the graph.
        optimised_tasks: the number of tasks after Dask's optimisation.
        peak_mib: the peak memory of a worker, in MiB.
        seconds: the time of the computation.
        restarts: the number of workers that were lost.
    """

    workload: str
    variant: str
    array_mib: float
    tasks: int
    optimised_tasks: int
    peak_mib: float
    seconds: float
    restarts: int


def make_images():
    """Return a batch of images, 1.2 GiB, in chunks of 24 MiB along the batch axis."""
    return da.random.default_rng(0).random((400, 3, 512, 512), chunks=(8, 3, 512, 512), dtype=np.float32)


def make_matrix():
    """Return a matrix of many rows, 1.2 GiB, in chunks of 24 MiB along both axes."""
    return da.random.default_rng(1).random((1_280_000, 256), chunks=(50_000, 128), dtype=np.float32)


def make_large_image():
    """Return one large image, 1.2 GiB, in chunks of 9 MiB along both axes."""
    return da.random.default_rng(2).random((17_920, 17_920), chunks=(512, 4480), dtype=np.float32)


def make_volumes():
    """Return 64 volumes of 500 rows, 1.2 GiB; a chunk of 5 MiB has 128 rows of one volume, or the rest of it."""
    return da.random.default_rng(3).random((64, 500, 10_000), chunks=(1, 128, 10_000), dtype=np.float32)


def batch_mean_of_patches_plait(x):
    """Cut the images into 16x16 patches, and compute the mean of each patch over the batch."""
    return plait.reduce(plait.rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=16, q=16), "b n d -> n d", "mean")


def batch_mean_of_patches_dask(x):
    """Compute the same as `batch_mean_of_patches_plait` with Dask's own calls."""
    b, c, height, width = x.shape
    x = x.reshape(b, c, height // 16, 16, width // 16, 16).transpose(0, 2, 4, 3, 5, 1)
    return x.reshape(b, height * width // 256, 256 * c).mean(axis=0)


def std_over_rows_of_column_groups_plait(x):
    """Put the columns into 16 groups, and compute the standard deviation of each column over the rows."""
    return plait.reduce(plait.rearrange(x, "n (h d) -> h n d", h=16), "h n d -> h d", "std")


def std_over_rows_of_column_groups_dask(x):
    """Compute the same as `std_over_rows_of_column_groups_plait` with Dask's own calls."""
    return x.reshape(x.shape[0], 16, x.shape[1] // 16).transpose(1, 0, 2).std(axis=1)


def gram_matrix_plait(x):
    """Compute the product of the transposed matrix and the matrix."""
    return plait.einsum(x, x, "n i, n j -> i j")


def gram_matrix_dask(x):
    """Compute the same as `gram_matrix_plait` with Dask's own calls."""
    return da.einsum("ni,nj->ij", x, x, optimize=True)


def max_across_chunks_plait(x):
    """Merge two chunked axes, and compute the maximum of groups of 4,096 elements."""
    return plait.reduce(plait.rearrange(x, "h w -> (h w)"), "(n k) -> n", "max", k=4096)


def max_across_chunks_dask(x):
    """Compute the same as `max_across_chunks_plait` with Dask's own calls."""
    return x.reshape(x.size).reshape(x.size // 4096, 4096).max(axis=1)


def max_within_chunks_plait(x):
    """Merge all axes, and compute the maximum of each row; a row lies within one chunk."""
    return plait.reduce(plait.rearrange(x, "v r c -> (v r c)"), "(n k) -> n", "max", k=10_000)


def max_within_chunks_dask(x):
    """Compute the same as `max_within_chunks_plait` with Dask's own calls."""
    return x.reshape(x.size).reshape(x.size // 10_000, 10_000).max(axis=1)


WORKLOADS = {
    "patches, mean over images": (
        make_images,
        {"plait": batch_mean_of_patches_plait, "by hand": batch_mean_of_patches_dask},
    ),
    "heads, std over rows": (
        make_matrix,
        {"plait": std_over_rows_of_column_groups_plait, "by hand": std_over_rows_of_column_groups_dask},
    ),
    "products of columns": (make_matrix, {"plait": gram_matrix_plait, "by hand": gram_matrix_dask}),
    "merge along borders, max": (make_volumes, {"plait": max_within_chunks_plait, "by hand": max_within_chunks_dask}),
    "merge of two cut axes, max": (
        make_large_image,
        {"plait": max_across_chunks_plait, "by hand": max_across_chunks_dask},
    ),
}
"""The workloads by name: a function that makes the array, and the variants that compute the result."""


def _record_peak_memory(dask_worker):
    """Start a thread on a worker that records its peak memory."""
    import threading

    import psutil

    process = psutil.Process()
    dask_worker.peak = 0

    def record():
        while True:
            dask_worker.peak = max(dask_worker.peak, process.memory_info().rss)
            time.sleep(0.01)

    threading.Thread(target=record, daemon=True).start()


def run_variant(workload: str, variant: str, array, call) -> tuple[Measurement, np.ndarray]:
    """Run one variant on new workers; return its measurements and its result."""
    result = call(array)
    (optimised,) = dask.optimize(result)
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit=WORKER_MEMORY_MIB * MIB,
        host="127.0.0.1",
        dashboard_address=None,
    )
    with cluster, Client(cluster) as client:
        client.run(_record_peak_memory)
        workers = set(client.scheduler_info()["workers"])
        start = time.perf_counter()
        result_array = client.compute(result).result()
        seconds = time.perf_counter() - start
        peak = max(client.run(lambda dask_worker: getattr(dask_worker, "peak", 0)).values())
        lost_workers = len(workers - set(client.scheduler_info()["workers"]))
    tasks, optimised_tasks = len(result.__dask_graph__()), len(optimised.__dask_graph__())
    row = Measurement(workload, variant, array.nbytes / MIB, tasks, optimised_tasks, peak / MIB, seconds, lost_workers)
    return row, result_array


def format_table(rows: list[Measurement]) -> str:
    """Return the measurements as a table in Markdown."""
    lines = [
        f"| {'array, MiB':>10} | {'workload':<28} | {'':<7} | tasks | optimised | peak of a worker, MiB | seconds |",
        f"|{'-' * 11}:|{'-' * 30}|{'-' * 9}|{'-' * 6}:|{'-' * 10}:|{'-' * 22}:|{'-' * 8}:|",
    ]
    lines += [
        f"| {row.array_mib:>10.0f} | {row.workload:<28} | {row.variant:<7} | {row.tasks:>5} | {row.optimised_tasks:>9} "
        f"| {row.peak_mib:>21.0f} | {row.seconds:>7.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
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
            row, result_array = run_variant(workload, variant, make(), call)
            rows.append(row)
            results.append(result_array)
        np.testing.assert_allclose(results[0], results[-1], rtol=1e-4)
    print(format_table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
