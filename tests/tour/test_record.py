"""The line that is shown is the call that runs."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from plait._tour.runner import Picture, Step, read, run
from plait._tour.steps import STEPS

IMAGE = np.ones((32, 32, 3), np.float32)


@pytest.mark.parametrize(
    ("code", "makes", "function", "pattern", "sizes"),
    [
        ('b = plait.rearrange(a, "h w -> w h")', ("b",), "plait.rearrange", "h w -> w h", {}),
        (
            'b = plait.reduce([x, y], "n (h p) -> h", "max", p=2)',
            *(("b",), "plait.reduce", "n (h p) -> h", {"p": 2}),
        ),
        ('p, q = plait.pack([x], "* c")', ("p", "q"), "plait.pack", "* c", {}),
        ("change(a)", (), "change", "", {}),
        ("b = cut.inverse()", ("b",), "cut.inverse", "", {}),
    ],
)
def test_code(code, makes, function, pattern, sizes):
    call = read(code)
    assert (call.code, call.makes, call.function) == (code, makes, function)
    assert (call.pattern, call.sizes, call.refused) == (pattern, sizes, False)
    assert "".join(part.text for part in call.parts()) == code
    refused = read(f"{code}  # refused")
    assert refused == call._replace(refused=True)


def test_an_axis_has_one_colour_wherever_it_stands():
    parts = read('b = plait.rearrange(h, "(h p) -> p h", p=2)').parts()
    assert [part.text for part in parts if part.kind == "axis-0"] == ["h", "h"]
    assert [part.text for part in parts if part.kind == "axis-1"] == ["p", "p", "p"]
    assert [part.text for part in parts if part.kind == "function"] == ["plait.rearrange"]


def test_the_shown_code_gives_what_was_made(done, made, small):
    """The whole tour again, line by line, as a person would type it from the page."""
    from plait._tour.helpers import HELPERS

    names = {"plait": plait, "np": np, **HELPERS, **small}
    for each in done:
        for ran in each.ran:
            if ran.call.refused:
                with pytest.raises(plait.CopyRequiredError):
                    exec(ran.call.code, names)
            else:
                exec(ran.call.code, names)
    for name, value in made.items():
        if isinstance(value, np.ndarray):
            # a kernel that has become ready in between rounds in other places
            np.testing.assert_allclose(names[name], value, rtol=1e-6, err_msg=name)


def test_shapes_times_and_plans_are_kept(done):
    ran = {each.call.code: each for step in done for each in step.ran}
    tiles = next(each for each in ran.values() if each.call.makes == ("tiles",))
    assert (tiles.inputs, tiles.output) == ("(96, 128, 3)", "(4, 4, 24, 32, 3)")
    assert 0 < tiles.again <= tiles.first
    for each in ran.values():
        if "->" in each.call.pattern and each.inputs and not each.call.refused:
            assert str(each.plan).split()[0] in {"rearrange", "reduce", "repeat", "einsum"}


def test_a_proof_that_fails_stops_the_tour():
    step = Step("", "Wrong", "", (read("same = np.array_equal(a, b)"),), (), (), ("same",))
    with pytest.raises(AssertionError, match="Wrong: same is False"):
        list(run([step], {"a": IMAGE, "b": IMAGE + 1}))


def test_a_call_that_must_be_refused_and_is_not_stops_the_tour():
    step = Step("", "", "", (read('x = plait.view(a, "h w c -> w h c")  # refused'),), (), ())
    with pytest.raises(AssertionError, match="plait did not refuse x = "):
        list(run([step], {"a": IMAGE}))


def test_an_error_that_is_not_asked_for_gets_out():
    step = Step("", "", "", (read('x = plait.view(a, "h w c -> (w h) c")'),), (), ())
    with pytest.raises(plait.CopyRequiredError):
        list(run([step], {"a": IMAGE}))


def test_steps_see_what_earlier_steps_made():
    steps = [
        Step("", "", "", (read('b = plait.rearrange(a, "h w c -> w h c")'),), (), ()),
        Step("", "", "", (), (), (Picture("b", ("b",), lambda b: b.astype(np.uint8), "", ""),)),
    ]
    assert [list(each.drawn) for each in run(steps, {"a": IMAGE})] == [[], ["b"]]


def test_there_are_as_many_operations_as_plait_has():
    called = {call.function for step in STEPS for call in step.calls}
    wanted = {"rearrange", "view", "reduce", "repeat", "einsum", "pack", "unpack", "parse_shape", "compile"}
    assert wanted <= {name.removeprefix("plait.") for name in called}
