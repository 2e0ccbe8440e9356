"""`plait.options(max_rank=...)` and layers with ``max_rank`` under PyTorch's compilers and exporters."""

from __future__ import annotations

import copy
import pickle

import pytest

import plait
from plait.layers import MixSpec

torch = pytest.importorskip("torch")

from plait.layers.torch import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

VIT = "b c (h p) (w q) -> b (h w) (p q c)"
SWIN = "b (h p) (w q) c -> (b h w) (p q) c"
VIDEO = "b c (t r) (h p) (w q) -> b (t h w) (r p q c)"

NETWORKS = {
    "patches of an image, channels first": (Rearrange(VIT, p=4, q=4, max_rank=4), (2, 3, 16, 16), 4),
    "windows of Swin": (Rearrange(SWIN, p=4, q=4, max_rank=4), (2, 16, 16, 5), 4),
    "patches of a video": (Rearrange(VIDEO, r=2, p=4, q=4, max_rank=5), (2, 3, 4, 8, 8), 5),
    "average pooling": (Reduce("b c (h p) (w q) -> b c h w", "mean", p=2, q=2, max_rank=4), (2, 3, 8, 8), 4),
    "variance": (Reduce("b c (h p) (w q) -> b c h w", "var", p=2, q=2, max_rank=4), (2, 3, 8, 8), 4),
    "upsampling": (Repeat("b c h w -> b c (h p) (w q)", p=2, q=2, max_rank=4), (2, 3, 4, 4), 4),
    "heads": (EinMix("b t (h c) -> b h t d", "h c d", None, h=4, c=2, d=3, max_rank=4), (2, 5, 8), 4),
    "patch embedding": (
        EinMix("b (h p) (w q) c -> b h w d", "p q c d", "d", p=4, q=4, c=3, d=7, max_rank=4),
        (2, 16, 16, 3),
        4,
    ),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    """A layer, an input, the limit of the layer, and the output of the same layer without a limit."""
    layer, shape, max_rank = NETWORKS[request.param]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    config = layer.spec.config
    sizes = {name: size for name, size in config.pop("sizes").items() if name != "max_rank"}
    free = type(layer)(*config.values(), **sizes)
    free.load_state_dict(layer.state_dict())
    return layer, x, max_rank, free(x).detach()


def ranks_in(graph_module):
    values = [node.meta.get("val", node.meta.get("example_value")) for node in graph_module.graph.nodes]
    return [value.dim() for value in values if isinstance(value, torch.Tensor)]


def test_layer_keeps_the_rank_and_gives_the_same(network):
    layer, x, max_rank, expected = network
    torch.testing.assert_close(layer(x), expected)
    program = torch.export.export(layer, (x,))
    ranks = ranks_in(program.graph_module)
    assert len(ranks) > 2
    assert max(ranks) <= max_rank
    torch.testing.assert_close(program.module()(x), expected)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_layer_keeps_the_rank_for_any_batch(network):
    layer, x, max_rank, expected = network
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2, max=64)},))
    decomposed = program.run_decompositions({})
    assert max(ranks_in(decomposed.graph_module)) <= max_rank
    torch.testing.assert_close(program.module()(torch.cat([x, x, x]))[: len(expected)], expected)


def test_compiled_layer_keeps_the_rank(network):
    layer, x, max_rank, expected = network
    ranks = []

    def backend(graph_module, _):
        ranks.extend(ranks_in(graph_module))
        return graph_module

    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)
    assert ranks
    assert max(ranks) <= max_rank


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_scripted_layer_gives_the_same(network):
    layer, x, _, expected = network
    torch.testing.assert_close(torch.jit.script(layer)(x), expected)


def test_limit_of_a_layer_is_printed_copied_and_pickled(network):
    layer, x, max_rank, expected = network
    assert f"max_rank={max_rank}" in repr(layer)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other) == repr(layer)
        assert other.spec == layer.spec
        torch.testing.assert_close(other(x), expected)


def test_layers_with_other_limits_are_not_equal():
    one, other, free = [Rearrange(VIT, p=4, q=4, max_rank=rank).spec for rank in (4, 5, None)]
    assert one != other != free
    assert one == Rearrange(VIT, p=4, q=4, max_rank=4).spec
    assert free == Rearrange(VIT, p=4, q=4).spec


def test_limit_of_a_layer_precedes_the_one_of_the_options():
    layer, x = Rearrange(VIT, p=4, q=4, max_rank=4), torch.randn(2, 3, 16, 16)
    with plait.options(max_rank=3):
        assert layer(x).shape == (2, 16, 48)
        assert [line.step for line in layer.spec.pattern.explain(x).lines].count("permute") == 2


def test_axis_may_have_the_name_of_the_limit():
    layer = Rearrange("b (h max_rank) -> b h max_rank", max_rank=2)
    assert layer(torch.zeros(3, 8)).shape == (3, 4, 2)
    assert MixSpec.read("b c -> b max_rank", "c max_rank", None, {"c": 3, "max_rank": 5}).weight.shape == (3, 5)


def test_layer_whose_own_ends_exceed_the_limit_is_an_error():
    with pytest.raises(plait.SizeError, match="PLT314"):
        Rearrange("b (h p) (w q) -> b h w p q", p=2, q=2, max_rank=4)
    with pytest.raises(plait.SizeError, match="PLT314"):
        EinMix("b t c -> b t h d", "c h d", None, c=2, h=2, d=2, max_rank=3)
    with pytest.raises(plait.SizeError, match="PLT314"):
        Rearrange("a b -> b a", max_rank=2)


def test_options_entered_outside_of_a_compiled_function_limit_its_rank():
    def patches(x):
        return plait.rearrange(x, VIT, p=4, q=4)

    ranks, x = [], torch.randn(2, 3, 16, 16)

    def backend(graph_module, _):
        ranks.extend(ranks_in(graph_module))
        return graph_module

    torch._dynamo.reset()
    with plait.options(max_rank=4):
        result = torch.compile(patches, backend=backend, fullgraph=True)(x)
    torch.testing.assert_close(result, patches(x))
    assert max(ranks) == 4


def test_list_of_tensors_is_stacked_within_the_limit():
    layer = Rearrange("n c (h p) (w q) -> n (h w) (p q c)", p=2, q=2, max_rank=4)
    tensors = [torch.randn(3, 8, 8) for _ in range(2)]
    torch.testing.assert_close(layer(tensors), layer(torch.stack(tensors)))
