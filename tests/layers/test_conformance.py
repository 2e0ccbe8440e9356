"""One list of cases × every framework's layers, against the functions and the oracle."""

from __future__ import annotations

import doctest
import inspect
import pickle
import pickletools
import warnings

import numpy as np
import pytest

import plait
from layers.cases import MISTAKES, MIXES, OPERATIONS
from layers.frameworks import each
from plait.layers import MixSpec
from plait.layers import _spec as spec
from plait.testing import _oracle as oracle

FUNCTIONS = {"Rearrange": plait.rearrange, "Reduce": plait.reduce, "Repeat": plait.repeat}
SPECS = {
    "Rearrange": lambda pattern, **sizes: spec.operation_spec("rearrange", pattern, sizes),
    "Reduce": lambda pattern, reduction, **sizes: spec.operation_spec("reduce", pattern, sizes, reduction),
    "Repeat": lambda pattern, **sizes: spec.operation_spec("repeat", pattern, sizes),
    "EinMix": lambda pattern, weight, bias=None, **sizes: MixSpec.read(pattern, weight, bias, sizes),
}


def filled(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def near(actual, expected):
    """Equal, but for the rounding of a few dozen sums in float32."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def arguments(case):
    return [case.pattern, case.weight_shape, *([] if case.bias_shape is None else [case.bias_shape])]


def by_definition(case, x, weight, bias):
    """The result of an EinMix: every element of the result by loops, then the bias by its axes, then the groups."""
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


@each()
@pytest.mark.parametrize("case", OPERATIONS, ids=str)
def test_an_operation(framework, case):
    x = filled(case.shape)
    built = framework.build(case.kind, *case.arguments, example=x, **case.sizes)
    result = framework.array(framework.call(built, framework.make(x)))
    near(result, FUNCTIONS[case.kind](x, *case.arguments, **case.sizes))
    assert framework.parameters(built) == {}


@each()
@pytest.mark.parametrize("reduction", ["any", "all"])
def test_a_reduction_of_truth_values(framework, reduction):
    x = filled((2, 3, 4)) > 0
    built = framework.build("Reduce", "a b c -> a c", reduction, example=x)
    result = framework.array(framework.call(built, framework.make(x)))
    assert result.dtype == bool
    assert (result == plait.reduce(x, "a b c -> a c", reduction)).all()


def longest(tensor, axes):
    """A reduction that works on every framework."""
    assert axes == (0, 2)
    return plait.reduce(tensor, "a b c -> b", "max")


@each()
def test_a_reduction_by_a_callable(framework):
    x = filled((2, 3, 4))
    built = framework.build("Reduce", "a b c -> b", longest, example=x)
    near(framework.array(framework.call(built, framework.make(x))), x.max((0, 2)))
    assert "longest" in framework.description(built)


@each()
@pytest.mark.parametrize(
    "case",
    [("Rearrange", ("b h w -> h (b w)",)), ("Reduce", ("b h w -> h w", "max")), ("Repeat", ("b h w -> b h w 2",))],
    ids=lambda case: case[0],
)
def test_a_list_of_tensors(framework, case):
    kind, given = case
    several = [filled((3, 4), seed) for seed in range(2)]
    built = framework.build(kind, *given, example=several)
    result = framework.array(framework.call(built, [framework.make(x) for x in several]))
    near(result, FUNCTIONS[kind](np.stack(several), *given))


@each()
@pytest.mark.parametrize("case", MIXES, ids=str)
def test_einmix(framework, case):
    x = filled(case.shape)
    built = framework.build("EinMix", *arguments(case), example=x, **case.sizes)
    parameters = framework.parameters(built)
    shapes = {"weight": case.weight} if case.bias is None else {"weight": case.weight, "bias": case.bias}
    assert {name: array.shape for name, array in parameters.items()} == shapes
    result = framework.array(framework.call(built, framework.make(x)))
    near(result, by_definition(case, x, parameters["weight"], parameters.get("bias")))


@each()
@pytest.mark.parametrize("case", MIXES, ids=str)
def test_the_gradients_of_einmix(framework, case):
    """The result is linear in each parameter: the gradient along it is what adding to one element of it adds."""
    x = filled(case.shape)
    built = framework.build("EinMix", *arguments(case), example=x, **case.sizes)
    found = framework.gradients(built, framework.make(x))
    parameters = {name: np.zeros(array.shape) for name, array in framework.parameters(built).items()}
    assert found.keys() == parameters.keys()
    for name, zeros in parameters.items():
        assert found[name].shape == zeros.shape
        for place in list(np.ndindex(*zeros.shape))[:: max(1, zeros.size // 3)]:
            one = {**{key: np.zeros_like(value) for key, value in parameters.items()}, name: zeros.copy()}
            one[name][place] = 1
            expected = by_definition(case, x, one["weight"], one.get("bias")).sum()
            np.testing.assert_allclose(found[name][place], expected, rtol=1e-5, atol=1e-5)


@each()
def test_parameters_are_drawn_between_the_bounds(framework):
    """4,096 draws fill the interval from end to end: the chance that the outer 1 % stay empty is e⁻²⁰ on each side."""
    case = ("b (h c) -> b (h d)", "h c d", "h d")
    sizes = {"h": 4, "c": 32, "d": 32}
    x = filled((2, 128))
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


@each()
def test_the_seed_decides_the_parameters(framework):
    def drawn(seed):
        built = framework.build("EinMix", "b c -> b d", "c d", "d", example=filled((2, 3)), c=3, d=4, seed=seed)
        return framework.parameters(built)

    one, same, other = drawn(1), drawn(1), drawn(2)
    for name in ("weight", "bias"):
        assert (one[name] == same[name]).all()
        assert (one[name] != other[name]).any()


@each()
@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_an_error_of_the_constructor(framework, mistake):
    kind, given, sizes = mistake
    with pytest.raises(plait.PlaitError) as expected:
        SPECS[kind](*given, **sizes)
    with pytest.raises(plait.PlaitError) as found:
        framework.construct(kind, *given, **sizes)
    assert str(found.value) == str(expected.value)
    assert found.value.code == expected.value.code


@each()
def test_an_axis_may_be_called_self(framework):
    x = filled((6, 2))
    if not framework.any_name:
        with pytest.raises(TypeError, match="self"):
            framework.construct("Rearrange", "(self b) c -> self b c", **{"self": 2})
        return
    built = framework.build("Rearrange", "(self b) c -> self b c", example=x, **{"self": 2})
    assert framework.array(framework.call(built, framework.make(x))).shape == (2, 3, 2)


@each()
def test_a_tensor_that_does_not_fit_is_an_error_of_the_call(framework):
    good, bad = filled((2, 3)), filled((2, 4))
    mixing = framework.build("EinMix", "b c -> b d", "c d", "d", example=good, c=3, d=4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        framework.call(mixing, framework.make(bad))
    halves = framework.build("Rearrange", "b (c p) -> b c p", example=bad, p=2)
    with pytest.raises(plait.SizeError, match="PLT302"):
        framework.call(halves, framework.make(good))


@each()
def test_a_layer_describes_itself(framework):
    x = filled((2, 6))
    text = framework.description(framework.build("Rearrange", "b (c p) -> b c p", example=x, p=2))
    assert "Rearrange" in text
    assert "b (c p) -> b c p" in text
    assert "2" in text.partition("b c p")[2]
    text = framework.description(framework.build("Reduce", "b (c 2) -> b c", "max", example=x))
    assert "Reduce" in text
    assert "max" in text
    text = framework.description(framework.build("Repeat", "b c -> b c r", example=x, r=2))
    assert "Repeat" in text
    text = framework.description(framework.build("EinMix", "b c -> b d", "c d", "d", example=x, c=6, d=4))
    assert "EinMix" in text
    assert "c d" in text
    assert "6" in text.partition("b d")[2]
    assert "4" in text.partition("b d")[2]


@each()
@pytest.mark.parametrize("kind", ["Rearrange", "Reduce", "Repeat", "EinMix"])
def test_a_pickle_names_public_modules(framework, kind):
    case = next(case for case in [*OPERATIONS, *MIXES] if getattr(case, "kind", "EinMix") == kind)
    given = arguments(case) if kind == "EinMix" else case.arguments
    built = framework.build(kind, *given, example=filled(case.shape), **case.sizes)
    layer = built[0] if isinstance(built, tuple) else built
    if framework.name == "haiku":
        return  # a module of Haiku is made inside of a function only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of itself
        operations = pickletools.genops(pickle.dumps(layer, 2))
    modules = {str(argument).partition(" ")[0] for kind, argument, _ in operations if kind.name == "GLOBAL"}
    found = {module for module in modules if module.startswith("plait")}
    assert found <= {"plait", "plait.layers", "plait.layers.keras", f"plait.layers.{framework.name}"}


@each()
@pytest.mark.parametrize("kind", ["Rearrange", "Reduce", "Repeat", "EinMix"])
def test_a_layer_is_of_a_public_module_and_says_what_it_takes(framework, kind):
    layer = getattr(framework.layers(), kind)
    home = "keras" if framework.name == "tensorflow" and kind != "EinMix" else framework.name
    assert (layer.__module__, layer.__qualname__) == (f"plait.layers.{home}", kind)
    constructor = layer.__init__
    text = f"{layer.__doc__}\n{constructor.__doc__}"
    for name in list(inspect.signature(constructor).parameters)[1:]:
        assert f"    {name}: " in text
    assert "    PlaitError: " in text


@each()
def test_the_examples_of_the_documentation_run(framework):
    found = doctest.testmod(framework.layers(), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0
    assert found.attempted > 0
