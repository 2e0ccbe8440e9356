"""`PatternPipeline`: which stages fuse into one pattern, its methods, and its error messages."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import tracemalloc
import warnings
import weakref

import pytest

import plait
from plait._executor.pipeline import fuse_stages_for_shapes

np = pytest.importorskip("numpy")

from pipelines import assert_equal_arrays, compose_all, integers_modulo_7, to_pattern  # noqa: E402


def fused_stages_for(composed, *shapes, operation="rearrange", reduction=""):
    """Return the fused stages of a pipeline for tensors of these shapes."""
    return fuse_stages_for_shapes(operation, composed._stages, shapes, reduction).fused_stages


# Fusion


def test_inverse_stages_fuse_to_the_identity():
    x = integers_modulo_7(2, 12, 5)
    split = to_pattern("b (h p) c -> p b c h", p=3)
    assert (split >> split.inverse()).rearrange(x) is x
    assert (split >> split.inverse() >> split >> split.inverse()).rearrange(x) is x
    assert (split >> split.inverse()).view(x) is x


FUSED_CASES = [
    ("b h w c -> b c h w >> n c h w -> n (c h w)", ((2, 3, 4, 5),), "b h w c -> b (c h w)", {}),
    ("b (h w:6) -> b h w >> b (h p:2) w -> b (h p w)", ((2, 24),), "b h_p_w -> b h_p_w", {}),
    ("b (h w:6) -> b h w >> b h w -> b (h w)", ((2, 24),), "b h_w -> b h_w", {}),
    ("a b -> (a b) >> (c d:3) -> d c", ((4, 6),), "a (b1 d) -> d (a b1)", {"d": 3}),
    ("(a b:4) -> b a >> (c d:2) e -> c e d", ((12,),), "(a c d) -> c a d", {"c": 2, "d": 2}),
    ("(a b:4) -> b a >> (c d:2) e -> c e d >> x y z -> z (x y)", ((12,),), "(a c d) -> d (c a)", {"c": 2, "d": 2}),
    ("b h -> h b >> h b -> (b h)", ((2, 3),), "b h -> (b h)", {}),
    ("b h -> h b >> b h -> b h 1", ((2, 3),), "b h -> h b 1", {}),
    ("... c -> c ... >> c a ... -> a (c ...)", ((2, 3, 4),), "a axis c -> a (c axis)", {}),
    ("a ... -> ... a >> ... -> (...)", ((2, 3, 4),), "a axis axis2 -> (axis axis2 a)", {}),
    ("a b c -> a ((b) (c)) >> a (b c:4) -> b (a c)", ((2, 3, 4),), "a b c -> b (a c)", {}),
    ("a b -> b a 1 >> x y z -> z (y x)", ((2, 3),), "a b -> 1 (a b)", {}),
    ("a b 1 -> a () b >> x 1 y -> (x y)", ((2, 3, 1),), "a b 1 -> (a b)", {}),
    ("a b -> b a >> b a -> a (b) >> (x y:2) z -> y x z", ((4, 0),), "(x y) b -> y x b", {"y": 2}),
    ("a -> a r:3 >> a b -> b a", ((2,),), "a -> r a", {"r": 3}),
    ("a -> a 3 >> ... b -> b ...", ((2,),), "a -> b a", {"b": 3}),
    ("a -> a 3 >> ... -> (...)", ((2,),), "a -> (a 3)", {}),
    ("a b -> b a >> b a -> b a c:2 >> ... -> (...)", ((2, 3),), "a b -> (b a c)", {"c": 2}),
    ("a b -> a >> x -> x 1", ((2, 3),), "a b -> a 1", {}),
    ("a 3 -> a >> x -> x 1", ((2, 3),), "a 3 -> a 1", {}),
    ("a b c -> c a b >> (x 1) y z -> y", ((2, 3, 4),), "a b c -> a", {}),
    ("a b -> a b 1 >> b a c -> b a", ((2, 3),), "(a c) b -> a b", {"c": 1}),
    (
        "b (h w:6) c -> b c h w >> b c (h 2) (w 2) -> b c",
        ((1, 24, 3),),
        "b (h h2 w w2) c -> b c",
        {"h2": 2, "w": 3, "w2": 2},
    ),
    ("a b c -> c (a b) >> c n, n k -> c k", ((2, 3, 4), (6, 5)), "a b c, (a b) k -> c k", {}),
    ("k n -> n k >> (i j:3) k, j -> (i j) k", ((2, 6), (3,)), "k (i j), j -> (i j) k", {}),
    ("i j, j k -> i k >> i k, k l -> i l", ((2, 3), (3, 4), (4, 5)), "i j, j k, k l -> i l", {}),
]
"""Patterns, with some sizes written behind a colon; the shapes; and the one pattern."""


def parse_pipeline(text):
    """Return the pipeline for a text with ``>>`` between the patterns."""
    return compose_all(
        [
            to_pattern(re.sub(r":\d+", "", part), **{n: int(s) for n, s in re.findall(r"(\w+):(\d+)", part)})
            for part in text.split(" >> ")
        ]
    )


@pytest.mark.parametrize(("composition", "shapes", "text", "sizes"), FUSED_CASES)
def test_stages_fuse_into_one_pattern(composition, shapes, text, sizes):
    composed = parse_pipeline(composition)
    explained = composed.explain(*shapes)
    operation = explained.operation
    (fused_stage,) = fused_stages_for(
        composed, *shapes, operation=operation, reduction="sum" if operation == "reduce" else ""
    )
    assert fused_stage.stage == (text, tuple(sizes.items()))
    assert explained.lines == plait.explain(text, *shapes, **sizes).lines
    assert explained.lines[-1].shape == composed.output_shape(*shapes)


UNFUSED_CASES = [
    ("a b -> (a b) >> (c d:4) -> d c", ((2, 6),), "", "dimension 0 between them is a*b = 2*6 and then c*d = 3*4"),
    ("a -> a 2 >> a b -> a", ((3,),), "sum", "the second pattern reduces an axis that the first one adds"),
    ("a b -> a >> a -> a 2", ((3, 4),), "sum", "no single operation both removes and adds axes"),
    ("a b c -> a b >> a b -> a", ((2, 3, 4),), "var", "var of var is not var of all"),
    ("-> 1 >> a ->", ((),), "any", "the tensor has no dimension for the unit axis between them"),
    ("a b -> b a >> a b -> a", ((2, 3),), "custom", "a function is called with the dimensions of its own pattern"),
    ("a b -> b a >> a a -> a", ((2, 2),), "", "an axis appears twice in the tensor between them"),
]
"""Compositions that are not one pattern, the reduction, and the reason."""


@pytest.mark.parametrize(("composition", "shapes", "reduction", "reason"), UNFUSED_CASES)
def test_stages_that_do_not_fuse(composition, shapes, reduction, reason):
    composed = parse_pipeline(composition)
    operation = "reduce" if reduction else "einsum" if "a a" in composition else "rearrange"
    found = fuse_stages_for_shapes(operation, composed._stages, shapes, reduction)
    assert [fused_stage.stage for fused_stage in found.fused_stages] == list(composed._stages)
    assert found.reasons[0].startswith(reason)


def test_third_stage_may_make_fusion_possible():
    halves, thirds = to_pattern("(a b) -> a b", a=2), to_pattern("(c d) -> c d", c=3)
    refused = halves.inverse() >> thirds
    assert [fused_stage.stage for fused_stage in fused_stages_for(refused, (2, 6))] == list(refused._stages)
    composed = halves >> halves.inverse() >> thirds >> thirds.inverse()
    (fused_stage,) = fused_stages_for(composed, (12,))
    assert fused_stage.stage[0] == "c_d -> c_d"
    x = np.arange(12)
    assert composed.rearrange(x) is x


def test_part_of_a_pipeline_fuses():
    one, two, three = to_pattern("a b -> b a"), to_pattern("b a -> (a b)"), to_pattern("(c d) -> c d", c=3)
    composed = one >> two >> three
    assert [fused_stage.stage for fused_stage in fused_stages_for(composed, (2, 6))] == [
        ("a b -> (a b)", ()),
        *three._stages,
    ]
    x = np.arange(12).reshape(2, 6)
    for _ in range(2):
        assert_equal_arrays(composed.rearrange(x), three.rearrange(two.rearrange(one.rearrange(x))))
    assert str(composed.explain((2, 6))) == PARTLY_FUSED_EXPLANATION


PARTLY_FUSED_EXPLANATION = """\
plait.compile('a b -> b a') >> plait.compile('b a -> (a b)') >> plait.compile('(c d) -> c d', c=3)
rearrange  a b -> (a b)
  input     2 6   a b
  reshape   12    (a b)   view
  output    12    (a b)
then, since dimension 0 between them is a*b = 2*6 and then c*d = 3*4, which are not made of the same parts:
rearrange  (c d) -> c d   c=3
  input     12    (c d)
  reshape   3 4   c d     view
  output    3 4   c d"""


def test_stages_around_an_unmergeable_reduction_fuse():
    composed = (
        to_pattern("a b c -> c b a") >> to_pattern("c b a -> c b") >> to_pattern("c b -> b c") >> to_pattern("b c -> b")
    )
    found = fuse_stages_for_shapes("reduce", composed._stages, ((2, 3, 4),), "std")
    assert [fused_stage.stage[0] for fused_stage in found.fused_stages] == ["a b c -> b c", "b c -> b"]
    x = np.sin(integers_modulo_7(2, 3, 4))
    np.testing.assert_allclose(composed.reduce(x, "std"), x.std(0).std(1))
    np.testing.assert_allclose(composed.reduce(x, lambda tensor, axes: tensor.max(axes)), x.max((0, 2)))


def test_unit_axes_survive_fusion():
    x = integers_modulo_7(2, 3)
    composed = to_pattern("a b -> a b 1") >> to_pattern("a b c -> a b")
    assert composed.reduce(x, "any").dtype == bool
    assert (to_pattern("a b -> a b 1") >> to_pattern("a b 1 -> a b")).reduce(x, "any") is x


def test_broadcast_ellipsis_fuses():
    x, y = integers_modulo_7(4, 1, 3), integers_modulo_7(5, 3)
    composed = to_pattern("c a b -> a b c") >> to_pattern("... b c, ... b -> ... c")
    assert_equal_arrays(
        composed.einsum(x, y), np.einsum("xbc,xb->xc", np.broadcast_to(x.transpose(1, 2, 0), (5, 3, 4)), y)
    )
    assert len(fused_stages_for(composed, (4, 1, 3), (5, 3), operation="einsum")) == 1


def test_chain_of_matrix_products_fuses_into_one_einsum():
    a, b, c = integers_modulo_7(40, 2), integers_modulo_7(2, 40), integers_modulo_7(40, 2)
    composed = to_pattern("i j, j k -> i k") >> to_pattern("i k, k l -> i l")
    assert_equal_arrays(composed.einsum(a, b, c), a @ b @ c)
    assert composed.explain(a.shape, b.shape, c.shape).costs.path == ((1, 2), (0, 1))


@pytest.mark.parametrize(
    ("first", "pool", "product"),
    [
        ("b h w c -> b c (w h)", "b c (n 16) -> b c n", "b c n, c k -> b n k"),
        ("b h w c -> (b w h) c", "(b n) c -> b c", "n c, c k -> n k"),
        ("b h w c -> (w h) c b", "(n 16) c b -> b n c", "n c b, c k -> k b n"),
    ],
)
def test_fusion_avoids_the_memory_of_a_rearranged_copy(first, pool, product):
    x, weight = np.ones((4, 64, 64, 32)), np.ones((32, 8))
    first = to_pattern(first)
    pool, product = to_pattern(pool, **({"b": 4} if "(b n)" in pool else {})), to_pattern(product)
    pooled, multiplied = first >> pool, first >> product
    for call, separately in (
        (lambda: pooled.reduce(x, "sum"), lambda: pool.reduce(first.rearrange(x), "sum")),
        (lambda: pooled.reduce(x, "max"), lambda: pool.reduce(first.rearrange(x), "max")),
        (lambda: multiplied.einsum(x, weight), lambda: product.einsum(first.rearrange(x), weight)),
    ):
        assert_equal_arrays(call(), separately())
        assert peak_memory(call) < x.nbytes / 2 < x.nbytes <= peak_memory(separately)


def peak_memory(call):
    """Return the largest number of bytes that a call allocates."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_pipeline_view_where_one_stage_alone_would_copy():
    x = integers_modulo_7(2, 12, 5)
    first = to_pattern("a b c -> c (b a)")
    with pytest.raises(plait.CopyRequiredError):
        first.view(x)
    composed = first >> to_pattern("c (b a) -> a b c", a=2)
    assert composed.view(x) is x
    with pytest.raises(plait.CopyRequiredError) as caught:
        (first >> to_pattern("c (b a) -> b (a c)", a=2)).view(x)
    assert str(caught.value) == EXPECTED_MESSAGES["a copy"]
    with pytest.raises(plait.CopyRequiredError):
        composed.view([x[0], x[1]])


# The methods of a pipeline


def test_equality_and_hash_of_pipelines():
    one, two, three = to_pattern("a b -> b a"), to_pattern("b (h p) -> b h p", p=2), to_pattern("... -> (...)")
    composed = one >> two >> three
    assert composed == one >> (two >> three)
    assert hash(composed) == hash(one >> (two >> three))
    assert composed != one >> two
    assert composed != to_pattern("b (h p) -> b h p", p=3)
    assert composed.patterns == (one, two, three)
    text = "plait.compile('a b -> b a') >> plait.compile('b (h p) -> b h p', p=2) >> plait.compile('... -> (...)')"
    assert repr(composed) == text
    assert eval(text) == composed
    x = integers_modulo_7(4, 3)
    composed.rearrange(x)
    for other in (pickle.loads(pickle.dumps(composed)), copy.copy(composed), copy.deepcopy(composed)):
        assert other == composed
        assert_equal_arrays(other.rearrange(x), composed.rearrange(x))
    for name in ("patterns", "other"):
        with pytest.raises(AttributeError, match="a PatternPipeline is immutable"):
            setattr(composed, name, ())
    with pytest.raises(AttributeError):
        del composed.patterns


@pytest.mark.parametrize("other", ["a b -> b a", None, 3, np.zeros(2), plait.rearrange])
def test_composition_with_another_type_raises(other):
    with pytest.raises(TypeError):
        to_pattern("a b -> b a") >> other
    with pytest.raises(TypeError):
        other >> to_pattern("a b -> b a")


def test_inverse_of_a_pipeline():
    split, merge = to_pattern("b (h p) c -> b h p c", p=2), to_pattern("b h p c -> p b (h c)")
    composed = split >> merge
    x = integers_modulo_7(2, 6, 5)
    back = composed.inverse(c=5)
    assert back == merge.inverse(c=5) >> split.inverse(c=5)
    assert_equal_arrays(back.rearrange(composed.rearrange(x)), x)
    assert (composed >> back).rearrange(x) is x
    with pytest.raises(plait.SizeError, match="PLT303"):
        composed.inverse()
    with pytest.raises(plait.AxisError, match="PLT203"):
        composed.inverse(cc=5)
    with pytest.raises(plait.AxisError, match="PLT211"):
        (to_pattern("a b -> b a") >> to_pattern("b a, a c -> b c")).inverse()


def test_output_shape_of_a_pipeline():
    composed = to_pattern("b (h p) -> b h p", p=2) >> to_pattern("b h p, p k -> k (b h)")
    assert composed.output_shape((3, 8), (2, 5)) == (5, 12)
    assert composed.output_shape((None, 8), (2, None)) == (None, None)
    for shapes, code in (
        (((3, 8),), "PLT202"),
        (((3, 7), (2, 5)), "PLT302"),
        (((3, 8), (3, 5)), "PLT305"),
        ((), "PLT202"),
    ):
        with pytest.raises(plait.PlaitError, match=code):
            composed.output_shape(*shapes)
        with pytest.raises(plait.PlaitError, match=code):
            composed.explain(*shapes)


def test_second_call_of_a_pipeline_is_one_look_up(monkeypatch):
    x, y = integers_modulo_7(2, 12), integers_modulo_7(12, 3)
    composed = to_pattern("a (b c) -> c b a", c=3) >> to_pattern("c b a -> a (c b)")
    product = to_pattern("a b -> b a") >> to_pattern("b a, b c -> a c")
    reduced = to_pattern("a b -> (a b)") >> to_pattern("(c d) -> c", d=8)
    calls = [
        lambda: composed.rearrange(x),
        lambda: composed.repeat(x),
        lambda: composed.reduce(x, "max"),
        lambda: product.einsum(x, y),
        lambda: reduced.reduce(x, "sum"),
    ]
    expected = [call() for call in calls]
    plait.cache_clear()
    monkeypatch.setattr(plait.PatternPipeline, "_call_on_cache_miss", None)
    for call, result in zip(calls, expected, strict=True):
        assert_equal_arrays(call(), result)


def test_pipeline_caches_a_bounded_number_of_calls():
    from plait._pattern import MAX_CALLABLES_PER_PATTERN

    composed = to_pattern("a b -> b a") >> to_pattern("b a -> (a b)")
    for size in range(2 * MAX_CALLABLES_PER_PATTERN + 5):
        composed.rearrange(np.zeros((size, 1)))
    assert 0 < len(composed._callables) <= MAX_CALLABLES_PER_PATTERN


def test_pipeline_does_not_keep_closures_alive():
    class Held:
        pass

    held = Held()
    seen = weakref.ref(held)
    composed = to_pattern("a b c -> c b a") >> to_pattern("c b a -> c")
    composed.reduce(integers_modulo_7(2, 3, 4), lambda tensor, axes, held=held: tensor.max(axes))
    del held
    gc.collect()
    assert seen() is None


def test_pipeline_stacks_a_list_of_tensors_once():
    x = integers_modulo_7(2, 3)
    composed = to_pattern("n a b -> b a n") >> to_pattern("b a n -> (n a) b")
    assert_equal_arrays(composed.rearrange([x, x + 1]), np.concatenate([x, x + 1]))
    assert_equal_arrays((to_pattern("n a -> a n") >> to_pattern("a n, a k -> n k")).einsum([x[0], x[1]], x.T), x @ x.T)


def test_options_apply_to_the_whole_pipeline():
    a, b, c = integers_modulo_7(4, 2), integers_modulo_7(2, 4), integers_modulo_7(4, 2)
    composed = to_pattern("i j, j k -> i k") >> to_pattern("i k, k l -> i l")
    with plait.options(contract=[(0, 2), (0, 1)]):
        assert_equal_arrays(composed.einsum(a, b, c), a @ b @ c)
    with plait.options(strict=True), pytest.raises(plait.AxisError, match="PLT204"):
        (to_pattern("a b -> b a") >> to_pattern("b a -> b")).einsum(a)


def test_typo_warning_names_one_stage():
    x, y = integers_modulo_7(2, 3), integers_modulo_7(2, 4)
    alike = to_pattern("b d -> d b") >> to_pattern("x b, b dd -> dd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equal_arrays(alike.einsum(x, y), np.einsum("bd,be->e", x, y))
    plait.cache_clear()
    with pytest.warns(plait.AxisWarning, match="axis 'head' appears only once in 'head b, b heads -> heads'"):
        (to_pattern("b d -> d b") >> to_pattern("head b, b heads -> heads")).einsum(x, y)


# Error messages


X = integers_modulo_7(2, 12, 5)
MISTAKES = {
    "the rank": lambda: to_pattern("a b -> b a") >> to_pattern("a b c -> a (b c)"),
    "the rank at least": lambda: to_pattern("a b ... -> b a ...") >> to_pattern("a -> a"),
    "a length": lambda: to_pattern("a (b c) -> a b c", c=2) >> to_pattern("a b 3 -> a b"),
    "a divisor": lambda: to_pattern("(a b) -> (b a 2)", a=2, b=2) >> to_pattern("(a b) -> a b", b=3),
    "rearrange removes an axis": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n -> n")).rearrange(X),
    "rearrange adds an axis": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n -> n c r", r=2)).rearrange(X),
    "reduce of two tensors": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n, n k -> c k")).reduce(X, "sum"),
    "einsum adds an axis": lambda: (to_pattern("a b c -> c a b r", r=2) >> to_pattern("c a b r, r k -> a k")).einsum(
        X, X
    ),
    "a size of the second stage": lambda: (
        to_pattern("a b c -> c (a b)") >> to_pattern("c (n m) -> n m c", m=7)
    ).rearrange(X),
    "a size of the first stage": lambda: (
        to_pattern("a (b d) c -> c a b d", d=5) >> to_pattern("... -> (...)")
    ).rearrange(X),
    "the reduction": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n -> n")).reduce(X, "maen"),
    "mean of integers": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n -> n")).reduce(X, "mean"),
    "maximum of no elements": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n -> c")).reduce(X[:0], "max"),
    "too few": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n, n k -> c k")).einsum(X),
    "too many": lambda: (to_pattern("a b c -> c (a b)") >> to_pattern("c n, n k -> c k")).einsum(X, X, X),
    "no tensor": lambda: (to_pattern("a b -> b a") >> to_pattern("b a -> a b")).rearrange(5),
    "a copy": lambda: (to_pattern("a b c -> c (b a)") >> to_pattern("c (b a) -> b (a c)", a=2)).view(X),
}
EXPECTED_MESSAGES = {
    "the rank": """\
[PLT304] the input has rank 2, but the pattern 'a b c' has 3 dimensions
  a b c -> a (b c)
  ^^^^^
  input: _ _   after: a b -> b a""",
    "the rank at least": """\
[PLT304] the input has rank 2 at least, but the pattern 'a' has 1 dimension
  a -> a
  ^
  after: a b ... -> b a ...""",
    "a length": """\
[PLT305] dimension 2 of the input must have length 3, but has length 2
  a b 3 -> a b
      ^
  input: _ _ 2   after: a (b c) -> a b c""",
    "a divisor": """\
[PLT302] b=3 does not divide dimension 0 of the input (length 8)
  (a b) -> a b
  ^^^^^
  input: 8   given: b=3   after: (a b) -> (b a 2)""",
    "rearrange removes an axis": """\
[PLT204] axis 'c' does not appear on the right; rearrange cannot remove axes (use reduce)
  c n -> n
  ^""",
    "rearrange adds an axis": """\
[PLT205] axis 'r' does not appear on the left; rearrange cannot add axes (use repeat)
  c n -> n c r
             ^""",
    "reduce of two tensors": """\
[PLT202] reduce takes one tensor, but the left side has 2
  c n, n k -> c k
  ^^^  ^^^""",
    "einsum adds an axis": """\
[PLT205] axis 'r' does not appear on the left; einsum cannot add axes (use repeat)
  a b c -> c a b r
                 ^""",
    "a size of the second stage": """\
[PLT302] m=7 does not divide dimension 1 of the input (length 24)
  c (n m) -> n m c
    ^^^^^
  input: 5 24   given: m=7   after: a b c -> c (a b)""",
    "a size of the first stage": """\
[PLT302] d=5 does not divide dimension 1 of the input (length 12)
  a (b d) c -> c a b d
    ^^^^^
  input: 2 12 5   given: d=5""",
    "the reduction": """\
[PLT209] unknown reduction 'maen'; did you mean 'mean'?
  known: min, max, sum, mean, prod, any, all, std, var, logsumexp""",
    "mean of integers": """\
[PLT503] mean is not defined on int64; convert the tensor to floating point first, or pass a function, e.g. np.mean
  a b c -> c (a b)
  input: 2 12 5""",
    "maximum of no elements": """\
[PLT307] the minimum or maximum over no elements is not defined; a reduced axis has length 0
  c n -> c
    ^
  input: 5 0""",
    "too few": """\
[PLT202] the left side of the pattern has 2 tensors, but einsum was given 1
  c n, n k -> c k
  ^^^ ^^^^^
  input: 5 24""",
    "too many": """\
[PLT202] the left side of the pattern has 2 tensors, but einsum was given 3
  c n, n k -> c k
  ^^^ ^^^^^
  tensor 0: 5 24   tensor 1: 2 12 5   tensor 2: 2 12 5""",
    "no tensor": """\
[PLT501] expected a tensor, not int: 5""",
    "a copy": """\
[PLT401] (a c) needs a copy, since its axes are not adjacent in memory; use rearrange, which copies where it must
  a b c -> b (a c)
             ^^^^^
  input: 2 12 5   strides: 480 40 8""",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_error_messages_quote_the_stage(name):
    with pytest.raises(plait.PlaitError) as caught:
        MISTAKES[name]()
    assert str(caught.value) == EXPECTED_MESSAGES[name]


def test_reduce_of_a_pipeline_that_fuses_into_a_repeat():
    composed = plait.compile("a -> a b", b=2) >> plait.compile("a b -> b a")
    x = np.arange(3.0)
    for _ in range(2):
        assert composed.reduce(x, "sum").tolist() == [[0, 1, 2], [0, 1, 2]]
    assert [key[0] for key in composed._callables] == ["reduce"]
