"""torch.compile: the calls of the hand-written code, and no more graphs or recompilations than it has."""

from __future__ import annotations

import operator
import subprocess
import sys
import textwrap
import warnings
from collections import Counter
from pathlib import Path

import pytest

import plait

torch = pytest.importorskip("torch")

SHAPES = [(2, 3, 4, 6), (2, 3, 8, 6), (4, 5, 8, 10), (6, 7, 10, 12)]


def space_to_depth(x):
    return plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2)


def space_to_depth_by_hand(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c * 2 * 2, h // 2, w // 2)


def merge(x):
    return plait.rearrange(x, "b c h w -> b (c h w)")


def merge_by_hand(x):
    b, c, h, w = x.shape
    return x.reshape(b, c * h * w)


def permute(x):
    return plait.rearrange(x, "b c h w -> b h w c")


def permute_by_hand(x):
    return x.permute(0, 2, 3, 1)


def ellipsis_permute(x):
    return plait.rearrange(x, "b ... w -> b w ...")


def ellipsis_permute_by_hand(x):
    return x.permute(0, 3, 1, 2)


def identity_plus_one(x):
    return plait.rearrange(x, "... -> ...") + 1


def identity_plus_one_by_hand(x):
    return x + 1


def mean(x):
    return plait.reduce(x, "b c h w -> b c", "mean")


def mean_by_hand(x):
    return x.mean((2, 3))


def max_pool(x):
    return plait.reduce(x, "b c (h 2) (w 2) -> b c h w", "max")


def max_pool_by_hand(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).amax((3, 5))


def reduce_by_callable(x):
    return plait.reduce(x, "b c h w -> c", torch.amin)


def reduce_by_callable_by_hand(x):
    return torch.amin(x, (0, 2, 3))


def repeat(x):
    return plait.repeat(x, "b c h w -> b c h (w r)", r=2)


def repeat_by_hand(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h, w, 1).expand(b, c, h, w, 2).reshape(b, c, h, w * 2)


def named_einsum(x):
    return plait.einsum(x, x, "b c h w, b c h v -> b w v")


def named_einsum_by_hand(x):
    return torch.einsum("abcd,abce->ade", x, x)


def grouped_einsum(x):
    return plait.einsum(x, x, "b c h (k d), b c j (k d) -> b c k h j", k=2)


def grouped_einsum_by_hand(x):
    b, c, h, w = x.shape
    one = x.reshape(b, c, h, 2, w // 2)
    other = x.reshape(b, c, h, 2, w // 2)
    return torch.einsum("abcde,abfde->abdcf", one, other)


def classical_einsum(x):
    return plait.einsum("bchw,bchv->bwv", x, x)


def classical_einsum_by_hand(x):
    return torch.einsum("abcd,abce->ade", x, x)


def interleaved_einsum(x):
    return plait.einsum(x, [0, 1, 2, 3], x, [0, 1, 2, 4], [0, 3, 4], optimize="greedy")


def interleaved_einsum_by_hand(x):
    return torch.einsum("abcd,abce->ade", x, x)


def einsum_with_stretched_length(x):
    return plait.einsum("bchw,bchw->bw", x, x[:, :1], optimize=True)


def einsum_with_stretched_length_by_hand(x):
    return torch.einsum("abcd,abcd->ad", x, x[:, :1])


def einsum_with_summed_ellipsis(x):
    return plait.einsum("...hw,...hv->wv", x, x)


def einsum_with_summed_ellipsis_by_hand(x):
    return torch.einsum("abcd,abce->de", x, x)


def rearrange_list(x):
    return plait.rearrange([x, x], "k b c h w -> b (k c) h w")


def rearrange_list_by_hand(x):
    b, c, h, w = x.shape
    return torch.stack([x, x]).permute(1, 0, 2, 3, 4).reshape(b, 2 * c, h, w)


def size_from_shape(x):
    return plait.rearrange(x, "b c (h p) w -> b c p h w", p=x.shape[2] // 2)


def size_from_shape_by_hand(x):
    b, c, h, w = x.shape
    p = h // 2
    return x.reshape(b, c, h // p, p, w).permute(0, 1, 3, 2, 4)


COMPILED_PATCH_PATTERN = plait.compile("b c (h p) w -> b h (p c w)", p=2)
COMPILED_SPLIT_PATTERN = plait.compile("b c (h p) w -> b c h w p", p=5)
COMPILED_REPEAT_PATTERN = plait.compile("b c (h p) w -> b c h p w r", p=5, r=2)
COMPILED_REDUCE_PATTERN = plait.compile("b c h w -> b c")
COMPILED_EINSUM_PATTERN = plait.compile("b c h w, w k -> b c h k")


def compiled_rearrange(x):
    return COMPILED_PATCH_PATTERN.rearrange(x)


def compiled_rearrange_by_hand(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w).permute(0, 2, 3, 1, 4).reshape(b, h // 2, 2 * c * w)


def view(x):
    return plait.view(x, "b c h w -> b c (h w)")


def view_by_hand(x):
    b, c, h, w = x.shape
    return x.view(b, c, h * w)


def pack(x):
    return plait.pack([x, x[:, :, 0, 0]], "b c *")[0]


def pack_by_hand(x):
    b, c, h, w = x.shape
    corner = x[:, :, 0, 0]
    return torch.cat([x.reshape(b, c, h * w), corner.reshape(b, c, 1)], 2)


def unpack(x):
    one, two = plait.unpack(x, [(1,), (-1,)], "b c h *")
    return one + two


def unpack_by_hand(x):
    return torch.narrow(x, 3, 0, 1) + torch.narrow(x, 3, 1, x.shape[3] - 1)


def parse_shape(x):
    return x * plait.parse_shape(x, "b _ h w")["h"]


def parse_shape_by_hand(x):
    return x * x.shape[2]


FUNCTIONS_AND_HAND_WRITTEN = [
    (space_to_depth, space_to_depth_by_hand),
    (merge, merge_by_hand),
    (permute, permute_by_hand),
    (ellipsis_permute, ellipsis_permute_by_hand),
    (identity_plus_one, identity_plus_one_by_hand),
    (mean, mean_by_hand),
    (max_pool, max_pool_by_hand),
    (reduce_by_callable, reduce_by_callable_by_hand),
    (repeat, repeat_by_hand),
    (named_einsum, named_einsum_by_hand),
    (grouped_einsum, grouped_einsum_by_hand),
    (classical_einsum, classical_einsum_by_hand),
    (interleaved_einsum, interleaved_einsum_by_hand),
    (einsum_with_stretched_length, einsum_with_stretched_length_by_hand),
    (einsum_with_summed_ellipsis, einsum_with_summed_ellipsis_by_hand),
    (rearrange_list, rearrange_list_by_hand),
    (size_from_shape, size_from_shape_by_hand),
    (compiled_rearrange, compiled_rearrange_by_hand),
    (view, view_by_hand),
    (pack, pack_by_hand),
    (unpack, unpack_by_hand),
    (parse_shape, parse_shape_by_hand),
]

SIZE_ARITHMETIC = {operator.mul, operator.floordiv, operator.add, operator.sub, operator.mod, operator.eq, operator.ne}
EQUIVALENT_METHODS = {"broadcast_to": "expand"}


def tensor_calls_and_size_counts(graph):
    """Return the names of the calls on tensors in order, and a count by name of the calls on sizes.

    A method and the function of the same effect have one name.
    """
    tensors, sizes = [], Counter()
    for node in graph.graph.nodes:
        if node.op not in ("call_function", "call_method"):
            continue
        if node.target in SIZE_ARITHMETIC and not isinstance(node.meta.get("example_value"), torch.Tensor):
            sizes[node.target.__name__] += 1
        else:
            name = node.target if isinstance(node.target, str) else node.target.__name__
            tensors.append(EQUIVALENT_METHODS.get(name, name))
    return tensors, sizes


def compiled_function_and_graphs(function, dynamic):
    torch._dynamo.reset()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    return torch.compile(function, fullgraph=True, dynamic=dynamic, backend=backend), graphs


@pytest.mark.parametrize("dynamic", [False, True, None], ids=["static", "dynamic", "automatic"])
@pytest.mark.parametrize(("function", "by_hand"), FUNCTIONS_AND_HAND_WRITTEN, ids=lambda function: function.__name__)
def test_the_graph_is_that_of_the_hand_written_code(function, by_hand, dynamic):
    ours, our_graphs = compiled_function_and_graphs(function, dynamic)
    for shape in SHAPES:
        x = torch.randn(shape)
        torch.testing.assert_close(ours(x), by_hand(x), rtol=0, atol=0)
    theirs, their_graphs = compiled_function_and_graphs(by_hand, dynamic)
    for shape in SHAPES:
        theirs(torch.randn(shape))
    assert len(our_graphs) <= len(their_graphs)
    our_calls, our_sizes = tensor_calls_and_size_counts(our_graphs[-1])
    their_calls, their_sizes = tensor_calls_and_size_counts(their_graphs[-1])
    assert our_calls == their_calls
    assert not our_sizes - their_sizes


def pack_and_unpack(x):
    packed, shapes = plait.pack([x, x[:, :, 0]], "b * w")
    return [2 * part for part in plait.unpack(packed, shapes, "b * w")]


def unpack_a_part_of_a_length(x):
    return plait.unpack(x, [(x.shape[2] // 2, 2), (-1,)], "b c * w")


@pytest.mark.parametrize("dynamic", [False, True, None], ids=["static", "dynamic", "automatic"])
@pytest.mark.parametrize("function", [pack_and_unpack, unpack_a_part_of_a_length])
def test_pack_and_unpack_of_dynamic_lengths_make_one_graph(function, dynamic):
    compiled, graphs = compiled_function_and_graphs(function, dynamic)
    for shape in SHAPES:
        x = torch.randn(shape)
        for result, expected in zip(compiled(x), function(x), strict=True):
            torch.testing.assert_close(result, expected, rtol=0, atol=0)
    assert len(graphs) <= (2 if dynamic is None else 1 if dynamic else len(SHAPES)) + 1  # some lengths may be equal


def guards_of(function, dynamic, *tensors):
    """Return the guards of a compiled function, each as the check that it makes."""
    torch._dynamo.reset()
    torch.compile(function, fullgraph=True, dynamic=dynamic, backend="eager")(*tensors)
    (entry,) = torch._dynamo.eval_frame._debug_get_cache_entry_list(function.__code__)
    lines = [line.partition("  # ")[0].strip() for line in str(entry.guard_manager).splitlines()]
    return [line for line in lines if "_MATCH: " in line or "_GUARD: " in line]


FUNCTIONS_WITH_FEW_GUARDS = [
    (space_to_depth, space_to_depth_by_hand),
    (merge, merge_by_hand),
    (ellipsis_permute, ellipsis_permute_by_hand),
    (mean, mean_by_hand),
    (max_pool, max_pool_by_hand),
    (repeat, repeat_by_hand),
    (named_einsum, named_einsum_by_hand),
    (grouped_einsum, grouped_einsum_by_hand),
    (classical_einsum, classical_einsum_by_hand),
    (size_from_shape, size_from_shape_by_hand),
]


@pytest.mark.skipif(not hasattr(torch.compiler, "substitute_in_graph"), reason="private attributes make more guards")
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize(("function", "by_hand"), FUNCTIONS_WITH_FEW_GUARDS, ids=lambda function: function.__name__)
def test_the_only_more_guards_are_that_plait_and_its_function_are_the_same_objects(function, by_hand, dynamic):
    x = torch.randn(SHAPES[0])
    ours, theirs = guards_of(function, dynamic, x), guards_of(by_hand, dynamic, x)
    about_plait = [guard for guard in ours if "plait" in guard]
    assert len(about_plait) == 2
    assert len(ours) - len(about_plait) <= len(theirs) + 1  # a length that hand-written code divides without a check


@pytest.mark.skipif(not hasattr(torch.compiler, "substitute_in_graph"), reason="private attributes make more frames")
@pytest.mark.parametrize(("function", "by_hand"), FUNCTIONS_WITH_FEW_GUARDS, ids=lambda function: function.__name__)
def test_dynamo_interprets_few_instructions_more_than_of_the_hand_written_code(function, by_hand, monkeypatch):
    """The time of tracing, without a clock: 40 instructions take about as long as a call of torch that is recorded."""
    from torch._dynamo.symbolic_convert import InstructionTranslatorBase

    count, step = Counter(), InstructionTranslatorBase.step

    def counting_step(self):
        count[traced] += 1
        return step(self)

    monkeypatch.setattr(InstructionTranslatorBase, "step", counting_step)
    for traced in (function, by_hand):
        compiled, _ = compiled_function_and_graphs(traced, False)
        compiled(torch.randn(SHAPES[0]))
    assert count[function] - count[by_hand] <= 170


def einsum_along_a_path(x):
    return plait.einsum("bchw,bchv,bv->w", x, x, x[:, 0, 0], optimize=[(1, 2), (0, 1)])


def einsum_with_a_number(x):
    return plait.einsum("bchw,,->b", x, 2, 0.5, order="K", out=None)


def einsum_of_integers(x):
    return plait.einsum("bchw->b", x.to(torch.int8))


@pytest.mark.parametrize("function", [einsum_along_a_path, einsum_with_a_number, einsum_of_integers])
def test_arguments_of_numpy_do_not_break_the_graph(function):
    compiled, graphs = compiled_function_and_graphs(function, True)
    for shape in SHAPES:
        x = torch.randint(-9, 9, shape).float()
        result = compiled(x)
        assert result.dtype == function(x).dtype
        torch.testing.assert_close(result, function(x))
    # torch.einsum itself specializes on the lengths beside a tensor of rank 0
    assert len(graphs) == (len(SHAPES) if function is einsum_with_a_number else 1)
    assert tensor_calls_and_size_counts(graphs[0])[0].count("einsum") == (2 if function is einsum_along_a_path else 1)


def test_a_second_call_with_the_same_shape_does_not_recompile():
    function, graphs = compiled_function_and_graphs(space_to_depth, False)
    plait.rearrange(torch.zeros(1, 1, 2, 2), "b c h w -> b c (h w)")  # fills plait's cache between the calls
    function(torch.zeros(SHAPES[0]))
    plait.rearrange(torch.zeros(3, 1, 2, 2), "b c h w -> b c (h w)")
    plait.cache_clear()
    function(torch.zeros(SHAPES[0]))
    assert len(graphs) == 1


def test_gradients_flow_through_the_compiled_function():
    x = torch.randn(SHAPES[0], requires_grad=True)
    function, _ = compiled_function_and_graphs(max_pool, None)
    function(x).sum().backward()
    (expected,) = torch.autograd.grad(max_pool_by_hand(x).sum(), x)
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # inductor's own
def test_space_to_depth_compiles_with_the_default_backend():
    torch._dynamo.reset()
    x = torch.randn(SHAPES[0])
    torch.testing.assert_close(torch.compile(space_to_depth, fullgraph=True)(x), space_to_depth_by_hand(x))


def test_a_module_with_parameters_is_compiled():
    class Heads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 6))

        def forward(self, x):
            return plait.einsum(x, plait.rearrange(self.weight, "i o -> o i"), "b i, o i -> b o")

    model = Heads()
    function, graphs = compiled_function_and_graphs(model, None)
    x = torch.randn(3, 4)
    torch.testing.assert_close(function(x), x @ model.weight)
    assert len(graphs) == 1


def in_a_loop(x, count):
    for number in range(count):
        torch._dynamo.graph_break()  # in a loop: Dynamo leaves the whole frame to Python
        x = plait.rearrange(x, "b c h w -> b c w h")
        COMPILED_PATCH_PATTERN.rearrange(x)
        plait.rearrange(x, f"b c{number} h w -> b c{number} (w h)")
        plait.reduce(x, "b c h w -> b", "mean")
        plait.pack([x, x], "b c h *")
    return x


def in_a_loop_by_hand(x, count):
    for _ in range(count):
        torch._dynamo.graph_break()
        x = x.permute(0, 1, 3, 2)
        x.flatten(2)
        x.mean((1, 2, 3))
    return x


def test_skipped_frames_make_no_more_graphs_than_hand_written_code():
    torch._dynamo.reset()
    graphs = {in_a_loop: [], in_a_loop_by_hand: []}
    for function, made in graphs.items():
        compiled_loop = torch.compile(function, backend=lambda graph, _, made=made: made.append(graph) or graph)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for size in range(2, 24, 2):
                compiled_loop(torch.randn(size, 3, 4, 6), 12)
    assert len(graphs[in_a_loop]) <= len(graphs[in_a_loop_by_hand])


def test_public_functions_can_be_compiled_directly():
    x = torch.randn(SHAPES[0])
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = torch.compile(plait.rearrange, backend="eager")(x, "b c h w -> b (c h w)")
    torch.testing.assert_close(result, merge_by_hand(x))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=5), "PLT302"),
        (lambda x: plait.rearrange(x, "b c h -> b c h"), "PLT304"),
        (lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=2.0), "PLT301"),
        (lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=True), "PLT301"),
        (lambda x: plait.rearrange(x, "b c (h ph) w -> b c h w ph", p=2), "PLT203"),
        (lambda x: plait.rearrange(x, "b c (h w", p=2), "PLT104"),
        (lambda x: plait.reduce(x.long(), "a b c d -> a", "mean"), "PLT503"),
        (lambda x: plait.reduce(x, "a b c d -> a", "maen"), "PLT209"),
        (lambda x: plait.rearrange(x, "a a c d -> a c d"), "PLT206"),
        (lambda x: plait.repeat(x, "a b c d -> a b c d r", r=-1), "PLT306"),
        (lambda x: plait.pack([x], "a b"), "PLT210"),
        (lambda x: plait.unpack(x, [(1,)], "a b"), "PLT210"),
        (lambda x: plait.parse_shape(x, "a b"), "PLT304"),
        (lambda x: plait.einsum("abcd->a", x, out=x), "PLT512"),
        (lambda x: plait.einsum(x, [0, 1, 2, 3], order="C"), "PLT512"),
        (lambda x: plait.einsum("abcd,a->a", x, x[:, 0, 0, 0], optimize="gready"), "PLT214"),
    ],
)
def test_compiled_functions_raise_the_errors_of_eager_calls(call, code):
    x = torch.zeros(SHAPES[0])
    torch._dynamo.reset()
    with pytest.raises(plait.PlaitError, match=code) as caught:
        torch.compile(call, backend="eager")(x)
    with pytest.raises(plait.PlaitError) as eager:
        call(x)
    assert str(caught.value) == str(eager.value)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=code):
        torch.compile(call, fullgraph=True, backend="eager")(x)


@pytest.mark.parametrize("dynamic", [None, False, True], ids=["automatic", "static", "dynamic"])
@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=5), "PLT302"),
        (lambda x: plait.rearrange(x, "b c (h p) w -> b c h w p", p=x.shape[2] - 1), "PLT302"),
        (lambda x: plait.repeat(x, "b c h w -> b c h w r", r=x.shape[2] - 9), "PLT306"),
        (lambda x: COMPILED_SPLIT_PATTERN.rearrange(x + 1), "PLT302"),
        (lambda x: COMPILED_SPLIT_PATTERN.view(x + 1), "PLT302"),
        (lambda x: COMPILED_SPLIT_PATTERN.reduce(x, "max"), "PLT302"),
        (lambda x: COMPILED_REPEAT_PATTERN.repeat(x + 1), "PLT302"),
        (lambda x: COMPILED_EINSUM_PATTERN.einsum(x, x[0, 0]), "PLT305"),
        (lambda x: COMPILED_EINSUM_PATTERN.einsum(x + 1), "PLT202"),
        (lambda x: COMPILED_REDUCE_PATTERN.reduce(x, "maen"), "PLT209"),
    ],
)
def test_errors_of_symbolic_sizes_and_pattern_methods(call, code, dynamic):
    x = torch.zeros(SHAPES[0])
    with pytest.raises(plait.PlaitError, match=code) as eager:
        call(x)
    torch._dynamo.reset()
    with pytest.raises(plait.PlaitError) as caught:
        torch.compile(call, backend="eager", dynamic=dynamic)(x)
    assert str(caught.value) == str(eager.value)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=code):
        torch.compile(call, fullgraph=True, backend="eager", dynamic=dynamic)(x)


def test_execution_continues_after_a_caught_error_of_a_method():
    def function(x):
        try:
            return COMPILED_SPLIT_PATTERN.rearrange(x + 1)
        except plait.SizeError as error:
            return error.code

    torch._dynamo.reset()
    function = torch.compile(function, backend="eager")
    assert function(torch.zeros(SHAPES[0])) == "PLT302"
    assert function(torch.zeros(1, 1, 5, 1)).shape == (1, 1, 1, 1, 5)


def test_execution_continues_after_a_caught_error():
    def function(x):
        try:
            return plait.rearrange(x, "b c (h p) w -> b c h w p", p=5)
        except ValueError:
            return x + 1

    x = torch.zeros(SHAPES[0])
    torch._dynamo.reset()
    assert torch.equal(torch.compile(function, backend="eager")(x), x + 1)


def test_the_architecture_shows_the_function_that_is_traced():
    from plait._executor.compile import lower_pattern
    from plait._executor.traced_functions import TracedCall, write_function

    call = TracedCall("rearrange", "(h p) w c -> h (w p c)", (3,), ("p",))
    source, _ = write_function(lower_pattern(*call[:4]), call)
    assert f"```text\n{source}\n```" in (Path(__file__).parents[2] / "docs/architecture.md").read_text("utf-8")


FIRST_CALL_SOURCE_CODE = """
import sys
{imports}
loaded = [name for name in sys.modules if name.startswith("plait.") and ("backends" in name or "build" in name)]
assert not loaded, loaded
graphs = []
def backend(graph, _):
    graphs.append(graph)
    return graph
@torch.compile(fullgraph=True, backend=backend, dynamic={dynamic})
def function(x):
    x = plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2)
    x = plait.reduce(x, "b c h w -> b c", "max")
    return plait.einsum(plait.repeat(x, "b c -> b c 3"), "b c d -> c b")
for size in (2, 3, 5):
    assert function(torch.zeros(size, 3, 4, 6)).shape == (12, size)
print(len(graphs))
assert hasattr(plait.rearrange, "_torchdynamo_inline") != hasattr(torch.compiler, "substitute_in_graph")
"""

IMPORTS = [
    "import torch, plait",
    "import plait, torch",
    "import torch._dynamo, plait",
    "import plait, torch._dynamo",
    "import torch, plait; torch.compiler.__dict__.pop('substitute_in_graph', None)",  # as before torch 2.5
    "import torch._dynamo; torch.compiler.__dict__.pop('substitute_in_graph', None); import plait",
]


@pytest.mark.parametrize(
    ("dynamic", "graphs", "imports"),
    [(None, 2, IMPORTS[0]), (False, 3, IMPORTS[0]), *[(True, 1, imports) for imports in IMPORTS]],
)
def test_the_first_call_of_a_process_can_be_compiled(dynamic, graphs, imports):
    code = textwrap.dedent(FIRST_CALL_SOURCE_CODE.format(dynamic=dynamic, imports=imports))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(graphs)]
    assert "plait" not in run.stderr


def test_reduce_of_a_pipeline_with_a_repeat():
    composed = plait.compile("a b -> a b 2") >> plait.compile("a b c -> a c")
    x = torch.randn(3, 4)
    call = torch.compile(lambda x: composed.reduce(x, "logsumexp"), backend="eager", fullgraph=True)
    torch.testing.assert_close(call(x), composed.reduce(x, "logsumexp"))


def test_functions_of_long_contraction_paths_are_compiled():
    """Python's parser takes no more than 200 nested parentheses."""
    from plait._executor.compile import lower_pattern
    from plait._executor.traced_functions import TracedCall, write_function
    from plait._operations.einsum import lower_to_framework_einsum
    from plait._plan.contraction.paths import left_to_right_path

    count = 250
    pattern = ", ".join(f"x{number} x{number + 1}" for number in range(count)) + f" -> x0 x{count}"
    solved = lower_pattern("einsum", pattern, (2,) * count, ()).solved
    call = TracedCall("einsum", pattern, (2,) * count, (), (torch.float32,) * count, "", False)
    source, _ = write_function(lower_to_framework_einsum(solved, left_to_right_path(count)), call)
    assert source.count("einsum2(") == count - 1
    compile(source, "source", "exec")
