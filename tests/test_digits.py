"""Each framework's model of the digits is built of one specification, learns, and reads digits that it has not seen."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from layers.frameworks import FRAMEWORKS, each

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

import examples.digits.__main__ as command_line  # noqa: E402  # the root of the repository is no package
from examples.digits import report  # noqa: E402
from examples.digits.specification import Specification, load  # noqa: E402
from examples.digits.training import MODELS, Outcome, train  # noqa: E402

ACCURACY = 0.95


@pytest.mark.slow
@each()
def test_the_digits_are_read(framework):
    specification = Specification()
    framework.module()  # what an old one says while it is imported is no error then
    seen = []
    outcome = train(framework.name, specification, load(), lambda step, steps, loss: seen.append((step, steps, loss)))
    assert outcome.accuracy >= ACCURACY
    assert outcome.parameters == specification.parameters
    assert [step for step, _, _ in seen] == list(range(1, seen[0][1] + 1))
    assert 1.8 < seen[0][2] < 3.5  # about ln 10, before anything is learnt
    assert seen[-1][2] < 0.5


def test_the_data_are_all_digits_once():
    data = load()
    assert len(data.images) == len(data.digits) == 1438
    assert len(data.held_out_images) == len(data.held_out_digits) == 359
    assert data.images.min() == 0
    assert data.images.max() == 1
    assert not {row.tobytes() for row in data.images} & {row.tobytes() for row in data.held_out_images}


def test_the_table_of_the_readme_has_a_row_for_every_framework():
    lines = report.README.read_text(encoding="utf-8").splitlines()
    rows = {cells[1].strip(): cells for line in lines if (cells := line.split("|")) and len(cells) == 6}
    for title, _ in MODELS.values():
        assert float(rows[title][2].removesuffix(" % ")) >= 100 * ACCURACY
        assert rows[title][3].strip() == f"{Specification().parameters:,}"
        assert int(rows[title][4]) < 60


def test_a_new_outcome_replaces_its_row_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    report.README.write_text("before\n<!-- table -->\n<!-- end of table -->\nafter\n", encoding="utf-8")
    one = Outcome("mlx", 0.975, 2730, 3.2)
    report.write_table([one])
    report.write_table([Outcome("torch", 0.96, 2730, 4.6)])
    report.write_table([replace(one, accuracy=0.981)])
    lines = report.README.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert [line for line in lines if line.startswith("| ")][1:] == [
        "| PyTorch | 96.0 % | 2,730 | 5 |",
        "| MLX | 98.1 % | 2,730 | 3 |",
    ]


def test_a_model_that_does_not_exist_is_said_with_those_that_do():
    command = [sys.executable, "-m", "examples.digits", "tensor-flow"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "tensor-flow" in run.stderr
    assert all(name in run.stderr for name in MODELS)
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("models", [[], ["torch", "flax"]], ids=len)
def test_a_process_that_trains_alone_is_told_one_model(models):
    command = [sys.executable, "-m", "examples.digits", *models]
    environment = {**os.environ, command_line.ALONE: "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert command_line.ALONE in run.stderr
    assert "Traceback" not in run.stderr


def test_what_is_missing_is_said_with_its_packages(monkeypatch, capsys):
    monkeypatch.setattr(command_line.importlib.util, "find_spec", lambda name: None if name == "optax" else name)
    monkeypatch.setattr(command_line, "watched", lambda name, console: Outcome(name, 0.975, 2730, 3.2))
    monkeypatch.setattr(sys, "argv", ["digits", "flax", "mlx"])
    assert command_line.main() == 1
    said = capsys.readouterr().out
    assert "Not installed here: Flax Linen (optax)." in said
    assert "MLX" in said


def test_what_the_user_set_wins_where_the_model_can_do_with_it(monkeypatch):
    for name in ("KERAS_BACKEND", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    unset = command_line.environment("keras")
    assert (unset["KERAS_BACKEND"], unset["OMP_NUM_THREADS"]) == ("tensorflow", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = command_line.environment("keras")
    assert (found["KERAS_BACKEND"], found["OMP_NUM_THREADS"]) == ("torch", "2")
    assert command_line.environment("tensorflow")["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.slow
def test_the_command_trains_and_prints_a_table():
    name = next(framework.name for framework in FRAMEWORKS if framework.installed())
    command = [sys.executable, "-m", "examples.digits", name]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert MODELS[name][0] in run.stdout
    assert "2,730" in run.stdout
