"""`Pattern.with_constants` with PyTorch: gradients, writes into constants, tracers and transforms."""

from __future__ import annotations

import pytest

import plait
from plait._executor import constants as constants_module

torch = pytest.importorskip("torch")

PATTERN = plait.compile("b i, i r, r j -> b j")


def tensors(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((50, 30), (30, 20), (20, 3))]


@pytest.fixture
def built(monkeypatch):
    """The patterns of the parts of einsums with constants that are built."""
    seen, build = [], constants_module.build_einsum

    def watched(stage, operands, options):
        seen.append(stage[0])
        return build(stage, operands, options)

    monkeypatch.setattr(constants_module, "build_einsum", watched)
    return seen


def test_constants_are_contracted_once_and_again_after_a_write(built):
    x, u, v = tensors()
    pattern = PATTERN.with_constants({1: u, 2: v})
    for _ in range(3):
        torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
    assert built == ["i r, r j -> i j", "b i, i j -> b j"]
    u.mul_(2)
    torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
    v[0] = 7
    torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
    assert len(built) == 6
    u.zero_()
    assert not pattern.einsum(x[:2]).any()  # for another shape
    assert not pattern.einsum(x).any()
    assert len(pattern._kept.results) == 1


def test_a_constant_that_requires_a_gradient_is_an_operand_of_each_call(built):
    x, u, v = tensors()
    u.requires_grad_(True)
    pattern = PATTERN.with_constants({1: u, 2: v})
    optimizer = torch.optim.SGD([u], 0.01)
    for _ in range(3):
        expected = x @ u @ v
        result = pattern.einsum(x)
        torch.testing.assert_close(result, expected)
        (gradient,) = torch.autograd.grad(expected.square().sum(), u)
        optimizer.zero_grad()
        result.square().sum().backward()
        torch.testing.assert_close(u.grad, gradient)
        optimizer.step()
    assert built == []
    with torch.no_grad():  # as in inference
        for _ in range(2):
            torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
        assert built == ["i r, r j -> i j", "b i, i j -> b j"]
    assert pattern.einsum(x).requires_grad
    u.requires_grad_(False)
    assert not pattern.einsum(x).requires_grad


def test_the_other_constants_are_contracted_once_beside_one_that_requires_a_gradient(built):
    x, u, v = tensors()
    w = torch.randn(3, 3, dtype=torch.float64)
    x.requires_grad_(True)
    pattern = plait.compile("b i, i r, r j, j k -> b k").with_constants({0: x, 1: u, 2: v})
    pattern.einsum(w).sum().backward()
    gradient, x.grad = x.grad, None
    (x @ u @ v @ w).sum().backward()
    torch.testing.assert_close(gradient, x.grad)
    assert built[0] == "i r, r j -> i j"


def test_gradients_of_the_other_operands():
    x, u, v = tensors()
    x.requires_grad_(True)
    pattern = PATTERN.with_constants({1: u, 2: v})
    assert torch.autograd.gradcheck(pattern.einsum, x)
    assert torch.autograd.gradgradcheck(lambda tensor: pattern.einsum(tensor).square(), x)


def test_what_is_contracted_in_inference_mode_serves_a_gradient_later():
    x, u, v = tensors()
    pattern = PATTERN.with_constants({1: u, 2: v})
    with torch.inference_mode():
        pattern.einsum(x)
    x.requires_grad_(True)
    pattern.einsum(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones(50, 3, dtype=x.dtype) @ (u @ v).T)
    with torch.inference_mode():
        w = u * 1
        inside = PATTERN.with_constants({1: w, 2: v})
        torch.testing.assert_close(inside.einsum(x), x @ u @ v)
    torch.testing.assert_close(inside.einsum(x.detach()), x.detach() @ u @ v)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype, built):
    x, u, v = tensors(dtype)
    exact = x.double() @ u.double() @ v.double()
    result = PATTERN.with_constants({1: u, 2: v}).einsum(x)
    assert result.dtype == dtype
    assert built[0] == "i r, r j -> i j"
    assert (result.double() - exact).abs().max() <= 1.01 * (plait.einsum(x, u, v, PATTERN.text) - exact).abs().max()


def test_mixed_element_types_and_booleans():
    x, u, v = tensors()
    for types in ((torch.float32, torch.int64, torch.int8), (torch.bool,) * 3, (torch.int32, torch.bool, torch.int64)):
        operands = [tensor.mul(3).to(dtype) for tensor, dtype in zip((x, u, v), types, strict=True)]
        expected = plait.einsum(*operands, PATTERN.text)
        result = PATTERN.with_constants({1: operands[1], 2: operands[2]}).einsum(operands[0])
        assert result.dtype == expected.dtype
        torch.testing.assert_close(result, expected)


def test_autocast_does_not_change_what_is_kept():
    x, u, v = tensors(torch.float32)
    pattern = PATTERN.with_constants({1: u, 2: v})
    with torch.autocast("cpu", torch.bfloat16):
        assert pattern.einsum(x).dtype == torch.bfloat16
    torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
    with torch.autocast("cpu", torch.bfloat16):
        assert pattern.einsum(x).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_transforms_and_tracers():
    x, u, v = tensors()
    pattern = PATTERN.with_constants({1: u, 2: v})
    expected = x @ u @ v
    torch.testing.assert_close(torch.vmap(pattern.einsum)(torch.stack([x, x])), torch.stack([expected, expected]))
    torch.testing.assert_close(
        torch.func.grad(lambda tensor: pattern.einsum(tensor).sum())(x), torch.ones_like(expected) @ (u @ v).T
    )
    derivative = torch.func.grad(lambda u: PATTERN.with_constants({1: u, 2: v}).einsum(x).sum())(u)
    torch.testing.assert_close(derivative, x.T @ torch.ones_like(expected) @ v.T)
    traced = torch.jit.trace(pattern.einsum, x)
    torch.testing.assert_close(traced(x * 2), expected * 2)
    torch.testing.assert_close(pattern.einsum(x), expected)
    graph = torch.fx.experimental.proxy_tensor.make_fx(pattern.einsum)(x)
    torch.testing.assert_close(graph(x), expected)
    _, tangent = torch.func.jvp(pattern.einsum, (x,), (x,))
    torch.testing.assert_close(tangent, expected)


@pytest.mark.slow
def test_torch_compile_contracts_all_operands_in_one_graph():
    x, u, v = tensors()
    pattern = PATTERN.with_constants({1: u, 2: v})
    compiled = torch.compile(lambda tensor: pattern.einsum(tensor) * 1, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), x @ u @ v)
    torch.testing.assert_close(pattern.einsum(x), x @ u @ v)
    torch.testing.assert_close(compiled(x * 3), x @ u @ v * 3)


def test_a_result_of_constants_alone_may_be_written():
    x, u, v = tensors()
    pattern = PATTERN.with_constants({0: x, 1: u, 2: v})
    pattern.einsum().zero_()
    torch.testing.assert_close(pattern.einsum(), x @ u @ v)
    x.zero_()
    assert not pattern.einsum().any()
