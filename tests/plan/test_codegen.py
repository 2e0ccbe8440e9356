"""Generated source: its text, its results in a process that cannot import plait, and errors."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from enum import Enum
from functools import lru_cache

import pytest
from hypothesis import Phase, given, settings
from pattern_strategies import transform_patterns

import plait
from plait._executor.compile import lower_pattern
from plait._plan.codegen import generate_function
from plait._plan.contraction.decompose import decompose_einsum
from plait._plan.nodes import Diagonal
from plait.backends.reduction_rules import REDUCTION_RULES
from plait.backends.source_templates import SOURCE_TEMPLATES, source_templates_of

to_pattern = plait.compile

SOURCE_ARGUMENTS = [
    ("rearrange", "b (h p) (w q) c -> b (h w) (p q c)", (4,), None),
    ("rearrange", "... a 1 -> (a ...)", (4,), None),
    ("view", "a (b c) -> c b a", (2,), None),
    ("repeat", "h w -> (h 2) r w", (2,), None),
    *[("reduce", "b (h 2) (w p) -> w b", (3,), name) for name in REDUCTION_RULES],
    ("einsum", "b i (h d), b j (h d) -> b h i j", (3, 3), None),
    ("einsum", "... i j, ... j, k k i -> k ...", (4, 2, 3), None),
    ("einsum", "a b a ->", (3,), None),
]


@pytest.mark.parametrize("framework", SOURCE_TEMPLATES)
@pytest.mark.parametrize(("operation", "pattern", "ranks", "reduction"), SOURCE_ARGUMENTS)
def test_source_of_every_operation_compiles_without_plait_for_every_framework(
    framework, operation, pattern, ranks, reduction
):
    def write():
        return to_pattern(pattern).source(framework, *ranks, operation=operation, reduction=reduction)

    if operation == "view" and not source_templates_of(framework).view:
        with pytest.raises(plait.BackendError, match=r"PLT507"):
            write()
        return
    text = write()
    compile(text, "source", "exec")
    assert "plait" not in text
    assert text.count("def ") == 1


def test_generated_source_text():
    expected = '''\
import torch


def rearrange(tensor, *, p=2, q):
    """b (h p) (w q) c -> b (h w) (p q c)"""
    b, d1, d2, c = tensor.shape
    if min(p, q) < 0:
        raise ValueError("a size is negative")
    if p == 0 or d1 % p:
        raise ValueError(f"p = {p} does not divide d1 = {d1}")
    h = d1 // p
    if q == 0 or d2 % q:
        raise ValueError(f"q = {q} does not divide d2 = {d2}")
    w = d2 // q
    tensor = torch.reshape(tensor, (b, h, p, w, q, c))
    tensor = torch.permute(tensor, (0, 1, 3, 2, 4, 5))
    return torch.reshape(tensor, (b, h * w, p * q * c))
'''
    assert to_pattern("b (h p) (w q) c -> b (h w) (p q c)", p=2).source("torch", 4) == expected


def test_source_of_explain_equals_that_of_the_pattern():
    explained = plait.explain("b (h p) -> h", (2, 6), p=3, reduction="max")
    assert explained.source("jax") == to_pattern("b (h p) -> h", p=3).source("jax", 2, reduction="max")
    assert plait.explain("a b, b c -> c a", (2, 3), (3, 4)).source("mlx") == to_pattern("a b, b c -> c a").source(
        "mlx", 2, 2
    )
    both = to_pattern("a (b c) -> a b c", c=2) >> to_pattern("a b c -> c (a b)")
    assert "reshape(tensor, (c, a * b))" in both.explain((2, 6)).source("numpy")


WORKER_SCRIPT = """
import pickle, sys
sys.modules["plait"] = None
sys.dont_write_bytecode = True
import numpy as np
make, take = np.asarray, np.asarray
if sys.argv[1] == "torch":
    import torch
    make, take = torch.tensor, lambda tensor: tensor.numpy()
with open(sys.argv[2], "rb") as file:
    cases = pickle.load(file)
results = []
for text, arrays, sizes in cases:
    namespace = {}
    exec(text, namespace)
    function = namespace[text.partition("def ")[2].partition("(")[0]]
    code = function.__code__
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = {name: sizes[name.rstrip("_")] for name in keywords if name not in (function.__kwdefaults__ or {})}
    try:
        results.append(np.array(take(function(*map(make, arrays), **given))))
    except ValueError as error:
        results.append(str(error))
assert not [name for name in sys.modules if name.startswith("plait.")]
with open(sys.argv[2], "wb") as file:
    pickle.dump(results, file)
"""


def run_without_plait(framework, cases, folder):
    """Call each function on its arrays in a process that cannot import plait, and return results or error texts."""
    path = folder / "cases"
    path.write_bytes(pickle.dumps(cases))
    subprocess.run([sys.executable, "-W", "error", "-c", WORKER_SCRIPT, framework, str(path)], check=True)
    return pickle.loads(path.read_bytes())


def draw_examples(strategy, count):
    """Return some examples of a strategy, always the same."""
    found = []

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate])
    @given(strategy)
    def keep(drawn):
        found.append(drawn)

    keep()
    return found


def movement_calls():
    """Yield calls of rearrange, repeat and reduce: operation, pattern, arrays, given sizes, and reduction."""
    np = pytest.importorskip("numpy")
    names = itertools.cycle(REDUCTION_RULES)
    for kind, count in (("rearrange", 60), ("repeat", 40), ("reduce", 80)):
        for drawn in draw_examples(transform_patterns(kind), count):
            array = np.random.default_rng(0).normal(size=drawn.shape)
            yield kind, drawn.pattern, [array], drawn.sizes, next(names) if kind == "reduce" else None


def einsum_calls():
    """Yield calls of einsum, in the form of `movement_calls`."""
    pytest.importorskip("numpy")
    from einsum_strategies import einsum_patterns, random_integer_array

    for drawn in draw_examples(einsum_patterns(), 100):
        arrays = [random_integer_array(shape, number) for number, shape in enumerate(drawn.shapes)]
        yield "einsum", drawn.text, arrays, drawn.sizes, None


@lru_cache(maxsize=2)
def pair_calls_with_plait_results(calls):
    """Return a pair of call and plait's result for each call that the function ``calls`` yields."""
    found = []
    for operation, pattern, arrays, sizes, reduction in calls():
        more = [] if reduction is None else [reduction]
        found.append(
            (
                (operation, pattern, arrays, sizes, reduction),
                getattr(plait, operation)(*arrays, pattern, *more, **sizes),
            )
        )
    return found


def assert_same_results(cases, results, calls):
    import numpy as np

    for (_, wanted), (text, *_), found in zip(pair_calls_with_plait_results(calls), cases, results, strict=True):
        assert not isinstance(found, str), text
        assert found.shape == wanted.shape, text
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=text)


@pytest.mark.parametrize("calls", [movement_calls, einsum_calls])
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_generated_source_runs_without_plait(framework, calls, tmp_path):
    pytest.importorskip(framework)
    calls_and_results = pair_calls_with_plait_results(calls)
    from plait.testing import _oracle as oracle  # it needs NumPy

    cases = []
    for number, ((operation, pattern, arrays, sizes, reduction), _) in enumerate(calls_and_results):
        lengths = oracle.axis_sizes(pattern, [array.shape for array in arrays], sizes)
        is_complete = number % 2 or 0 in lengths.values()  # no quotient by 0 tells a length that is not given
        pattern_with_sizes = to_pattern(pattern, **(sizes if is_complete else {}))  # the others ask for their sizes
        ranks = [array.ndim for array in arrays]
        text = pattern_with_sizes.source(framework, *ranks, operation=operation, reduction=reduction)
        cases.append((text, arrays, lengths))
    assert len(cases) >= 100
    assert_same_results(cases, run_without_plait(framework, cases, tmp_path), calls)


def test_decomposed_einsum_gives_the_same_result(tmp_path):
    cases = []
    for (_, pattern, arrays, sizes, _), _ in pair_calls_with_plait_results(einsum_calls):
        plan = lower_pattern("einsum", pattern, tuple([array.ndim for array in arrays]), tuple(sizes))
        cases.append(
            (generate_function("einsum", decompose_einsum(plan), source_templates_of("numpy"), sizes), arrays, {})
        )
    assert_same_results(cases, run_without_plait("numpy", cases, tmp_path), einsum_calls)
    for call in ("np.matmul(", "np.diagonal(", "np.sum(", " * tensor"):
        assert any(call in text for text, *_ in cases)


BROKEN_TEMPLATES = {
    "permute": "np.transpose({tensor}, {axes}[::-1])",
    "reshape": "np.reshape({tensor}, {shape}, order='F')",
    "expand": "np.broadcast_to({tensor} + 1, {shape})",
    "einsum": "np.einsum({equation}, {tensors}) + 1",
    "reduction": "np.{name}({tensor}, axis={axis}) + 1",
}


@pytest.mark.parametrize("field", BROKEN_TEMPLATES)
def test_broken_template_is_detected(field, tmp_path, monkeypatch):
    from plait._executor import standalone_source  # where it is looked up

    templates = source_templates_of("numpy")._replace(**{field: BROKEN_TEMPLATES[field]})
    monkeypatch.setattr(standalone_source, "source_templates_of", lambda _: templates)
    calls = einsum_calls if field == "einsum" else movement_calls
    with pytest.raises(AssertionError):
        test_generated_source_runs_without_plait("numpy", calls, tmp_path)


def calls_with_wrong_sizes(tmp_path):
    np = pytest.importorskip("numpy")
    image = np.zeros((2, 6))
    yield to_pattern("a (b c) -> a b c", c=4).source("numpy", 2), [image], "c = 4 does not divide d1 = 6"
    yield to_pattern("a (b c) -> a b c", c=0).source("numpy", 2), [image], "c = 0 does not divide d1 = 6"
    yield to_pattern("a (b 4) -> a b").source("numpy", 2, reduction="sum"), [image], "4 does not divide d1 = 6"
    yield to_pattern("a b -> b a", b=5).source("numpy", 2), [image], "d1 is 6, but must be b = 5"
    yield to_pattern("a 1 -> a").source("numpy", 2), [image], "d1 is 6, but must be 1"
    yield to_pattern("a b, b c -> a c").source("numpy", 2, 2), [image, image], "d2 is 2, but must be b = 6"
    yield to_pattern("... a, ... a -> ...").source("numpy", 2, 2), [image, np.zeros((3, 6))], "does not broadcast"
    yield to_pattern("a b -> a").source("numpy", 2, reduction="max"), [np.zeros((2, 0))], "b is 0"
    yield to_pattern("a b -> b a").source("numpy", 2), [np.zeros(2)], "not enough values"
    yield to_pattern("a -> a r", r=3).source("numpy", 1).replace("r=3", "r=-3"), [np.zeros(2)], "negative"


def test_wrong_sizes_raise_a_value_error(tmp_path):
    texts, arrays, messages = zip(*calls_with_wrong_sizes(tmp_path), strict=True)
    results = run_without_plait(
        "numpy", [(text, tensors, {}) for text, tensors in zip(texts, arrays, strict=True)], tmp_path
    )
    for result, message in zip(results, messages, strict=True):
        assert isinstance(result, str)
        assert message in result


def test_axis_names_do_not_shadow_other_names():
    pattern = "(class np) tensor ValueError d0 peak axis -> peak d0 (tensor axis) ValueError np class"
    text = to_pattern(pattern).source("numpy", 6)
    assert "def rearrange(tensor, *, np_):" in text
    assert "d0_, tensor_, ValueError_, d0, peak_, axis_ = tensor.shape" in text
    text = to_pattern("(d1 print) tensor0, tensor0 -> d1 print").source("array_api", 2, 1)
    assert "def einsum(tensor0, tensor1, *, print):" in text


def test_source_raises_for_invalid_arguments():
    swap = to_pattern("a b -> b a")
    with pytest.raises(plait.BackendError, match=r"PLT501.*did you mean 'numpy'"):
        swap.source("nump", 2)
    with pytest.raises(plait.AxisError, match=r"PLT209"):
        swap.source("numpy", 2, operation="pack")
    with pytest.raises(plait.AxisError, match=r"PLT209.*has no reduction"):
        swap.source("numpy", 2, reduction="sum")
    for reduction in (None, len):
        with pytest.raises(plait.AxisError, match=r"PLT209.*needs the name of a reduction"):
            to_pattern("a b -> b").source("numpy", 2, reduction=reduction)
    with pytest.raises(plait.AxisError, match=r"PLT209.*median"):
        to_pattern("a b -> b").source("numpy", 2, reduction="median")
    with pytest.raises(plait.SizeError, match=r"PLT304"):
        swap.source("numpy", 3)
    with pytest.raises(plait.SizeError, match=r"PLT301"):
        swap.source("numpy", (2, 3))
    with pytest.raises(plait.AxisError, match=r"PLT202"):
        swap.source("numpy")
    with pytest.raises(plait.AxisError, match=r"PLT204"):
        to_pattern("a b -> b").source("numpy", 2, operation="rearrange")
    several = to_pattern("a b -> (a b)") >> to_pattern("(c d) -> c d", c=3)
    with pytest.raises(plait.AxisError, match=r"PLT215"):
        several.explain((2, 6)).source("numpy")


def test_arguments_may_be_string_enums():
    """A member of such an enumeration is a string, but prints as something else."""

    class Chosen(str, Enum):
        FRAMEWORK = "numpy"
        OPERATION = "reduce"
        REDUCTION = "max"

    found = plait.compile("a b -> a").source(
        Chosen.FRAMEWORK, 2, operation=Chosen.OPERATION, reduction=Chosen.REDUCTION
    )
    assert found == plait.compile("a b -> a").source("numpy", 2, operation="reduce", reduction="max")
    assert plait.explain("a b -> a", (2, 3), reduction=Chosen.REDUCTION).source("numpy") == found


@pytest.mark.parametrize("reduction", [len, [], 1, True, ("max",)])
def test_reduction_argument_without_reduced_axes_is_an_error(reduction):
    with pytest.raises(plait.PlaitError, match="PLT209"):
        plait.compile("a b -> b a").source("numpy", 2, reduction=reduction)


def test_framework_argument_must_be_a_string():
    with pytest.raises(plait.BackendError, match="PLT501"):
        plait.compile("a b -> b a").source(["numpy"], 2)


def test_decomposition_takes_diagonals_of_the_last_dimensions():
    plan = decompose_einsum(lower_pattern("einsum", "a b a c b -> c", (5,), ()))
    assert [node.axes for node, _ in plan.steps if isinstance(node, Diagonal)] == [(3, 4), (2, 3)]
