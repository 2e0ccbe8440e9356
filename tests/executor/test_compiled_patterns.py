"""Compiled patterns: they are immutable, hashable and picklable, and work with several operations."""

from __future__ import annotations

import copy
import pickle

import pytest

import plait

np = pytest.importorskip("numpy")


def test_equality_and_hash_of_patterns():
    one = plait.compile("b (h  p)->b h p", p=2)
    other = plait.compile("b (h p) -> b h p", p=np.int64(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != plait.compile("b (h p) -> b h p", p=3)
    assert one != "b (h p) -> b h p"
    assert len({one, other}) == 1
    assert repr(one) == "plait.compile('b (h p) -> b h p', p=2)"
    assert eval(repr(one)) == one


def test_copied_and_pickled_patterns_are_equal():
    pattern = plait.compile("b (h p) -> b h p", p=2)
    pattern.rearrange(np.zeros((2, 6)))
    for other in (pickle.loads(pickle.dumps(pattern)), copy.copy(pattern), copy.deepcopy(pattern)):
        assert other == pattern
        assert other.rearrange(np.zeros((2, 6))).shape == (2, 3, 2)


def test_patterns_are_immutable():
    pattern = plait.compile("b (h p) -> b h p", p=2)
    with pytest.raises(AttributeError):
        pattern.text = "a -> a"
    with pytest.raises(AttributeError):
        del pattern.text
    with pytest.raises(AttributeError):
        pattern.other = 1
    pattern.sizes["p"] = 5
    assert pattern.sizes == {"p": 2}


def test_methods_equal_the_functions():
    x = np.arange(24.0).reshape(2, 12)
    split = plait.compile("b (h p) -> p b h", p=3)
    for _ in range(2):
        assert (split.rearrange(x) == plait.rearrange(x, split.text, p=3)).all()
        assert (split.view(x) == split.rearrange(x)).all()
        assert (plait.compile("b (h p) -> b", p=3).reduce(x, "max") == x.max(1)).all()
        assert (plait.compile("b (h p) -> b", p=3).reduce(x, lambda t, a: t.min(a)) == x.min(1)).all()
        assert plait.compile("b c -> b c r", r=2).repeat(x).shape == (2, 12, 2)
        assert np.allclose(plait.compile("a b, c b -> a c").einsum(x, x), x @ x.T)
        assert split.rearrange([x[0], x[1]]).shape == (3, 2, 4)
        assert split.explain((2, 12)).text == plait.explain(split.text, (2, 12), p=3).text


def test_one_pattern_with_several_operations():
    x = np.arange(6.0).reshape(2, 3)
    pattern = plait.compile("a b -> a")
    assert pattern.reduce(x, "sum").tolist() == [3, 12]
    assert pattern.reduce(x, "max").tolist() == [2, 5]
    with pytest.raises(plait.AxisError):
        pattern.rearrange(x)
    assert pattern.einsum(x).tolist() == [3, 12]


def test_compile_rejects_invalid_given_sizes():
    for sizes, code in (({"q": 2}, "PLT203"), ({"p": 2.0}, "PLT301"), ({"p": -2}, "PLT306")):
        with pytest.raises(plait.PlaitError, match=code):
            plait.compile("b (h p) -> b h p", **sizes)


def test_inverse_of_a_pattern():
    pattern = plait.compile("b (h p) (w q) c -> b (h w) (p q c)", p=2, q=3)
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    back = pattern.inverse(h=2)
    assert (back.rearrange(pattern.rearrange(x)) == x).all()
    assert back.inverse() == plait.compile(pattern.text, p=2, q=3, h=2)
    with pytest.raises(plait.SizeError, match="PLT303"):
        pattern.inverse().rearrange(pattern.rearrange(x))
    with pytest.raises(plait.AxisError, match="PLT203"):
        pattern.inverse(hh=2)


def test_output_shape_of_a_pattern():
    assert plait.compile("b (h p) -> b h p 1", p=2).output_shape((3, 8)) == (3, 4, 2, 1)
    assert plait.compile("a b, b c -> (a c)").output_shape((2, 3), (3, 4)) == (8,)
    assert plait.compile("... c -> c ...").output_shape((2, 3, 4)) == (4, 2, 3)
    assert plait.compile("a -> a r", r=5).output_shape((2,)) == (2, 5)
    for shapes, code in (
        (((3,),), "PLT304"),
        (((3, 7),), "PLT302"),
        (((3, 8), (1,)), "PLT202"),
        (((3, 8.0),), "PLT301"),
    ):
        with pytest.raises(plait.PlaitError, match=code):
            plait.compile("b (h p) -> b h p", p=2).output_shape(*shapes)


def test_pattern_caches_a_bounded_number_of_calls():
    from plait._pattern import MAX_CALLABLES_PER_PATTERN

    pattern = plait.compile("a b -> b a")
    for size in range(3 * MAX_CALLABLES_PER_PATTERN):
        pattern.rearrange(np.zeros((size, 1)))
    assert 0 < len(pattern._callables) <= MAX_CALLABLES_PER_PATTERN
