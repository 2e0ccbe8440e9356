"""Every way to be wrong: the full text of each error is in `snapshot.txt`, and every code has at least one.

``python tests/errors/test_errors.py`` writes the file anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weft
from weft.errors import CODES, WeftError, fail
from weft.layers.mix import mix
from weft.layers.spec import gathered, reduce, unambiguous, without_parameters

torch = pytest.importorskip("torch")

from weft.layers.torch import Reduce  # noqa: E402

SNAPSHOT = Path(__file__).with_name("snapshot.txt")
X = np.zeros((2, 3, 4, 6))
NOTHING = np.zeros((0, 3))


def fresh_lambda(tensor, axes):
    return tensor


class Modular:
    """What a framework has for a module."""

    def __call__(self, tensor, axes):
        return tensor

    def __repr__(self):
        return "Modular()"


CALLS = {
    # W1: the text
    "W101 a number for a pattern": lambda: weft.rearrange(X, 5),
    "W101 tensor and pattern swapped": lambda: weft.rearrange("a -> a", X),
    "W101 bytes": lambda: weft.compile(b"a -> a"),
    "W102 a sign": lambda: weft.rearrange(X, "b c h w -> b c h·w & b"),
    "W102 a single dot": lambda: weft.rearrange(X, "b . w -> b w"),
    "W102 two dots": lambda: weft.rearrange(X, "b .. w -> b w"),
    "W102 a half arrow": lambda: weft.rearrange(X, "b c - b c"),
    "W102 the other half": lambda: weft.rearrange(X, "b c > b c"),
    "W102 digits of another script": lambda: weft.rearrange(X, "b c (h ٣) w -> b c h w"),
    "W103 a digit first": lambda: weft.rearrange(X, "b 2c h w -> b c h w"),
    "W103 underscore first": lambda: weft.rearrange(X, "_b c h w -> c h w"),
    "W103 underscore last": lambda: weft.rearrange(X, "b_ c h w -> c h w b_"),
    "W104 never closed": lambda: weft.rearrange(X, "b c (h w -> b c h w"),
    "W104 closes nothing": lambda: weft.rearrange(X, "b c h) w -> b c h w"),
    "W104 crossed": lambda: weft.rearrange(X, "b c (h w] -> b c h w"),
    "W105 no arrow": lambda: weft.rearrange(X, "b c h w"),
    "W105 two arrows": lambda: weft.rearrange(X, "b c -> h -> w"),
    "W105 empty": lambda: weft.rearrange(X, ""),
    "W106 two ellipses": lambda: weft.rearrange(X, "... b ... -> b ..."),
    "W107 a huge number": lambda: weft.repeat(X, "b c h w -> b c h w 99999999999999999999"),
    "W108 too deep": lambda: weft.rearrange(X, "(" * 40 + "a" + ")" * 40 + " -> a"),
    "W109 plus outside": lambda: weft.rearrange(X, "b + c -> b c"),
    "W109 nothing before": lambda: weft.rearrange(X, "(+ c) -> c"),
    "W109 nothing after": lambda: weft.rearrange(X, "(c +) -> c"),
    "W110 classical": lambda: weft.einsum("ij;jk", X, X),
    "W110 classical two outputs": lambda: weft.einsum("ij->i,j", np.zeros((2, 3))),
    # W2: the rules
    "W201 brackets": lambda: weft.rearrange(X, "b [c] h w -> b c h w"),
    "W201 plus": lambda: weft.rearrange(X, "b (c + d) h w -> b c h w d"),
    "W201 named ellipsis": lambda: weft.rearrange(X, "b c... -> c... b"),
    "W201 star": lambda: weft.rearrange(X, "b * -> * b"),
    "W201 underscore": lambda: weft.rearrange(X, "b _ h w -> b h w"),
    "W201 pack with an arrow": lambda: weft.pack([X], "a * -> *"),
    "W201 pack with a group": lambda: weft.pack([X], "(a b) *"),
    "W201 parse_shape with a group": lambda: weft.parse_shape(X, "b (c d) h w"),
    "W201 parse_shape with an arrow": lambda: weft.parse_shape(X, "b c h w -> b"),
    "W202 two inputs": lambda: weft.rearrange(X, "b c, h w -> b c h w"),
    "W202 two outputs": lambda: weft.rearrange(X, "b c h w -> b c, h w"),
    "W202 einsum": lambda: weft.einsum(X, "a b c d, d e -> a e"),
    "W202 classical": lambda: weft.einsum("ab,bc", X),
    "W203 misspelt": lambda: weft.rearrange(np.zeros((8, 8)), "(h ph) w -> h ph w", p=2),
    "W203 unknown": lambda: weft.rearrange(X, "b c h w -> b c h w", zebra=2),
    "W204 dropped": lambda: weft.rearrange(X, "b c h w -> b h"),
    "W204 strict": lambda: asked(strict=True),
    "W204 repeat drops": lambda: weft.repeat(X, "b c h w -> b c h w2", w2=3),
    "W205 added": lambda: weft.rearrange(X, "b c h w -> b c h w d"),
    "W205 reduce adds": lambda: weft.reduce(X, "b c h w -> b d", "max", d=2),
    "W205 einsum adds": lambda: weft.einsum(X, "a b c d -> a e"),
    "W206 twice left": lambda: weft.rearrange(X, "b b h w -> b h w"),
    "W206 twice right": lambda: weft.rearrange(X, "b c h w -> b c (h c) w"),
    "W206 pack": lambda: weft.pack([X], "a a *"),
    "W207 number left": lambda: weft.rearrange(X, "b c (h 2) w -> b c h w"),
    "W207 number right": lambda: weft.rearrange(X, "b c h w -> b c h w 2"),
    "W207 reduce": lambda: weft.reduce(X, "b c h w -> b 3", "max"),
    "W208 right only": lambda: weft.rearrange(X, "b c h w -> b c h w ..."),
    "W208 left only": lambda: weft.rearrange(X, "b ... -> b"),
    "W208 in a group": lambda: weft.rearrange(X, "(b ...) w -> b ... w"),
    "W208 einsum": lambda: weft.einsum(X, "... a -> a"),
    "W209 misspelt": lambda: weft.reduce(X, "b c h w -> b", "maen"),
    "W209 no reduction": lambda: weft.reduce(X, "b c h w -> b", 3),
    "W210 no star": lambda: weft.pack([X], "b c"),
    "W210 two stars": lambda: weft.unpack(X, [(1,)], "* b *"),
    "W214 a path that does not fit": lambda: asked(contract=[(0, 3), (0, 1)]),
    "W214 a misspelt way": lambda: asked(contract="optimum"),
    "W214 no path": lambda: asked(contract=3.5),
    "W301 a limit": lambda: asked(memory_limit=2.5),
    "W201 a comma in a weight": lambda: mix("b c -> b d", "c, d", None, {"c": 3, "d": 4}),
    "W201 a group in a weight": lambda: mix("b c -> b d", "(c d)", None, {"c": 3, "d": 4}),
    "W205 in no weight": lambda: mix("b c -> b d", "c", None, {"c": 3, "d": 4}),
    "W207 in a mix": lambda: mix("b 2 c -> b d", "c d", None, {"c": 3, "d": 4}),
    "W207 in a weight": lambda: mix("b c -> b d", "c 4", None, {"c": 3}),
    "W208 in a mix": lambda: mix("b c ... -> b d", "c d", None, {"c": 3, "d": 4}),
    "W212 of a weight": lambda: mix("batch chan -> batch out", "chans out", None, {"chans": 3, "out": 4}),
    "W212 of a bias": lambda: mix("b c -> b d", "c d", "c d", {"c": 3, "d": 4}),
    "W213 an argument of a layer": lambda: unambiguous("b dtype -> b c", dtype=2),
    "W209 a module with parameters": lambda: without_parameters(reduce("b c -> b", Modular(), {}), Modular),
    "W101 a weight that is no text": lambda: mix("b c -> b d", ["c", "d"], None, {"c": 3, "d": 4}),
    "W105 a layer": lambda: reduce("b c", "max", {}),
    "W203 a misspelt argument of a layer": lambda: mix("b c -> b d", "c d", None, {"c": 3, "d": 4, "dtpye": "float"}),
    "W211 no inverse": lambda: weft.compile("a b, b c -> a c").inverse(),
    # W3: ranks and sizes
    "W301 float": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=2.0),
    "W301 bool": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=True),
    "W301 text": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h="2"),
    "W301 None": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=None),
    "W302 indivisible": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", p=3),
    "W302 by a number": lambda: weft.reduce(X, "b (c 2) h w -> b c h w", "max"),
    "W302 by two": lambda: weft.rearrange(X, "b c h (w p q) -> b c h w p q", p=2, q=2),
    "W303 two unknown": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w"),
    "W303 three unknown": lambda: weft.rearrange(X, "b c h (x y z) -> b c h x y z"),
    "W303 a size of a weight": lambda: mix("b c -> b d", "c d", "d", {"c": 3}),
    "W303 a size of a bias": lambda: mix("b c -> b d", "c d", "b d", {"c": 3, "d": 4}),
    "W303 in a mix": lambda: mix("b (t s) c -> b t s d", "c d", None, {"c": 3, "d": 4}),
    "W305 in a mix": lambda: mix("b c -> b d", "c d", None, {"c": 3, "d": 4})(np.zeros((2, 5)), np.zeros((3, 4))),
    "W311 as a dict and as a keyword": lambda: gathered({"h": 2}, {"h": 2}),
    "W303 repeat": lambda: weft.repeat(X, "b c h w -> b c h w r"),
    "W304 too few": lambda: weft.rearrange(X, "b c h w d -> b c h w d"),
    "W304 too many": lambda: weft.rearrange(X, "b c h -> b c h"),
    "W304 ellipsis": lambda: weft.rearrange(np.zeros(3), "a b ... -> b a ..."),
    "W304 empty": lambda: weft.rearrange(X, "->"),
    "W304 einsum": lambda: weft.einsum(X, X, "a b c d, d e -> a e"),
    "W304 pack": lambda: weft.pack([np.zeros((2, 3)), np.zeros(2)], "a b *"),
    "W304 unpack": lambda: weft.unpack(X, [(1,)], "a *"),
    "W304 parse_shape": lambda: weft.parse_shape(X, "a b"),
    "W305 given": lambda: weft.rearrange(X, "b c h w -> c b h w", b=5),
    "W305 unit": lambda: weft.rearrange(X, "b 1 h w -> b h w"),
    "W305 group": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=3, p=2),
    "W305 einsum": lambda: weft.einsum(np.zeros((2, 3)), np.zeros((4, 5)), "i k, k j -> i j"),
    "W305 length 1 is not stretched": lambda: weft.einsum(np.zeros((2, 1)), np.zeros((5, 3)), "i k, k j -> i j"),
    "W305 classical": lambda: weft.einsum("ik,kj", np.zeros((2, 1)), np.zeros((5, 3))),
    "W305 ellipsis": lambda: weft.einsum(np.zeros((2, 3)), np.zeros((5, 3)), "... i, ... i -> ..."),
    "W305 diagonal": lambda: weft.einsum(np.zeros((2, 3)), "a a -> a"),
    "W305 pack": lambda: weft.pack([np.zeros((2, 3)), np.zeros((3, 3))], "b *"),
    "W305 parse_shape": lambda: weft.parse_shape(X, "b 5 h w"),
    "W306 negative": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=-1),
    "W306 zero": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", h=0),
    "W307 max of nothing": lambda: weft.reduce(NOTHING, "a b -> b", "max"),
    "W308 shapes differ": lambda: weft.rearrange([X, X[:1]], "n b c h w -> n b c h w"),
    "W308 empty list": lambda: weft.rearrange([], "n b -> b n"),
    "W309 too much": lambda: weft.unpack(np.zeros((2, 5)), [(3,), (3,)], "b *"),
    "W309 two open": lambda: weft.unpack(np.zeros((2, 5)), [(-1,), (-1,)], "b *"),
    "W309 open does not fit": lambda: weft.unpack(np.zeros((2, 5)), [(2, -1)], "b *"),
    "W309 no shape": lambda: weft.unpack(np.zeros((2, 5)), [3, 2], "b *"),
    "W309 a float": lambda: weft.unpack(np.zeros((2, 5)), [(2.0,), (3,)], "b *"),
    "W310 callable": lambda: weft.reduce(X, "b c h w -> b", fresh_lambda),
    "W310 callable returns nothing": lambda: weft.reduce(X, "b c h w -> b", lambda tensor, axes: None),
    "W311 twice": lambda: weft.rearrange(X, "b c (h p) w -> b c h p w", **{"h": 2, "ℎ": 2}),
    # W4: views
    "W401 merge": lambda: weft.view(X, "b c h w -> b (h w c)"),
    "W401 list": lambda: weft.view([X, X], "n b c h w -> n b c h w"),
    "W401 strided": lambda: weft.view(X[:, ::2], "b c h w -> (b c) h w"),
    # W5: frameworks
    "W501 a number": lambda: weft.rearrange(5, "a -> a"),
    "W501 a list of numbers": lambda: weft.rearrange([1, 2], "a -> a"),
    "W501 a stranger": lambda: weft.rearrange(
        type("Stranger", (), {"shape": (2,), "__module__": "elsewhere"})(), "a -> a"
    ),
    "W501 pack of one tensor": lambda: weft.pack(X, "a *"),
    "W502 broken": lambda: weft.rearrange(np.dtype("f4"), "a -> a"),
    "W503 mean of integers": lambda: weft.reduce(np.zeros((2, 3), np.int64), "a b -> a", "mean"),
    "W503 max of complex": lambda: weft.reduce(np.zeros((2, 3), np.complex64), "a b -> a", "max"),
    "W503 std of bool": lambda: weft.reduce(np.zeros((2, 3), bool), "a b -> a", "std"),
    "W504 mixed": lambda: weft.einsum(X, torch.zeros(2), "a b c d, a -> b"),
    "W504 mixed list": lambda: weft.rearrange([X, torch.zeros(2, 3, 4, 6)], "n ... -> ... n"),
    "W505 hidden rank": lambda: torch.fx.symbolic_trace(lambda x: weft.rearrange(x, "a ... -> ... a")),
    "W506 too many axes": lambda: weft.einsum(
        strict_array((1,) * 30), strict_array((1,) * 30), f"{axes('a', 30)}, {axes('b', 30)} -> {axes('a', 30)} b0"
    ),
    "W507 no promise": lambda: weft.view(strict_array(), "a b -> b a"),
    "W508 no elements": lambda: weft.asnumpy(torch.zeros(2, 3, device="meta")),
    "W509 no sharding": lambda: weft.einsum(X, "a b c d -> a b", out_sharding=("x", None)),
    "W510 a callable in TorchScript": lambda: Reduce("a b -> a", torch.amax).__prepare_scriptable__(),
    "W511 no opt_einsum": lambda: without("opt_einsum", lambda: asked(contract="dp")),
    "W511 no cotengra": lambda: without("cotengra", lambda: asked(contract="cotengra")),
    "W512 a wish": lambda: weft.einsum(X, X, "a b c d, a b c e -> d e", precision="highest"),
}


def axes(letter, count):
    return " ".join(f"{letter}{number}" for number in range(count))


def strict_array(shape=(2, 3)):
    return pytest.importorskip("array_api_strict").zeros(shape)


def asked(**options):
    """A contraction of three tensors, as the options want it."""
    with weft.options(**options):
        return weft.einsum(X, X, X, "a b c d, a b c e, a b c f -> d e")


def without(package, call):
    """A call where a package is not installed."""
    kept = sys.modules.get(package)
    sys.modules[package] = None
    try:
        return call()
    finally:
        del sys.modules[package]
        if kept is not None:
            sys.modules[package] = kept


def text_of(call) -> str:
    with pytest.raises(WeftError) as caught:
        call()
    error = caught.value
    assert isinstance(error, CODES[error.code][0])
    return f"{type(error).__module__}.{type(error).__name__}: {error}".replace(hex(id(fresh_lambda)), "0x0")


def taken() -> dict[str, str]:
    parts = SNAPSHOT.read_text(encoding="utf-8").split("\n\n## ")[1:]
    return dict(part.rstrip("\n").split("\n", 1) for part in parts)


@pytest.mark.parametrize("name", CALLS)
def test_the_text_is_that_of_the_snapshot(name):
    text = text_of(CALLS[name])
    assert text == taken()[name]
    assert f"[{name[:4]}]" in text


def test_every_code_has_a_snapshot():
    assert {name[:4] for name in CALLS} == set(CODES)
    assert taken().keys() == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_carets_stand_below_what_they_mean(name):
    with pytest.raises(WeftError) as caught:
        CALLS[name]()
    error = caught.value
    for start, stop in error.spans:
        assert error.pattern is not None
        assert 0 <= start <= stop <= len(error.pattern)


def test_what_a_bad_size_leaves_behind_is_nothing():
    pattern = "b c (h p) w -> b c h p w"
    for bad in (2.0, True, np.True_, torch.tensor(True), np.float64(2), "2", None, 2 + 0j):
        with pytest.raises(weft.SizeError, match="W301"):
            weft.rearrange(X, pattern, h=bad)
        assert weft.rearrange(X, pattern, h=2).shape == (2, 3, 2, 2, 6)
        with pytest.raises(weft.SizeError, match="W301"):
            weft.rearrange(X, pattern, h=bad)
    assert weft.rearrange(X[:, :, :1], pattern, h=1).shape == (2, 3, 1, 1, 6)
    with pytest.raises(weft.SizeError, match="W301"):
        weft.rearrange(X[:, :, :1], pattern, h=True)


def test_sizes_may_be_any_exact_integer():
    class Two:
        def __index__(self):
            return 2

    for size in (2, np.int64(2), np.uint8(2), Two(), torch.tensor(2)):
        assert weft.rearrange(X, "b c (h p) w -> b c h p w", h=size).shape == (2, 3, 2, 2, 6)


def test_a_size_meets_its_axis_under_every_spelling():
    assert weft.rearrange(X, "b c (ℎ p) w -> b c ℎ p w", h=2).shape == (2, 3, 2, 2, 6)
    assert weft.rearrange(X, "b c (h p) w -> b c h p w", **{"ℎ": 2}).shape == (2, 3, 2, 2, 6)
    assert eval('weft.rearrange(X, "b c (ℎ p) w -> b c ℎ p w", ℎ=2).shape', {"weft": weft, "X": X}) == (2, 3, 2, 2, 6)
    assert weft.compile("b (ℎ p) -> b ℎ p", h=2) == weft.compile("b (h p) -> b h p", h=2)


def test_a_size_that_is_not_used_is_an_error_in_every_operation():
    for call in (
        lambda: weft.rearrange(X, "b c h w -> b c w h", q=2),
        lambda: weft.view(X, "b c h w -> b c w h", q=2),
        lambda: weft.reduce(X, "b c h w -> b c", "max", q=2),
        lambda: weft.repeat(X, "b c h w -> b c h w", q=2),
        lambda: weft.einsum(X, "a b c d -> d", q=2),
        lambda: weft.einsum("abcd->d", X, q=2),
        lambda: weft.compile("b c -> c b", q=2),
        lambda: weft.explain("b c -> c b", (2, 3), q=2),
    ):
        with pytest.raises(weft.AxisError, match="W203"):
            call()


@pytest.mark.parametrize("name", ["W305 einsum", "W204 dropped", "W303 three unknown", "W205 added"])
def test_the_text_does_not_change_with_the_hash_seed(name):
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import test_errors as t; print(t.text_of(t.CALLS[{name!r}]))"
    texts = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        texts.add(run.stdout)
    assert len(texts) == 1


def test_errors_are_pickled_whole():
    with pytest.raises(WeftError) as caught:
        CALLS["W302 indivisible"]()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is weft.SizeError
    assert (str(copy), copy.code, copy.spans) == (str(caught.value), "W302", caught.value.spans)


def test_an_error_made_by_hand():
    error = WeftError("nothing fits")
    assert str(error) == "nothing fits"
    assert isinstance(error, ValueError)


def test_carets_under_wide_and_combining_characters():
    error = fail("W103", "no", "日本 e\u0301 x", [(6, 7)])
    assert str(error).splitlines()[1:] == ["  日本 e\u0301 x", " " * 9 + "^"]


def test_a_long_pattern_is_shown_in_part():
    pattern = " ".join(f"a{number}" for number in range(500)) + " ("
    with pytest.raises(weft.PatternSyntaxError) as caught:
        weft.compile(pattern)
    lines = str(caught.value).splitlines()
    assert all(len(line) < 120 for line in lines)
    assert lines[1].index("(") == lines[2].index("^")


def test_an_error_comes_alone():
    """The ways that a call takes inside weft are not shown above it."""
    for call in (
        lambda: weft.rearrange([X, X[:1]], "n ... -> ... n"),
        lambda: weft.rearrange(5, "a -> a"),
        lambda: weft.reduce(X, "b c h w -> b", lambda tensor, axes: None),
        lambda: weft.compile("b c h -> b h c").rearrange(X),
        lambda: weft.compile("b -> b").rearrange(5),
    ):
        with pytest.raises(WeftError) as caught:
            call()
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_an_error_in_a_callable_is_the_callers_own():
    def failing(tensor, axes):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        weft.reduce(X, "b c h w -> b", failing)
    with pytest.raises(KeyError, match="mine"):
        weft.reduce(X, "b c h w -> b", failing)


if __name__ == "__main__":
    texts = [f"\n\n## {name}\n{text_of(call)}" for name, call in CALLS.items()]
    SNAPSHOT.write_text("# The full text of every error" + "".join(texts) + "\n", encoding="utf-8")
