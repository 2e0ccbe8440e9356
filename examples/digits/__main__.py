"""Train the network in every framework that is installed, and print how well each reads digits.

    python -m examples.digits              all installed frameworks
    python -m examples.digits torch flax   these frameworks
    python -m examples.digits --write      also write the table to README.md

Each model is trained in its own process, since some frameworks cannot be imported together.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.digits.report import print_table, write_table
from examples.digits.specification import Specification, load_data
from examples.digits.training import MODELS, TrainingResult, train

ROOT = Path(__file__).parents[2]
WORKER_VARIABLE = "PLAIT_DIGITS_WORKER"
"""The environment variable of a process that trains one model, and reports its progress as lines of JSON."""
QUIET_VARIABLES = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "GLOG_minloglevel": "3"}
"""Environment variables that keep frameworks from printing while they are imported."""
DEFAULT_VARIABLES = {"KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1"}
"""Default environment variables; one thread trains such a small network faster than several."""
REQUIRED_VARIABLES = {"tensorflow": {"KERAS_BACKEND": "tensorflow"}}
"""Environment variables by model that override those of the user: TensorFlow's optimizers are those of Keras."""
PROGRESS_COLUMNS = (
    TextColumn("{task.description:<12}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[loss]:<10}"),
    TimeElapsedColumn(),
)
"""The columns of the progress bar."""


def main() -> int:
    """Run the command; return 1 if a model could not be trained, else 0."""
    parser = argparse.ArgumentParser(prog="python -m examples.digits", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="model", help=f"a model to train: {', '.join(MODELS)}; by default all"
    )
    parser.add_argument("--write", action="store_true", help="write the table to README.md")
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in MODELS]:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    if os.environ.get(WORKER_VARIABLE):
        if len(options.models) != 1:
            parser.error(f"{WORKER_VARIABLE} is set: name the one model that this process trains")
        train_here(options.models[0])
        return 0
    console = Console()
    names = options.models or list(MODELS)
    installed = [name for name in names if not missing_packages(name)]
    if missing_models := [
        f"{MODELS[name][0]} ({', '.join(missing_packages(name))})" for name in names if name not in installed
    ]:
        console.print(f"Not installed here: {', '.join(missing_models)}.")
    results = [result for name in installed if (result := train_in_new_process(name, console))]
    if results:
        print_table(results, console)
    if options.write:
        write_table(results)
    return 0 if results and len(results) == len(options.models or installed) else 1


def missing_packages(name: str) -> list[str]:
    """Return the packages that a model needs and that are not installed."""
    return [package for package in MODELS[name][1] if importlib.util.find_spec(package) is None]


def worker_environment(name: str) -> dict[str, str]:
    """Return the environment variables of the process that trains a model."""
    return {
        **QUIET_VARIABLES,
        **DEFAULT_VARIABLES,
        **os.environ,
        **REQUIRED_VARIABLES.get(name, {}),
        WORKER_VARIABLE: "1",
    }


def train_here(name: str) -> None:
    """Train one model in this process, and print every tenth step and the result as lines of JSON."""

    def report_step(step: int, steps: int, loss: float) -> None:
        if step % 10 == 0 or step == steps:
            print(json.dumps({"step": step, "steps": steps, "loss": loss}), flush=True)

    print(json.dumps(asdict(train(name, Specification(), load_data(), report_step))), flush=True)


def train_in_new_process(name: str, console: Console) -> TrainingResult | None:
    """Train one model in a new process with a progress bar; return its result, or ``None`` if it failed."""
    result = None
    command = [sys.executable, "-m", "examples.digits", name]
    with (
        tempfile.TemporaryFile("w+") as output,
        Progress(*PROGRESS_COLUMNS, console=console, transient=True) as progress,
        subprocess.Popen(
            command, cwd=ROOT, env=worker_environment(name), stdout=subprocess.PIPE, stderr=output, text=True
        ) as process,
    ):
        bar = progress.add_task(MODELS[name][0], total=None, loss="loading")
        for line in process.stdout or ():
            try:
                message = json.loads(line)
            except ValueError:  # printed by a framework
                output.write(line)
                continue
            if "step" in message:
                progress.update(
                    bar, completed=message["step"], total=message["steps"], loss=f"loss {message['loss']:.3f}"
                )
            else:
                result = TrainingResult(**message)
        process.wait()
        output.seek(0)
        if result is None:
            console.print(f"{MODELS[name][0]} failed:\n{output.read()}", markup=False)
    return result


if __name__ == "__main__":
    sys.exit(main())
