"""In a traceback plait adds one frame, that of the public function, to the caller's."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import plait

np = pytest.importorskip("numpy")

PACKAGE = Path(plait.__file__).parent
X = np.zeros((2, 3, 4))
PATTERN = plait.compile("b (c d) e -> b c d e", d=2)
PIPELINE = PATTERN >> plait.compile("b c d e -> b e (c d)")

FAILING_CALLS = {
    "rearrange": lambda: plait.rearrange(X, "b c -> c b"),
    "rearrange of a list": lambda: plait.rearrange([X, X], "b c -> c b"),
    "view": lambda: plait.view(X, "b c d -> b (d c)"),
    "reduce": lambda: plait.reduce(X, "b c d -> b", "maen"),
    "a function as the reduction": lambda: plait.reduce(X, "b c d -> b", lambda tensor, _: tensor),
    "repeat": lambda: plait.repeat(X, "b c d -> b c d r"),
    "einsum": lambda: plait.einsum(X, X, "b c d, d c b -> b"),
    "classical einsum": lambda: plait.einsum("bcd,dcb->b", X, X),
    "pack": lambda: plait.pack([X], "b"),
    "unpack": lambda: plait.unpack(X, [(1,)], "b * d"),
    "parse_shape": lambda: plait.parse_shape(X, "b c"),
    "asnumpy": lambda: plait.asnumpy(5),
    "explain": lambda: plait.explain("b c -> c b", (2, 3, 4)),
    "compile": lambda: plait.compile("b (c -> b"),
    "Pattern.rearrange": lambda: PATTERN.rearrange(X),
    "Pattern.view": lambda: PATTERN.view(X),
    "Pattern.reduce": lambda: plait.compile("b c d -> b").reduce(X, "maen"),
    "Pattern.repeat": lambda: plait.compile("b c -> b c r", r=2).repeat(X),
    "Pattern.einsum": lambda: plait.compile("b c, c d -> b d").einsum(X, X),
    "Pattern.output_shape": lambda: PATTERN.output_shape((2, 3)),
    "Pattern.inverse": lambda: plait.compile("a b, b c -> a c").inverse(),
    "Pattern.explain": lambda: PATTERN.explain((2, 3)),
    "Pattern.source": lambda: PATTERN.source("nunpy", 3),
    "PatternPipeline.rearrange": lambda: PIPELINE.rearrange(X),
    "PatternPipeline.explain": lambda: PIPELINE.explain((2, 3)),
    "PatternPipeline.output_shape": lambda: PIPELINE.output_shape((2, 3)),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", FAILING_CALLS)
def test_a_traceback_has_one_frame_of_plait(name, times):
    for _ in range(times):
        with pytest.raises(plait.PlaitError) as caught:
            FAILING_CALLS[name]()
    frames = [
        frame for frame in traceback.extract_tb(caught.value.__traceback__) if PACKAGE in Path(frame.filename).parents
    ]
    assert len(frames) == 1, frames
    assert caught.value.__suppress_context__
    assert frames[0].filename in (str(PACKAGE / "_api.py"), str(PACKAGE / "_pattern.py"))


def test_full_traceback_with_environment_variable(monkeypatch):
    monkeypatch.setenv("PLAIT_FULL_TRACEBACK", "1")
    with pytest.raises(plait.PlaitError) as caught:
        plait.rearrange(X, "b c -> c b")
    files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "solver.py" in files


def test_traceback_printed_by_python_has_two_frames(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import numpy as np, plait\nplait.rearrange(np.zeros((2, 3)), 'a b c -> c b a')\n")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.stderr.count("  File ") == 2, run.stderr
    assert "During handling" not in run.stderr
    assert "plait.SizeError: [PLT304]" in run.stderr
