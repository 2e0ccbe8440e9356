"""Train the network in every framework that is installed, and print how well each reads digits.

    python -m examples.digits              all that are installed
    python -m examples.digits torch flax   these
    python -m examples.digits --write      and put the results into the table of README.md

Each framework is trained in a process of its own: some cannot live beside others.
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
from examples.digits.specification import Specification, load
from examples.digits.training import MODELS, Outcome, train

ROOT = Path(__file__).parents[2]
ALONE = "PLAIT_DIGITS_ALONE"
"""The variable that tells a process to train one model itself, and to report as lines of JSON."""
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "GLOG_minloglevel": "3"}
"""What keeps frameworks from talking while they load."""
DEFAULTS = {"KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1"}
"""What a user may set to something else; one thread trains a network this small faster than several."""
NEEDED = {"tensorflow": {"KERAS_BACKEND": "tensorflow"}}
"""What a model cannot do without, whatever the user has set: the optimizer of TensorFlow is one of Keras."""
COLUMNS = (
    TextColumn("{task.description:<12}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[loss]:<10}"),
    TimeElapsedColumn(),
)


def main() -> int:
    """Run the command; the status is 1 where a model could not be trained."""
    parser = argparse.ArgumentParser(prog="python -m examples.digits", description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="model", help=f"which to train, of: {', '.join(MODELS)}")
    parser.add_argument("--write", action="store_true", help="put the results into the table of README.md")
    given = parser.parse_args()
    if unknown := [name for name in given.models if name not in MODELS]:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    if os.environ.get(ALONE):
        if len(given.models) != 1:
            parser.error(f"{ALONE} is set: name the one model that this process trains")
        alone(given.models[0])
        return 0
    console = Console()
    names = given.models or list(MODELS)
    ready = [name for name in names if not missing(name)]
    if absent := [f"{MODELS[name][0]} ({', '.join(missing(name))})" for name in names if name not in ready]:
        console.print(f"Not installed here: {', '.join(absent)}.")
    outcomes = [outcome for name in ready if (outcome := watched(name, console))]
    if outcomes:
        print_table(outcomes, console)
    if given.write:
        write_table(outcomes)
    return 0 if outcomes and len(outcomes) == len(given.models or ready) else 1


def missing(name: str) -> list[str]:
    """The packages that a model needs and that are not there."""
    return [package for package in MODELS[name][1] if importlib.util.find_spec(package) is None]


def environment(name: str) -> dict[str, str]:
    """The variables of the process that trains a model."""
    return {**QUIET, **DEFAULTS, **os.environ, **NEEDED.get(name, {}), ALONE: "1"}


def alone(name: str) -> None:
    """Train one model in this process; every tenth step and the outcome are lines of JSON on standard output."""

    def watch(step: int, steps: int, loss: float) -> None:
        if step % 10 == 0 or step == steps:
            print(json.dumps({"step": step, "steps": steps, "loss": loss}), flush=True)

    print(json.dumps(asdict(train(name, Specification(), load(), watch))), flush=True)


def watched(name: str, console: Console) -> Outcome | None:
    """Train one model in a process of its own, beside a progress bar; ``None`` where it fails, and its words shown."""
    found = None
    command = [sys.executable, "-m", "examples.digits", name]
    with (
        tempfile.TemporaryFile("w+") as said,
        Progress(*COLUMNS, console=console, transient=True) as progress,
        subprocess.Popen(
            command, cwd=ROOT, env=environment(name), stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        bar = progress.add_task(MODELS[name][0], total=None, loss="loading")
        for line in process.stdout or ():
            try:
                told = json.loads(line)
            except ValueError:  # a framework's own words
                said.write(line)
                continue
            if "step" in told:
                progress.update(bar, completed=told["step"], total=told["steps"], loss=f"loss {told['loss']:.3f}")
            else:
                found = Outcome(**told)
        process.wait()
        said.seek(0)
        if found is None:
            console.print(f"{MODELS[name][0]} failed:\n{said.read()}", markup=False)
    return found


if __name__ == "__main__":
    sys.exit(main())
