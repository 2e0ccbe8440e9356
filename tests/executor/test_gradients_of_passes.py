"""Large tensors of PyTorch that need a gradient: reduced in several calls, they have the gradient of one.

Tensors of any size are taken for large ones, at drawn costs, as in `test_passes`.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from unittest import mock

import pytest
from cost_models import cost_models, schedule_all_tensors
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plait
from plait.backends.costs import MemoryCosts

torch = pytest.importorskip("torch")
gradients = pytest.importorskip("plait.backends.torch.autograd")
slopes = pytest.importorskip("plait.backends.torch.autograd")

REDUCTIONS = {"min": torch.amin, "max": torch.amax, "sum": torch.sum, "mean": torch.mean}
NODES = {"min": "AmaxBackward", "max": "AmaxBackward", "sum": "SumBackward", "mean": "SumBackward"}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64)
SPECIAL = (float("nan"), float("inf"), -float("inf"), -0.0, 0.0)
CHEAP = MemoryCosts(call_overhead=0.001)

PATTERN, POOL = "b c (h 2) (w 2) -> b c h w", (3, 5)


@st.composite
def cases(draw):
    """A tensor in an order of memory, with gaps and ties and what is special, the axes to reduce, and a gradient."""
    shape = draw(st.lists(st.sampled_from((1, 2, 2, 3, 4, 5, 7, 40)), min_size=2, max_size=5))
    axes = sorted(draw(st.sets(st.sampled_from(range(len(shape))), min_size=1, max_size=len(shape) - 1)))
    dtype = draw(st.sampled_from(DTYPES))
    torch.manual_seed(draw(st.integers(0, 99)))

    def drawn(shape, spread):
        tensor = (torch.randint(-spread, spread, shape) / 4).to(dtype)
        special = torch.tensor(draw(st.sampled_from(SPECIAL))).to(dtype)
        return tensor.where(torch.rand(shape) < draw(st.sampled_from((0.7, 1.0, 1.0))), special)

    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from((1, 1, 1, 2))) for _ in shape]
    memory = torch.zeros([shape[place] * steps[place] for place in order], dtype=dtype)
    x = memory.permute(*[order.index(place) for place in range(len(shape))])
    x = x[tuple([slice(None, None, step) for step in steps])]
    x.copy_(drawn(shape, draw(st.sampled_from((1, 3, 40)))))
    return x, axes, drawn([size for place, size in enumerate(shape) if place not in axes], 40)


def pattern_of(x, axes):
    names = [f"a{place}" for place in range(x.dim())]
    return f"{' '.join(names)} -> {' '.join([name for place, name in enumerate(names) if place not in axes])}"


def identical(one, other):
    assert one.dtype == other.dtype
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    if not one.is_complex():
        assert torch.equal(one.signbit() & ~one.isnan(), other.signbit() & ~other.isnan())


def nodes(result):
    """The names of what is recorded, back to the tensor."""
    found, node = [], result.grad_fn
    while node is not None:
        found.append(node.name().rsplit(".", 1)[-1])
        node = node.next_functions[0][0] if node.next_functions else None
    return found


@contextmanager
def pooling(name):
    """A function that pools small tensors in several calls."""
    with schedule_all_tensors(CHEAP):
        yield lambda x: plait.reduce(x, PATTERN, name)


def plainly(x, name):
    return REDUCTIONS[name](x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)), POOL)


def image(seed=0, dtype=torch.float64, most=4):
    torch.manual_seed(seed)
    return torch.randint(0, most, (2, 3, 4, 6)).to(dtype).requires_grad_()


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from([*REDUCTIONS]), cost_models())
def test_the_gradient_is_that_of_one_call(case, name, costs):
    x, axes, slope = case
    assume(not x.is_complex() or name in ("sum", "mean"))
    x = x.requires_grad_()
    expected = REDUCTIONS[name](x, axes)
    with schedule_all_tensors(costs):
        found = plait.reduce(x, pattern_of(x, axes), name)
        if 1 < expected.numel() < x.numel():
            assert NODES[name] in nodes(found)
    if name in ("min", "max"):
        identical(found.detach().abs(), expected.detach().abs())
    (meant,) = torch.autograd.grad(expected, x, slope)
    (given,) = torch.autograd.grad(found, x, slope)
    identical(given, meant)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_gradients_of_gradients(name):
    x, ties = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True), image()
    with pooling(name) as pool:
        assert torch.autograd.gradcheck(pool, x)
        assert torch.autograd.gradgradcheck(pool, x)
        for does in (pool, partial(plainly, name=name)):
            (slope,) = torch.autograd.grad((does(ties) ** 3).sum(), ties, create_graph=True)
            (second,) = torch.autograd.grad((slope**2).sum(), ties)
            if does is pool:
                found = slope, second
    identical(found[0], slope)
    identical(found[1], second)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_graph_that_is_kept_and_gradients_that_add_up(name):
    x = image()
    with pooling(name) as pool:
        result = pool(x)
        for _ in range(2):
            result.sum().backward(retain_graph=True)
    (slope,) = torch.autograd.grad(plainly(x, name).sum(), x)
    identical(x.grad, 2 * slope)
    assert x.grad.stride() == x.stride()


def _changed(x, result):
    x.detach().add_(1)


def _changed_after(x, result):
    result.add_(1)


@pytest.mark.parametrize("change", [_changed, _changed_after])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_is_changed_in_place_is_noticed_as_pytorch_does(name, change):
    outcomes = []
    with pooling(name) as pool:
        for does in (pool, partial(plainly, name=name)):
            x = image()
            result = does(x)
            change(x, result)
            try:
                result.sum().backward()
            except RuntimeError as error:
                assert "modified by an inplace operation" in str(error)
                outcomes.append(None)
            else:
                outcomes.append(x.grad)
    assert (outcomes[0] is None) == (outcomes[1] is None) == (name in ("min", "max"))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_hooks_see_what_they_see_of_one_call(name):
    seen = []
    with pooling(name) as pool:
        for does in (pool, partial(plainly, name=name)):
            x, saved, passed = image(), [], []
            x.register_hook(passed.append)
            hooks = (lambda tensor, saved=saved: saved.append(tensor) or tensor), (lambda kept: kept)
            with torch.autograd.graph.saved_tensors_hooks(*hooks):
                result = does(x)
            result.register_hook(lambda slope: slope * 2)
            result.sum().backward()
            seen.append((len(saved), passed[0], x.grad))
    assert seen[0][0] == seen[1][0]
    identical(seen[0][1], seen[1][1])
    identical(seen[0][2], seen[1][2])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_is_saved_elsewhere_comes_back_in_any_layout(name):
    x = image()
    with pooling(name) as pool:
        moved = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: tensor.mT.contiguous() if tensor.dim() > 1 else tensor, lambda kept: kept.mT
        )
        with moved:
            found = pool(x)
        with torch.autograd.graph.save_on_cpu():
            other = pool(x)
        (meant,) = torch.autograd.grad(plainly(x, name).sum(), x)
        for result in (found, other):
            identical(torch.autograd.grad(result.sum(), x)[0], meant)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_checkpoints(name, reentrant):
    x = image()
    with pooling(name) as pool:
        result = torch.utils.checkpoint.checkpoint(lambda x: pool(x * 2) ** 2, x, use_reentrant=reentrant)
        result.sum().backward()
    identical(x.grad, torch.autograd.grad((plainly(x * 2, name) ** 2).sum(), x)[0])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_gradient_is_none_and_not_zero(name):
    class Stop(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor):
            return tensor.clone()

        @staticmethod
        def backward(ctx, slope):
            return None

    x = torch.randn(2, 512, 512, requires_grad=True)
    y = plait.reduce(x, "b (h 2) (w 2) -> b h w", name)
    assert y.grad_fn.name() in ("SumBackward", "AmaxBackward")
    Stop.apply(y).sum().backward()
    assert x.grad is None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # in torch's own import
@pytest.mark.parametrize("name", REDUCTIONS)
def test_transformations_see_one_call(name):
    x, plain = image().detach(), partial(plainly, name=name)
    with pooling(name) as pool:
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


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_parameter_and_a_subclass(name):
    class Sub(torch.Tensor):
        pass

    parameter, mine = torch.nn.Parameter(image().detach()), image().detach().as_subclass(Sub).requires_grad_()
    with pooling(name) as pool:
        result, other = pool(parameter), pool(mine)
        result.sum().backward()
        other.sum().backward()
        assert NODES[name] in nodes(result)
        assert type(result) is torch.Tensor
        assert type(other) is Sub
        assert NODES[name] not in nodes(other)
    leaf = image()
    plainly(leaf, name).sum().backward()
    identical(parameter.grad, leaf.grad)
    identical(mine.grad.as_subclass(torch.Tensor), leaf.grad)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_nothing_is_recorded_where_no_gradient_is_asked_for(name):
    x = image()
    with pooling(name) as pool:
        with torch.no_grad():
            assert pool(x).grad_fn is None
        with torch.inference_mode():
            assert pool(x).is_inference()
        assert NODES[name] in nodes(pool(x))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_the_empty_and_the_stretched(name):
    empty, one = torch.zeros(0, 3, 4, 6, requires_grad=True), torch.randn(1, 3, 1, 6, requires_grad=True)
    with pooling(name) as pool:
        pool(empty).sum().backward()
        assert empty.grad.shape == empty.shape
        found = pool(one.expand(2, 3, 4, 6))
        (slope,) = torch.autograd.grad(found.sum(), one)
    identical(slope, torch.autograd.grad(plainly(one.expand(2, 3, 4, 6), name).sum(), one)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ties_that_a_half_cannot_count(dtype):
    """A half counts to 2048, or to 256; so it is widened before."""
    torch.manual_seed(0)
    x = (torch.rand(63, 4, 61, 3) < 0.9).to(dtype).requires_grad_()
    with schedule_all_tensors(
        CHEAP._replace(reduce_row_overhead=1000, reduce_element=1000)
    ):  # so that halves are combined
        found = plait.reduce(x, "a b c d -> b d", "max")
    slope = torch.randn(4, 3).to(dtype)
    identical(torch.autograd.grad(found, x, slope)[0], torch.autograd.grad(x.amax((0, 2)), x, slope)[0])


def test_more_ties_than_any_float_counts_are_left_to_pytorch(monkeypatch):
    monkeypatch.setattr(gradients, "COUNTED", 1)
    monkeypatch.setattr(gradients, "share_gradient", None)
    test_a_graph_that_is_kept_and_gradients_that_add_up("max")


def test_a_large_tensor_goes_in_blocks():
    x = torch.randint(0, 3, (8, 3, 224, 224)).float().requires_grad_()
    for name in REDUCTIONS:
        result = plait.reduce(x, PATTERN, name)
        assert NODES[name] in nodes(result)
        slope = torch.randn_like(result)
        found, meant = [torch.autograd.grad(each, x, slope)[0] for each in (result, plainly(x, name))]
        identical(found, meant)


SABOTAGE = {
    "nothing is repeated right": (slopes, "_repeated", lambda left, loops: left * 2, ("max", "sum")),
    "ties are counted wrongly": (slopes, "_share_block", lambda *given: given[3].fill_(1), ("max",)),
    "a mean divides by something else": (gradients, "count", lambda loops: 2, ("mean",)),
}


@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_a_wrong_gradient_is_noticed(sabotage):
    where, name, instead, reductions = SABOTAGE[sabotage]
    for reduction in reductions:
        with mock.patch.object(where, name, instead), pytest.raises(AssertionError):
            test_a_graph_that_is_kept_and_gradients_that_add_up(reduction)


def test_counting_too_far_is_noticed(monkeypatch):
    monkeypatch.setattr("plait._executor.large.reductions._upcast_function", lambda *_: None)
    with pytest.raises(AssertionError):
        test_ties_that_a_half_cannot_count(torch.bfloat16)
