"""Error messages: calls that fail, whose full error texts are in `snapshot.txt`; every code has at least one.

``python tests/errors/test_errors.py`` rewrites that file; read the difference before committing it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.errors import CODES, AxisWarning, PlaitError, make_error
from plait.layers import MixSpec
from plait.layers._spec import (
    forbid_int_arguments_named_like_axes,
    forbid_reduction_module,
    merge_sizes,
    operation_spec,
)

torch = pytest.importorskip("torch")

from plait.layers.torch import Reduce  # noqa: E402

SNAPSHOT = Path(__file__).with_name("snapshot.txt")
ARRAY = np.zeros((2, 3, 4, 6))
EMPTY_ARRAY = np.zeros((0, 3))


def return_unchanged(tensor, axes):
    return tensor


class NNModuleStandIn:
    """A callable in place of a module of a framework, such as ``torch.nn.Module``."""

    def __call__(self, tensor, axes):
        return tensor

    def __repr__(self):
        return "Modular()"


def call_within_rank(max_rank, function, *arguments, **sizes):
    with plait.options(max_rank=max_rank):
        return function(*arguments, **sizes)


FAILING_CALLS = {
    # PLT1: syntax
    "PLT101 a number for a pattern": lambda: plait.rearrange(ARRAY, 5),
    "PLT101 tensor and pattern swapped": lambda: plait.rearrange("a -> a", ARRAY),
    "PLT101 bytes": lambda: plait.compile(b"a -> a"),
    "PLT102 a sign": lambda: plait.rearrange(ARRAY, "b c h w -> b c h·w & b"),
    "PLT102 a single dot": lambda: plait.rearrange(ARRAY, "b . w -> b w"),
    "PLT102 two dots": lambda: plait.rearrange(ARRAY, "b .. w -> b w"),
    "PLT102 a half arrow": lambda: plait.rearrange(ARRAY, "b c - b c"),
    "PLT102 the other half": lambda: plait.rearrange(ARRAY, "b c > b c"),
    "PLT102 digits of another script": lambda: plait.rearrange(ARRAY, "b c (h ٣) w -> b c h w"),
    "PLT103 a digit first": lambda: plait.rearrange(ARRAY, "b 2c h w -> b c h w"),
    "PLT103 underscore first": lambda: plait.rearrange(ARRAY, "_b c h w -> c h w"),
    "PLT103 underscore last": lambda: plait.rearrange(ARRAY, "b_ c h w -> c h w b_"),
    "PLT104 never closed": lambda: plait.rearrange(ARRAY, "b c (h w -> b c h w"),
    "PLT104 closes nothing": lambda: plait.rearrange(ARRAY, "b c h) w -> b c h w"),
    "PLT104 crossed": lambda: plait.rearrange(ARRAY, "b c (h w] -> b c h w"),
    "PLT105 no arrow": lambda: plait.rearrange(ARRAY, "b c h w"),
    "PLT105 two arrows": lambda: plait.rearrange(ARRAY, "b c -> h -> w"),
    "PLT105 empty": lambda: plait.rearrange(ARRAY, ""),
    "PLT106 two ellipses": lambda: plait.rearrange(ARRAY, "... b ... -> b ..."),
    "PLT107 a huge number": lambda: plait.repeat(ARRAY, "b c h w -> b c h w 99999999999999999999"),
    "PLT108 too deep": lambda: plait.rearrange(ARRAY, "(" * 40 + "a" + ")" * 40 + " -> a"),
    "PLT109 plus outside": lambda: plait.rearrange(ARRAY, "b + c -> b c"),
    "PLT109 nothing before": lambda: plait.rearrange(ARRAY, "(+ c) -> c"),
    "PLT109 nothing after": lambda: plait.rearrange(ARRAY, "(c +) -> c"),
    "PLT110 classical": lambda: plait.einsum("ij;jk", ARRAY, ARRAY),
    "PLT110 an arrow of one character": lambda: plait.einsum("ij→ji", ARRAY),
    "PLT110 an axis number": lambda: plait.einsum(np.zeros((2, 3)), [0, 52]),
    "PLT110 words in an equation": lambda: plait.einsum("batch i, batch i -> batch", ARRAY, ARRAY),
    "PLT110 classical two outputs": lambda: plait.einsum("ij->i,j", np.zeros((2, 3))),
    # PLT2: rules of the operations
    "PLT201 brackets": lambda: plait.rearrange(ARRAY, "b [c] h w -> b c h w"),
    "PLT201 plus": lambda: plait.rearrange(ARRAY, "b (c + d) h w -> b c h w d"),
    "PLT201 named ellipsis": lambda: plait.rearrange(ARRAY, "b c... -> c... b"),
    "PLT201 star": lambda: plait.rearrange(ARRAY, "b * -> * b"),
    "PLT201 underscore": lambda: plait.rearrange(ARRAY, "b _ h w -> b h w"),
    "PLT201 pack with an arrow": lambda: plait.pack([ARRAY], "a * -> *"),
    "PLT201 pack with a group": lambda: plait.pack([ARRAY], "(a b) *"),
    "PLT201 parse_shape with a group": lambda: plait.parse_shape(ARRAY, "b (c d) h w"),
    "PLT201 parse_shape with an arrow": lambda: plait.parse_shape(ARRAY, "b c h w -> b"),
    "PLT202 two inputs": lambda: plait.rearrange(ARRAY, "b c, h w -> b c h w"),
    "PLT202 two outputs": lambda: plait.rearrange(ARRAY, "b c h w -> b c, h w"),
    "PLT202 einsum": lambda: plait.einsum(ARRAY, "a b c d, d e -> a e"),
    "PLT202 classical": lambda: plait.einsum("ab,bc", ARRAY),
    "PLT203 misspelt": lambda: plait.rearrange(np.zeros((8, 8)), "(h ph) w -> h ph w", p=2),
    "PLT203 unknown": lambda: plait.rearrange(ARRAY, "b c h w -> b c h w", zebra=2),
    "PLT203 an argument of numpy.einsum": lambda: plait.einsum(ARRAY, "a b c d -> a", optimize=True),
    "PLT203 a size in the interleaved form": lambda: plait.einsum(np.zeros((2, 3)), [0, 1], A=2),
    "PLT203 an array for an argument": lambda: plait.einsum(ARRAY, "a b c d -> a", out=np.zeros((2, 2))),
    "PLT203 an argument of numpy.sum": lambda: plait.reduce(ARRAY, "a b c d -> a", "sum", keepdims=True),
    "PLT204 dropped": lambda: plait.rearrange(ARRAY, "b c h w -> b h"),
    "PLT204 strict": lambda: einsum_with_options(strict=True),
    "PLT204 repeat drops": lambda: plait.repeat(ARRAY, "b c h w -> b c h w2", w2=3),
    "PLT205 added": lambda: plait.rearrange(ARRAY, "b c h w -> b c h w d"),
    "PLT205 reduce adds": lambda: plait.reduce(ARRAY, "b c h w -> b d", "max", d=2),
    "PLT205 einsum adds": lambda: plait.einsum(ARRAY, "a b c d -> a e"),
    "PLT206 twice left": lambda: plait.rearrange(ARRAY, "b b h w -> b h w"),
    "PLT206 twice right": lambda: plait.rearrange(ARRAY, "b c h w -> b c (h c) w"),
    "PLT206 pack": lambda: plait.pack([ARRAY], "a a *"),
    "PLT207 number left": lambda: plait.rearrange(ARRAY, "b c (h 2) w -> b c h w"),
    "PLT207 number right": lambda: plait.rearrange(ARRAY, "b c h w -> b c h w 2"),
    "PLT207 reduce": lambda: plait.reduce(ARRAY, "b c h w -> b 3", "max"),
    "PLT208 right only": lambda: plait.rearrange(ARRAY, "b c h w -> b c h w ..."),
    "PLT208 left only": lambda: plait.rearrange(ARRAY, "b ... -> b"),
    "PLT208 in a group": lambda: plait.rearrange(ARRAY, "(b ...) w -> b ... w"),
    "PLT208 einsum": lambda: plait.einsum(ARRAY, "... a -> a"),
    "PLT209 misspelt": lambda: plait.reduce(ARRAY, "b c h w -> b", "maen"),
    "PLT209 no reduction": lambda: plait.reduce(ARRAY, "b c h w -> b", 3),
    "PLT209 an operation without source": lambda: plait.compile("a -> a").source("numpy", 1, operation="pack"),
    "PLT209 the source of a callable": lambda: plait.compile("a b -> a").source("numpy", 2, reduction=return_unchanged),
    "PLT209 the source of a reduction that is not made": lambda: plait.compile("a -> a").source(
        "numpy", 1, reduction="sum"
    ),
    "PLT210 no star": lambda: plait.pack([ARRAY], "b c"),
    "PLT210 two stars": lambda: plait.unpack(ARRAY, [(1,)], "* b *"),
    "PLT214 a path that does not fit": lambda: einsum_with_options(contract=[(0, 3), (0, 1)]),
    "PLT214 tensors left over": lambda: einsum_with_options(contract=[(0, 1)]),
    "PLT214 a function without a path": lambda: einsum_with_options(contract=lambda *_: None),
    "PLT214 a misspelt way": lambda: einsum_with_options(contract="optimum"),
    "PLT214 no path for optimize": lambda: plait.einsum("i,i", np.zeros(2), np.zeros(2), optimize=3.5),
    "PLT214 no path": lambda: einsum_with_options(contract=-1),
    "PLT215 two plans": lambda: (
        (plait.compile("a b -> (a b)") >> plait.compile("(c d) -> c d", c=3)).explain((2, 6)).source("numpy")
    ),
    "PLT216 another pattern": lambda: einsum_with_options(contract=CHAIN_PLAN),
    "PLT216 other shapes": lambda: call_with_plan("a b, b c, c d -> a d", (2, 3), (3, 5), (5, 4)),
    "PLT216 another size": lambda: call_with_plan("(a b) c, c d -> a b d", (4, 3), (3, 5), a=2),
    "PLT217 no JSON": lambda: plait.ContractionPlan.from_json("a b, b c -> a c"),
    "PLT217 another object": lambda: plait.ContractionPlan.from_json('{"path": [[0, 1]]}'),
    "PLT217 a later version": lambda: plait.ContractionPlan.from_json(CHAIN_PLAN.to_json().replace("1", "7", 1)),
    "PLT217 a lacking entry": lambda: plait.ContractionPlan.from_json(CHAIN_PLAN.to_json().replace('"path"', '"way"')),
    "PLT217 another number of shapes": lambda: plait.ContractionPlan("a b, b c -> a c", [(2, 3)], [(0,)]),
    "PLT218 too large": lambda: plait.compile("a b, b c -> a c").with_constants({2: ARRAY}),
    "PLT218 no number": lambda: plait.compile("a b, b c -> a c").with_constants({"b": ARRAY}),
    "PLT218 no mapping": lambda: plait.compile("a b, b c -> a c").with_constants([1, 2]),
    "PLT202 a pattern with constants": lambda: compiled_with_constant().einsum(np.ones((2, 3)), np.ones((3, 4))),
    "PLT304 a constant": lambda: plait.compile("a b, b c -> a c").with_constants({1: ARRAY}),
    "PLT302 a constant": lambda: plait.compile("a b, b (c d) -> a c d", d=3).with_constants({1: np.ones((3, 4))}),
    "PLT305 two constants": lambda: plait.compile("a b, b c, c d -> a d").with_constants(
        {0: np.ones((2, 3)), 1: np.ones((4, 5))}
    ),
    "PLT305 a constant and a tensor": lambda: compiled_with_constant().einsum(np.ones((2, 4))),
    "PLT215 a pattern with constants in a sequence": lambda: compiled_with_constant() >> plait.compile("a c -> c a"),
    "PLT301 a limit": lambda: einsum_with_options(memory_limit=2.5),
    "PLT201 a comma in a weight": lambda: MixSpec.read("b c -> b d", "c, d", None, {"c": 3, "d": 4}),
    "PLT201 a group in a weight": lambda: MixSpec.read("b c -> b d", "(c d)", None, {"c": 3, "d": 4}),
    "PLT205 in no weight": lambda: MixSpec.read("b c -> b d", "c", None, {"c": 3, "d": 4}),
    "PLT207 in a mix": lambda: MixSpec.read("b 2 c -> b d", "c d", None, {"c": 3, "d": 4}),
    "PLT207 in a weight": lambda: MixSpec.read("b c -> b d", "c 4", None, {"c": 3}),
    "PLT208 in a mix": lambda: MixSpec.read("b c ... -> b d", "c d", None, {"c": 3, "d": 4}),
    "PLT212 of a weight": lambda: MixSpec.read("batch chan -> batch out", "chans out", None, {"chans": 3, "out": 4}),
    "PLT212 of a bias": lambda: MixSpec.read("b c -> b d", "c d", "c d", {"c": 3, "d": 4}),
    "PLT213 an argument of a layer": lambda: forbid_int_arguments_named_like_axes("b dtype -> b c", dtype=2),
    "PLT209 a module with parameters": lambda: forbid_reduction_module(
        operation_spec("reduce", "b c -> b", {}, NNModuleStandIn()), NNModuleStandIn
    ),
    "PLT101 a weight that is no text": lambda: MixSpec.read("b c -> b d", ["c", "d"], None, {"c": 3, "d": 4}),
    "PLT105 a layer": lambda: operation_spec("reduce", "b c", {}, "max"),
    "PLT203 a misspelt argument of a layer": lambda: MixSpec.read(
        "b c -> b d", "c d", None, {"c": 3, "d": 4, "dtpye": "float"}
    ),
    "PLT211 no inverse": lambda: plait.compile("a b, b c -> a c").inverse(),
    # PLT3: ranks and sizes
    "PLT301 float": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=2.0),
    "PLT301 bool": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=True),
    "PLT301 text": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h="2"),
    "PLT301 None": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=None),
    "PLT302 indivisible": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", p=3),
    "PLT302 by a number": lambda: plait.reduce(ARRAY, "b (c 2) h w -> b c h w", "max"),
    "PLT302 by two": lambda: plait.rearrange(ARRAY, "b c h (w p q) -> b c h w p q", p=2, q=2),
    "PLT303 two unknown": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w"),
    "PLT303 three unknown": lambda: plait.rearrange(ARRAY, "b c h (x y z) -> b c h x y z"),
    "PLT303 a size of a weight": lambda: MixSpec.read("b c -> b d", "c d", "d", {"c": 3}),
    "PLT303 a size of a bias": lambda: MixSpec.read("b c -> b d", "c d", "b d", {"c": 3, "d": 4}),
    "PLT303 in a mix": lambda: MixSpec.read("b (t s) c -> b t s d", "c d", None, {"c": 3, "d": 4}),
    "PLT305 in a mix": lambda: MixSpec.read("b c -> b d", "c d", None, {"c": 3, "d": 4})(
        np.zeros((2, 5)), np.zeros((3, 4))
    ),
    "PLT311 as a dict and as a keyword": lambda: merge_sizes({"h": 2}, {"h": 2}),
    "PLT303 an axis named like an argument": lambda: plait.rearrange(ARRAY, "b c h (w tensor) -> b c h w tensor"),
    "PLT303 a new axis named like an argument": lambda: plait.repeat(ARRAY, "b c h w -> b c h w reduction"),
    "PLT303 repeat": lambda: plait.repeat(ARRAY, "b c h w -> b c h w r"),
    "PLT304 too few": lambda: plait.rearrange(ARRAY, "b c h w d -> b c h w d"),
    "PLT304 too many": lambda: plait.rearrange(ARRAY, "b c h -> b c h"),
    "PLT304 ellipsis": lambda: plait.rearrange(np.zeros(3), "a b ... -> b a ..."),
    "PLT304 empty": lambda: plait.rearrange(ARRAY, "->"),
    "PLT304 einsum": lambda: plait.einsum(ARRAY, ARRAY, "a b c d, d e -> a e"),
    "PLT304 a word in an equation": lambda: plait.einsum("vec, vec ->", np.zeros(3), np.zeros(3)),
    "PLT304 pack": lambda: plait.pack([np.zeros((2, 3)), np.zeros(2)], "a b *"),
    "PLT304 unpack": lambda: plait.unpack(ARRAY, [(1,)], "a *"),
    "PLT304 parse_shape": lambda: plait.parse_shape(ARRAY, "a b"),
    "PLT305 given": lambda: plait.rearrange(ARRAY, "b c h w -> c b h w", b=5),
    "PLT305 unit": lambda: plait.rearrange(ARRAY, "b 1 h w -> b h w"),
    "PLT305 group": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=3, p=2),
    "PLT305 einsum": lambda: plait.einsum(np.zeros((2, 3)), np.zeros((4, 5)), "i k, k j -> i j"),
    "PLT305 length 1 is not stretched": lambda: plait.einsum(np.zeros((2, 1)), np.zeros((5, 3)), "i k, k j -> i j"),
    "PLT305 classical": lambda: plait.einsum("ik,kj", np.zeros((2, 4)), np.zeros((5, 3))),
    "PLT305 interleaved": lambda: plait.einsum(np.zeros((2, 4)), [0, 1], np.zeros((5, 3)), [1, 26]),
    "PLT305 classical after a stretched length": lambda: plait.einsum("i,i,i", np.zeros(1), np.zeros(2), np.zeros(3)),
    "PLT305 ellipsis": lambda: plait.einsum(np.zeros((2, 3)), np.zeros((5, 3)), "... i, ... i -> ..."),
    "PLT305 diagonal": lambda: plait.einsum(np.zeros((2, 3)), "a a -> a"),
    "PLT305 pack": lambda: plait.pack([np.zeros((2, 3)), np.zeros((3, 3))], "b *"),
    "PLT305 parse_shape": lambda: plait.parse_shape(ARRAY, "b 5 h w"),
    "PLT306 negative": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=-1),
    "PLT306 zero": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=0),
    "PLT307 max of nothing": lambda: plait.reduce(EMPTY_ARRAY, "a b -> b", "max"),
    "PLT308 shapes differ": lambda: plait.rearrange([ARRAY, ARRAY[:1]], "n b c h w -> n b c h w"),
    "PLT308 empty list": lambda: plait.rearrange([], "n b -> b n"),
    "PLT309 too much": lambda: plait.unpack(np.zeros((2, 5)), [(3,), (3,)], "b *"),
    "PLT309 two open": lambda: plait.unpack(np.zeros((2, 5)), [(-1,), (-1,)], "b *"),
    "PLT309 open does not fit": lambda: plait.unpack(np.zeros((2, 5)), [(2, -1)], "b *"),
    "PLT309 no shape": lambda: plait.unpack(np.zeros((2, 5)), [3, 2], "b *"),
    "PLT309 a float": lambda: plait.unpack(np.zeros((2, 5)), [(2.0,), (3,)], "b *"),
    "PLT310 callable": lambda: plait.reduce(ARRAY, "b c h w -> b", return_unchanged),
    "PLT310 callable returns nothing": lambda: plait.reduce(ARRAY, "b c h w -> b", lambda tensor, axes: None),
    "PLT311 twice": lambda: plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", **{"h": 2, "ℎ": 2}),
    "PLT312 out": lambda: plait.einsum("ij->i", np.zeros((2, 3)), out=np.zeros(3)),
    "PLT301 a limit without a unit": lambda: einsum_with_options(memory_limit="1024"),
    "PLT313 a limit below the result": lambda: einsum_with_options(memory_limit="1 B"),
    "PLT214 progress": lambda: einsum_with_options(progress=3),
    "PLT301 a rank": lambda: plait.options(max_rank=4.5),
    "PLT314 a rank below the lowest": lambda: plait.options(max_rank=2),
    "PLT314 the result": lambda: call_within_rank(4, plait.rearrange, ARRAY, "b c (h p) w -> b c h p w", p=2),
    "PLT314 the input": lambda: call_within_rank(3, plait.reduce, ARRAY, "b c h w -> b c", "max"),
    "PLT314 an operand": lambda: call_within_rank(3, plait.einsum, ARRAY[0, 0], ARRAY, "w k, b c h w -> b k"),
    "PLT314 a packed tensor": lambda: call_within_rank(3, plait.pack, [ARRAY[0], ARRAY], "* w"),
    "PLT314 an unpacked tensor": lambda: call_within_rank(3, plait.unpack, ARRAY[0], [(2, 2)], "c * w"),
    "PLT314 a layer": lambda: Reduce("b (h p) (w q) -> b h p w q", "max", p=2, q=2, max_rank=4),
    "PLT314 a limit of memory too": lambda: einsum_with_options(memory_limit=8000, max_rank=4),
    # PLT4: views
    "PLT401 merge": lambda: plait.view(ARRAY, "b c h w -> b (h w c)"),
    "PLT401 list": lambda: plait.view([ARRAY, ARRAY], "n b c h w -> n b c h w"),
    "PLT401 strided": lambda: plait.view(ARRAY[:, ::2], "b c h w -> (b c) h w"),
    # PLT5: frameworks
    "PLT501 a framework": lambda: plait.compile("a -> a").source("nunpy", 1),
    "PLT501 a number in a pattern": lambda: plait.einsum(ARRAY, 2.0, "a b c d, -> a"),
    "PLT501 a list beside a tensor": lambda: plait.einsum("i,i", torch.zeros(2), [1.0, 2.0]),
    "PLT501 a number": lambda: plait.rearrange(5, "a -> a"),
    "PLT501 a list of numbers": lambda: plait.rearrange([1, 2], "a -> a"),
    "PLT501 a stranger": lambda: plait.rearrange(
        type("Stranger", (), {"shape": (2,), "__module__": "elsewhere"})(), "a -> a"
    ),
    "PLT501 pack of one tensor": lambda: plait.pack(ARRAY, "a *"),
    "PLT502 broken": lambda: plait.rearrange(np.dtype("f4"), "a -> a"),
    "PLT503 mean of integers": lambda: plait.reduce(np.zeros((2, 3), np.int64), "a b -> a", "mean"),
    "PLT503 max of complex": lambda: plait.reduce(np.zeros((2, 3), np.complex64), "a b -> a", "max"),
    "PLT503 std of bool": lambda: plait.reduce(np.zeros((2, 3), bool), "a b -> a", "std"),
    "PLT504 mixed": lambda: plait.einsum(ARRAY, torch.zeros(2), "a b c d, a -> b"),
    "PLT504 mixed list": lambda: plait.rearrange([ARRAY, torch.zeros(2, 3, 4, 6)], "n ... -> ... n"),
    "PLT505 hidden rank": lambda: torch.fx.symbolic_trace(lambda x: plait.rearrange(x, "a ... -> ... a")),
    "PLT506 too many axes": lambda: plait.einsum(
        strict_array((1,) * 30),
        strict_array((1,) * 30),
        f"{numbered_axes('a', 30)}, {numbered_axes('b', 30)} -> {numbered_axes('a', 30)} b0",
    ),
    "PLT507 no promise": lambda: plait.view(strict_array(), "a b -> b a"),
    "PLT508 no elements": lambda: plait.asnumpy(torch.zeros(2, 3, device="meta")),
    "PLT509 no sharding": lambda: plait.einsum(ARRAY, "a b c d -> a b", out_sharding=("x", None)),
    "PLT510 a callable in TorchScript": lambda: Reduce("a b -> a", torch.amax).__prepare_scriptable__(),
    "PLT511 no opt_einsum": lambda: call_without_package("opt_einsum", lambda: einsum_with_options(contract="auto-hq")),
    "PLT511 no cotengra": lambda: call_without_package("cotengra", lambda: einsum_with_options(contract="cotengra")),
    "PLT512 a wish": lambda: plait.einsum(ARRAY, ARRAY, "a b c d, a b c e -> d e", precision="highest"),
    "PLT512 out": lambda: plait.einsum("i->", torch.zeros(2), out=torch.zeros(())),
    "PLT513 too many axes": lambda: plait.repeat(ARRAY, f"b c h w -> b c h w {' '.join(['1'] * 61)}"),
    "PLT513 several devices": lambda: plait.einsum(torch.zeros(2), torch.zeros(2, device="meta"), "i, i ->"),
    "PLT514 nested": lambda: plait.rearrange(jagged_tensor(), "b (t p) d -> b t p d", p=2),
    "PLT515 coordinates": lambda: plait.einsum(labelled_array(0), labelled_array(1), "a b, a b -> a"),
    "PLT516 a cast": lambda: plait.einsum("ij->i", np.zeros((2, 3)), dtype="int32"),
    "PLT516 a cast of the result": lambda: plait.einsum("ij->i", np.zeros((2, 3)), out=np.zeros(2, "float32")),
    "PLT516 an order": lambda: plait.einsum("ij->i", np.zeros((2, 3)), order="W"),
    "PLT517 an operand": lambda: write_while_sharing(0),
    # PLT6: warnings
    "PLT601 a misspelt axis": lambda: plait.einsum(np.zeros((2, 3)), np.zeros((4, 3)), "h channel, w chanel -> h w"),
    "PLT602 a word": lambda: plait.einsum("...vec, ...vec -> ...", ARRAY, ARRAY),
}


def jagged_tensor():
    return torch.nested.nested_tensor([torch.zeros(3, 2), torch.zeros(5, 2)], layout=torch.jagged)


def labelled_array(start):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(np.zeros((2, 3)), dims=("time", "lon"), coords={"time": [start, start + 1]})


def numbered_axes(letter, count):
    return " ".join(f"{letter}{number}" for number in range(count))


def strict_array(shape=(2, 3)):
    return pytest.importorskip("array_api_strict").zeros(shape)


def einsum_with_options(**options):
    """Contract three tensors with these options of `plait.options`."""
    with plait.options(**options):
        return plait.einsum(ARRAY, ARRAY, ARRAY, "a b c d, a b c e, a b c f -> d e")


CHAIN_PLAN = plait.ContractionPlan("a b, b c, c d -> a d", [(2, 3), (3, 4), (4, 5)], [(0, 1), (0, 1)])


def call_with_plan(pattern, *shapes, **sizes):
    """Contract tensors by a plan that was made for the same pattern and tensors of other shapes or sizes."""
    plans = {
        CHAIN_PLAN.pattern: CHAIN_PLAN,
        "(a b) c, c d -> a b d": plait.ContractionPlan("(a b) c, c d -> a b d", [(4, 3), (3, 5)], [(0, 1)], {"a": 4}),
    }
    with plait.options(contract=plans[pattern]):
        return plait.einsum(*[np.zeros(shape) for shape in shapes], pattern, **sizes)


def write_while_sharing(number):
    """Write into an operand between two contractions that share their results."""
    tensors = [torch.ones(2, 3), torch.ones(3, 4), torch.ones(4, 5)]
    with plait.share_intermediates():
        for _ in range(2):
            plait.einsum(*tensors, "a b, b c, c d -> a d")
            tensors[number].zero_()


def compiled_with_constant():
    """Return a pattern of two matrices, the second of which is constant."""
    return plait.compile("a b, b c -> a c").with_constants({1: np.ones((3, 4))})


def call_without_package(package, call):
    """Run a call as if a package were not installed."""
    kept = sys.modules.get(package)
    sys.modules[package] = None
    try:
        return call()
    finally:
        del sys.modules[package]
        if kept is not None:
            sys.modules[package] = kept


def error_text(call) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AxisWarning)
        with pytest.raises((PlaitError, AxisWarning)) as caught:
            call()
    error = caught.value
    assert isinstance(error, CODES[error.code][0])
    return f"{type(error).__module__}.{type(error).__name__}: {error}".replace(hex(id(return_unchanged)), "0x0")


def read_snapshot() -> dict[str, str]:
    parts = SNAPSHOT.read_text(encoding="utf-8").split("\n\n## ")[1:]
    return dict(part.rstrip("\n").split("\n", 1) for part in parts)


@pytest.mark.parametrize("name", FAILING_CALLS)
def test_error_text_equals_the_snapshot(name):
    text = error_text(FAILING_CALLS[name])
    assert text == read_snapshot()[name]
    assert f"[{name.split()[0]}]" in text


def test_every_code_has_a_snapshot_entry():
    assert {name.split()[0] for name in FAILING_CALLS} == set(CODES)
    assert read_snapshot().keys() == FAILING_CALLS.keys()


@pytest.mark.parametrize("name", FAILING_CALLS)
def test_spans_are_within_the_pattern(name):
    with pytest.raises((PlaitError, AxisWarning)) as caught:
        FAILING_CALLS[name]()
    error = caught.value
    for start, stop in getattr(error, "spans", ()):
        assert error.pattern is not None
        assert 0 <= start <= stop <= len(error.pattern)


def test_invalid_sizes_do_not_change_the_cache():
    pattern = "b c (h p) w -> b c h p w"
    for bad in (2.0, True, np.True_, torch.tensor(True), np.float64(2), "2", None, 2 + 0j):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(ARRAY, pattern, h=bad)
        assert plait.rearrange(ARRAY, pattern, h=2).shape == (2, 3, 2, 2, 6)
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(ARRAY, pattern, h=bad)
    assert plait.rearrange(ARRAY[:, :, :1], pattern, h=1).shape == (2, 3, 1, 1, 6)
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.rearrange(ARRAY[:, :, :1], pattern, h=True)


def test_sizes_may_be_any_object_with_an_exact_index():
    class Two:
        def __index__(self):
            return 2

    for size in (2, np.int64(2), np.uint8(2), Two(), torch.tensor(2)):
        assert plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", h=size).shape == (2, 3, 2, 2, 6)


def test_size_names_are_normalized_to_nfkc():
    assert plait.rearrange(ARRAY, "b c (ℎ p) w -> b c ℎ p w", h=2).shape == (2, 3, 2, 2, 6)
    assert plait.rearrange(ARRAY, "b c (h p) w -> b c h p w", **{"ℎ": 2}).shape == (2, 3, 2, 2, 6)
    assert eval('plait.rearrange(ARRAY, "b c (ℎ p) w -> b c ℎ p w", ℎ=2).shape', {"plait": plait, "ARRAY": ARRAY}) == (
        2,
        3,
        2,
        2,
        6,
    )
    assert plait.compile("b (ℎ p) -> b ℎ p", h=2) == plait.compile("b (h p) -> b h p", h=2)


def test_every_operation_rejects_sizes_of_absent_axes():
    for call in (
        lambda: plait.rearrange(ARRAY, "b c h w -> b c w h", q=2),
        lambda: plait.view(ARRAY, "b c h w -> b c w h", q=2),
        lambda: plait.reduce(ARRAY, "b c h w -> b c", "max", q=2),
        lambda: plait.repeat(ARRAY, "b c h w -> b c h w", q=2),
        lambda: plait.einsum(ARRAY, "a b c d -> d", q=2),
        lambda: plait.einsum("abcd->d", ARRAY, q=2),
        lambda: plait.compile("b c -> c b", q=2),
        lambda: plait.explain("b c -> c b", (2, 3), q=2),
    ):
        with pytest.raises(plait.AxisError, match="PLT203"):
            call()


@pytest.mark.parametrize("name", ["PLT305 einsum", "PLT204 dropped", "PLT303 three unknown", "PLT205 added"])
def test_error_text_does_not_depend_on_the_hash_seed(name):
    here = str(Path(__file__).parent)
    imports = f"import sys; sys.path.insert(0, {here!r}); import test_errors as tests"
    code = f"{imports}; print(tests.error_text(tests.FAILING_CALLS[{name!r}]))"
    texts = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        texts.add(run.stdout)
    assert len(texts) == 1


def test_pickled_errors_keep_their_attributes():
    with pytest.raises(PlaitError) as caught:
        FAILING_CALLS["PLT302 indivisible"]()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is plait.SizeError
    assert (str(copy), copy.code, copy.spans) == (str(caught.value), "PLT302", caught.value.spans)


def test_plait_error_without_a_code():
    error = PlaitError("nothing fits")
    assert str(error) == "nothing fits"
    assert isinstance(error, ValueError)


def test_carets_align_below_wide_and_combining_characters():
    error = make_error("PLT103", "no", "日本 e\u0301 x", [(6, 7)])
    assert str(error).splitlines()[1:] == ["  日本 e\u0301 x", " " * 9 + "^"]


def test_long_patterns_are_shown_in_part():
    pattern = " ".join(f"a{number}" for number in range(500)) + " ("
    with pytest.raises(plait.PatternSyntaxError) as caught:
        plait.compile(pattern)
    lines = str(caught.value).splitlines()
    assert all(len(line) < 120 for line in lines)
    assert lines[1].index("(") == lines[2].index("^")


def test_errors_have_no_visible_context():
    """A traceback does not show exceptions that plait handled internally."""
    for call in (
        lambda: plait.rearrange([ARRAY, ARRAY[:1]], "n ... -> ... n"),
        lambda: plait.rearrange(5, "a -> a"),
        lambda: plait.reduce(ARRAY, "b c h w -> b", lambda tensor, axes: None),
        lambda: plait.compile("b c h -> b h c").rearrange(ARRAY),
        lambda: plait.compile("b -> b").rearrange(5),
    ):
        with pytest.raises(PlaitError) as caught:
            call()
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_errors_in_a_callable_reduction_are_raised_unchanged():
    def failing(tensor, axes):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        plait.reduce(ARRAY, "b c h w -> b", failing)
    with pytest.raises(KeyError, match="mine"):
        plait.reduce(ARRAY, "b c h w -> b", failing)


if __name__ == "__main__":
    texts = [f"\n\n## {name}\n{error_text(call)}" for name, call in FAILING_CALLS.items()]
    SNAPSHOT.write_text("# The full text of every error" + "".join(texts) + "\n", encoding="utf-8")
