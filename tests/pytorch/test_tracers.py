"""PyTorch's other tracers and transformations: export, jit.trace, fx, vmap and grad, meta and fake tensors."""

from __future__ import annotations

import warnings

import pytest

import plait

torch = pytest.importorskip("torch")

from torch import fx  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

SHAPE = (2, 3, 4, 6)
OTHER_SHAPE = (5, 3, 8, 6)

CALL_BY_NAME = {
    "permute": lambda x: plait.rearrange(x, "b c h w -> b h w c"),
    "merge": lambda x: plait.rearrange(x, "b c h w -> b (c h w)"),
    "space to depth": lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2),
    "max": lambda x: plait.reduce(x, "b c (h 2) w -> b c h w", "max"),
    "std": lambda x: plait.reduce(x, "b c h w -> b", "std"),
    "logsumexp": lambda x: plait.reduce(x, "b c h w -> b (c h)", "logsumexp"),
    "repeat": lambda x: plait.repeat(x, "b c h w -> b c (h r) w", r=2),
    "einsum": lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
    "grouped einsum": lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b c k h j", k=2),
    "list": lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
    "view": lambda x: plait.view(x, "b c h w -> (b c) (h w)"),
    "pack": lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
    "size": lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=x.shape[2] // 2),
}

each_call = pytest.mark.parametrize("call", CALL_BY_NAME.values(), ids=CALL_BY_NAME.keys())


class Module(torch.nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


@each_call
@pytest.mark.parametrize("strict", [False, True], ids=["non-strict", "strict"])
def test_export_with_a_dynamic_dimension(call, strict):
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(Module(call), (torch.randn(SHAPE),), dynamic_shapes=({0: batch},), strict=strict)
    x = torch.randn(7, *SHAPE[1:])
    torch.testing.assert_close(exported.module()(x), call(x))


def test_export_adds_no_call_of_its_own():
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        Module(CALL_BY_NAME["space to depth"]), (torch.randn(SHAPE),), dynamic_shapes=({0: batch},), strict=False
    )
    names = [str(node.target) for node in exported.graph.nodes if node.op == "call_function"]
    calls = [name for name in names if "sym_size" not in name]
    assert calls == ["aten.reshape.default", "aten.permute.default", "aten.reshape.default"]


@each_call
def test_jit_trace_accepts_other_shapes(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*torch.jit.trace.* is deprecated")
        traced = torch.jit.trace(call, torch.randn(SHAPE))
    x = torch.randn(OTHER_SHAPE)
    torch.testing.assert_close(traced(x), call(x))


@each_call
def test_symbolic_trace_accepts_other_shapes(call):
    if call is CALL_BY_NAME["pack"]:
        with pytest.raises(plait.BackendError, match="PLT505"):
            fx.symbolic_trace(call)  # a rank is needed to know what the star stands for
        return
    traced = fx.symbolic_trace(call)
    x = torch.randn(OTHER_SHAPE)
    torch.testing.assert_close(traced(x), call(x))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("permute", ["permute"]),
        ("merge", ["getattr", "getitem", "getitem", "getitem", "getitem", "mul", "mul", "reshape"]),
        ("std", ["std"]),
        ("einsum", ["einsum"]),
    ],
)
def test_symbolic_trace_has_the_calls_of_the_hand_written_code(name, expected):
    graph = fx.symbolic_trace(CALL_BY_NAME[name]).graph
    assert [node.target.__name__ for node in graph.nodes if node.op == "call_function"] == expected


def test_symbolic_trace_of_callables_and_equations():
    x = torch.randn(3, 4)
    for call in (
        lambda x: plait.reduce(x, "a b -> a", torch.amax),
        lambda x: plait.reduce(x, "a b -> a", lambda tensor, axes: tensor.sum(axes)),
        lambda x: plait.einsum("ab,cb->ac", x, x),
    ):
        torch.testing.assert_close(fx.symbolic_trace(call)(x), call(x))


def test_jit_trace_does_not_warn():
    x = torch.randn(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*torch.jit.trace.* is deprecated")
        for call in (
            lambda x: plait.reduce(x, "a b -> a", lambda tensor, axes: tensor.sum(axes)),
            lambda x: plait.unpack(x, [(x.shape[1] // 2,), (x.shape[1] // 2,)], "a *")[1],
            lambda x: x * plait.parse_shape(x, "3 b")["b"],
        ):
            torch.testing.assert_close(torch.jit.trace(call, x)(x), call(x))


def test_symbolic_trace_without_a_rank_needs_axis_names():
    with pytest.raises(plait.BackendError, match="PLT505") as caught:
        fx.symbolic_trace(lambda x: plait.rearrange(x, "b ... -> ... b"))
    assert caught.value.spans == ((2, 5),)


@each_call
def test_make_fx_with_symbols(call):
    traced = make_fx(call, tracing_mode="symbolic")(torch.randn(SHAPE))
    x = torch.randn(OTHER_SHAPE)
    torch.testing.assert_close(traced(x), call(x))


def test_vmap_and_grad_of_max_pooling():
    def pool(x):
        return plait.reduce(x, "c (h 2) w -> c w h", "max")

    x = torch.randn(SHAPE)
    torch.testing.assert_close(torch.func.vmap(pool)(x), torch.stack([pool(each) for each in x]))
    gradient = torch.func.vmap(torch.func.grad(lambda each: pool(each).sum()))(x)
    leaf = x.clone().requires_grad_()
    plait.reduce(leaf, "b c (h 2) w -> b c w h", "max").sum().backward()
    torch.testing.assert_close(gradient, leaf.grad)


def test_vmap_over_repeat_einsum_and_rearrange():
    x = torch.randn(SHAPE)
    for name in ("permute", "merge", "space to depth", "repeat", "einsum", "logsumexp"):
        call = CALL_BY_NAME[name]
        nested = torch.func.vmap(lambda each, call=call: call(each[None])[0])(x)
        torch.testing.assert_close(nested, call(x))


@each_call
def test_meta_and_fake_tensors(call):
    expected = call(torch.randn(SHAPE)).shape
    assert call(torch.empty(SHAPE, device="meta")).shape == expected
    with FakeTensorMode():
        assert call(torch.empty(SHAPE)).shape == expected


def test_parameters_and_subclasses():
    class TensorSubclass(torch.Tensor):
        pass

    x = torch.randn(SHAPE)
    parameter = torch.nn.Parameter(x)
    result = plait.rearrange(parameter, "b c h w -> b (c h w)")
    assert result.requires_grad
    result.sum().backward()
    assert parameter.grad.shape == SHAPE
    assert type(plait.rearrange(x.as_subclass(TensorSubclass), "b c h w -> b (c h w)")) is TensorSubclass


def test_second_derivatives_of_logsumexp():
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)

    def function(x):
        return plait.reduce(x, "b (h p) -> p b", "logsumexp", p=3)

    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


def test_no_grad_and_inference_mode():
    x = torch.randn(SHAPE, requires_grad=True)
    with torch.no_grad():
        assert plait.rearrange(x, "b c h w -> b w h c").grad_fn is None
        assert not plait.reduce(x, "b c h w -> b", "mean").requires_grad
    with torch.inference_mode():
        assert plait.reduce(x, "b c h w -> b", "sum").shape == (2,)


def test_memory_formats_and_negative_views():
    x = torch.randn(SHAPE).to(memory_format=torch.channels_last)
    assert plait.view(x, "b c h w -> b (h w) c").data_ptr() == x.data_ptr()
    with pytest.raises(plait.CopyRequiredError):
        plait.view(x, "b c h w -> b (c h w)")
    z = torch.randn(3, 4, dtype=torch.complex64)
    assert (plait.asnumpy(z.conj()) == z.conj().resolve_conj().numpy()).all()
    assert (plait.asnumpy(z.conj().imag) == -z.imag.numpy()).all()


def test_any_and_all_of_uint8_are_bool():
    x = torch.tensor([[0, 2], [0, 0]], dtype=torch.uint8)
    assert plait.reduce(x, "a b -> a", "any").tolist() == [True, False]
    assert plait.reduce(x, "a b -> a", "all").dtype is torch.bool


def test_uint64_beyond_int64_is_reduced_exactly():
    x = torch.tensor([0, 2**63 + 5, 7], dtype=torch.uint64)
    assert plait.reduce(x, "a ->", "max").item() == 2**63 + 5
    assert plait.reduce(x, "a ->", "min").item() == 0
    assert plait.reduce(x, "a ->", "sum").item() == 2**63 + 12
