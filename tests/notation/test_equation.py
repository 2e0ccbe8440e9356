"""Classical equations: words that look like names, equations that `explain` and `compile` read, foreign arguments."""

from __future__ import annotations

import inspect
import pickle
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait._notation.equation import PATTERN_LAST_HINT, equation_as_pattern
from plait._shapes.solver import CLASSICAL_ARGUMENT_NAMES

np = pytest.importorskip("numpy")

X = np.arange(12.0).reshape(2, 6)
WORD_STRATEGY = st.sampled_from(["batch", "vec", "head", "dim", "ab", "time"])


def caught_warnings(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [warning.message for warning in caught]


@pytest.mark.parametrize(
    "equation",
    [
        *(
            "batch i, batch i -> batch",
            "batch dim, dim out -> batch out",
            "b head, b head ->",
            "...vec i, ...vec i -> i",
        ),
        *("i batch", "i,j->i batch", "i j, j kk -> i"),
    ],
)
def test_words_side_by_side_in_a_term_are_an_error(equation):
    tensors = [X] * (equation.partition("->")[0].count(",") + 1)
    with pytest.raises(plait.PatternSyntaxError, match="PLT110") as caught:
        plait.einsum(equation, *tensors)
    assert PATTERN_LAST_HINT in caught.value.message
    assert len(caught.value.spans) > 1


@given(st.lists(WORD_STRATEGY, min_size=1, max_size=3), WORD_STRATEGY, WORD_STRATEGY)
def test_a_term_of_drawn_words_is_an_error(others, word, last):
    for term in (f"{word} {last}", f"{word} i", f"... {word} {last}", f"i {word}"):
        equation = ", ".join([*others, term]) + " -> "
        with pytest.raises(plait.PatternSyntaxError, match="PLT110"):
            plait.einsum(equation, *[X] * (len(others) + 1))


@pytest.mark.parametrize("equation", ["i j, j k -> i k", "ij, jk -> ik", " ij ,jk->i k", "... i, i -> ...", "ij"])
def test_letters_with_white_space_are_letters(equation):
    tensors = [X, X.T][: equation.partition("->")[0].count(",") + 1]
    tensors = [X, X[0]] if equation.startswith("...") else tensors
    np.testing.assert_array_equal(plait.einsum(equation, *tensors), np.einsum(equation, *tensors))


@pytest.mark.parametrize("equation", ["i...jk,...kj->...i", "i...jk, ...kj -> ...i", "ij... -> ...ji"])
def test_letters_around_an_ellipsis_are_separate_axes(equation):
    tensors = [np.arange(24.0).reshape(2, 3, 4), np.arange(12.0).reshape(4, 3)]
    tensors = tensors[: equation.partition("->")[0].count(",") + 1]
    np.testing.assert_array_equal(plait.einsum(equation, *tensors), np.einsum(equation, *tensors))


@pytest.mark.parametrize(
    ("equation", "word"),
    [
        ("...vec, ...vec -> ...", "vec"),
        ("...vec,...vec->...", "vec"),
        ("...vec -> ...vec", "vec"),
        ("vec..., vec... -> ...", "vec"),
        ("...abc, ...abc, ... -> ...", "abc"),
    ],
)
def test_a_word_beside_an_ellipsis_in_two_terms_warns_once(equation, word):
    count = equation.partition("->")[0].count(",") + 1
    tensors = [np.ones((2, 2, 2))] * count

    def call():
        np.testing.assert_array_equal(plait.einsum(equation, *tensors), np.einsum(equation, *tensors))

    (warning,) = caught_warnings(call)
    assert isinstance(warning, plait.AxisWarning)
    assert warning.code == "PLT602"
    assert f"'{word}' in" in str(warning)
    assert PATTERN_LAST_HINT in str(warning)
    assert not caught_warnings(call)


@pytest.mark.parametrize(
    "equation",
    ["ijk,ijk->", "bij,bij->b", "...ij,...jk->...ik", "...ij,...ij->...", "...abc,abc->...", "...ijk,...klm->...ijlm"],
)
def test_usual_equations_give_no_warning(equation):
    terms = equation.partition("->")[0].split(",")
    tensors = [np.ones((2,) * len(term.replace("...", ""))) for term in terms]
    assert not caught_warnings(lambda: plait.einsum(equation, *tensors))


def test_a_pattern_of_words_is_read_as_words():
    result = plait.einsum(X, X, "...vec, ...vec -> ...")
    np.testing.assert_array_equal(result, (X * X).sum(-1))
    np.testing.assert_array_equal(plait.einsum(X, X, "batch i, batch i -> batch"), (X * X).sum(-1))


def test_a_rank_that_does_not_fit_a_word_names_both_forms():
    with pytest.raises(plait.SizeError, match="PLT304") as caught:
        plait.einsum("vec, vec ->", X[0], X[0])
    assert PATTERN_LAST_HINT in caught.value.message
    with pytest.raises(plait.SizeError, match="PLT304") as caught:
        plait.einsum("i, i ->", X, X)
    assert PATTERN_LAST_HINT not in caught.value.message


@pytest.mark.parametrize(
    ("equation", "shapes", "pattern"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], "i j, j k -> i k"),
        ("ij,jk", [(2, 3), (3, 4)], "i j, j k -> i k"),
        ("i,j->ij", [(2,), (3,)], "i, j -> i j"),
        ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)], "... i j, ... j k -> ... i k"),
        ("ab, bc, cd", [(2, 3), (3, 4), (4, 5)], "a b, b c, c d -> a d"),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5)] * 2, "b h i d, b h j d -> b h i j"),
    ],
)
def test_explain_and_compile_read_equations_of_several_tensors(equation, shapes, pattern):
    tensors = [np.ones(shape) for shape in shapes]
    compiled = plait.compile(equation)
    assert compiled.text == pattern
    assert compiled.explain(*shapes).text == plait.explain(pattern, *shapes).text
    assert eval(repr(compiled)) == pickle.loads(pickle.dumps(compiled)) == compiled
    assert hash(eval(repr(compiled))) == hash(compiled)
    assert compiled != plait.compile(pattern)  # which stretches no length
    np.testing.assert_array_equal(plait.compile(equation).einsum(*tensors), np.einsum(equation, *tensors))
    assert str(plait.explain(equation, *shapes)) == str(plait.explain(pattern, *shapes))
    assert str(plait.explain(equation, *tensors)) == str(plait.explain(pattern, *tensors))
    code = plait.explain(equation, *shapes).source("numpy")
    namespace = {}
    exec(code, namespace)
    np.testing.assert_array_equal(namespace["einsum"](*tensors), np.einsum(equation, *tensors))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("ij,jk", [(2, 3), (1, 4)]),
        ("ab,bc,cd->ad", [(2, 3), (1, 4), (4, 5)]),
        ("ab,bc,cd,ad", [(2, 1), (3, 1), (4, 5), (1, 5)]),
        ("...ij,...jk->...ik", [(5, 2, 1), (1, 3, 4)]),
        ("ij,ij->ij", [(1, 3), (2, 1)]),
        ("ii,ij->j", [(1, 1), (3, 2)]),
        ("i,i->i", [(1,), (1,)]),
    ],
)
def test_explain_and_compile_stretch_length_1_of_a_letter(equation, shapes):
    arrays = [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in shapes]
    expected = np.einsum(equation, *arrays)
    assert plait.explain(equation, *shapes).lines[-1].shape == expected.shape
    assert plait.explain(equation, *arrays).lines[-1].shape == expected.shape
    if equation != "ij,ij->ij" and equation != "i,i->i":  # patterns of axes with these names
        compiled = plait.compile(equation)
        for _ in range(2):
            np.testing.assert_allclose(compiled.einsum(*arrays), expected)
        assert compiled.output_shape(*shapes) == expected.shape
        assert compiled.explain(*arrays).lines[-1].shape == expected.shape


def test_an_equation_in_a_sequence_is_the_pattern_that_says_the_same():
    merged = plait.compile("ij,jk->ik") >> plait.compile("i k -> (i k)")
    assert merged.einsum(np.ones((2, 3)), np.ones((3, 4))).tolist() == [3.0] * 8
    with pytest.raises(plait.SizeError, match="a named axis is not stretched"):
        merged.einsum(np.ones((2, 1)), np.ones((3, 4)))


@pytest.mark.parametrize(
    ("equation", "shapes", "pattern"),
    [
        ("ij->ji", [(2, 3)], "i j -> j i"),
        ("ij->j", [(2, 3)], "i j -> j"),
        ("ij->", [(2, 3)], "i j ->"),
        ("ii", [(3, 3)], "i i ->"),
        ("ii->i", [(3, 3)], "i i -> i"),
        ("ij,ij->", [(2, 3)] * 2, "i j, i j ->"),
        ("ij,ij->ij", [(2, 3)] * 2, "i j, i j -> i j"),
    ],
)
def test_explain_reads_an_equation_that_may_be_a_pattern_by_the_ranks(equation, shapes, pattern):
    assert str(plait.explain(equation, *shapes)) == str(plait.explain(pattern, *shapes))


@pytest.mark.parametrize(
    "pattern",
    [
        *("a b, b c -> a c", "head dim, dim out -> head out", "ij, ij -> ij", "ij ->", "ij -> ij", "row -> row col"),
        *("iℎ,ℎj->ij", "i×,×j->ij"),  # a pattern would have another name, or none
        *("(a b) -> a b", "a b", "", "->", "a -> b -> c", "a, b -> c, d", "i j, j k -> i q", "bchw -> bhwc", 5, None),
    ],
)
def test_patterns_stay_patterns(pattern):
    assert equation_as_pattern(pattern) is None


def test_a_pattern_without_blanks_still_says_so():
    with pytest.raises(plait.AxisError, match=r"write blanks between axes: 'b c h w'"):
        plait.compile("bchw -> bhwc").rearrange(np.ones((1, 2, 3, 4)))
    with pytest.raises(plait.AxisError, match="write blanks between axes: 'i j', or put the equation first"):
        plait.einsum(X, X.T, "ij,jk->ik")
    assert plait.compile("ij,jk->ik", ik=3).text == "ij, jk -> ik"


def names_of_foreign_arguments():
    """The arguments of other libraries' einsums that plait's does not have, of those installed and of the newest."""
    names = {*("use_blas", "memory_limit", "backend", "optimizer")}
    names |= {*("_dot_general", "name", "stream", "split_every", "constants", "shapes", "acc_dtype")}
    try:
        from opt_einsum import contract, contract_expression
    except ImportError:
        return sorted(names)
    for function in (contract, contract_expression):
        parameters = inspect.signature(function).parameters.values()
        names |= {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return sorted(names - {*CLASSICAL_ARGUMENT_NAMES})


@pytest.mark.parametrize("name", names_of_foreign_arguments())
def test_arguments_of_other_einsums_are_named_as_what_they_are(name):
    for value in (True, None, "auto", np.zeros((2, 3)), np.float32, 7):
        for call in (
            lambda value=value: plait.einsum(X, X, "i j, i j -> i", **{name: value}),
            lambda value=value: plait.einsum("ij,ij->i", X, X, **{name: value}),
        ):
            with pytest.raises(plait.AxisError, match="PLT203") as caught:
                call()
            assert f"'{name}' is not an axis of the pattern or an argument of plait; " in caught.value.message
            assert "\n" not in caught.value.facts["given"]


@pytest.mark.parametrize("name", ["precision", "preferred_element_type", "out_sharding"])
def test_arguments_for_jax_alone_say_so(name):
    with pytest.raises(plait.BackendError, match=r"PLT5(09|12)"):
        plait.einsum(X, X, "i j, i j -> i", **{name: "highest"})


def test_an_axis_may_have_the_name_of_an_argument():
    assert plait.einsum(X, np.ones((6, 3)), "b optimize, optimize out -> b out", out=3, optimize=6).shape == (2, 3)


@pytest.mark.parametrize("name", ["tensor", "pattern", "reduction"])
def test_sizes_named_like_arguments_are_given_to_compile(name):
    text = f"b ({name} c) -> b {name} c"
    assert plait.compile(text, **{name: 2}).rearrange(X).shape == (2, 2, 3)
    assert plait.rearrange(X, text, c=3).shape == (2, 2, 3)
    with pytest.raises(plait.SizeError, match=r"PLT303.*e\.g\. c=2"):
        plait.rearrange(X, text)
    with pytest.raises(plait.SizeError, match=f"PLT303.*'{name}' is an argument, or use plait.compile"):
        plait.repeat(X, f"b c -> b c {name}")
    with pytest.raises(TypeError, match="multiple values"):
        plait.reduce(X, text, "sum", **{name: 2})
