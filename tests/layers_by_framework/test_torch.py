"""What PyTorch promises of a module, of plait's: each beside a module of PyTorch's own, or code written by hand."""

from __future__ import annotations

import copy
import doctest
import importlib
import io
import pickle
import warnings

import pytest

import plait
from layers.cases import MIXES, OPERATIONS

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402

from plait.layers.torch import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

TORCH_SCRIPT = pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated:DeprecationWarning")  # all of it is
CASES = [*OPERATIONS, *MIXES]
FEW = [*OPERATIONS[1:3], OPERATIONS[5], OPERATIONS[6], OPERATIONS[-1], MIXES[0], *MIXES[4:7], MIXES[9], MIXES[12]]
"""For tracers that take long, and that the functions are tested under: each has its own kind of step."""

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_of_a_few = pytest.mark.parametrize("case", FEW, ids=str)


@pytest.fixture(autouse=True)
def _a_seed():
    torch.manual_seed(0)


def build(case, **more):
    if hasattr(case, "kind"):
        return {"Rearrange": Rearrange, "Reduce": Reduce, "Repeat": Repeat}[case.kind](*case.arguments, **case.sizes)
    return EinMix(case.pattern, case.weight_shape, case.bias_shape, **more, **case.sizes)


def example(case, batch=1):
    """A tensor for a case, or one with another batch size."""
    first, *rest = case.shape
    return torch.randn(first * batch if rest else first, *rest)


def same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def near(actual, expected, **tolerance):
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


class Handwritten(nn.Module):
    """The same in PyTorch alone, with the parameters of a `Network`."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        convolution, _, _, mixing = self.network.features
        x = nn.functional.max_pool2d(convolution(x).relu(), 2).permute(0, 2, 3, 1)
        x = torch.einsum("bhwc,hk->bkwc", x, mixing.weight) + mixing.bias
        x = torch.cat([x[:, None]] * 2, 1).flatten(1)
        return x @ self.network.classify.weight + self.network.classify.bias


def images(count=3):
    return torch.randn(count, 1, 8, 8)


# A module among modules


def test_the_network_is_that_of_the_hand_written_code():
    network, x = Network(), images()
    near(network(x), Handwritten(network)(x))


def test_in_a_sequence():
    layers = [Rearrange("b (h w) -> b 1 h w", h=8), nn.Conv2d(1, 2, 3), Reduce("b c h w -> b c", "mean")]
    network = nn.Sequential(*layers)
    x = torch.randn(3, 64)
    near(network(x), layers[1](x.view(3, 1, 8, 8)).mean((2, 3)))
    assert [*network] == layers
    assert network[0] is layers[0]
    network.append(EinMix("b c -> b d", "c d", c=2, d=5))
    assert network(x).shape == (3, 5)
    assert network[-1:](torch.ones(1, 2)).shape == (1, 5)


def test_children_and_modules_are_named():
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


def test_the_representation_is_readable_at_every_depth():
    assert repr(Rearrange("b (h w)->b h w", h=8)) == "Rearrange('b (h w) -> b h w', h=8)"
    assert repr(Reduce("b c h w -> b c", "mean")) == "Reduce('b c h w -> b c', 'mean')"
    assert repr(Repeat("b -> b r", r=2)) == "Repeat('b -> b r', r=2)"
    assert repr(EinMix("b c -> b d", "c d", "d", c=2, d=5)) == "EinMix('b c -> b d', 'c d', 'd', c=2, d=5)"
    assert repr(EinMix("b c -> b d", "c d", c=2, d=5)) == "EinMix('b c -> b d', 'c d', c=2, d=5)"
    assert "    (3): EinMix('b h w c -> b k w c', 'h k', 'k', h=4, k=5)\n" in repr(Network())
    reduced_by_a_module = Reduce("b c h w -> b c", Largest())
    assert repr(reduced_by_a_module).startswith("Reduce(\n  'b c h w -> b c'\n  (module): Largest")
    layer = Rearrange("b (h w)->b h w", h=8)
    assert repr(eval(repr(layer))) == repr(layer)


def test_the_examples_of_the_module_run():
    module = importlib.import_module("plait.layers.torch")
    failures, examples = doctest.testmod(module)
    assert (failures, examples > 0) == (0, True)


# Parameters


def test_the_parameters_of_einmix_are_parameters():
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
    same(layer(torch.eye(3)), torch.arange(12.0).view(3, 4) + torch.arange(12.0, 16.0))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam], ids=["SGD", "Adam"])
def test_an_optimizer_updates_them_as_those_of_a_linear_layer(optimizer):
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
    near(ours.weight, theirs.weight)
    near(ours.bias[0], theirs.bias)
    assert (ours.weight != start).all()


def test_frozen_parameters_get_no_gradient():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    layer.requires_grad_(False)
    assert not layer(torch.ones(1, 3)).requires_grad
    layer.weight.requires_grad_(True)
    layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad.shape == (3, 4)
    assert layer.bias.grad is None
    layer.zero_grad()
    assert layer.weight.grad is None


def test_gradients_are_those_of_the_hand_written_code():
    network, x = Network(), images()
    ours = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
    theirs = torch.autograd.grad(Handwritten(network)(x).square().sum(), list(network.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        near(one, other, rtol=1e-4, atol=1e-4)


def test_reset_parameters_and_apply_reach_them():
    network = Network()
    before = copy.deepcopy(network.state_dict())
    network.features[3].reset_parameters()
    assert (network.features[3].weight != before["features.3.weight"]).all()
    same(network.classify.weight, before["classify.weight"])
    seen = []

    def init(module):
        seen.append(type(module))
        if isinstance(module, EinMix):
            nn.init.constant_(module.weight, 2)
            nn.init.zeros_(module.bias)

    assert network.apply(init) is network
    assert seen.count(EinMix) == 2
    assert {Rearrange, Reduce, Repeat} <= set(seen)
    same(network.classify(torch.ones(1, 160)), torch.full((1, 10), 320.0))


# States


def test_the_state_is_saved_and_loaded_strictly(tmp_path):
    network, other = Network(), Network()
    state = network.state_dict()
    assert list(state) == [
        *["features.0.weight", "features.0.bias", "features.3.weight", "features.3.bias"],
        *["classify.weight", "classify.bias"],
    ]
    torch.save(state, tmp_path / "state.pt")
    loaded = other.load_state_dict(torch.load(tmp_path / "state.pt"), strict=True)
    assert (loaded.missing_keys, loaded.unexpected_keys) == ([], [])
    x = images()
    same(other(x), network(x))
    assert other.classify.weight is not network.classify.weight


def test_layers_without_parameters_add_nothing_to_the_state():
    for layer in (Rearrange("a b -> b a"), Reduce("a b -> a", "max"), Repeat("a -> a 2")):
        assert layer.state_dict() == {}
        assert list(layer.parameters()) == list(layer.buffers()) == []
        layer.load_state_dict({}, strict=True)
    state = nn.Sequential(nn.Linear(3, 4), nn.Flatten()).state_dict()
    nn.Sequential(nn.Linear(3, 4), Rearrange("b ... -> b (...)")).load_state_dict(state, strict=True)


def test_a_state_that_does_not_fit_is_refused():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": torch.zeros(4, 3), "bias": torch.zeros(1, 4)})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*bias"):
        EinMix("b c -> b d", "c d", c=3, d=4).load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*bias"):
        layer.load_state_dict({"weight": torch.zeros(3, 4)})


def test_a_state_can_be_assigned_to_a_network_on_meta():
    network = Network()
    with torch.device("meta"):
        empty = Network()
    assert {parameter.device.type for parameter in empty.parameters()} == {"meta"}
    empty.load_state_dict(network.state_dict(), assign=True)
    x = images()
    same(empty(x), network(x))


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies_and_pickles(way):
    network, x = Network(), images()
    other = way(network)
    same(other(x), network(x))
    assert repr(other) == repr(network)
    with torch.no_grad():
        other.classify.bias.zero_()
        other.features[3].weight.zero_()
    assert (network.classify.bias != 0).all()
    assert (network.features[3].weight != 0).all()
    for case in CASES:
        layer, tensor = build(case), example(case)
        same(way(layer)(tensor), layer(tensor))


def test_a_whole_module_is_saved_and_loaded(tmp_path):
    network, x = Network(), images()
    torch.save(network, tmp_path / "network.pt")
    other = torch.load(tmp_path / "network.pt", weights_only=False)
    same(other(x), network(x))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "network.pt", weights_only=True)


def test_a_whole_layer_is_loaded_with_its_classes_allowed(tmp_path):
    layer = EinMix("b (t p) c -> b t d", "p c d", "d", p=2, c=4, d=3)
    torch.save(layer, tmp_path / "layer.pt")
    allowed = torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "layer.pt")
    assert all(name.startswith(("plait.", "torch.nn.", "copyreg.", "builtins.")) for name in allowed)
    classes = [_named(name) for name in allowed]
    with torch.serialization.safe_globals(classes):
        other = torch.load(tmp_path / "layer.pt", weights_only=True)
    x = torch.randn(2, 6, 4)
    same(other(x), layer(x))


def _named(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_buffers():
    layer = EinMix("b c -> b d", "c d", c=3, d=4)
    layer.register_buffer("mean", torch.ones(3))
    layer.register_buffer("scratch", torch.zeros(1), persistent=False)
    assert list(layer.state_dict()) == ["weight", "mean"]
    layer.double()
    assert layer.mean.dtype == torch.float64
    del layer.weight
    layer.register_buffer("weight", torch.ones(3, 4))  # a weight that is not trained
    assert list(layer.parameters()) == []
    same(layer(torch.ones(1, 3)), torch.full((1, 4), 3.0))
    assert list(dict(Rearrange("a b -> b a").to("meta").named_buffers())) == []


# What torch.nn.utils does to a layer


class Positive(nn.Module):
    def forward(self, x):
        return x.exp()

    def right_inverse(self, x):
        return x.log()


def test_a_parametrization():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    nn.init.uniform_(layer.weight, 0.1, 1)
    parametrize.register_parametrization(layer, "weight", Positive())
    assert parametrize.is_parametrized(layer, "weight")
    original = layer.parametrizations.weight.original
    x = torch.randn(2, 3)
    near(layer(x), x @ original.exp() + layer.bias)
    layer(x).sum().backward()
    assert original.grad.abs().min() > 0
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    layer.weight = torch.full((3, 4), 2.0)
    near(layer.weight, torch.full((3, 4), 2.0))
    with parametrize.cached():
        near(layer(x), 2 * x.sum(1, keepdim=True).expand(2, 4) + layer.bias)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is EinMix
    assert type(layer.weight) is nn.Parameter


def test_weight_and_spectral_norm():
    layer = parametrizations.weight_norm(EinMix("b c -> b d", "d c", c=3, d=4), "weight", dim=0)
    like = parametrizations.weight_norm(nn.Linear(3, 4, bias=False), "weight", dim=0)
    like.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3)
    near(layer(x), like(x))
    normed = parametrizations.spectral_norm(EinMix("b c -> b d", "d c", c=3, d=4), n_power_iterations=20)
    near(torch.linalg.matrix_norm(normed.weight, 2), torch.tensor(1.0), rtol=1e-2, atol=1e-2)
    assert normed(x).shape == (2, 4)


def test_pruning():
    layer = EinMix("b c -> b d", "c d", "d", c=4, d=4)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert (layer.weight_mask == 0).sum() == 8
    x = torch.randn(2, 4)
    near(layer(x), x @ (layer.weight_orig * layer.weight_mask) + layer.bias)
    prune.remove(layer, "weight")
    assert (layer.weight == 0).sum() == 8
    assert type(layer.weight) is nn.Parameter


def test_gradients_are_clipped():
    network = Network()
    network(images()).square().sum().backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    norm = torch.stack([parameter.grad.norm() for parameter in network.parameters()]).norm()
    near(norm, torch.tensor(0.5), rtol=1e-4, atol=1e-4)


def test_dynamic_quantization_leaves_them_as_they_are():
    network = nn.Sequential(Rearrange("b c -> b c"), nn.Linear(4, 4), EinMix("b c -> b d", "c d", c=4, d=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is deprecated, and warns in several ways
        quantized = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    assert type(quantized[1]) is not nn.Linear
    assert [type(quantized[0]), type(quantized[2])] == [Rearrange, EinMix]
    x = torch.randn(3, 4)
    near(quantized(x), network(x), rtol=0.1, atol=0.1)
    assert type(network[1]) is nn.Linear


# Hooks


def test_forward_hooks_fire():
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
        near(layer(x), layer.forward(x * 2) + 1)
        (module, (first,)), ((second,), result) = seen
        assert module is layer
        assert first is x
        same(second, x * 2)
        same(result, layer.forward(x * 2))
        before.remove()
        after.remove()
        same(layer(x), layer.forward(x))
        assert len(seen) == 2


def test_full_backward_hooks_fire():
    layers = nn.Sequential(EinMix("a b -> a c", "b c", b=3, c=2), Rearrange("a c -> c a"), Reduce("c a -> c", "sum"))
    seen = {}
    for place, layer in enumerate(layers):
        layer.register_full_backward_hook(lambda _, inner, outer, place=place: seen.update({place: (inner, outer)}))
        layer.register_full_backward_pre_hook(lambda _, outer, place=place: seen.update({f"pre {place}": outer}))
    x = torch.randn(4, 3, requires_grad=True)
    layers(x).sum().backward()
    same(seen[2], ((torch.ones(2, 4),), (torch.ones(2),)))
    same(seen[1], ((torch.ones(4, 2),), (torch.ones(2, 4),)))
    near(seen[0][0][0], layers[0].weight.sum(1).expand(4, 3))
    assert list(seen) == ["pre 2", 2, "pre 1", 1, "pre 0", 0]
    near(x.grad, seen[0][0][0])


def test_hooks_of_the_whole_process_fire():
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, result: seen.append(type(module)))
    try:
        Network()(images())
    finally:
        handle.remove()
    assert seen.count(EinMix) == 2
    assert {Rearrange, Reduce, Repeat} < set(seen)


# Types and devices


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_to_a_dtype(dtype):
    network = Network().to(dtype)
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}
    x = images().to(dtype)
    result = network(x)
    assert result.dtype == dtype
    near(result, Handwritten(network)(x))
    half = Network().half().float()
    assert half(images()).dtype == torch.float32


def test_to_a_device():
    network = Network().to("meta")
    assert network(images().to("meta")).device.type == "meta"
    assert network(images().to("meta")).shape == (3, 10)
    empty = network.to_empty(device="cpu")
    assert {parameter.device.type for parameter in empty.parameters()} == {"cpu"}
    if torch.cuda.is_available():
        network, x = Network(), images()
        expected = network(x)
        result = network.cuda()(x.cuda())
        assert result.is_cuda
        near(result.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_parameters_are_made_where_they_are_asked_for():
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


def test_autocast_gives_what_a_linear_layer_gives():
    ours, theirs = EinMix("b i -> b o", "o i", "o", i=64, o=4), nn.Linear(64, 4)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias[0])
    x = torch.randn(5, 64)
    with torch.autocast("cpu", torch.bfloat16):
        result, expected = ours(x), theirs(x)
    assert result.dtype == expected.dtype == torch.bfloat16
    near(result, expected)
    result.sum().backward()
    assert ours.weight.grad.dtype == ours.bias.grad.dtype == torch.float32
    network = Network()
    with torch.autocast("cpu", torch.bfloat16):
        assert network(images()).dtype == torch.bfloat16


def test_channels_last_stays_a_view():
    x = torch.randn(2, 3, 4, 6).to(memory_format=torch.channels_last)
    result = Rearrange("b c h w -> b (h w) c")(x)
    assert result.data_ptr() == x.data_ptr()
    assert result.is_contiguous()
    pooled = Reduce("b c (h 2) (w 2) -> b c h w", "max")(x)
    same(pooled, nn.functional.max_pool2d(x, 2))
    network = Network()
    network.features[0] = nn.Conv2d(3, 4, 3, padding=1)  # the memory format of one channel is any
    x = torch.randn(3, 3, 8, 8)
    expected = network(x)
    network.to(memory_format=torch.channels_last)
    near(network(x.to(memory_format=torch.channels_last)), expected, rtol=1e-5, atol=1e-6)


def test_training_and_evaluation_are_the_same():
    network, x = Network(), images()
    same(network.eval()(x), network.train()(x))
    assert not network.eval().flat.training
    with torch.inference_mode():
        assert not network(x).requires_grad


def test_lists_of_tensors():
    several = [torch.randn(3, 4) for _ in range(2)]
    stacked = torch.stack(several)
    same(Rearrange("b h w -> h (b w)")(several), stacked.permute(1, 0, 2).reshape(3, 8))
    same(Rearrange("b h w -> h (b w)")(tuple(several)), stacked.permute(1, 0, 2).reshape(3, 8))
    same(Reduce("b h w -> h w", "max")(several), stacked.amax(0))
    same(Repeat("b h w -> b h w 2")(several), torch.stack([stacked, stacked], 3))


# Reductions that are callables


class Largest(nn.Module):
    """A reduction with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, tensor, axes):
        return tensor.amax(axes) * self.scale


def test_a_reduction_that_is_a_module_is_a_child():
    layer = Reduce("b c h w -> b c", Largest())
    assert [name for name, _ in layer.named_parameters()] == ["module.scale"]
    x = torch.randn(2, 3, 4, 6)
    same(layer(x), x.amax((2, 3)))
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.module.scale.fill_(3)
    same(other(x), x.amax((2, 3)) * 3)
    same(layer(x), x.amax((2, 3)))
    other.to(torch.float64)
    assert other(x.double()).dtype == torch.float64
    same(torch.func.functional_call(layer, {"module.scale": torch.full((1,), 2.0)}, x), x.amax((2, 3)) * 2)
    layer(x).sum().backward()
    assert layer.module.scale.grad.shape == (1,)


def test_a_reduction_that_is_a_module_is_replaced():
    class Other(nn.Module):
        def forward(self, tensor, axes):
            return tensor.amin(axes)

    layer, x = Reduce("b c h w -> b c", Largest()), torch.randn(2, 3, 4, 6)
    same(layer(x), x.amax((2, 3)))
    layer.module = Other()
    assert list(layer.parameters()) == []
    same(layer(x), x.amin((2, 3)))
    same(copy.deepcopy(layer)(x), x.amin((2, 3)))


def test_a_reduction_that_is_a_function():
    layer = Reduce("b c h w -> b c", torch.amin)
    x = torch.randn(2, 3, 4, 6)
    same(layer(x), x.amin((2, 3)))
    same(pickle.loads(pickle.dumps(layer))(x), x.amin((2, 3)))
    assert repr(layer) == "Reduce('b c h w -> b c', amin)"


# torch.func


def test_functional_calls_and_their_gradients():
    network, x = Network(), images()
    state = {name: parameter.detach() * 2 for name, parameter in network.named_parameters()}
    twice = copy.deepcopy(network)
    twice.load_state_dict(state)
    same(torch.func.functional_call(network, state, (x,)), twice(x))

    def loss(state, x):
        return torch.func.functional_call(network, state, (x,)).square().mean()

    found = torch.func.grad(loss)(state, x)
    twice(x).square().mean().backward()
    for name, parameter in twice.named_parameters():
        near(found[name], parameter.grad)


def test_gradients_of_each_sample():
    network, x = Network(), images(4)
    state = dict(network.named_parameters())

    def loss(state, sample):
        return torch.func.functional_call(network, state, (sample[None],)).square().mean()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, x)
    for number, sample in enumerate(x):
        expected = torch.autograd.grad(loss(state, sample), list(state.values()))
        for name, gradient in zip(state, expected, strict=True):
            near(found[name][number], gradient, rtol=1e-4, atol=1e-5)


def test_an_ensemble_of_stacked_states():
    networks, x = [EinMix("b c -> b d", "c d", "d", c=3, d=4) for _ in range(3)], torch.randn(5, 3)
    parameters, _ = torch.func.stack_module_state(networks)

    def call(state, x):
        return torch.func.functional_call(networks[0], state, (x,))

    result = torch.func.vmap(call, in_dims=(0, None))(parameters, x)
    near(result, torch.stack([network(x) for network in networks]))
    only_bias = torch.func.vmap(lambda bias: call({"bias": bias}, x))(parameters["bias"])
    assert only_bias.shape == (3, 5, 4)


@TORCH_SCRIPT  # jacfwd begins with some
def test_jacobians_and_tangents():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.func.jacrev(layer)(x)
    near(jacobian[0, :, 0], layer.weight.T)
    near(torch.func.jacfwd(layer)(x), jacobian)
    _, tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))
    near(tangent, torch.ones_like(x) @ layer.weight)
    assert torch.autograd.gradcheck(layer, (x,))


# Replicas and processes


def test_data_parallel_replicas():
    network, x = Network(), images()
    same(nn.DataParallel(network)(x), network(x))
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    replica = layer._replicate_for_data_parallel()  # what DataParallel does on each device, then it sets the parameters
    replica.weight, replica.bias = layer.weight.detach() * 2, layer.bias.detach() * 2
    x = torch.randn(2, 3)
    near(replica(x), layer(x) * 2)
    layer, x = Reduce("b c h w -> b c", Largest()), torch.randn(2, 3, 4, 6)
    replica, child = layer._replicate_for_data_parallel(), layer.module._replicate_for_data_parallel()
    child.scale = layer.module.scale.detach() * 2
    replica.module = child
    same(replica(x), x.amax((2, 3)) * 2)
    same(layer(x), x.amax((2, 3)))


def test_shared_memory_and_averages():
    network, x = Network(), images()
    network.share_memory()
    assert network.classify.weight.is_shared()
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    near(averaged(x), network(x))


# TorchScript


@TORCH_SCRIPT
@each_case
def test_a_scripted_layer(case):
    layer = build(case)
    scripted = torch.jit.script(nn.Sequential(layer))
    for x in (example(case), example(case, batch=6)):
        x.requires_grad_(True)
        result, expected = scripted(x), layer(x)
        near(result, expected)
        (ours,) = torch.autograd.grad(result.sum(), x)
        (theirs,) = torch.autograd.grad(expected.sum(), x)
        near(ours, theirs)


@TORCH_SCRIPT
@each_case
def test_a_traced_layer(case):
    layer = build(case)
    traced = torch.jit.trace(layer, example(case))
    x = example(case, batch=6)
    near(through_a_file(traced)(x), layer(x))


@TORCH_SCRIPT
@pytest.mark.parametrize("reduction", ["any", "all", "sum", "max"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64], ids=str)
def test_scripted_reductions_of_other_types(reduction, dtype):
    layer = Reduce("a b c -> b", reduction)
    x = torch.randint(0, 2, (2, 3, 2)).to(dtype)
    result, expected = torch.jit.script(layer)(x), layer(x)
    assert result.dtype == expected.dtype
    same(result, expected)


@TORCH_SCRIPT
@pytest.mark.parametrize("rank", range(1, 9))
def test_a_scripted_ellipsis_takes_any_rank(rank):
    x = torch.randn(*([1, 2] * 4)[: rank - 1], 3)
    layers = [
        EinMix("... c -> ... d", "c d", "d", c=3, d=4),
        Reduce("... c -> ...", "mean"),
        Rearrange("... c -> c (...)"),
        Repeat("... c -> 2 ... c"),
    ]
    for layer in layers:
        near(torch.jit.script(layer)(x), layer(x))


@TORCH_SCRIPT
def test_a_scripted_network_is_saved_frozen_and_trained():
    network, x = Network(), images()
    scripted = torch.jit.script(network)
    assert list(scripted.state_dict()) == list(network.state_dict())
    for one, other in zip(scripted.parameters(), network.parameters(), strict=True):
        assert one.data_ptr() == other.data_ptr()
    near(scripted(x), network(x))
    loaded = through_a_file(scripted)
    near(loaded(x), network(x))
    network.load_state_dict(loaded.state_dict(), strict=True)
    frozen = torch.jit.freeze(torch.jit.script(network.eval()))
    near(frozen(x), network(x))
    assert list(frozen.parameters()) == []
    other = images(2)
    near(torch.jit.optimize_for_inference(torch.jit.script(network.eval()))(other), network(other))
    before = scripted(x).detach()
    optimizer = torch.optim.SGD(scripted.parameters(), lr=0.1)
    scripted(x).square().sum().backward()
    optimizer.step()
    assert (scripted(x) != before).all()
    near(scripted(x), network(x))  # they share the parameters
    assert scripted.double()(x.double()).dtype == torch.float64


@TORCH_SCRIPT
def test_scripting_leaves_the_network_as_it_was():
    network, x = Network(), images()
    expected, modules = network(x), list(network.modules())
    state, shown = list(network.state_dict()), repr(network)
    torch.jit.script(network)
    assert all(one is other for one, other in zip(network.modules(), modules, strict=True))
    assert (list(network.state_dict()), repr(network)) == (state, shown)
    same(network(x), expected)
    same(copy.deepcopy(network)(x), expected)
    same(pickle.loads(pickle.dumps(network))(x), expected)


@TORCH_SCRIPT
def test_a_scripted_layer_takes_a_list_of_tensors():
    several = [torch.randn(3, 4) for _ in range(2)]
    for layer in (Rearrange("b h w -> h (b w)"), Reduce("b h w -> h w", "max"), Repeat("b h w -> b h w 2")):
        same(torch.jit.script(layer)(several), layer(several))


@TORCH_SCRIPT
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
def test_a_scripted_layer_refuses_what_the_layer_refuses(layer, shape, text):
    if len(shape) < 9:
        with pytest.raises(plait.SizeError):
            layer(torch.zeros(shape))
    with pytest.raises(torch.jit.Error, match=text) as caught:
        torch.jit.script(layer)(torch.zeros(shape))
    assert layer.spec.pattern.text in str(caught.value)


@TORCH_SCRIPT
def test_a_callable_cannot_be_scripted_and_can_be_traced():
    layer = nn.Sequential(Reduce("b c h w -> b c", torch.amin))
    with pytest.raises(plait.BackendError, match=r"PLT510.*amin") as caught:
        torch.jit.script(layer)
    assert "b c h w -> b c" in str(caught.value)
    x = torch.randn(2, 3, 4, 6)
    same(torch.jit.trace(layer, x)(x[:1]), x[:1].amin((2, 3)))


def through_a_file(scripted):
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


# torch.compile


def compiled(module, **options):
    torch._dynamo.reset()
    return torch.compile(module, backend="eager", **options)


@each_of_a_few
def test_compiled_without_a_break(case):
    layer = build(case)
    function = compiled(layer, fullgraph=True)
    for x in (example(case), example(case, batch=6)):
        same(function(x), layer(x))


def test_compiled_with_dynamic_shapes_once():
    network, graphs = Network(), []
    torch._dynamo.reset()
    function = torch.compile(
        network, fullgraph=True, dynamic=True, backend=lambda graph, _: graphs.append(graph) or graph
    )
    for count in (2, 3, 7):
        x = images(count)
        same(function(x), network(x))
    assert len(graphs) == 1
    function(images()).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own
def test_the_default_backend_compiles_layers():
    torch._dynamo.reset()
    layers = nn.Sequential(Reduce("b (t 2) c -> b t c", "max"), EinMix("b t c -> b (t d)", "c d", "d", c=4, d=3))
    x = torch.randn(2, 6, 4)
    with torch.no_grad():
        near(torch.compile(layers, fullgraph=True)(x), layers(x))


MISTAKEN = [
    (Rearrange("b (h p) -> b h p", p=3), "PLT302"),
    (Reduce("b (h 3) -> b h", "max"), "PLT302"),
    (Repeat("b c d -> b c d r", r=2), "PLT304"),
    (EinMix("b c -> b d", "c d", "d", c=3, d=4), "PLT305"),
]


@pytest.mark.parametrize("dynamic", [None, True], ids=["automatic", "dynamic"])
@pytest.mark.parametrize(("layer", "code"), MISTAKEN, ids=[repr(layer) for layer, _ in MISTAKEN])
def test_a_mistake_in_a_compiled_call(layer, code, dynamic):
    x = torch.zeros(2, 7)
    with pytest.raises(plait.SizeError) as eager:
        layer(x)
    inside = nn.Sequential(nn.Identity(), layer)
    for module in (layer, inside):
        with pytest.raises(plait.SizeError, match=code) as caught:
            compiled(module, dynamic=dynamic)(x)
        assert str(caught.value) == str(eager.value)
        with pytest.raises(torch._dynamo.exc.Unsupported, match=code):
            compiled(module, dynamic=dynamic, fullgraph=True)(x)


def test_a_mistake_in_a_compiled_call_can_be_caught():
    layer = EinMix("b c -> b d", "c d", c=3, d=4).requires_grad_(False)

    def function(x):
        y = x + 1
        try:
            return layer(y)
        except plait.PlaitError as error:
            return error.code

    function = compiled(function)
    x = torch.zeros(2, 3)
    assert function(torch.zeros(2, 4)) == "PLT305"
    near(function(x), layer(x + 1))


# torch.export and ONNX


@each_of_a_few
def test_exported_with_a_dynamic_batch(case):
    layer = build(case).eval()
    dim = 3 * torch.export.Dim("third") if "heads" in case.sizes else torch.export.Dim("batch")
    program = torch.export.export(layer, (example(case, batch=3),), dynamic_shapes=({0: dim},))
    x = example(case, batch=6)
    near(program.module()(x), layer(x))


def test_an_export_is_saved_and_has_the_names_of_the_parameters():
    network = Network().eval()
    program = torch.export.export(network, (images(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert list(program.state_dict) == list(network.state_dict())
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    x = images(7)
    near(torch.export.load(file).module()(x), network(x))


def run_onnx(file, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(result)


class Mixed(nn.Module):
    """What the network lacks: groups in a mix, an ellipsis, and the other reductions that ONNX has."""

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


@pytest.mark.parametrize("network", [Network, Mixed])
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")  # torch's own
def test_exported_to_onnx(network, tmp_path):
    pytest.importorskip("onnxscript")
    network = network().eval()
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(network, (images(),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    program.save(tmp_path / "network.onnx")
    x = images(7)
    near(run_onnx(tmp_path / "network.onnx", x), network(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [Network, Mixed])
@pytest.mark.parametrize("traced", [False, True], ids=["module", "traced"])
@pytest.mark.filterwarnings("ignore:no signature found for <torch.ScriptMethod:UserWarning")  # of what was traced
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")  # inside of that exporter
@TORCH_SCRIPT
def test_exported_to_onnx_by_the_exporter_of_torch_script(network, traced, tmp_path):
    pytest.importorskip("onnx")
    network = network().eval()
    module = torch.jit.trace(network, images()) if traced else network
    axes = {"x": {0: "batch"}}
    file = tmp_path / "network.onnx"
    torch.onnx.export(module, (images(),), str(file), dynamo=False, input_names=["x"], dynamic_axes=axes)
    x = images(7)
    near(run_onnx(file, x), network(x).detach(), rtol=1e-4, atol=1e-5)


# torch.fx


def test_symbolic_traces():
    network, x = Network(), images()
    traced = torch.fx.symbolic_trace(network)
    near(traced(x), network(x))
    more = images(7)
    near(traced(more), network(more))
    assert list(traced.state_dict()) == list(network.state_dict())
    mixed = torch.fx.symbolic_trace(nn.Sequential(Rearrange("b c -> c b"), EinMix("c b -> c d", "b d", "d", b=3, d=4)))
    assert mixed(torch.zeros(3, 2)).shape == (2, 4)


def test_layers_are_leaves_where_a_tracer_says_so():
    class Leaves(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return type(module).__module__.startswith("plait.layers") or super().is_leaf_module(module, name)

    network, x = nn.Sequential(EinMix("... c -> ... d", "c d", c=8, d=3), Reduce("... d -> d", "max")), images()
    graph = Leaves().trace(network)
    assert [(node.op, node.target) for node in graph.nodes][1:3] == [("call_module", "0"), ("call_module", "1")]
    near(torch.fx.GraphModule(network, graph)(x), network(x))


def test_a_symbolic_trace_needs_names_where_the_rank_is_hidden():
    with pytest.raises(plait.BackendError, match="PLT505"):
        torch.fx.symbolic_trace(Rearrange("b ... -> ... b"))


# Code written for einops


def einops_pairs(name):
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
def test_it_takes_the_place_of_einops(name, given, sizes, shape):
    theirs, ours = einops_pairs(name)
    one, other = theirs(*given, **sizes), ours(*given, **sizes)
    states = one.state_dict(), other.state_dict()
    assert [(key, value.shape) for key, value in states[0].items()] == [(k, v.shape) for k, v in states[1].items()]
    x = torch.randn(shape)
    other.load_state_dict(states[0], strict=True)
    near(other(x), one(x))
    fresh = theirs(*given, **sizes)
    fresh.load_state_dict(ours(*given, **sizes).state_dict(), strict=True)
    other.load_state_dict(fresh.state_dict(), strict=True)
    near(other(x), fresh(x))


def test_keywords_of_einops():
    for name, keywords in (
        ("Rearrange", {"pattern": "a (b c) -> a b c", "b": 2}),
        ("Reduce", {"pattern": "a b -> a", "reduction": "sum"}),
        ("EinMix", {"pattern": "a b -> a c", "weight_shape": "b c", "bias_shape": "c", "b": 6, "c": 2}),
    ):
        theirs, ours = einops_pairs(name)
        one, other = theirs(**keywords), ours(**keywords)
        other.load_state_dict(one.state_dict())
        x = torch.randn(3, 6)
        near(other(x), one(x))


def test_a_state_of_a_whole_network_of_einops():
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
    x = images()
    near(ours(x), theirs(x))
    theirs.load_state_dict(network(importlib.import_module("plait.layers.torch")).state_dict(), strict=True)


def test_an_argument_is_not_the_size_of_an_axis():
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b device -> b c", "device c", c=3, device=2)


@TORCH_SCRIPT
def test_a_scripted_logsumexp_of_integers_is_refused_as_it_is_unscripted():
    layer = Reduce("b c -> b", "logsumexp")
    x = torch.ones(2, 3, dtype=torch.int64)
    with pytest.raises(plait.BackendError, match="PLT503"):
        layer(x)
    with pytest.raises(Exception, match="PLT503"):
        torch.jit.script(layer)(x)


def test_a_bias_of_another_type_is_promoted_and_not_rounded():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=2)
    layer.bias = nn.Parameter(torch.full((1, 2), 1 / 3, dtype=torch.float64))
    result = layer(torch.zeros(1, 3))
    assert result.dtype is torch.float64
    assert (result == 1 / 3).all()
