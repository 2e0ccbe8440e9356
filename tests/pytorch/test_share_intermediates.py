"""`plait.share_intermediates` with PyTorch: writes are errors, gradients and tracers are left alone."""

from __future__ import annotations

import pytest

import plait
from plait._executor import shared_contractions
from plait._executor.options import CURRENT_OPTIONS

torch = pytest.importorskip("torch")

CHAIN = "i j, j k, k l -> i l"


def tensors(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((20, 30), (30, 40), (40, 2))]


@pytest.fixture
def computed(monkeypatch):
    """The patterns of all steps that are computed inside blocks."""
    seen, build = [], shared_contractions.build_einsum

    def watched(stage, operands, options):
        seen.append(stage[0])
        return build(stage, operands, options)

    monkeypatch.setattr(shared_contractions, "build_einsum", watched)
    return seen


def test_results_are_shared(computed):
    a, b, c = tensors()
    with plait.share_intermediates():
        torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), a @ b @ c)
        torch.testing.assert_close(plait.einsum(c, b, a, "y z, x y, w x -> z w"), (a @ b @ c).T)
    assert len(computed) == 3


@pytest.mark.parametrize("number", range(3))
def test_a_write_into_an_operand_is_an_error(number):
    operands = tensors()
    with plait.share_intermediates():
        plait.einsum(*operands, CHAIN)
        operands[number][0] = 0
        with pytest.raises(plait.BackendError, match=f"PLT517.*tensor {number} was written"):
            plait.einsum(*operands, CHAIN)
        others = [tensor if place == number else tensor.clone() for place, tensor in enumerate(operands)]
        with pytest.raises(plait.BackendError, match="PLT517"):
            plait.einsum(*others, CHAIN)
    a, b, c = operands
    torch.testing.assert_close(plait.einsum(*operands, CHAIN), a @ b @ c)
    with plait.share_intermediates():
        torch.testing.assert_close(plait.einsum(*operands, CHAIN), a @ b @ c)


def test_a_write_into_an_intermediate_result_is_an_error():
    operands = tensors()
    with plait.share_intermediates():
        plait.einsum(*operands, CHAIN)
        for result, _ in CURRENT_OPTIONS.get().shared.results.values():
            result.zero_()
        with pytest.raises(plait.BackendError, match=r"PLT517.*intermediate"):
            plait.einsum(*operands, CHAIN)


def test_results_may_be_written(computed):
    a, b, c = tensors()
    with plait.share_intermediates():
        for _ in range(3):
            result = plait.einsum(a, b, c, CHAIN)
            torch.testing.assert_close(result, a @ b @ c)
            result.zero_()
    assert len(computed) == 4


def test_tensors_that_require_a_gradient_are_not_shared_and_each_graph_is_its_own(computed):
    a, b, c = tensors()
    b.requires_grad_(True)
    with plait.share_intermediates():
        for _ in range(2):
            plait.einsum(a, b, c, CHAIN).sum().backward()
        assert computed == []
        with torch.no_grad():
            for _ in range(2):
                torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), a @ b @ c)
        assert len(computed) == 3
        assert plait.einsum(a, b, c, CHAIN).requires_grad
    torch.testing.assert_close(b.grad, 2 * (a.T @ torch.ones(20, 2, dtype=a.dtype) @ c.T))


def test_inference_mode_inside_a_block():
    a, b, c = tensors()
    with plait.share_intermediates():
        with torch.inference_mode():
            plait.einsum(a, b, c, CHAIN)
        d = torch.ones(2, 3, dtype=a.dtype, requires_grad=True)
        result = plait.einsum(a, b, c, d, "i j, j k, k l, l m -> i m")
        result.sum().backward()
        torch.testing.assert_close(result, a @ b @ c @ d)
        torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), a @ b @ c)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int64])
def test_narrow_element_types_give_what_they_give_outside(dtype):
    a, b, c = [tensor.mul(2).to(dtype) for tensor in tensors()]
    expected = plait.einsum(a, b, c, CHAIN)
    with plait.share_intermediates():
        for _ in range(2):
            result = plait.einsum(a, b, c, CHAIN)
            assert result.dtype == dtype
            torch.testing.assert_close(result, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_transforms_tracers_and_autocast_are_contracted_as_outside(computed):
    a, b, c = tensors()
    expected = a @ b @ c
    with plait.share_intermediates():
        mapped = torch.vmap(lambda tensor: plait.einsum(tensor, b, c, CHAIN))(torch.stack([a, a]))
        torch.testing.assert_close(mapped, torch.stack([expected, expected]))
        gradient = torch.func.grad(lambda tensor: plait.einsum(tensor, b, c, CHAIN).sum())(a)
        torch.testing.assert_close(gradient, torch.ones_like(expected) @ (b @ c).T)
        graph = torch.fx.experimental.proxy_tensor.make_fx(lambda a, b, c: plait.einsum(a, b, c, CHAIN))(a, b, c)
        torch.testing.assert_close(graph(a * 2, b, c), expected * 2)
        traced = torch.jit.trace(lambda a, b, c: plait.einsum(a, b, c, CHAIN), (a, b, c), check_trace=False)
        torch.testing.assert_close(traced(a * 2, b, c), expected * 2)
        with torch.autocast("cpu", torch.bfloat16):
            assert plait.einsum(*[tensor.float() for tensor in (a, b, c)], CHAIN).dtype == torch.bfloat16
        assert computed == []
        torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), expected)
    assert len(computed) == 2


@pytest.mark.slow
def test_torch_compile_inside_a_block_is_one_graph_of_all_operands():
    a, b, c = tensors()
    compiled = torch.compile(lambda a, b, c: plait.einsum(a, b, c, CHAIN), backend="eager", fullgraph=True)
    with plait.share_intermediates():
        for factor in (1, 2):
            torch.testing.assert_close(compiled(a * factor, b, c), a @ b @ c * factor)
        torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), a @ b @ c)
    torch.testing.assert_close(compiled(a, b, c), a @ b @ c)
