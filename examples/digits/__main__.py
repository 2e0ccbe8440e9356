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
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from examples.digits.report import print_table, write_table
from examples.digits.specification import Specification, load
from examples.digits.training import MODELS, Outcome, train

ROOT = Path(__file__).parents[2]
ALONE = "WEFT_DIGITS_ALONE"
"""The variable that tells a process to train the one model that is named, and to print its steps for the parent."""


def installed(name: str) -> bool:
    """Whether all that a model needs is there."""
    return all(importlib.util.find_spec(package) for package in MODELS[name][1])


def alone(name: str) -> None:
    """Train one model in this process; every tenth step and the outcome are lines of JSON on standard output."""

    def watch(step: int, steps: int, loss: float) -> None:
        if step % 10 == 0 or step == steps:
            print(json.dumps({"step": step, "steps": steps, "loss": loss}), flush=True)

    print(json.dumps(asdict(train(name, Specification(), load(), watch))), flush=True)


def watched(name: str, console: Console) -> Outcome | None:
    """Train one model in a process of its own, with a progress bar; what it says when it fails is shown."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    environment = {**os.environ, ALONE: "1"}
    command = [sys.executable, "-m", "examples.digits", name]
    outcome = None
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(MODELS[name][0], total=None, loss="starting")
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        ...
    return outcome
