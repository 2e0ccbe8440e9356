"""The runner of the tour: the code that the page shows is the code that runs."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from plait._tour.runner import Picture, Step, parse_call, run_steps
from plait._tour.steps import STEPS

IMAGE = np.ones((32, 32, 3), np.float32)


@pytest.mark.parametrize(
    ("code", "result_names", "function", "pattern", "sizes"),
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
def test_parse_call_reads_names_function_pattern_and_sizes(code, result_names, function, pattern, sizes):
    call = parse_call(code)
    assert (call.code, call.result_names, call.function) == (code, result_names, function)
    assert (call.pattern, call.sizes, call.is_refused) == (pattern, sizes, False)
    assert "".join(part.text for part in call.parts()) == code
    refused = parse_call(f"{code}  # refused")
    assert refused == call._replace(is_refused=True)


def test_an_axis_has_the_same_kind_everywhere_in_a_line():
    parts = parse_call('b = plait.rearrange(h, "(h p) -> p h", p=2)').parts()
    assert [part.text for part in parts if part.kind == "axis-0"] == ["h", "h"]
    assert [part.text for part in parts if part.kind == "axis-1"] == ["p", "p", "p"]
    assert [part.text for part in parts if part.kind == "function"] == ["plait.rearrange"]


def test_executing_the_shown_code_gives_the_same_results(step_results, value_by_name, cropped_photographs):
    """Execute every line of code of the tour once more, as a reader of the page would."""
    from plait._tour.helpers import HELPER_FUNCTIONS

    names = {"plait": plait, "np": np, **HELPER_FUNCTIONS, **cropped_photographs}
    for each in step_results:
        for call_result in each.call_results:
            if call_result.call.is_refused:
                with pytest.raises(plait.CopyRequiredError):
                    exec(call_result.call.code, names)
            else:
                exec(call_result.call.code, names)
    for name, value in value_by_name.items():
        if isinstance(value, np.ndarray):
            # a kernel compiled in the meantime may round differently
            np.testing.assert_allclose(names[name], value, rtol=1e-6, err_msg=name)


def test_call_results_have_shapes_times_and_plans(step_results):
    call_results = {each.call.code: each for step in step_results for each in step.call_results}
    tiles = next(each for each in call_results.values() if each.call.result_names == ("tiles",))
    assert (tiles.inputs, tiles.output) == ("(96, 128, 3)", "(4, 4, 24, 32, 3)")
    assert 0 < tiles.repeated_seconds <= tiles.first_seconds
    for each in call_results.values():
        if "->" in each.call.pattern and each.inputs and not each.call.is_refused:
            assert str(each.plan).split()[0] in {"rearrange", "reduce", "repeat", "einsum"}


def test_a_false_result_stops_the_tour():
    step = Step("", "Wrong", "", (parse_call("same = np.array_equal(a, b)"),), (), (), ("same",))
    with pytest.raises(AssertionError, match="Wrong: same is False"):
        list(run_steps([step], {"a": IMAGE, "b": IMAGE + 1}))


def test_a_missing_refusal_stops_the_tour():
    step = Step("", "", "", (parse_call('x = plait.view(a, "h w c -> w h c")  # refused'),), (), ())
    with pytest.raises(AssertionError, match="plait did not refuse x = "):
        list(run_steps([step], {"a": IMAGE}))


def test_unexpected_errors_are_raised():
    step = Step("", "", "", (parse_call('x = plait.view(a, "h w c -> (w h) c")'),), (), ())
    with pytest.raises(plait.CopyRequiredError):
        list(run_steps([step], {"a": IMAGE}))


def test_steps_see_results_of_earlier_steps():
    steps = [
        Step("", "", "", (parse_call('b = plait.rearrange(a, "h w c -> w h c")'),), (), ()),
        Step("", "", "", (), (), (Picture("b", ("b",), lambda b: b.astype(np.uint8), "", ""),)),
    ]
    assert [list(each.images) for each in run_steps(steps, {"a": IMAGE})] == [[], ["b"]]


def test_the_tour_uses_every_operation():
    called = {call.function for step in STEPS for call in step.calls}
    wanted = {"rearrange", "view", "reduce", "repeat", "einsum", "pack", "unpack", "parse_shape", "compile"}
    assert wanted <= {name.removeprefix("plait.") for name in called}
