"""What the layers of all frameworks share, on NumPy's arrays: no framework is needed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from layers.cases import MISTAKES, MIXES, OPERATIONS, Mix
from layers.test_conformance import SPECS, by_definition, filled
from plait.layers import MixSpec
from plait.layers import _spec as spec


def made(case):
    if isinstance(case, Mix):
        return MixSpec.read(case.pattern, case.weight_shape, case.bias_shape, case.sizes)
    return SPECS[case.kind](*case.arguments, **case.sizes)


def parameters(found):
    weight = filled(found.weight.shape, 1)
    return weight, None if found.bias is None else filled(found.bias.shape, 2)


@pytest.mark.parametrize("case", MIXES, ids=str)
def test_a_mix(case):
    found = made(case)
    assert found.weight.shape == case.weight
    assert (found.bias and found.bias.shape) == case.bias
    assert found.weight.bound == pytest.approx((3 / case.fan_in) ** 0.5)
    assert found.bias is None or found.bias.bound == pytest.approx(case.fan_in**-0.5)
    x = filled(case.shape)
    weight, bias = parameters(found)
    result = found(x, weight, bias)
    expected = by_definition(case, x, weight, bias)
    assert result.shape == expected.shape == found.output_shape(x.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-6)


@st.composite
def mixes(draw):
    """A valid EinMix: axes of the input alone are kept or summed, those of the weight too or not, new ones are made."""
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
    left = [*grouped(draw, left_items), *(["..."] if dots else [])]
    shape = tuple(int(np.prod([sizes[n] for n in item.strip("()").split()])) for item in left if item != "...")
    shape += (2, 3) if dots else ()
    pattern = f"{' '.join(left)} -> {' '.join(grouped(draw, draw(st.permutations(right))))}"
    given_sizes = {name: sizes[name] for name in {*shared, *ours, *new}}
    return Mix(pattern, " ".join(weight), None if bias is None else " ".join(bias), shape, given_sizes, ())


def grouped(draw, items):
    """Some neighbours put into a group."""
    out = []
    items = list(items)
    while items:
        count = draw(st.integers(1, 3))
        part, items = items[:count], items[count:]
        out += [f"({' '.join(part)})"] if len(part) > 1 and draw(st.booleans()) else part
    return out


@given(mixes())
def test_drawn_mixes(case):
    found = made(case)
    x = filled(case.shape)
    weight, bias = parameters(found)
    result = found(x, weight, bias)
    expected = by_definition(case, x, weight, bias)
    assert result.shape == expected.shape == found.output_shape(x.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert MixSpec.read(**found.config) == found
    right = case.pattern.partition("->")[2].replace("(", " ").replace(")", " ").split()
    fan_in = np.prod([case.sizes[name] for name in case.weight_shape.split() if name not in right])
    assert found.weight.bound == pytest.approx((3 / fan_in) ** 0.5)
    assert found.bias is None or found.bias.bound == pytest.approx(fan_in**-0.5)


@pytest.mark.parametrize("case", [*OPERATIONS, *MIXES], ids=str)
def test_a_spec_is_a_value(case):
    one, two = made(case), made(case)
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.pattern = None


@pytest.mark.parametrize("case", [*OPERATIONS, *MIXES], ids=str)
def test_what_it_writes_of_itself_makes_it_again(case):
    one = made(case)
    kind = "EinMix" if isinstance(case, Mix) else case.kind
    if not {"class", "in"} & one.pattern.sizes.keys():  # keywords of Python go through a dict
        assert eval(f"made({one.arguments})", {"made": SPECS[kind]}) == one
    config = dict(one.config)
    assert SPECS[kind](*[value for key, value in config.items() if key != "sizes"], **config["sizes"]) == one


def test_an_unknown_size_stays_unknown():
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


def test_a_weight_of_nothing_has_a_bound():
    found = MixSpec.read("b c -> b d", "c d", "d", {"c": 0, "d": 4})
    assert found.weight.bound == 3**0.5
    assert (found(np.zeros((2, 0)), np.zeros((0, 4)), np.ones((1, 4))) == 1).all()


def test_the_sizes_of_a_mix_may_be_those_of_a_library():
    found = MixSpec.read("b c -> b d", "c d", None, {"c": np.int64(3), "d": np.int8(4)})
    assert found.weight.shape == (3, 4)
    assert all(type(size) is int for size in (*found.weight.shape, *found.config["sizes"].values()))


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_points_into_what_was_written(mistake):
    kind, arguments, sizes = mistake
    with pytest.raises(plait.PlaitError) as found:
        SPECS[kind](*arguments, **sizes)
    if found.value.code == "PLT209":  # the name of a reduction
        assert found.value.pattern is None
        return
    assert found.value.pattern in arguments
    assert found.value.code == "PLT203" or found.value.spans  # a size that names no axis stands nowhere


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
def test_what_is_no_argument(code, make):
    with pytest.raises(plait.PlaitError) as found:
        make()
    assert found.value.code == code
    assert "compile" not in str(found.value)


def test_an_argument_is_not_the_size_of_an_axis():
    spec.check_argument_names("b c -> c b", device=0, name="b")
    spec.check_argument_names("b device -> device b", device="cpu", dtype=None)
    with pytest.raises(plait.AxisError, match="PLT213") as found:
        spec.check_argument_names("b device -> device b", device=0)
    assert found.value.spans == ((2, 8),)


def test_sizes_come_as_a_dict_or_as_keywords():
    assert spec.merge_sizes(None, {"h": 2}) == {"h": 2}
    assert spec.merge_sizes({"h": 2}, {"w": 3}) == {"h": 2, "w": 3}
    with pytest.raises(plait.SizeError, match="PLT311"):
        spec.merge_sizes({"h": 2}, {"h": 3})
