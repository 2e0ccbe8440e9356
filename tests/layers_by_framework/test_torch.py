"""Tests of plait's layers in PyTorch: each is compared with a module of PyTorch, or with hand-written code."""

from __future__ import annotations

import copy
import doctest
import importlib
import io
import pickle
import warnings

import pytest

import plait
from layers.cases import EINMIX_CASES, OPERATION_CASES

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402

from plait.layers.torch import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

IGNORE_TORCH_SCRIPT_DEPRECATION = pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated")
"""All of it is deprecated: until PyTorch 2.13 by a `DeprecationWarning`, since 2.14 by a `FutureWarning`."""
OPERATION_AND_EINMIX_CASES = [*OPERATION_CASES, *EINMIX_CASES]
CASE_PER_NODE_KIND = [
    *OPERATION_CASES[1:3],
    OPERATION_CASES[5],
    OPERATION_CASES[6],
    OPERATION_CASES[-1],
    EINMIX_CASES[0],
    *EINMIX_CASES[4:7],
    EINMIX_CASES[9],
    EINMIX_CASES[12],
]
"""A selection of cases for slow tracers; each case has another kind of plan node."""

each_case = pytest.mark.parametrize("case", OPERATION_AND_EINMIX_CASES, ids=str)
each_node_kind = pytest.mark.parametrize("case", CASE_PER_NODE_KIND, ids=str)


@pytest.fixture(autouse=True)
def _set_seed():
    torch.manual_seed(0)


def build_layer(case, **more):
    if hasattr(case, "kind"):
        return {"Rearrange": Rearrange, "Reduce": Reduce, "Repeat": Repeat}[case.kind](*case.arguments, **case.sizes)
    return EinMix(case.pattern, case.weight_shape, case.bias_shape, **more, **case.sizes)


def random_input(case, batch_factor=1):
    """Return a random input of a case, the first of several dimensions ``batch_factor`` times as long."""
    first, *rest = case.shape
    return torch.randn(first * batch_factor if rest else first, *rest)


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def assert_near(actual, expected, **tolerance):
    torch.testing.assert_close(actual, expected, **tolerance)


class Network(nn.Module):
    """All four layers, at several depths; images of 8 by 8 pixels, 10 classes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            Reduce("b c (h 2) (w 2) -> b h w c", "max"),
            nn.ModuleDict({"mix": EinMix("b h w c -> b k w c", "h k", "k", h=4, k=5)})["mix"],
        )
        self.twice = Repeat("b k w c -> b 2 k w c")
        self.flat = Rearrange("b r k w c -> b (r k w c)")
        self.classify = EinMix("b f -> b d", "f d", "d", f=160, d=10)

    def forward(self, x):
        return self.classify(self.flat(self.twice(self.features(x))))


class HandwrittenNetwork(nn.Module):
    """The same as `Network` in PyTorch alone, with its parameters."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        convolution, _, _, mixing = self.network.features
        x = nn.functional.max_pool2d(convolution(x).relu(), 2).permute(0, 2, 3, 1)
        x = torch.einsum("bhwc,hk->bkwc", x, mixing.weight) + mixing.bias
        x = torch.cat([x[:, None]] * 2, 1).flatten(1)
        return x @ self.network.classify.weight + self.network.classify.bias


def random_images(count=3):
    return torch.randn(count, 1, 8, 8)


# A module among modules


def test_network_equals_handwritten_code():
    network, x = Network(), random_images()
    assert_near(network(x), HandwrittenNetwork(network)(x))


def test_layers_in_sequential():
    layers = [Rearrange("b (h w) -> b 1 h w", h=8), nn.Conv2d(1, 2, 3), Reduce("b c h w -> b c", "mean")]
    network = nn.Sequential(*layers)
    x = torch.randn(3, 64)
    assert_near(network(x), layers[1](x.view(3, 1, 8, 8)).mean((2, 3)))
    assert [*network] == layers
    assert network[0] is layers[0]
    network.append(EinMix("b c -> b d", "c d", c=2, d=5))
    assert network(x).shape == (3, 5)
    assert network[-1:](torch.ones(1, 2)).shape == (1, 5)


def test_names_of_children_and_modules():
    network = Network()
    children = dict(network.named_children())
    assert list(children) == ["features", "twice", "flat", "classify"]
    assert type(children["flat"]) is Rearrange
    modules = dict(network.named_modules())
    assert list(modules)[1:] == [
        *["features", *(f"features.{place}" for place in range(4))],
        *["twice", "flat", "classify"],
    ]
    assert type(modules["features.2"]) is Reduce
    assert type(modules["features.3"]) is EinMix
    assert network.get_submodule("features.3") is modules["features.3"]
    assert network.get_parameter("features.3.weight") is network.features[3].weight
    for layer in (network.twice, network.flat, network.classify):
        assert list(layer.children()) == []
        assert list(layer.modules()) == [layer]


def test_repr_at_every_depth():
    assert repr(Rearrange("b (h w)->b h w", h=8)) == "Rearrange('b (h w) -> b h w', h=8)"
    assert repr(Reduce("b c h w -> b c", "mean")) == "Reduce('b c h w -> b c', 'mean')"
    assert repr(Repeat("b -> b r", r=2)) == "Repeat('b -> b r', r=2)"
    assert repr(EinMix("b c -> b d", "c d", "d", c=2, d=5)) == "EinMix('b c -> b d', 'c d', 'd', c=2, d=5)"
    assert repr(EinMix("b c -> b d", "c d", c=2, d=5)) == "EinMix('b c -> b d', 'c d', c=2, d=5)"
    assert "    (3): EinMix('b h w c -> b k w c', 'h k', 'k', h=4, k=5)\n" in repr(Network())
    reduced_by_a_module = Reduce("b c h w -> b c", ScaledMax())
    assert repr(reduced_by_a_module).startswith("Reduce(\n  'b c h w -> b c'\n  (module): ScaledMax")
    layer = Rearrange("b (h w)->b h w", h=8)
    assert repr(eval(repr(layer))) == repr(layer)


def test_docstring_examples_run():
    module = importlib.import_module("plait.layers.torch")
    failures, examples = doctest.testmod(module)
    assert (failures, examples > 0) == (0, True)


# Parameters


def test_einmix_registers_its_parameters():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    assert [(name, type(parameter)) for name, parameter in layer.named_parameters()] == [
        ("weight", nn.Parameter),
        ("bias", nn.Parameter),
    ]
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in layer.parameters())
    without = EinMix("b c -> b d", "c d", c=3, d=4)
    assert [name for name, _ in without.named_parameters()] == ["weight"]
    assert without.bias is None
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (16,)
    nn.utils.vector_to_parameters(torch.arange(16.0), layer.parameters())
    assert_equal(layer(torch.eye(3)), torch.arange(12.0).view(3, 4) + torch.arange(12.0, 16.0))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam], ids=["SGD", "Adam"])
def test_optimizer_updates_equal_those_of_linear(optimizer):
    ours = EinMix("b i -> b o", "o i", "o", i=6, o=4)
    theirs = nn.Linear(6, 4)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias[0])
    start = ours.weight.detach().clone()
    x, target = torch.randn(5, 6), torch.randn(5, 4)
    for layer in (ours, theirs):
        steps = optimizer(layer.parameters(), lr=0.1)
        for _ in range(3):
            steps.zero_grad()
            nn.functional.mse_loss(layer(x), target).backward()
            steps.step()
    assert_near(ours.weight, theirs.weight)
    assert_near(ours.bias[0], theirs.bias)
    assert (ours.weight != start).all()


def test_frozen_parameters_have_no_gradient():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    layer.requires_grad_(False)
    assert not layer(torch.ones(1, 3)).requires_grad
    layer.weight.requires_grad_(True)
    layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad.shape == (3, 4)
    assert layer.bias.grad is None
    layer.zero_grad()
    assert layer.weight.grad is None


def test_gradients_equal_handwritten_code():
    network, x = Network(), random_images()
    ours = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
    theirs = torch.autograd.grad(HandwrittenNetwork(network)(x).square().sum(), list(network.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        assert_near(one, other, rtol=1e-4, atol=1e-4)


def test_reset_parameters_and_apply():
    network = Network()
    before = copy.deepcopy(network.state_dict())
    network.features[3].reset_parameters()
    assert (network.features[3].weight != before["features.3.weight"]).all()
    assert_equal(network.classify.weight, before["classify.weight"])
    seen = []

    def init(module):
        seen.append(type(module))
        if isinstance(module, EinMix):
            nn.init.constant_(module.weight, 2)
            nn.init.zeros_(module.bias)

    assert network.apply(init) is network
    assert seen.count(EinMix) == 2
    assert {Rearrange, Reduce, Repeat} <= set(seen)
    assert_equal(network.classify(torch.ones(1, 160)), torch.full((1, 10), 320.0))


# States


def test_state_dict_is_saved_and_loaded_strictly(tmp_path):
    network, other = Network(), Network()
    state = network.state_dict()
    assert list(state) == [
        *["features.0.weight", "features.0.bias", "features.3.weight", "features.3.bias"],
        *["classify.weight", "classify.bias"],
    ]
    torch.save(state, tmp_path / "state.pt")
    loaded = other.load_state_dict(torch.load(tmp_path / "state.pt"), strict=True)
    assert (loaded.missing_keys, loaded.unexpected_keys) == ([], [])
    x = random_images()
    assert_equal(other(x), network(x))
    assert other.classify.weight is not network.classify.weight


def test_layers_without_parameters_have_an_empty_state_dict():
    for layer in (Rearrange("a b -> b a"), Reduce("a b -> a", "max"), Repeat("a -> a 2")):
        assert layer.state_dict() == {}
        assert list(layer.parameters()) == list(layer.buffers()) == []
        layer.load_state_dict({}, strict=True)
    state = nn.Sequential(nn.Linear(3, 4), nn.Flatten()).state_dict()
    nn.Sequential(nn.Linear(3, 4), Rearrange("b ... -> b (...)")).load_state_dict(state, strict=True)


def test_load_state_dict_of_wrong_names_or_shapes_raises():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": torch.zeros(4, 3), "bias": torch.zeros(1, 4)})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*bias"):
        EinMix("b c -> b d", "c d", c=3, d=4).load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*bias"):
        layer.load_state_dict({"weight": torch.zeros(3, 4)})


def test_state_dict_is_assigned_to_a_network_on_meta():
    network = Network()
    with torch.device("meta"):
        empty = Network()
    assert {parameter.device.type for parameter in empty.parameters()} == {"meta"}
    empty.load_state_dict(network.state_dict(), assign=True)
    x = random_images()
    assert_equal(empty(x), network(x))


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies_and_pickles(way):
    network, x = Network(), random_images()
    other = way(network)
    assert_equal(other(x), network(x))
    assert repr(other) == repr(network)
    with torch.no_grad():
        other.classify.bias.zero_()
        other.features[3].weight.zero_()
    assert (network.classify.bias != 0).all()
    assert (network.features[3].weight != 0).all()
    for case in OPERATION_AND_EINMIX_CASES:
        layer, tensor = build_layer(case), random_input(case)
        assert_equal(way(layer)(tensor), layer(tensor))


def test_module_is_saved_and_loaded(tmp_path):
    network, x = Network(), random_images()
    torch.save(network, tmp_path / "network.pt")
    other = torch.load(tmp_path / "network.pt", weights_only=False)
    assert_equal(other(x), network(x))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "network.pt", weights_only=True)


def test_layer_is_loaded_with_safe_globals(tmp_path):
    layer = EinMix("b (t p) c -> b t d", "p c d", "d", p=2, c=4, d=3)
    torch.save(layer, tmp_path / "layer.pt")
    allowed = torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "layer.pt")
    assert all(name.startswith(("plait.", "torch.nn.", "copyreg.", "builtins.")) for name in allowed)
    classes = [_load_class(name) for name in allowed]
    with torch.serialization.safe_globals(classes):
        other = torch.load(tmp_path / "layer.pt", weights_only=True)
    x = torch.randn(2, 6, 4)
    assert_equal(other(x), layer(x))


def _load_class(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_einmix_with_registered_buffers():
    layer = EinMix("b c -> b d", "c d", c=3, d=4)
    layer.register_buffer("mean", torch.ones(3))
    layer.register_buffer("scratch", torch.zeros(1), persistent=False)
    assert list(layer.state_dict()) == ["weight", "mean"]
    layer.double()
    assert layer.mean.dtype == torch.float64
    del layer.weight
    layer.register_buffer("weight", torch.ones(3, 4))  # a weight that is not trained
    assert list(layer.parameters()) == []
    assert_equal(layer(torch.ones(1, 3)), torch.full((1, 4), 3.0))
    assert list(dict(Rearrange("a b -> b a").to("meta").named_buffers())) == []


# What torch.nn.utils does to a layer


class ExponentialParametrization(nn.Module):
    def forward(self, x):
        return x.exp()

    def right_inverse(self, x):
        return x.log()


def test_parametrized_einmix_weight():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    nn.init.uniform_(layer.weight, 0.1, 1)
    parametrize.register_parametrization(layer, "weight", ExponentialParametrization())
    assert parametrize.is_parametrized(layer, "weight")
    original = layer.parametrizations.weight.original
    x = torch.randn(2, 3)
    assert_near(layer(x), x @ original.exp() + layer.bias)
    layer(x).sum().backward()
    assert original.grad.abs().min() > 0
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    layer.weight = torch.full((3, 4), 2.0)
    assert_near(layer.weight, torch.full((3, 4), 2.0))
    with parametrize.cached():
        assert_near(layer(x), 2 * x.sum(1, keepdim=True).expand(2, 4) + layer.bias)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is EinMix
    assert type(layer.weight) is nn.Parameter


def test_weight_and_spectral_norm():
    layer = parametrizations.weight_norm(EinMix("b c -> b d", "d c", c=3, d=4), "weight", dim=0)
    like = parametrizations.weight_norm(nn.Linear(3, 4, bias=False), "weight", dim=0)
    like.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3)
    assert_near(layer(x), like(x))
    normed = parametrizations.spectral_norm(EinMix("b c -> b d", "d c", c=3, d=4), n_power_iterations=20)
    assert_near(torch.linalg.matrix_norm(normed.weight, 2), torch.tensor(1.0), rtol=1e-2, atol=1e-2)
    assert normed(x).shape == (2, 4)


def test_pruned_einmix_weight():
    layer = EinMix("b c -> b d", "c d", "d", c=4, d=4)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert (layer.weight_mask == 0).sum() == 8
    x = torch.randn(2, 4)
    assert_near(layer(x), x @ (layer.weight_orig * layer.weight_mask) + layer.bias)
    prune.remove(layer, "weight")
    assert (layer.weight == 0).sum() == 8
    assert type(layer.weight) is nn.Parameter


def test_gradient_norm_is_clipped():
    network = Network()
    network(random_images()).square().sum().backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    norm = torch.stack([parameter.grad.norm() for parameter in network.parameters()]).norm()
    assert_near(norm, torch.tensor(0.5), rtol=1e-4, atol=1e-4)


def test_dynamic_quantization_ignores_the_layers():
    network = nn.Sequential(Rearrange("b c -> b c"), nn.Linear(4, 4), EinMix("b c -> b d", "c d", c=4, d=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is deprecated, and warns in several ways
        quantized = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    assert type(quantized[1]) is not nn.Linear
    assert [type(quantized[0]), type(quantized[2])] == [Rearrange, EinMix]
    x = torch.randn(3, 4)
    assert_near(quantized(x), network(x), rtol=0.1, atol=0.1)
    assert type(network[1]) is nn.Linear


# Hooks


def test_forward_hooks():
    for layer, x in (
        (Rearrange("a b -> b a"), torch.randn(2, 3)),
        (EinMix("a b -> a c", "b c", b=3, c=2), torch.ones(1, 3)),
    ):
        seen = []
        before = layer.register_forward_pre_hook(
            lambda module, given, seen=seen: seen.append((module, given)) or (given[0] * 2,)
        )
        after = layer.register_forward_hook(
            lambda module, given, result, seen=seen: seen.append((given, result)) or result + 1
        )
        assert_near(layer(x), layer.forward(x * 2) + 1)
        (module, (first,)), ((second,), result) = seen
        assert module is layer
        assert first is x
        assert_equal(second, x * 2)
        assert_equal(result, layer.forward(x * 2))
        before.remove()
        after.remove()
        assert_equal(layer(x), layer.forward(x))
        assert len(seen) == 2


def test_full_backward_hooks():
    layers = nn.Sequential(EinMix("a b -> a c", "b c", b=3, c=2), Rearrange("a c -> c a"), Reduce("c a -> c", "sum"))
    seen = {}
    for place, layer in enumerate(layers):
        layer.register_full_backward_hook(lambda _, inner, outer, place=place: seen.update({place: (inner, outer)}))
        layer.register_full_backward_pre_hook(lambda _, outer, place=place: seen.update({f"pre {place}": outer}))
    x = torch.randn(4, 3, requires_grad=True)
    layers(x).sum().backward()
    assert_equal(seen[2], ((torch.ones(2, 4),), (torch.ones(2),)))
    assert_equal(seen[1], ((torch.ones(4, 2),), (torch.ones(2, 4),)))
    assert_near(seen[0][0][0], layers[0].weight.sum(1).expand(4, 3))
    assert list(seen) == ["pre 2", 2, "pre 1", 1, "pre 0", 0]
    assert_near(x.grad, seen[0][0][0])


def test_global_forward_hook_sees_every_layer():
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, result: seen.append(type(module)))
    try:
        Network()(random_images())
    finally:
        handle.remove()
    assert seen.count(EinMix) == 2
    assert {Rearrange, Reduce, Repeat} < set(seen)


# Types and devices


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_network_is_cast_to_a_dtype(dtype):
    network = Network().to(dtype)
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}
    x = random_images().to(dtype)
    result = network(x)
    assert result.dtype == dtype
    assert_near(result, HandwrittenNetwork(network)(x))
    half = Network().half().float()
    assert half(random_images()).dtype == torch.float32


def test_network_is_moved_to_the_meta_device():
    network = Network().to("meta")
    assert network(random_images().to("meta")).device.type == "meta"
    assert network(random_images().to("meta")).shape == (3, 10)
    empty = network.to_empty(device="cpu")
    assert {parameter.device.type for parameter in empty.parameters()} == {"cpu"}
    if torch.cuda.is_available():
        network, x = Network(), random_images()
        expected = network(x)
        result = network.cuda()(x.cuda())
        assert result.is_cuda
        assert_near(result.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_device_and_dtype_arguments():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float64)}
    with torch.device("meta"):
        assert EinMix("b c -> b d", "c d", c=3, d=4).weight.is_meta
    layer = nn.utils.skip_init(EinMix, "b c -> b d", "c d", "d", c=3, d=4)
    assert {parameter.device.type for parameter in layer.parameters()} == {"cpu"}
    torch.set_default_dtype(torch.float64)
    try:
        assert EinMix("b c -> b d", "c d", c=3, d=4).weight.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    half = EinMix("b c -> b d", "c d", "d", c=64, d=64, dtype=torch.bfloat16)
    assert half.weight.min() < 0 < half.weight.max()


def test_autocast_equals_a_linear_layer():
    ours, theirs = EinMix("b i -> b o", "o i", "o", i=64, o=4), nn.Linear(64, 4)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias[0])
    x = torch.randn(5, 64)
    with torch.autocast("cpu", torch.bfloat16):
        result, expected = ours(x), theirs(x)
    assert result.dtype == expected.dtype == torch.bfloat16
    assert_near(result, expected)
    result.sum().backward()
    assert ours.weight.grad.dtype == ours.bias.grad.dtype == torch.float32
    network = Network()
    with torch.autocast("cpu", torch.bfloat16):
        assert network(random_images()).dtype == torch.bfloat16


def test_channels_last_input_gives_a_view():
    x = torch.randn(2, 3, 4, 6).to(memory_format=torch.channels_last)
    result = Rearrange("b c h w -> b (h w) c")(x)
    assert result.data_ptr() == x.data_ptr()
    assert result.is_contiguous()
    pooled = Reduce("b c (h 2) (w 2) -> b c h w", "max")(x)
    assert_equal(pooled, nn.functional.max_pool2d(x, 2))
    network = Network()
    network.features[0] = nn.Conv2d(3, 4, 3, padding=1)  # the memory format of one channel is any
    x = torch.randn(3, 3, 8, 8)
    expected = network(x)
    network.to(memory_format=torch.channels_last)
    assert_near(network(x.to(memory_format=torch.channels_last)), expected, rtol=1e-5, atol=1e-6)


def test_train_and_eval_modes_are_equal():
    network, x = Network(), random_images()
    assert_equal(network.eval()(x), network.train()(x))
    assert not network.eval().flat.training
    with torch.inference_mode():
        assert not network(x).requires_grad


def test_list_of_tensors_is_stacked():
    several = [torch.randn(3, 4) for _ in range(2)]
    stacked = torch.stack(several)
    assert_equal(Rearrange("b h w -> h (b w)")(several), stacked.permute(1, 0, 2).reshape(3, 8))
    assert_equal(Rearrange("b h w -> h (b w)")(tuple(several)), stacked.permute(1, 0, 2).reshape(3, 8))
    assert_equal(Reduce("b h w -> h w", "max")(several), stacked.amax(0))
    assert_equal(Repeat("b h w -> b h w 2")(several), torch.stack([stacked, stacked], 3))


# Reductions that are callables


class ScaledMax(nn.Module):
    """A reduction with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, tensor, axes):
        return tensor.amax(axes) * self.scale


def test_reduction_that_is_a_module_is_a_child():
    layer = Reduce("b c h w -> b c", ScaledMax())
    assert [name for name, _ in layer.named_parameters()] == ["module.scale"]
    x = torch.randn(2, 3, 4, 6)
    assert_equal(layer(x), x.amax((2, 3)))
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.module.scale.fill_(3)
    assert_equal(other(x), x.amax((2, 3)) * 3)
    assert_equal(layer(x), x.amax((2, 3)))
    other.to(torch.float64)
    assert other(x.double()).dtype == torch.float64
    assert_equal(torch.func.functional_call(layer, {"module.scale": torch.full((1,), 2.0)}, x), x.amax((2, 3)) * 2)
    layer(x).sum().backward()
    assert layer.module.scale.grad.shape == (1,)


def test_reduction_that_is_a_module_can_be_replaced():
    class Other(nn.Module):
        def forward(self, tensor, axes):
            return tensor.amin(axes)

    layer, x = Reduce("b c h w -> b c", ScaledMax()), torch.randn(2, 3, 4, 6)
    assert_equal(layer(x), x.amax((2, 3)))
    layer.module = Other()
    assert list(layer.parameters()) == []
    assert_equal(layer(x), x.amin((2, 3)))
    assert_equal(copy.deepcopy(layer)(x), x.amin((2, 3)))


def test_reduction_that_is_a_function():
    layer = Reduce("b c h w -> b c", torch.amin)
    x = torch.randn(2, 3, 4, 6)
    assert_equal(layer(x), x.amin((2, 3)))
    assert_equal(pickle.loads(pickle.dumps(layer))(x), x.amin((2, 3)))
    assert repr(layer) == "Reduce('b c h w -> b c', amin)"


# torch.func


def test_functional_call_and_its_gradients():
    network, x = Network(), random_images()
    state = {name: parameter.detach() * 2 for name, parameter in network.named_parameters()}
    twice = copy.deepcopy(network)
    twice.load_state_dict(state)
    assert_equal(torch.func.functional_call(network, state, (x,)), twice(x))

    def loss(state, x):
        return torch.func.functional_call(network, state, (x,)).square().mean()

    found = torch.func.grad(loss)(state, x)
    twice(x).square().mean().backward()
    for name, parameter in twice.named_parameters():
        assert_near(found[name], parameter.grad)


def test_per_sample_gradients():
    network, x = Network(), random_images(4)
    state = dict(network.named_parameters())

    def loss(state, sample):
        return torch.func.functional_call(network, state, (sample[None],)).square().mean()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, x)
    for number, sample in enumerate(x):
        expected = torch.autograd.grad(loss(state, sample), list(state.values()))
        for name, gradient in zip(state, expected, strict=True):
            assert_near(found[name][number], gradient, rtol=1e-4, atol=1e-5)


def test_an_ensemble_of_stacked_states():
    networks, x = [EinMix("b c -> b d", "c d", "d", c=3, d=4) for _ in range(3)], torch.randn(5, 3)
    parameters, _ = torch.func.stack_module_state(networks)

    def call(state, x):
        return torch.func.functional_call(networks[0], state, (x,))

    result = torch.func.vmap(call, in_dims=(0, None))(parameters, x)
    assert_near(result, torch.stack([network(x) for network in networks]))
    only_bias = torch.func.vmap(lambda bias: call({"bias": bias}, x))(parameters["bias"])
    assert only_bias.shape == (3, 5, 4)


@IGNORE_TORCH_SCRIPT_DEPRECATION  # jacfwd begins with some
def test_jacobian_and_jvp():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.func.jacrev(layer)(x)
    assert_near(jacobian[0, :, 0], layer.weight.T)
    assert_near(torch.func.jacfwd(layer)(x), jacobian)
    _, tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))
    assert_near(tangent, torch.ones_like(x) @ layer.weight)
    assert torch.autograd.gradcheck(layer, (x,))


# Replicas and processes


def test_data_parallel_replicas():
    network, x = Network(), random_images()
    assert_equal(nn.DataParallel(network)(x), network(x))
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    replica = layer._replicate_for_data_parallel()  # what DataParallel does on each device, then it sets the parameters
    replica.weight, replica.bias = layer.weight.detach() * 2, layer.bias.detach() * 2
    x = torch.randn(2, 3)
    assert_near(replica(x), layer(x) * 2)
    layer, x = Reduce("b c h w -> b c", ScaledMax()), torch.randn(2, 3, 4, 6)
    replica, child = layer._replicate_for_data_parallel(), layer.module._replicate_for_data_parallel()
    child.scale = layer.module.scale.detach() * 2
    replica.module = child
    assert_equal(replica(x), x.amax((2, 3)) * 2)
    assert_equal(layer(x), x.amax((2, 3)))


def test_shared_memory_and_averaged_models():
    network, x = Network(), random_images()
    network.share_memory()
    assert network.classify.weight.is_shared()
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    assert_near(averaged(x), network(x))


# TorchScript


@IGNORE_TORCH_SCRIPT_DEPRECATION
@each_case
def test_scripted_layer_equals_the_layer(case):
    layer = build_layer(case)
    scripted = torch.jit.script(nn.Sequential(layer))
    for x in (random_input(case), random_input(case, batch_factor=6)):
        x.requires_grad_(True)
        result, expected = scripted(x), layer(x)
        assert_near(result, expected)
        (ours,) = torch.autograd.grad(result.sum(), x)
        (theirs,) = torch.autograd.grad(expected.sum(), x)
        assert_near(ours, theirs)


@IGNORE_TORCH_SCRIPT_DEPRECATION
@each_case
def test_traced_layer_equals_the_layer(case):
    layer = build_layer(case)
    traced = torch.jit.trace(layer, random_input(case))
    x = random_input(case, batch_factor=6)
    assert_near(save_and_load(traced)(x), layer(x))


@IGNORE_TORCH_SCRIPT_DEPRECATION
@pytest.mark.parametrize("reduction", ["any", "all", "sum", "max"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64], ids=str)
def test_scripted_reductions_of_other_dtypes(reduction, dtype):
    layer = Reduce("a b c -> b", reduction)
    x = torch.randint(0, 2, (2, 3, 2)).to(dtype)
    result, expected = torch.jit.script(layer)(x), layer(x)
    assert result.dtype == expected.dtype
    assert_equal(result, expected)


@IGNORE_TORCH_SCRIPT_DEPRECATION
@pytest.mark.parametrize("rank", range(1, 9))
def test_scripted_ellipsis_accepts_any_rank(rank):
    x = torch.randn(*([1, 2] * 4)[: rank - 1], 3)
    layers = [
        EinMix("... c -> ... d", "c d", "d", c=3, d=4),
        Reduce("... c -> ...", "mean"),
        Rearrange("... c -> c (...)"),
        Repeat("... c -> 2 ... c"),
    ]
    for layer in layers:
        assert_near(torch.jit.script(layer)(x), layer(x))


@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_scripted_network_is_saved_frozen_and_trained():
    network, x = Network(), random_images()
    scripted = torch.jit.script(network)
    assert list(scripted.state_dict()) == list(network.state_dict())
    for one, other in zip(scripted.parameters(), network.parameters(), strict=True):
        assert one.data_ptr() == other.data_ptr()
    assert_near(scripted(x), network(x))
    loaded = save_and_load(scripted)
    assert_near(loaded(x), network(x))
    network.load_state_dict(loaded.state_dict(), strict=True)
    frozen = torch.jit.freeze(torch.jit.script(network.eval()))
    assert_near(frozen(x), network(x))
    assert list(frozen.parameters()) == []
    other = random_images(2)
    assert_near(torch.jit.optimize_for_inference(torch.jit.script(network.eval()))(other), network(other))
    before = scripted(x).detach()
    optimizer = torch.optim.SGD(scripted.parameters(), lr=0.1)
    scripted(x).square().sum().backward()
    optimizer.step()
    assert (scripted(x) != before).all()
    assert_near(scripted(x), network(x))  # they share the parameters
    assert scripted.double()(x.double()).dtype == torch.float64


@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_scripting_does_not_change_the_network():
    network, x = Network(), random_images()
    expected, modules = network(x), list(network.modules())
    state, shown = list(network.state_dict()), repr(network)
    torch.jit.script(network)
    assert all(one is other for one, other in zip(network.modules(), modules, strict=True))
    assert (list(network.state_dict()), repr(network)) == (state, shown)
    assert_equal(network(x), expected)
    assert_equal(copy.deepcopy(network)(x), expected)
    assert_equal(pickle.loads(pickle.dumps(network))(x), expected)


@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_scripted_layer_accepts_a_list_of_tensors():
    several = [torch.randn(3, 4) for _ in range(2)]
    for layer in (Rearrange("b h w -> h (b w)"), Reduce("b h w -> h w", "max"), Repeat("b h w -> b h w 2")):
        assert_equal(torch.jit.script(layer)(several), layer(several))


@IGNORE_TORCH_SCRIPT_DEPRECATION
@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (Rearrange("b (h p) -> b h p", p=3), (2, 7), r"\[PLT302\] 3 does not divide a length of 7"),
        (Rearrange("b (h p) -> b h p", p=3), (2, 6, 1), r"\[PLT304\].*\[2\].*has 3"),
        (Rearrange("b h -> h b", h=4), (2, 6), r"\[PLT305\] a length is 6, and the pattern has 4 there"),
        (Reduce("b h -> b", "max"), (2, 0), r"\[PLT307\]"),
        (EinMix("b c -> b d", "c d", c=3, d=4), (2, 4), r"\[PLT305\] a length is .*3"),
        (EinMix("... c -> ... d", "c d", c=3, d=4), (1,) * 9, r"\[PLT304\]"),
        (Rearrange("a 1 -> a"), (2, 2), r"\[PLT305\]"),
    ],
    ids=str,
)
def test_scripted_layer_raises_the_errors_of_the_layer(layer, shape, text):
    if len(shape) < 9:
        with pytest.raises(plait.SizeError):
            layer(torch.zeros(shape))
    with pytest.raises(torch.jit.Error, match=text) as caught:
        torch.jit.script(layer)(torch.zeros(shape))
    assert layer.spec.pattern.text in str(caught.value)


@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_callable_reduction_can_be_traced_but_not_scripted():
    layer = nn.Sequential(Reduce("b c h w -> b c", torch.amin))
    with pytest.raises(plait.BackendError, match=r"PLT510.*amin") as caught:
        torch.jit.script(layer)
    assert "b c h w -> b c" in str(caught.value)
    x = torch.randn(2, 3, 4, 6)
    assert_equal(torch.jit.trace(layer, x)(x[:1]), x[:1].amin((2, 3)))


def save_and_load(scripted):
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


# torch.compile


def compile_with_eager_backend(module, **options):
    torch._dynamo.reset()
    return torch.compile(module, backend="eager", **options)


@each_node_kind
def test_compiled_layer_has_no_graph_break(case):
    layer = build_layer(case)
    function = compile_with_eager_backend(layer, fullgraph=True)
    for x in (random_input(case), random_input(case, batch_factor=6)):
        assert_equal(function(x), layer(x))


def test_dynamic_shapes_are_compiled_once():
    network, graphs = Network(), []
    torch._dynamo.reset()
    function = torch.compile(
        network, fullgraph=True, dynamic=True, backend=lambda graph, _: graphs.append(graph) or graph
    )
    for count in (2, 3, 7):
        x = random_images(count)
        assert_equal(function(x), network(x))
    assert len(graphs) == 1
    function(random_images()).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # inductor's own
def test_inductor_compiles_layers():
    torch._dynamo.reset()
    layers = nn.Sequential(Reduce("b (t 2) c -> b t c", "max"), EinMix("b t c -> b (t d)", "c d", "d", c=4, d=3))
    x = torch.randn(2, 6, 4)
    with torch.no_grad():
        assert_near(torch.compile(layers, fullgraph=True)(x), layers(x))


LAYERS_AND_ERROR_CODES = [
    (Rearrange("b (h p) -> b h p", p=3), "PLT302"),
    (Reduce("b (h 3) -> b h", "max"), "PLT302"),
    (Repeat("b c d -> b c d r", r=2), "PLT304"),
    (EinMix("b c -> b d", "c d", "d", c=3, d=4), "PLT305"),
]


@pytest.mark.parametrize("dynamic", [None, True], ids=["automatic", "dynamic"])
@pytest.mark.parametrize(
    ("layer", "code"), LAYERS_AND_ERROR_CODES, ids=[repr(layer) for layer, _ in LAYERS_AND_ERROR_CODES]
)
def test_error_in_a_compiled_call(layer, code, dynamic):
    x = torch.zeros(2, 7)
    with pytest.raises(plait.SizeError) as eager:
        layer(x)
    inside = nn.Sequential(nn.Identity(), layer)
    for module in (layer, inside):
        with pytest.raises(plait.SizeError, match=code) as caught:
            compile_with_eager_backend(module, dynamic=dynamic)(x)
        assert str(caught.value) == str(eager.value)
        with pytest.raises(torch._dynamo.exc.Unsupported, match=code):
            compile_with_eager_backend(module, dynamic=dynamic, fullgraph=True)(x)


def test_error_in_a_compiled_call_can_be_caught():
    layer = EinMix("b c -> b d", "c d", c=3, d=4).requires_grad_(False)

    def function(x):
        y = x + 1
        try:
            return layer(y)
        except plait.PlaitError as error:
            return error.code

    function = compile_with_eager_backend(function)
    x = torch.zeros(2, 3)
    assert function(torch.zeros(2, 4)) == "PLT305"
    assert_near(function(x), layer(x + 1))


# torch.export and ONNX


@each_node_kind
def test_export_with_a_dynamic_batch(case):
    layer = build_layer(case).eval()
    dim = 3 * torch.export.Dim("third") if "heads" in case.sizes else torch.export.Dim("batch")
    program = torch.export.export(layer, (random_input(case, batch_factor=3),), dynamic_shapes=({0: dim},))
    x = random_input(case, batch_factor=6)
    assert_near(program.module()(x), layer(x))


def test_saved_export_has_the_parameter_names():
    network = Network().eval()
    program = torch.export.export(network, (random_images(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert list(program.state_dict) == list(network.state_dict())
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    x = random_images(7)
    assert_near(torch.export.load(file).module()(x), network(x))


def run_onnx(file, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(result)


class NetworkOfGroupsAndReductions(nn.Module):
    """A network with what `Network` lacks: groups in an EinMix, an ellipsis, and other reductions."""

    def __init__(self):
        super().__init__()
        self.patches = Rearrange("b 1 (h p) (w q) -> b (h w) (p q)", p=2, q=2)
        self.heads = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=2, c=2, d=3)
        self.channels = EinMix("... c -> ... k", "c k", c=6, k=4)
        self.reductions = nn.ModuleList(
            [Reduce("b (t u) c -> b t c", name, u=4) for name in ("max", "min", "sum", "mean")]
        )

    def forward(self, x):
        x = self.channels(self.heads(self.patches(x)))
        return torch.cat([reduction(x) for reduction in self.reductions], 1)


@pytest.mark.parametrize("network", [Network, NetworkOfGroupsAndReductions])
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")  # torch's own
def test_exported_onnx_model_gives_the_same_result(network, tmp_path):
    pytest.importorskip("onnxscript")
    network = network().eval()
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(network, (random_images(),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    program.save(tmp_path / "network.onnx")
    x = random_images(7)
    assert_near(run_onnx(tmp_path / "network.onnx", x), network(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [Network, NetworkOfGroupsAndReductions])
@pytest.mark.parametrize("traced", [False, True], ids=["module", "traced"])
@pytest.mark.filterwarnings("ignore:no signature found for <torch.ScriptMethod:UserWarning")  # of what was traced
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export")
@pytest.mark.filterwarnings("ignore:The feature will be removed")  # inside of that exporter
@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_onnx_export_by_torch_script(network, traced, tmp_path):
    pytest.importorskip("onnx")
    network = network().eval()
    module = torch.jit.trace(network, random_images()) if traced else network
    axes = {"x": {0: "batch"}}
    file = tmp_path / "network.onnx"
    torch.onnx.export(module, (random_images(),), str(file), dynamo=False, input_names=["x"], dynamic_axes=axes)
    x = random_images(7)
    assert_near(run_onnx(file, x), network(x).detach(), rtol=1e-4, atol=1e-5)


# torch.fx


def test_fx_symbolic_trace():
    network, x = Network(), random_images()
    traced = torch.fx.symbolic_trace(network)
    assert_near(traced(x), network(x))
    more = random_images(7)
    assert_near(traced(more), network(more))
    assert list(traced.state_dict()) == list(network.state_dict())
    mixed = torch.fx.symbolic_trace(nn.Sequential(Rearrange("b c -> c b"), EinMix("c b -> c d", "b d", "d", b=3, d=4)))
    assert mixed(torch.zeros(3, 2)).shape == (2, 4)


def test_fx_trace_with_layers_as_leaves():
    class Leaves(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return type(module).__module__.startswith("plait.layers") or super().is_leaf_module(module, name)

    network, x = nn.Sequential(EinMix("... c -> ... d", "c d", c=8, d=3), Reduce("... d -> d", "max")), random_images()
    graph = Leaves().trace(network)
    assert [(node.op, node.target) for node in graph.nodes][1:3] == [("call_module", "0"), ("call_module", "1")]
    assert_near(torch.fx.GraphModule(network, graph)(x), network(x))


def test_fx_trace_of_an_ellipsis_raises():
    with pytest.raises(plait.BackendError, match="PLT505"):
        torch.fx.symbolic_trace(Rearrange("b ... -> ... b"))


# Code written for einops


def einops_and_plait_class(name):
    einops = pytest.importorskip("einops.layers.torch")
    return getattr(einops, name), globals()[name]


@pytest.mark.parametrize(
    ("name", "given", "sizes", "shape"),
    [
        ("Rearrange", ("b c (h p) (w q) -> b (h w) (p q c)",), {"p": 2, "q": 3}, (2, 3, 4, 6)),
        ("Rearrange", ("b ... -> b (...)",), {}, (2, 3, 4)),
        ("Reduce", ("b c (h 2) (w 2) -> b c h w", "max"), {}, (2, 3, 4, 6)),
        ("Reduce", ("b c ... -> b c", "mean"), {}, (2, 3, 4, 6)),
        ("EinMix", ("b c -> b d", "c d", "d"), {"c": 3, "d": 4}, (2, 3)),
        ("EinMix", ("b c -> b d", "c d"), {"c": 3, "d": 4}, (2, 3)),
        ("EinMix", ("b t (h c) -> b t (h d)", "h c d", "h d"), {"h": 2, "c": 4, "d": 3}, (2, 3, 8)),
        ("EinMix", ("b (t p) c -> b t d", "p c d", "d"), {"p": 2, "c": 4, "d": 3}, (2, 6, 4)),
        ("EinMix", ("b h w c -> b k w c", "h k", "k"), {"h": 3, "k": 6}, (2, 3, 4, 5)),
        ("EinMix", ("... c -> ... d", "c d", "d"), {"c": 3, "d": 4}, (2, 5, 3)),
        ("EinMix", ("b t c -> b t c", "c", "t c"), {"c": 4, "t": 3}, (2, 3, 4)),
    ],
    ids=str,
)
def test_einops_code_runs_with_the_import_replaced(name, given, sizes, shape):
    theirs, ours = einops_and_plait_class(name)
    one, other = theirs(*given, **sizes), ours(*given, **sizes)
    states = one.state_dict(), other.state_dict()
    assert [(key, value.shape) for key, value in states[0].items()] == [(k, v.shape) for k, v in states[1].items()]
    x = torch.randn(shape)
    other.load_state_dict(states[0], strict=True)
    assert_near(other(x), one(x))
    fresh = theirs(*given, **sizes)
    fresh.load_state_dict(ours(*given, **sizes).state_dict(), strict=True)
    other.load_state_dict(fresh.state_dict(), strict=True)
    assert_near(other(x), fresh(x))


def test_einops_keywords():
    for name, keywords in (
        ("Rearrange", {"pattern": "a (b c) -> a b c", "b": 2}),
        ("Reduce", {"pattern": "a b -> a", "reduction": "sum"}),
        ("EinMix", {"pattern": "a b -> a c", "weight_shape": "b c", "bias_shape": "c", "b": 6, "c": 2}),
    ):
        theirs, ours = einops_and_plait_class(name)
        one, other = theirs(**keywords), ours(**keywords)
        other.load_state_dict(one.state_dict())
        x = torch.randn(3, 6)
        assert_near(other(x), one(x))


def test_state_dict_of_an_einops_network():
    def network(library):
        return nn.Sequential(
            library.Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4),
            library.EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=2, c=8, d=5),
            nn.LayerNorm(10),
            library.Reduce("b t c -> b c", "mean"),
            library.EinMix("b c -> b k", "c k", "k", c=10, k=3),
        )

    theirs = network(pytest.importorskip("einops.layers.torch"))
    ours = network(importlib.import_module("plait.layers.torch"))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = random_images()
    assert_near(ours(x), theirs(x))
    theirs.load_state_dict(network(importlib.import_module("plait.layers.torch")).state_dict(), strict=True)


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b device -> b c", "device c", c=3, device=2)


@IGNORE_TORCH_SCRIPT_DEPRECATION
def test_scripted_logsumexp_of_integers_raises_the_error_of_the_layer():
    layer = Reduce("b c -> b", "logsumexp")
    x = torch.ones(2, 3, dtype=torch.int64)
    with pytest.raises(plait.BackendError, match="PLT503"):
        layer(x)
    with pytest.raises(Exception, match="PLT503"):
        torch.jit.script(layer)(x)


def test_result_has_the_dtype_of_a_wider_bias():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=2)
    layer.bias = nn.Parameter(torch.full((1, 2), 1 / 3, dtype=torch.float64))
    result = layer(torch.zeros(1, 3))
    assert result.dtype is torch.float64
    assert (result == 1 / 3).all()
