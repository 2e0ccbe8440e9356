"""Gradients that kernels compute, for drawn reductions and layouts: those of PyTorch's own operations."""

from __future__ import annotations

import pytest
from drawn_examples import example_count
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plait
from kernels.kernel_cases import calls, kernels_for_all_sizes
from plait.backends.kernels import GradientKernel

torch = pytest.importorskip("torch")
pytest.importorskip("plait_kernels")

FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
EXACT_REDUCTIONS = ("min", "max", "mean")
ROUNDED_REDUCTIONS = ("prod", "var", "std", "logsumexp")


@pytest.fixture
def filled_gradients(monkeypatch):
    """The list of the gradients that kernels have filled since the start of the test."""
    gradients = []
    call = GradientKernel.__call__

    def call_and_note(kernel, source, result, result_gradient, gradient):
        call(kernel, source, result, result_gradient, gradient)
        gradients.append(gradient)

    monkeypatch.setattr(GradientKernel, "__call__", call_and_note)
    return gradients


def draw_result_gradient(draw, shape, dtype):
    """Return a gradient of a result: of any order in memory, with gaps, or the same number everywhere."""
    torch.manual_seed(draw(st.integers(0, 99)))
    if draw(st.sampled_from((False, False, True))):
        return torch.randn((), dtype=torch.float32).to(dtype).expand(shape)
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from((1, 1, 1, 2))) for _ in shape]
    memory = torch.randn([shape[place] * steps[place] for place in order], dtype=torch.float32).to(dtype)
    view = memory.permute([order.index(place) for place in range(len(shape))])
    return view[tuple([slice(None, None, step) for step in steps])]


def gradient_of(tensor, pattern, reduction, sizes, grad):
    """Return the gradient of a tensor for a gradient of the result of its reduction."""
    leaf = tensor.detach().requires_grad_()
    return torch.autograd.grad(plait.reduce(leaf, pattern, reduction, **sizes), leaf, grad)[0]


@pytest.mark.parametrize("reduction", [*EXACT_REDUCTIONS, *ROUNDED_REDUCTIONS])
def test_gradients_by_kernels_equal_those_of_plain_calls(reduction, filled_gradients):
    checked = []

    @settings(max_examples=example_count(80))
    @given(calls("torch", FLOAT_DTYPES, reduction), st.data())
    def check(call, data):
        tensor, pattern, sizes = call
        if reduction == "prod":  # whose gradients of infinite factors are quotients of infinities, or not
            assume(tensor.isfinite().all())
        with kernels_for_all_sizes():
            shape = plait.reduce(tensor, pattern, reduction, **sizes).shape
            grad = draw_result_gradient(data.draw, shape, tensor.dtype)
            with plait.options(kernels=False):
                expected = gradient_of(tensor, pattern, reduction, sizes, grad)
                wide = gradient_of(tensor.double(), pattern, reduction, sizes, grad.double())
            if reduction == "std":  # a deviation of rounding errors alone has any gradient
                deviations = [plait.reduce(each, pattern, "std", **sizes) for each in (tensor, tensor.double())]
                least = 1e-4 * tensor.abs().nan_to_num(0, 0, 0).max()
                assume(all(((each == 0) | ~(each < least)).all() for each in deviations))
            filled_gradients.clear()
            found = gradient_of(tensor, pattern, reduction, sizes, grad)
            checked.append(bool(filled_gradients))
        assert found.dtype == expected.dtype
        if reduction in EXACT_REDUCTIONS:
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
            is_number = ~expected.isnan()
            assert torch.equal(found[is_number].signbit(), expected[is_number].signbit())
            return
        torch.testing.assert_close(found.isnan(), wide.isnan())
        is_finite = wide.abs() < torch.finfo(tensor.dtype).max / 2
        wide = wide[is_finite]
        error = (found[is_finite].double() - wide).abs()
        size = max([each.double().abs().max().item() for each in (wide, grad) if each.numel()], default=0)
        assert (error <= 64 * torch.finfo(tensor.dtype).eps * size).all()

    check()
    assert sum(checked) > len(checked) / 10


@pytest.mark.parametrize("reduction", [*EXACT_REDUCTIONS, *ROUNDED_REDUCTIONS])
@pytest.mark.parametrize(
    "pattern", ["a (b 2) (c 2) -> a b c", "a b c -> b", "a b c -> c a", "a b c -> a b", "a b c -> "]
)
def test_gradients_agree_with_finite_differences(reduction, pattern, filled_gradients):
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6, dtype=torch.float64, requires_grad=True)
    with kernels_for_all_sizes():
        for tensor in (x, x.detach().transpose(0, 2).contiguous().transpose(0, 2).requires_grad_()):
            assert torch.autograd.gradcheck(lambda x: plait.reduce(x, pattern, reduction), tensor)
            assert filled_gradients or pattern == "a b c -> "
            assert torch.autograd.gradgradcheck(lambda x: plait.reduce(x, pattern, reduction), tensor)


def large_tensor(dtype=torch.float32):
    """Return a tensor that is large enough for kernels by default, with equal elements."""
    torch.manual_seed(0)
    return torch.randint(0, 5, (16, 128, 96)).to(dtype).requires_grad_()


@pytest.mark.parametrize("reduction", [*EXACT_REDUCTIONS, *ROUNDED_REDUCTIONS])
def test_gradients_of_views_reach_their_leaves(reduction, filled_gradients):
    x = large_tensor()
    found = []
    for kernels in (True, False):
        with plait.options(kernels=kernels):
            view = (x * 2)[:, ::2].transpose(1, 2)
            (plait.reduce(view, "a (b 2) c -> c a b", reduction) ** 2).sum().backward()
        found.append(x.grad)
        x.grad = None
    assert len(filled_gradients) == 1
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("reduction", [*EXACT_REDUCTIONS, *ROUNDED_REDUCTIONS])
def test_a_backward_pass_changes_nothing_that_was_saved(reduction, filled_gradients):
    x = large_tensor()
    before = x.detach().clone()
    result = plait.reduce(x, "a (b 2) c -> a b c", reduction)
    kept, versions = result.detach().clone(), (x._version, result._version)
    grad = torch.randn_like(result)
    kept_grad = grad.clone()
    first = torch.autograd.grad(result, x, grad, retain_graph=True)[0]
    second = torch.autograd.grad(result, x, grad)[0]
    assert len(filled_gradients) == 2
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()
    assert torch.equal(x, before)
    assert torch.equal(result, kept)
    assert torch.equal(grad, kept_grad)
    assert (x._version, result._version) == versions
    if reduction != "mean":  # which saves nothing
        with pytest.raises(RuntimeError, match="a second time"):
            torch.autograd.grad(result, x, grad)


@pytest.mark.parametrize("reduction", ["max", "prod", "std", "var", "logsumexp"])
def test_tensors_that_a_hook_replaces_get_the_gradient_of_the_formula(reduction, filled_gradients):
    x = large_tensor(torch.float64)
    (expected,) = torch.autograd.grad(plait.reduce(x, "a (b 2) c -> a b c", reduction).sum(), x)
    filled_gradients.clear()
    for unpack in (
        lambda kept: kept.float(),
        lambda kept: kept.unflatten(0, (4, -1)).to_sparse().to_dense().flatten(0, 1),
    ):
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach(), unpack):
            result = plait.reduce(x, "a (b 2) c -> a b c", reduction)
        (found,) = torch.autograd.grad(result.sum(), x)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert len(filled_gradients) == 1  # that of tensors with the element type of the gradient


def test_gradients_under_transforms_of_torch_are_computed_without_kernels(filled_gradients):
    x = large_tensor().detach()
    for reduction in ROUNDED_REDUCTIONS:

        def loss(tensor, reduction=reduction):
            return plait.reduce(tensor, "a b c -> a b", reduction).sum()

        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(leaf), leaf)
        filled_gradients.clear()
        torch.testing.assert_close(torch.func.grad(loss)(x), expected)
        result = plait.reduce(leaf, "a b c -> a b", reduction)
        ways = torch.stack([torch.ones_like(result), 2 * torch.ones_like(result)])
        (batched,) = torch.autograd.grad(result, leaf, ways, is_grads_batched=True)
        torch.testing.assert_close(batched, torch.stack([expected, 2 * expected]))
        assert not filled_gradients


@pytest.mark.parametrize(
    "fault", [lambda out: out.fill_(3), lambda out: out.view(-1)[-1:].add_(1), lambda out: out.view(-1)[:1].mul_(0.5)]
)
@pytest.mark.parametrize("reduction", [*EXACT_REDUCTIONS, *ROUNDED_REDUCTIONS])
def test_a_wrong_gradient_is_detected(reduction, fault, monkeypatch):
    call = GradientKernel.__call__

    def call_and_spoil(kernel, *tensors):
        call(kernel, *tensors)
        fault(tensors[-1])

    monkeypatch.setattr(GradientKernel, "__call__", call_and_spoil)
    with pytest.raises((AssertionError, RuntimeError)):
        test_gradients_agree_with_finite_differences(reduction, "a (b 2) (c 2) -> a b c", [1])


def test_explain_says_that_the_gradient_is_recorded():
    for reduction in ("max", "mean", *ROUNDED_REDUCTIONS):
        text = str(plait.explain("a (b 2) c -> a b c", large_tensor(), reduction=reduction))
        assert "by a compiled kernel, in one pass over memory" in text
        assert "recorded as one call of torch, with its gradient" in text
