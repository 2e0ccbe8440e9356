"""What the layers of all frameworks share, on NumPy's arrays: no framework is needed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from layers.cases import EINMIX_CASES, INVALID_ARGUMENTS, OPERATION_CASES, EinMixCase
from layers.test_conformance import SPEC_BUILDERS, compute_einmix_reference, random_array
from plait.layers import MixSpec
from plait.layers import _spec as spec


def spec_from_case(case):
    if isinstance(case, EinMixCase):
        return MixSpec.read(case.pattern, case.weight_shape, case.bias_shape, case.sizes)
    return SPEC_BUILDERS[case.kind](*case.arguments, **case.sizes)


def random_parameters(layer_spec):
    weight = random_array(layer_spec.weight.shape, 1)
    return weight, None if layer_spec.bias is None else random_array(layer_spec.bias.shape, 2)


@pytest.mark.parametrize("case", EINMIX_CASES, ids=str)
def test_einmix_spec_equals_the_reference(case):
    layer_spec = spec_from_case(case)
    assert layer_spec.weight.shape == case.weight
    assert (layer_spec.bias and layer_spec.bias.shape) == case.bias
    assert layer_spec.weight.bound == pytest.approx((3 / case.fan_in) ** 0.5)
    assert layer_spec.bias is None or layer_spec.bias.bound == pytest.approx(case.fan_in**-0.5)
    x = random_array(case.shape)
    weight, bias = random_parameters(layer_spec)
    result = layer_spec(x, weight, bias)
    expected = compute_einmix_reference(case, x, weight, bias)
    assert result.shape == expected.shape == layer_spec.output_shape(x.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-6)


@st.composite
def random_einmix_cases(draw):
    """A random valid EinMix.

    Each axis of the input, shared with the weight or not, is kept or summed; axes of the weight alone are added to the
    result.
    """
    names = draw(st.permutations("a b c d e f".split()))
    sizes = {name: draw(st.integers(1, 3)) for name in names}
    shared, ours, new = names[: draw(st.integers(0, 2))], names[2 : 2 + draw(st.integers(0, 2))], names[4:]
    new = new[: draw(st.integers(0, 2))]
    dots = draw(st.booleans())
    weight = draw(st.permutations([*shared, *new]))
    kept = [name for name in [*shared, *ours] if draw(st.booleans())]
    right = [*new, *kept, *(["..."] if dots else [])]
    bias = draw(st.none() | st.lists(st.sampled_from([*new, *kept] or ["a"]), unique=True))
    if bias and not {*bias} <= {*new, *kept}:
        bias = []
    left_items = draw(st.permutations([*shared, *ours]))
    left = [*group_neighbours(draw, left_items), *(["..."] if dots else [])]
    shape = tuple(int(np.prod([sizes[n] for n in item.strip("()").split()])) for item in left if item != "...")
    shape += (2, 3) if dots else ()
    pattern = f"{' '.join(left)} -> {' '.join(group_neighbours(draw, draw(st.permutations(right))))}"
    given_sizes = {name: sizes[name] for name in {*shared, *ours, *new}}
    return EinMixCase(pattern, " ".join(weight), None if bias is None else " ".join(bias), shape, given_sizes, ())


def group_neighbours(draw, items):
    """Return the items with some neighbours, chosen at random, in parentheses."""
    out = []
    items = list(items)
    while items:
        count = draw(st.integers(1, 3))
        part, items = items[:count], items[count:]
        out += [f"({' '.join(part)})"] if len(part) > 1 and draw(st.booleans()) else part
    return out


@given(random_einmix_cases())
def test_random_einmix_specs_equal_the_reference(case):
    layer_spec = spec_from_case(case)
    x = random_array(case.shape)
    weight, bias = random_parameters(layer_spec)
    result = layer_spec(x, weight, bias)
    expected = compute_einmix_reference(case, x, weight, bias)
    assert result.shape == expected.shape == layer_spec.output_shape(x.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert MixSpec.read(**layer_spec.config) == layer_spec
    right = case.pattern.partition("->")[2].replace("(", " ").replace(")", " ").split()
    fan_in = np.prod([case.sizes[name] for name in case.weight_shape.split() if name not in right])
    assert layer_spec.weight.bound == pytest.approx((3 / fan_in) ** 0.5)
    assert layer_spec.bias is None or layer_spec.bias.bound == pytest.approx(fan_in**-0.5)


@pytest.mark.parametrize("case", [*OPERATION_CASES, *EINMIX_CASES], ids=str)
def test_spec_is_immutable_hashable_and_picklable(case):
    one, two = spec_from_case(case), spec_from_case(case)
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.pattern = None


@pytest.mark.parametrize("case", [*OPERATION_CASES, *EINMIX_CASES], ids=str)
def test_repr_and_config_recreate_the_spec(case):
    one = spec_from_case(case)
    kind = "EinMix" if isinstance(case, EinMixCase) else case.kind
    # a Python keyword cannot be a keyword argument in this text
    if not {"class", "in"} & one.pattern.sizes.keys():
        assert eval(f"made({one.arguments_text})", {"made": SPEC_BUILDERS[kind]}) == one
    config = dict(one.config)
    assert SPEC_BUILDERS[kind](*[value for key, value in config.items() if key != "sizes"], **config["sizes"]) == one


def test_output_shape_with_unknown_lengths():
    pooled = spec.operation_spec("reduce", "b c (h 2) (w 2) -> b (c h w)", {}, "max")
    assert pooled.output_shape((None, 3, 4, 6)) == (None, 18)
    assert pooled.output_shape((2, 3, None, 6)) == (2, None)
    with pytest.raises(plait.SizeError, match="PLT302"):
        pooled.output_shape((None, 3, 4, 5))
    mixed = MixSpec.read("b t (h c) -> b (h d) t", "h c d", "d", {"h": 2, "c": 3, "d": 4})
    assert mixed.output_shape((None, None, 6)) == (None, 8, None)
    with pytest.raises(plait.SizeError, match="PLT305"):
        mixed.output_shape((None, None, 7))
    with pytest.raises(plait.SizeError, match="PLT304"):
        mixed.output_shape((None, 6))


def test_empty_weight_has_a_bound():
    layer_spec = MixSpec.read("b c -> b d", "c d", "d", {"c": 0, "d": 4})
    assert layer_spec.weight.bound == 3**0.5
    assert (layer_spec(np.zeros((2, 0)), np.zeros((0, 4)), np.ones((1, 4))) == 1).all()


def test_sizes_may_be_numpy_integers():
    layer_spec = MixSpec.read("b c -> b d", "c d", None, {"c": np.int64(3), "d": np.int8(4)})
    assert layer_spec.weight.shape == (3, 4)
    assert all(type(size) is int for size in (*layer_spec.weight.shape, *layer_spec.config["sizes"].values()))


@pytest.mark.parametrize("mistake", INVALID_ARGUMENTS, ids=str)
def test_error_points_into_the_argument(mistake):
    kind, arguments, sizes = mistake
    with pytest.raises(plait.PlaitError) as error:
        SPEC_BUILDERS[kind](*arguments, **sizes)
    if error.value.code == "PLT209":  # the name of a reduction
        assert error.value.pattern is None
        return
    assert error.value.pattern in arguments
    # PLT203: the axis of a given size is not in the text, so there is no span
    assert error.value.code == "PLT203" or error.value.spans


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("PLT101", lambda: MixSpec.read("b c -> b d", ["c", "d"], None, {"c": 2, "d": 3})),
        ("PLT101", lambda: MixSpec.read("b c -> b d", "c d", False, {"c": 2, "d": 3})),
        ("PLT105", lambda: spec.operation_spec("rearrange", "a b", {})),
        ("PLT203", lambda: spec.operation_spec("rearrange", "a b -> b a", {"dtpye": "float16"})),
        ("PLT203", lambda: MixSpec.read("b c -> b d", "c d", None, {"c": 2, "d": 3, "bias": True})),
        ("PLT301", lambda: spec.merge_sizes({1: 2}, {})),
        ("PLT301", lambda: spec.merge_sizes(0, {})),
        ("PLT301", lambda: spec.merge_sizes([], {"h": 2})),
    ],
)
def test_invalid_arguments_raise(code, make):
    with pytest.raises(plait.PlaitError) as error:
        make()
    assert error.value.code == code
    assert "compile" not in str(error.value)


def test_integer_argument_with_the_name_of_an_axis_raises():
    spec.forbid_int_arguments_named_like_axes("b c -> c b", device=0, name="b")
    spec.forbid_int_arguments_named_like_axes("b device -> device b", device="cpu", dtype=None)
    with pytest.raises(plait.AxisError, match="PLT213") as error:
        spec.forbid_int_arguments_named_like_axes("b device -> device b", device=0)
    assert error.value.spans == ((2, 8),)


def test_merge_sizes_merges_dict_and_keywords():
    assert spec.merge_sizes(None, {"h": 2}) == {"h": 2}
    assert spec.merge_sizes({"h": 2}, {"w": 3}) == {"h": 2, "w": 3}
    with pytest.raises(plait.SizeError, match="PLT311"):
        spec.merge_sizes({"h": 2}, {"h": 3})
