"""Contraction plans and compiled equations under PyTorch's compilers."""

from __future__ import annotations

import pytest

import plait

torch = pytest.importorskip("torch")

CHAIN = "i j, j k, k l -> i l"


def tensors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((3, 30), (30, 4), (4, 5))]


def test_a_plan_of_tensors_is_used_by_a_call():
    a, b, c = tensors()
    with plait.options(contract=[(0, 2), (0, 1)]):
        plan = plait.explain(CHAIN, a, b, c).plan
    with plait.options(contract=plan):
        torch.testing.assert_close(plait.einsum(a, b, c, CHAIN), a @ b @ c)
        with pytest.raises(plait.AxisError, match="PLT216"):
            plait.einsum(a[:2], b, c, CHAIN)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_torch_compile_uses_the_path_of_a_plan(dynamic):
    a, b, c = tensors()
    with plait.options(contract=[(1, 2), (0, 1)]):
        plan = plait.explain(CHAIN, a, b, c).plan
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    compiled = torch.compile(
        lambda a, b, c: plait.einsum(a, b, c, CHAIN), backend=backend, dynamic=dynamic, fullgraph=True
    )
    with plait.options(contract=plan):
        torch.testing.assert_close(compiled(a, b, c), a @ b @ c)
    equations = [node.args[0] for node in graphs[0].graph.nodes if node.target is torch.functional.einsum]
    assert equations == ["ab,bc->ac", "ab,bc->ac"]
    other = torch.compile(lambda a, b: plait.einsum(a, b, "i j, j k -> i k"), backend=backend, dynamic=dynamic)
    with plait.options(contract=plan), pytest.raises(plait.AxisError, match="PLT216"):
        other(a, b)


@pytest.mark.slow
def test_compiled_equations_stretch_length_1_under_torch_compile_as_in_python():
    a, b, _ = tensors()
    pattern = plait.compile("ij,jk->ik")
    expected = torch.einsum("ij,jk->ik", a[:, :1], b)
    torch.testing.assert_close(pattern.einsum(a[:, :1], b), expected)
    compiled = torch.compile(lambda a, b: pattern.einsum(a, b) * 1, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(a[:, :1], b), expected)
    torch.testing.assert_close(compiled(a, b), a @ b)
