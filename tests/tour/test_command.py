"""The command ``plait tour``: its output, the files that it writes, and the files that it refuses to overwrite."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from plait._cli import main
from plait._tour import command
from plait._tour.steps import STEPS


@pytest.fixture
def use_cropped_photographs(monkeypatch, cropped_photographs):
    monkeypatch.setattr(command, "load_photographs", lambda: cropped_photographs)


@pytest.fixture
def forbid_running(monkeypatch):
    def fail():
        raise AssertionError("nothing may run")

    monkeypatch.setattr(command, "load_photographs", fail)


def test_tour_prints_steps_and_writes_the_page(use_cropped_photographs, tmp_path, capsys):
    folder = tmp_path / "deep" / "tour"
    assert main(["tour", "--output", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert not err.strip()  # no progress where there is no terminal; old versions of Rich write a newline
    assert "\x1b" not in out
    for step in STEPS:
        assert step.title in out
        for call in step.calls:
            assert f"    {call.code}\n" in out
    assert "(96, 128, 3) -> (4, 4, 24, 32, 3)" in out
    assert "    exact: yes\n" in out
    assert f"Wrote {folder / 'index.html'} and " in out
    assert (folder / "index.html").as_uri() in out
    assert "plait explain " in out

    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "pictures"]
    written = {path.stem: path for path in (folder / "pictures").iterdir()}
    assert set(written) == {picture.name for step in STEPS for picture in step.after}
    for path in written.values():
        with Image.open(path) as image:
            assert image.format == "PNG"

    assert main(["tour", "--output", str(folder)]) == 0, "it overwrites its own files"


def test_default_output_folder_is_plait_tour(use_cropped_photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tour"]) == 0
    assert (tmp_path / "plait-tour" / "index.html").is_file()


@pytest.mark.parametrize("name", ["index.html", "pictures/china.png"])
def test_foreign_files_are_not_overwritten(name, forbid_running, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    (tmp_path / name).write_text("mine")
    assert main(["tour", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"plait tour: {tmp_path / name} was not written by the tour; choose another folder with --output\n"
    )
    assert (tmp_path / name).read_text() == "mine"


def test_output_path_that_is_a_file(forbid_running, tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert main(["tour", "-o", str(tmp_path / "taken")]) == 1
    assert capsys.readouterr().err.startswith(f"plait tour: cannot write to {tmp_path / 'taken'}: ")


def test_output_folder_without_write_permission(forbid_running, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["tour", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"plait tour: cannot write to {tmp_path}: Permission denied\n"


def test_full_disk_is_reported_in_one_line(use_cropped_photographs, tmp_path, monkeypatch, capsys):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command.Path, "write_bytes", full)
    assert main(["tour", "-o", str(tmp_path)]) == 1
    expected = f"plait tour: cannot write to {tmp_path}: No space left on device\n"
    assert capsys.readouterr().err.lstrip("\n") == expected  # old versions of Rich write a newline first


def test_force_color_and_no_color_are_respected(use_cropped_photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("CI", "1")
    assert main(["tour", "-o", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "\x1b[36m" in out
    assert err == ""  # no progress in CI
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["tour", "-o", str(tmp_path)]) == 0
    assert "\x1b[36m" not in capsys.readouterr().out
