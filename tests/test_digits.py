"""Tests of `examples.digits`: the model of each framework learns to read digits that it was not trained on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from layers.frameworks import FRAMEWORKS, parametrize_by_framework

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

import examples.digits.__main__ as command_line  # noqa: E402  # the root of the repository is not a package
from examples.digits import report  # noqa: E402
from examples.digits.specification import Specification, load_data  # noqa: E402
from examples.digits.training import MODELS, TrainingResult, train  # noqa: E402

MIN_ACCURACY = 0.95
"""The accuracy on held-out digits that every model has to reach."""


@pytest.mark.slow
@parametrize_by_framework()
def test_model_learns_to_read_digits(framework):
    specification = Specification()
    framework.import_framework()  # import it before the test turns its warnings into errors
    steps_seen = []
    result = train(
        framework.name, specification, load_data(), lambda step, steps, loss: steps_seen.append((step, steps, loss))
    )
    assert result.accuracy >= MIN_ACCURACY
    assert result.parameters == specification.parameters
    assert [step for step, _, _ in steps_seen] == list(range(1, steps_seen[0][1] + 1))
    assert 1.8 < steps_seen[0][2] < 3.5  # about ln 10 before training
    assert steps_seen[-1][2] < 0.5


def test_held_out_images_are_not_training_images():
    data = load_data()
    assert len(data.images) == len(data.digits) == 1438
    assert len(data.held_out_images) == len(data.held_out_digits) == 359
    assert data.images.min() == 0
    assert data.images.max() == 1
    assert not {row.tobytes() for row in data.images} & {row.tobytes() for row in data.held_out_images}


def test_readme_has_a_row_for_each_framework():
    lines = report.README.read_text(encoding="utf-8").splitlines()
    rows = {cells[1].strip(): cells for line in lines if (cells := line.split("|")) and len(cells) == 6}
    for title, _ in MODELS.values():
        assert float(rows[title][2].removesuffix(" % ")) >= 100 * MIN_ACCURACY
        assert rows[title][3].strip() == f"{Specification().parameters:,}"
        assert int(rows[title][4]) < 60


def test_write_table_replaces_only_the_rows_of_new_results(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    report.README.write_text("before\n<!-- table -->\n<!-- end of table -->\nafter\n", encoding="utf-8")
    one = TrainingResult("mlx", 0.975, 2730, 3.2)
    report.write_table([one])
    report.write_table([TrainingResult("torch", 0.96, 2730, 4.6)])
    report.write_table([replace(one, accuracy=0.981)])
    lines = report.README.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert [line for line in lines if line.startswith("| ")][1:] == [
        "| PyTorch | 96.0 % | 2,730 | 5 |",
        "| MLX | 98.1 % | 2,730 | 3 |",
    ]


def test_error_for_an_unknown_model_lists_the_models():
    command = [sys.executable, "-m", "examples.digits", "tensor-flow"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "tensor-flow" in process.stderr
    assert all(name in process.stderr for name in MODELS)
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("models", [[], ["torch", "flax"]], ids=len)
def test_worker_process_needs_exactly_one_model(models):
    command = [sys.executable, "-m", "examples.digits", *models]
    environment = {**os.environ, command_line.WORKER_VARIABLE: "1"}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert command_line.WORKER_VARIABLE in process.stderr
    assert "Traceback" not in process.stderr


def test_missing_packages_are_printed(monkeypatch, capsys):
    monkeypatch.setattr(command_line.importlib.util, "find_spec", lambda name: None if name == "optax" else name)
    monkeypatch.setattr(
        command_line, "train_in_new_process", lambda name, console: TrainingResult(name, 0.975, 2730, 3.2)
    )
    monkeypatch.setattr(sys, "argv", ["digits", "flax", "mlx"])
    assert command_line.main() == 1
    printed = capsys.readouterr().out
    assert "Not installed here: Flax Linen (optax)." in printed
    assert "MLX" in printed


def test_environment_of_the_user_overrides_defaults(monkeypatch):
    for name in ("KERAS_BACKEND", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    unset = command_line.worker_environment("keras")
    assert (unset["KERAS_BACKEND"], unset["OMP_NUM_THREADS"]) == ("tensorflow", "1")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    configured = command_line.worker_environment("keras")
    assert (configured["KERAS_BACKEND"], configured["OMP_NUM_THREADS"]) == ("torch", "2")
    assert command_line.worker_environment("tensorflow")["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.slow
def test_command_trains_and_prints_a_table():
    name = next(framework.name for framework in FRAMEWORKS if framework.is_installed())
    command = [sys.executable, "-m", "examples.digits", name]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert MODELS[name][0] in process.stdout
    assert "2,730" in process.stdout
