"""The command line interface: its output, its errors and its exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

import plait
from plait._cli import main, parse_shapes_and_sizes

EXPLAIN_OUTPUT = """\
rearrange  b (h p) c -> b h (c p)   p=2
  input     2 6 4     b (h p) c
  reshape   2 3 2 4   b h p c     view
  permute   2 3 4 2   b h c p     view
  reshape   2 3 8     b h (c p)   copies 48 elements
  output    2 3 8     b h (c p)
"""

ERROR_OUTPUT = """\
plait.SizeError [PLT302]: p=4 does not divide dimension 1 of the input (length 6)
  b (h p) c -> b h (c p)
    ^^^^^
  input: 2 6 4   given: p=4
"""


@pytest.mark.parametrize("shape", ["2,6,4", "2x6x4"])
def test_explain_prints_the_plan(shape, capsys):
    assert main(["explain", "b (h p) c -> b h (c p)", shape, "p=2"]) == 0
    assert capsys.readouterr() == (EXPLAIN_OUTPUT, "")


def test_explain_takes_several_shapes(capsys):
    assert main(["explain", "b i d, b j d -> b i j", "8,128,64", "8,256,64"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "einsum  b i d, b j d -> b i j"


@pytest.mark.parametrize("pattern", [" -> a", "-> a", "->a"])
def test_explain_accepts_the_shape_of_a_scalar(pattern, capsys):
    assert main(["explain", pattern, "()", "a=3"]) == 0
    assert capsys.readouterr().out.startswith("repeat")


def test_plait_errors_are_printed_to_stderr_with_carets(capsys):
    assert main(["explain", "b (h p) c -> b h (c p)", "2,6,4", "p=4"]) == 2
    assert capsys.readouterr() == ("", ERROR_OUTPUT)


@pytest.mark.parametrize(
    ("pattern", "shapes", "start"),
    [
        ("h w", ["2,3"], "plait.PatternSyntaxError [PLT105]: "),
        ("h w -> w h", ["2"], "plait.SizeError [PLT304]: "),
        ("h w -> w h", [], "plait.AxisError [PLT202]: "),
        ("h w -> w h", ["2,3", "q=2"], "plait.AxisError [PLT203]: "),
    ],
)
def test_plait_errors_are_printed_with_class_and_code(pattern, shapes, start, capsys):
    assert main(["explain", pattern, *shapes]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(start)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("2,,3", "'2,,3' is not a shape; write 2,3,4 or 2x3x4, or () for a scalar"),
        ("2 3", "'2 3' is not a shape; write 2,3,4 or 2x3x4, or () for a scalar"),
        ("2.5", "'2.5' is not a shape; write 2,3,4 or 2x3x4, or () for a scalar"),
        ("", "'' is not a shape; write 2,3,4 or 2x3x4, or () for a scalar"),
        ("٣", "'٣' is not a shape; write 2,3,4 or 2x3x4, or () for a scalar"),
        ("p=2.5", "'p=2.5' is not a size; write NAME=N with an integer, as in p=16"),
        ("p=", "'p=' is not a size; write NAME=N with an integer, as in p=16"),
        ("=3", "'=3' is not a size; write NAME=N with an integer, as in p=16"),
        ("9" * 5000, f"{'9' * 40!r} contains a length that is too large for a tensor"),
        ("p=" + "9" * 5000, f"{'p=' + '9' * 38!r} contains a length that is too large for a tensor"),
    ],
)
def test_invalid_shapes_and_sizes_are_reported_in_one_line(word, what, capsys):
    assert main(["explain", "h w -> w h", word]) == 2
    assert capsys.readouterr() == ("", f"plait explain: {what}\n")


def test_a_size_given_twice_is_an_error(capsys):
    assert main(["explain", "(h p) -> h p", "6", "p=2", "p=3"]) == 2
    assert capsys.readouterr().err == "plait explain: the size p is given twice\n"


def test_shapes_and_sizes_may_be_mixed():
    assert parse_shapes_and_sizes(["p=2", "6,", "2x3", "größe=-1", "()"]) == ([(6,), (2, 3), ()], {"p": 2, "größe": -1})


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["explain"], ["tour", "--unknown"], ["tour", "more"]])
def test_invalid_usage_exits_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: plait" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"]])
def test_help_shows_examples(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert '\n  plait explain "b (h p) c -> b h (c p)" 2x6x4 p=2\n' in capsys.readouterr().out


def test_version_option_prints_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"plait {plait.__version__}\n"


def test_tour_reports_missing_packages_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("plait._tour.find_spec", lambda name: None if name in {"sklearn", "PIL"} else object())
    assert main(["tour"]) == 1
    assert capsys.readouterr() == ("", 'plait tour needs scikit-learn, pillow: pip install "plait[tour]"\n')


def test_python_m_plait_runs_the_command():
    command = [sys.executable, "-m", "plait", "explain", "b (h p) c -> b h (c p)", "2,6,4", "p=2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == (EXPLAIN_OUTPUT, "")


def test_explain_imports_no_framework():
    code = (
        "import sys; from plait._cli import main; main(['explain', 'h w -> w h', '2,3'])\n"
        "assert not {'numpy', 'torch', 'rich', 'jinja2'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
