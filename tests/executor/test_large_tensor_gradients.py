"""Gradients of reductions of large PyTorch tensors, by kernels or in several calls, equal those of one call of PyTorch.

Tensors of any size are treated as large, at random costs, as in `test_large_tensors`.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from unittest import mock

import pytest
from cost_models import cost_models, schedule_all_tensors
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plait
from plait.backends.costs import MemoryCosts

torch = pytest.importorskip("torch")
kernels_for_all_sizes = pytest.importorskip("kernels.kernel_cases").kernels_for_all_sizes
autograd_module = pytest.importorskip("plait.backends.torch.autograd")

TORCH_FUNCTION_BY_REDUCTION = {
    "min": torch.amin,
    "max": torch.amax,
    "sum": torch.sum,
    "mean": torch.mean,
    "var": partial(torch.var, correction=0),
    "std": partial(torch.std, correction=0),
    "logsumexp": torch.logsumexp,
}
AUTOGRAD_NODE_BY_REDUCTION = {name: f"Plait{name.capitalize()}Backward" for name in TORCH_FUNCTION_BY_REDUCTION}
"""The names of the nodes, as a profiler shows them."""
REDUCTIONS_IN_BLOCKS = ("min", "max", "sum", "mean")
"""The reductions whose gradients are computed block by block without kernels; they are equal to the bit."""
BY_KERNELS = " by kernels"
RECORDED_REDUCTIONS = [
    *REDUCTIONS_IN_BLOCKS,
    *[
        f"{name}{BY_KERNELS}"
        for name in TORCH_FUNCTION_BY_REDUCTION
        if find_spec("plait_kernels") and name != "sum"  # without a schedule it is one call of PyTorch
    ],
]
"""The reductions that are recorded as one node, and how they are computed."""
every_recorded_reduction = pytest.mark.parametrize("name", RECORDED_REDUCTIONS)
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64)
SPECIAL_VALUES = (float("nan"), float("inf"), -float("inf"), -0.0, 0.0)
COSTS_WITH_CHEAP_CALLS = MemoryCosts(call_overhead=0.001)

POOLING_PATTERN, POOLED_AXES = "b c (h 2) (w 2) -> b c h w", (3, 5)


@st.composite
def gradient_cases(draw):
    """A tensor with any strides and many ties and special values, the axes to reduce, and a gradient."""
    shape = draw(st.lists(st.sampled_from((1, 2, 2, 3, 4, 5, 7, 40)), min_size=2, max_size=5))
    axes = sorted(draw(st.sets(st.sampled_from(range(len(shape))), min_size=1, max_size=len(shape) - 1)))
    dtype = draw(st.sampled_from(DTYPES))
    torch.manual_seed(draw(st.integers(0, 99)))

    def drawn(shape, spread):
        tensor = (torch.randint(-spread, spread, shape) / 4).to(dtype)
        special = torch.tensor(draw(st.sampled_from(SPECIAL_VALUES))).to(dtype)
        return tensor.where(torch.rand(shape) < draw(st.sampled_from((0.7, 1.0, 1.0))), special)

    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from((1, 1, 1, 2))) for _ in shape]
    memory = torch.zeros([shape[place] * steps[place] for place in order], dtype=dtype)
    x = memory.permute(*[order.index(place) for place in range(len(shape))])
    x = x[tuple([slice(None, None, step) for step in steps])]
    x.copy_(drawn(shape, draw(st.sampled_from((1, 3, 40)))))
    return x, axes, drawn([size for place, size in enumerate(shape) if place not in axes], 40)


def pattern_that_reduces_axes(x, axes):
    """Return the pattern that reduces these axes."""
    names = [f"a{place}" for place in range(x.dim())]
    return f"{' '.join(names)} -> {' '.join([name for place, name in enumerate(names) if place not in axes])}"


def assert_identical(actual, expected):
    """Check that two tensors are equal bit for bit, except for NaN."""
    assert actual.dtype == expected.dtype
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    if not actual.is_complex():
        assert torch.equal(actual.signbit() & ~actual.isnan(), expected.signbit() & ~expected.isnan())


def autograd_node_names(result):
    """Return the names of the autograd nodes from the result back to the tensor."""
    names, node = [], result.grad_fn
    while node is not None:
        names.append(node.name().rsplit(".", 1)[-1])
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def assert_same_gradient(actual, expected, name):
    """Check that two gradients are equal bit for bit, or up to rounding in double precision."""
    if name.removesuffix(BY_KERNELS) in REDUCTIONS_IN_BLOCKS:
        assert_identical(actual, expected)
    else:
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14, equal_nan=True)
    assert actual.stride() == expected.stride()


def node_name(name):
    """Return the name of the node of a recorded reduction."""
    return AUTOGRAD_NODE_BY_REDUCTION[name.removesuffix(BY_KERNELS)]


@contextmanager
def recorded_pool_function(name):
    """Yield a function that pools small tensors by a schedule with several calls, or by a kernel."""
    reduction = name.removesuffix(BY_KERNELS)
    way = schedule_all_tensors(COSTS_WITH_CHEAP_CALLS) if name == reduction else kernels_for_all_sizes()
    with way:
        yield lambda x: plait.reduce(x, POOLING_PATTERN, reduction)


def pool_with_torch(x, name):
    """Pool by two with one call of PyTorch."""
    return TORCH_FUNCTION_BY_REDUCTION[name.removesuffix(BY_KERNELS)](
        x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)), POOLED_AXES
    )


def random_image(seed=0, dtype=torch.float64, upper_bound=4):
    """Return a small random image that requires a gradient."""
    torch.manual_seed(seed)
    return torch.randint(0, upper_bound, (2, 3, 4, 6)).to(dtype).requires_grad_()


@settings(max_examples=300, deadline=None)
@given(gradient_cases(), st.sampled_from(REDUCTIONS_IN_BLOCKS), cost_models())
def test_gradient_equals_that_of_one_torch_call(case, name, costs):
    x, axes, slope = case
    assume(not x.is_complex() or name in ("sum", "mean"))
    x = x.requires_grad_()
    expected = TORCH_FUNCTION_BY_REDUCTION[name](x, axes)
    with schedule_all_tensors(costs):
        found = plait.reduce(x, pattern_that_reduces_axes(x, axes), name)
        if 1 < expected.numel() < x.numel():
            assert AUTOGRAD_NODE_BY_REDUCTION[name] in autograd_node_names(found)
    if name in ("min", "max"):
        assert_identical(found.detach().abs(), expected.detach().abs())
    (meant,) = torch.autograd.grad(expected, x, slope)
    (given,) = torch.autograd.grad(found, x, slope)
    assert_identical(given, meant)
    assert (found.stride(), given.stride()) == (expected.stride(), meant.stride())


@every_recorded_reduction
def test_second_order_gradients(name):
    x, ties = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True), random_image()
    with recorded_pool_function(name) as pool:
        assert torch.autograd.gradcheck(pool, x)
        assert torch.autograd.gradgradcheck(pool, x)
        for does in (pool, partial(pool_with_torch, name=name)):
            (slope,) = torch.autograd.grad((does(ties) ** 3).sum(), ties, create_graph=True)
            (second,) = torch.autograd.grad((slope**2).sum(), ties)
            if does is pool:
                found = slope, second
    assert_same_gradient(found[0], slope, name)
    assert_same_gradient(found[1], second, name)


@every_recorded_reduction
def test_retained_graph_accumulates_gradients(name):
    x = random_image()
    with recorded_pool_function(name) as pool:
        result = pool(x)
        for _ in range(2):
            result.sum().backward(retain_graph=True)
    (slope,) = torch.autograd.grad(pool_with_torch(x, name).sum(), x)
    assert_same_gradient(x.grad, 2 * slope, name)
    assert x.grad.stride() == x.stride()


def _change_input_in_place(x, result):
    """Change the input in place."""
    x.detach().add_(1)


def _change_result_in_place(x, result):
    """Change the result in place."""
    result.add_(1)


@pytest.mark.parametrize("change", [_change_input_in_place, _change_result_in_place])
@every_recorded_reduction
def test_in_place_changes_are_detected_as_by_torch(name, change):
    outcomes = []
    with recorded_pool_function(name) as pool:
        for does in (pool, partial(pool_with_torch, name=name)):
            x = random_image()
            result = does(x)
            change(x, result)
            try:
                result.sum().backward()
            except RuntimeError as error:
                assert "modified by an inplace operation" in str(error)
                outcomes.append(None)
            else:
                outcomes.append(x.grad)
    assert (outcomes[0] is None) == (outcomes[1] is None)
    reduction = name.removesuffix(BY_KERNELS)
    assert (outcomes[0] is None) == (
        reduction not in ("sum", "mean") and (reduction != "var" or change is _change_input_in_place)
    )


@every_recorded_reduction
def test_hooks_get_the_same_gradients(name):
    seen = []
    with recorded_pool_function(name) as pool:
        for does in (pool, partial(pool_with_torch, name=name)):
            x, saved, passed = random_image(), [], []
            x.register_hook(passed.append)
            hooks = (lambda tensor, saved=saved: saved.append(tensor) or tensor), (lambda kept: kept)
            with torch.autograd.graph.saved_tensors_hooks(*hooks):
                result = does(x)
            result.register_hook(lambda slope: slope * 2)
            result.sum().backward()
            seen.append((len(saved), passed[0], x.grad))
    assert seen[0][0] == seen[1][0]
    assert_same_gradient(seen[0][1], seen[1][1], name)
    assert_same_gradient(seen[0][2], seen[1][2], name)


@every_recorded_reduction
def test_saved_tensor_hooks_may_change_the_layout(name):
    x = random_image()
    with recorded_pool_function(name) as pool:
        moved = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: tensor.mT.contiguous() if tensor.dim() > 1 else tensor, lambda kept: kept.mT
        )
        with moved:
            found = pool(x)
        with torch.autograd.graph.save_on_cpu():
            other = pool(x)
        (meant,) = torch.autograd.grad(pool_with_torch(x, name).sum(), x)
        for result in (found, other):
            assert_same_gradient(torch.autograd.grad(result.sum(), x)[0], meant, name)


@pytest.mark.parametrize("reentrant", [False, True])
@every_recorded_reduction
def test_activation_checkpointing_gives_the_same_gradient(name, reentrant):
    x = random_image()
    with recorded_pool_function(name) as pool:
        result = torch.utils.checkpoint.checkpoint(lambda x: pool(x * 2) ** 2, x, use_reentrant=reentrant)
        result.sum().backward()
    assert_same_gradient(x.grad, torch.autograd.grad((pool_with_torch(x * 2, name) ** 2).sum(), x)[0], name)


@every_recorded_reduction
def test_missing_gradient_is_none(name):
    class Stop(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor):
            return tensor.clone()

        @staticmethod
        def backward(ctx, slope):
            return None

    x = torch.randn(2, 512, 512, requires_grad=True)
    y = plait.reduce(x, "b (h 2) (w 2) -> b h w", name.removesuffix(BY_KERNELS))
    assert y.grad_fn.name() == node_name(name)
    Stop.apply(y).sum().backward()
    assert x.grad is None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # in torch's own import
@every_recorded_reduction
def test_torch_func_transforms_equal_those_of_one_torch_call(name):
    x, plain = random_image().detach(), partial(pool_with_torch, name=name)
    with recorded_pool_function(name) as pool:
        for does in (pool, plain):
            found = (
                torch.func.grad(lambda x, does=does: (does(x) ** 2).sum())(x),
                torch.func.vmap(does)(x[None])[0],
                torch.func.jacrev(does)(x),
                torch.func.hessian(lambda x, does=does: (does(x) ** 2).sum())(x),
            )
            leaf = x.clone().requires_grad_()
            result = does(leaf)
            ways = torch.stack([result.detach() * number for number in range(3)])
            batched = torch.autograd.grad(result, leaf, ways, is_grads_batched=True)
            tangent = torch.func.jvp(does, (x,), (torch.ones_like(x),))
            both = torch.func.jvp(torch.func.grad(lambda x, does=does: (does(x) ** 3).sum()), (x,), (x,))
            if does is pool:
                kept = (*found, *batched, *tangent, *both)
    for one, other in zip(kept, (*found, *batched, *tangent, *both), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


@every_recorded_reduction
def test_autograd_node_is_used_for_parameters_not_subclasses(name):
    class Sub(torch.Tensor):
        pass

    parameter, mine = (
        torch.nn.Parameter(random_image().detach()),
        random_image().detach().as_subclass(Sub).requires_grad_(),
    )
    with recorded_pool_function(name) as pool:
        result, other = pool(parameter), pool(mine)
        result.sum().backward()
        other.sum().backward()
        assert node_name(name) in autograd_node_names(result)
        assert type(result) is torch.Tensor
        assert type(other) is Sub
        assert node_name(name) not in autograd_node_names(other)
    leaf = random_image()
    pool_with_torch(leaf, name).sum().backward()
    assert_same_gradient(parameter.grad, leaf.grad, name)
    assert_same_gradient(mine.grad.as_subclass(torch.Tensor), leaf.grad, name)


@every_recorded_reduction
def test_no_graph_in_no_grad_and_inference_mode(name):
    x = random_image()
    with recorded_pool_function(name) as pool:
        with torch.no_grad():
            assert pool(x).grad_fn is None
        with torch.inference_mode():
            assert pool(x).is_inference()
        assert node_name(name) in autograd_node_names(pool(x))


@pytest.mark.filterwarnings("ignore:(std|var).*degrees of freedom")  # of no elements
@every_recorded_reduction
def test_empty_and_expanded_tensors(name):
    empty, one = torch.zeros(0, 3, 4, 6, requires_grad=True), torch.randn(1, 3, 1, 6, requires_grad=True)
    with recorded_pool_function(name) as pool:
        pool(empty).sum().backward()
        assert empty.grad.shape == empty.shape
        found = pool(one.expand(2, 3, 4, 6))
        (slope,) = torch.autograd.grad(found.sum(), one)
    expected = torch.autograd.grad(pool_with_torch(one.expand(2, 3, 4, 6), name).sum(), one)[0]
    if name.removesuffix(BY_KERNELS) in REDUCTIONS_IN_BLOCKS:
        assert_identical(slope, expected)
    else:
        torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_more_ties_than_half_precision_can_count(dtype):
    """``float16`` counts to 2048 and ``bfloat16`` to 256, so ties are counted in a wider type."""
    torch.manual_seed(0)
    x = (torch.rand(63, 4, 61, 3) < 0.9).to(dtype).requires_grad_()
    costs_of_tree_reductions = COSTS_WITH_CHEAP_CALLS._replace(reduce_row_overhead=1000, reduce_element=1000)
    slope = torch.randn(4, 3).to(dtype)
    for kernels in (False, True):
        with schedule_all_tensors(costs_of_tree_reductions), plait.options(kernels=kernels):
            found = plait.reduce(x, "a b c d -> b d", "max")
        assert_identical(torch.autograd.grad(found, x, slope)[0], torch.autograd.grad(x.amax((0, 2)), x, slope)[0])


def test_ties_beyond_exact_float_counts_use_torch_functions(monkeypatch):
    monkeypatch.setattr(autograd_module, "MAX_EXACT_COUNT", 1)
    monkeypatch.setattr(autograd_module, "blockwise_gradient_of_extremum", None)
    test_retained_graph_accumulates_gradients("max")


def test_gradients_of_a_large_tensor_equal_torch():
    x = torch.randint(0, 3, (8, 3, 224, 224)).float().requires_grad_()
    for name in REDUCTIONS_IN_BLOCKS:
        result = plait.reduce(x, POOLING_PATTERN, name)
        assert AUTOGRAD_NODE_BY_REDUCTION[name] in autograd_node_names(result)
        slope = torch.randn_like(result)
        found, meant = [torch.autograd.grad(each, x, slope)[0] for each in (result, pool_with_torch(x, name))]
        assert_identical(found, meant)


MUTATIONS = {
    "short rows are repeated wrongly": (
        autograd_module,
        "_repeat_short_rows",
        lambda left, loops: left * 2,
        ("max", "mean"),
    ),
    "ties are counted wrongly": (autograd_module, "_fill_gradient_block", lambda *given: given[3].fill_(1), ("max",)),
    "the mean is divided by a wrong count": (autograd_module, "elements_per_result", lambda loops: 2, ("mean",)),
}


@pytest.mark.parametrize("sabotage", MUTATIONS)
def test_mutated_gradient_is_detected(sabotage):
    where, name, instead, reductions = MUTATIONS[sabotage]
    for reduction in reductions:
        with mock.patch.object(where, name, instead), pytest.raises(AssertionError):
            test_retained_graph_accumulates_gradients(reduction)


def test_missing_upcast_is_detected(monkeypatch):
    monkeypatch.setattr("plait._executor.large.reductions._upcast_function", lambda *_: None)
    with pytest.raises(AssertionError):
        test_more_ties_than_half_precision_can_count(torch.bfloat16)
