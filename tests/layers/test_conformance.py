"""Tests of the layers of every framework with the same cases, against plait's functions and a reference."""

from __future__ import annotations

import doctest
import inspect
import pickle
import pickletools
import warnings

import numpy as np
import pytest

import plait
from layers.cases import EINMIX_CASES, INVALID_ARGUMENTS, OPERATION_CASES
from layers.frameworks import parametrize_by_framework
from plait.layers import MixSpec
from plait.layers import _spec as spec
from plait.testing import _oracle as oracle

FUNCTION_BY_LAYER = {"Rearrange": plait.rearrange, "Reduce": plait.reduce, "Repeat": plait.repeat}
SPEC_BUILDERS = {
    "Rearrange": lambda pattern, **sizes: spec.operation_spec("rearrange", pattern, sizes),
    "Reduce": lambda pattern, reduction, **sizes: spec.operation_spec("reduce", pattern, sizes, reduction),
    "Repeat": lambda pattern, **sizes: spec.operation_spec("repeat", pattern, sizes),
    "EinMix": lambda pattern, weight, bias=None, **sizes: MixSpec.read(pattern, weight, bias, sizes),
}


def random_array(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def assert_near(actual, expected):
    """Raise an error if the difference exceeds the rounding of a few dozen sums in float32."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def einmix_positional_arguments(case):
    return [case.pattern, case.weight_shape, *([] if case.bias_shape is None else [case.bias_shape])]


def compute_einmix_reference(case, x, weight, bias):
    """Compute the result of an EinMix by loops over elements: the einsum, then the bias, then the groups."""
    left, right = case.pattern.split("->")
    flat = " ".join(right.replace("(", " ").replace(")", " ").split())
    product = f"{left}, {case.weight_shape} -> {flat}"
    result = oracle.einsum(product, [x.astype("float64"), weight.astype("float64")], case.sizes).astype(float)
    if bias is not None:
        names = flat.split()
        dots = result.ndim - len(names) + 1
        at = {name: number for number, name in enumerate(n for n in names if n not in ("...", "1"))}
        for place in np.ndindex(*result.shape):
            position = [0] * len(at)
            walked = iter(place)
            for name in names:
                steps = [next(walked) for _ in range(dots if name == "..." else 1)]
                if name in case.bias_shape.split():
                    position[at[name]] = steps[0]
            result[place] += bias[tuple(position)]
    sizes = {name: size for name, size in case.sizes.items() if name in flat.split()}
    return oracle.rearrange(f"{flat} -> {right}", result, sizes).astype(float)


@parametrize_by_framework()
@pytest.mark.parametrize("case", OPERATION_CASES, ids=str)
def test_operation_layer_equals_the_function(framework, case):
    x = random_array(case.shape)
    built = framework.build(case.kind, *case.arguments, example=x, **case.sizes)
    result = framework.to_numpy(framework.call(built, framework.to_tensor(x)))
    assert_near(result, FUNCTION_BY_LAYER[case.kind](x, *case.arguments, **case.sizes))
    assert framework.parameters(built) == {}


@parametrize_by_framework()
@pytest.mark.parametrize("reduction", ["any", "all"])
def test_reduce_of_booleans_equals_the_function(framework, reduction):
    x = random_array((2, 3, 4)) > 0
    built = framework.build("Reduce", "a b c -> a c", reduction, example=x)
    result = framework.to_numpy(framework.call(built, framework.to_tensor(x)))
    assert result.dtype == bool
    assert (result == plait.reduce(x, "a b c -> a c", reduction)).all()


@parametrize_by_framework()
@pytest.mark.parametrize(
    ("kind", "arguments", "sizes"),
    [
        ("Rearrange", ("b c (h p) (w q) -> b (h w) (p q c)",), {"p": 2, "q": 2}),
        ("Reduce", ("b c (h p) (w q) -> b w h c", "mean"), {"p": 2, "q": 2}),
        ("Repeat", ("b c h w -> b c (h p) (w q)",), {"p": 2, "q": 2}),
    ],
)
def test_operation_layer_within_a_rank_equals_the_function(framework, kind, arguments, sizes):
    x = random_array((2, 3, 4, 6))
    built = framework.build(kind, *arguments, example=x, **sizes, max_rank=4)
    result = framework.to_numpy(framework.call(built, framework.to_tensor(x)))
    assert_near(result, FUNCTION_BY_LAYER[kind](x, *arguments, **sizes))
    assert "max_rank" in framework.describe(built)
    with pytest.raises(plait.SizeError, match="PLT314"):
        framework.build(kind, *arguments, example=x, **sizes, max_rank=3)


@parametrize_by_framework()
def test_einmix_within_a_rank_equals_the_reference(framework):
    x = random_array((2, 6, 8, 3))
    pattern, sizes = "b (h p) (w q) c -> b h w d", {"p": 3, "q": 2, "c": 3, "d": 5}
    built = framework.build("EinMix", pattern, "p q c d", "d", example=x, **sizes, max_rank=4)
    parameters = framework.parameters(built)
    result = framework.to_numpy(framework.call(built, framework.to_tensor(x)))
    expected = plait.einsum(x, parameters["weight"], "b (h p) (w q) c, p q c d -> b h w d", p=3, q=2)
    assert_near(result, expected + parameters["bias"])


def max_reduction(tensor, axes):
    """A callable reduction that works on every framework."""
    assert axes == (0, 2)
    return plait.reduce(tensor, "a b c -> b", "max")


@parametrize_by_framework()
def test_reduce_with_a_callable(framework):
    x = random_array((2, 3, 4))
    built = framework.build("Reduce", "a b c -> b", max_reduction, example=x)
    assert_near(framework.to_numpy(framework.call(built, framework.to_tensor(x))), x.max((0, 2)))
    assert "max_reduction" in framework.describe(built)


@parametrize_by_framework()
@pytest.mark.parametrize(
    "case",
    [("Rearrange", ("b h w -> h (b w)",)), ("Reduce", ("b h w -> h w", "max")), ("Repeat", ("b h w -> b h w 2",))],
    ids=lambda case: case[0],
)
def test_list_of_tensors_is_stacked(framework, case):
    kind, given = case
    several = [random_array((3, 4), seed) for seed in range(2)]
    built = framework.build(kind, *given, example=several)
    result = framework.to_numpy(framework.call(built, [framework.to_tensor(x) for x in several]))
    assert_near(result, FUNCTION_BY_LAYER[kind](np.stack(several), *given))


@parametrize_by_framework()
@pytest.mark.parametrize("case", EINMIX_CASES, ids=str)
def test_einmix_equals_the_reference(framework, case):
    x = random_array(case.shape)
    built = framework.build("EinMix", *einmix_positional_arguments(case), example=x, **case.sizes)
    parameters = framework.parameters(built)
    shapes = {"weight": case.weight} if case.bias is None else {"weight": case.weight, "bias": case.bias}
    assert {name: array.shape for name, array in parameters.items()} == shapes
    result = framework.to_numpy(framework.call(built, framework.to_tensor(x)))
    assert_near(result, compute_einmix_reference(case, x, parameters["weight"], parameters.get("bias")))


@parametrize_by_framework()
@pytest.mark.parametrize("case", EINMIX_CASES, ids=str)
def test_einmix_parameter_gradients_equal_the_reference(framework, case):
    """Check some elements of each gradient of the sum of the result.

    The result is linear in the parameters, so the gradient with respect to an element is the sum of the result for
    parameters that are 1 at that element and 0 elsewhere.
    """
    x = random_array(case.shape)
    built = framework.build("EinMix", *einmix_positional_arguments(case), example=x, **case.sizes)
    found = framework.parameter_gradients(built, framework.to_tensor(x))
    parameters = {name: np.zeros(array.shape) for name, array in framework.parameters(built).items()}
    assert found.keys() == parameters.keys()
    for name, zeros in parameters.items():
        assert found[name].shape == zeros.shape
        for place in list(np.ndindex(*zeros.shape))[:: max(1, zeros.size // 3)]:
            one = {**{key: np.zeros_like(value) for key, value in parameters.items()}, name: zeros.copy()}
            one[name][place] = 1
            expected = compute_einmix_reference(case, x, one["weight"], one.get("bias")).sum()
            np.testing.assert_allclose(found[name][place], expected, rtol=1e-5, atol=1e-5)


@parametrize_by_framework()
def test_parameters_are_drawn_uniformly_within_bounds(framework):
    """4,096 draws fill the interval: the probability that the outer 1 % remain empty is e⁻²⁰ on each side."""
    case = ("b (h c) -> b (h d)", "h c d", "h d")
    sizes = {"h": 4, "c": 32, "d": 32}
    x = random_array((2, 128))
    fan_in = 32
    parameters = framework.parameters(framework.build("EinMix", *case, example=x, **sizes))
    bound = (3 / fan_in) ** 0.5
    weight = parameters["weight"]
    assert bound * 0.99 < weight.max() <= bound * (1 + 1e-6)
    assert -bound * (1 + 1e-6) <= weight.min() < -bound * 0.99
    assert abs(weight.mean()) < bound * 0.05
    bias = parameters["bias"]
    bound = (1 / fan_in) ** 0.5
    assert bound * 0.8 < bias.max() <= bound * (1 + 1e-6)
    assert -bound * (1 + 1e-6) <= bias.min() < -bound * 0.8


@parametrize_by_framework()
def test_seed_determines_the_parameters(framework):
    def drawn(seed):
        built = framework.build("EinMix", "b c -> b d", "c d", "d", example=random_array((2, 3)), c=3, d=4, seed=seed)
        return framework.parameters(built)

    one, same, other = drawn(1), drawn(1), drawn(2)
    for name in ("weight", "bias"):
        assert (one[name] == same[name]).all()
        assert (one[name] != other[name]).any()


@parametrize_by_framework()
@pytest.mark.parametrize("mistake", INVALID_ARGUMENTS, ids=str)
def test_constructor_raises_for_invalid_arguments(framework, mistake):
    kind, given, sizes = mistake
    with pytest.raises(plait.PlaitError) as expected:
        SPEC_BUILDERS[kind](*given, **sizes)
    with pytest.raises(plait.PlaitError) as found:
        framework.construct(kind, *given, **sizes)
    assert str(found.value) == str(expected.value)
    assert found.value.code == expected.value.code


@parametrize_by_framework()
def test_axis_named_self_is_accepted_or_raises_type_error(framework):
    x = random_array((6, 2))
    if not framework.allows_axis_self:
        with pytest.raises(TypeError, match="self"):
            framework.construct("Rearrange", "(self b) c -> self b c", **{"self": 2})
        return
    built = framework.build("Rearrange", "(self b) c -> self b c", example=x, **{"self": 2})
    assert framework.to_numpy(framework.call(built, framework.to_tensor(x))).shape == (2, 3, 2)


@parametrize_by_framework()
def test_call_raises_for_a_tensor_of_the_wrong_shape(framework):
    good, bad = random_array((2, 3)), random_array((2, 4))
    mixing = framework.build("EinMix", "b c -> b d", "c d", "d", example=good, c=3, d=4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        framework.call(mixing, framework.to_tensor(bad))
    halves = framework.build("Rearrange", "b (c p) -> b c p", example=bad, p=2)
    with pytest.raises(plait.SizeError, match="PLT302"):
        framework.call(halves, framework.to_tensor(good))


@parametrize_by_framework()
def test_repr_shows_the_arguments(framework):
    x = random_array((2, 6))
    text = framework.describe(framework.build("Rearrange", "b (c p) -> b c p", example=x, p=2))
    assert "Rearrange" in text
    assert "b (c p) -> b c p" in text
    assert "2" in text.partition("b c p")[2]
    text = framework.describe(framework.build("Reduce", "b (c 2) -> b c", "max", example=x))
    assert "Reduce" in text
    assert "max" in text
    text = framework.describe(framework.build("Repeat", "b c -> b c r", example=x, r=2))
    assert "Repeat" in text
    text = framework.describe(framework.build("EinMix", "b c -> b d", "c d", "d", example=x, c=6, d=4))
    assert "EinMix" in text
    assert "c d" in text
    assert "6" in text.partition("b d")[2]
    assert "4" in text.partition("b d")[2]


@parametrize_by_framework()
@pytest.mark.parametrize("kind", ["Rearrange", "Reduce", "Repeat", "EinMix"])
def test_pickle_refers_to_public_modules_only(framework, kind):
    case = next(case for case in [*OPERATION_CASES, *EINMIX_CASES] if getattr(case, "kind", "EinMix") == kind)
    given = einmix_positional_arguments(case) if kind == "EinMix" else case.arguments
    built = framework.build(kind, *given, example=random_array(case.shape), **case.sizes)
    layer = built[0] if isinstance(built, tuple) else built
    if framework.name == "haiku":
        return  # Haiku creates a module inside of a function only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that it pickles itself
        operations = pickletools.genops(pickle.dumps(layer, 2))
    modules = {str(argument).partition(" ")[0] for kind, argument, _ in operations if kind.name == "GLOBAL"}
    found = {module for module in modules if module.startswith("plait")}
    assert found <= {"plait", "plait.layers", "plait.layers.keras", f"plait.layers.{framework.name}"}


@parametrize_by_framework()
@pytest.mark.parametrize("kind", ["Rearrange", "Reduce", "Repeat", "EinMix"])
def test_layer_is_public_and_documents_its_arguments(framework, kind):
    layer = getattr(framework.import_layers(), kind)
    home = "keras" if framework.name == "tensorflow" and kind != "EinMix" else framework.name
    assert (layer.__module__, layer.__qualname__) == (f"plait.layers.{home}", kind)
    constructor = layer.__init__
    text = f"{layer.__doc__}\n{constructor.__doc__}"
    for name in list(inspect.signature(constructor).parameters)[1:]:
        assert f"    {name}: " in text
    assert "    PlaitError: " in text


@parametrize_by_framework()
def test_docstring_examples_run(framework):
    found = doctest.testmod(framework.import_layers(), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0
    assert found.attempted > 0
