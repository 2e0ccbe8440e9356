"""`Pattern.with_constants`: the results are those of all operands, and what is constant is contracted once."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import sys
import threading
import weakref

import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._executor import constants as constants_module
from plait._pattern_with_constants import MAX_CALLS_PER_PATTERN

np = pytest.importorskip("numpy")

from einsum_strategies import (  # noqa: E402
    classical_equations,
    einsum_patterns,
    expected_einsum,
    random_integer_array,
)


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


U, V, W, X = array(30, 20), array(20, 3, seed=1), array(3, 7, seed=2), array(50, 30, seed=3)


@pytest.fixture
def einsum_shapes(monkeypatch):
    """The shapes of the operands of every part of an einsum with constants that is computed."""
    seen, build = [], constants_module.build_einsum

    def watched(stage, tensors, options):
        function = build(stage, tensors, options)

        def call(*operands):
            seen.append([tuple(operand.shape) for operand in operands])
            return function(*operands)

        return call

    monkeypatch.setattr(constants_module, "build_einsum", watched)
    return seen


def test_constants_are_contracted_once(einsum_shapes):
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    for _ in range(3):
        np.testing.assert_allclose(pattern.einsum(X), X @ U @ V)
    assert einsum_shapes == [[(30, 20), (20, 3)], *[[(50, 30), (30, 3)]] * 3]


def test_calls_of_other_shapes_use_what_is_contracted_and_other_types_do_not(einsum_shapes):
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    for tensor in (X, X[:2], X.astype(np.float32), X[:2]):
        result = pattern.einsum(tensor)
        assert result.dtype == np.einsum("bi,ir,rj->bj", tensor, U, V).dtype
        np.testing.assert_allclose(result, tensor @ U @ V)
    assert len([shapes for shapes in einsum_shapes if shapes == [(30, 20), (20, 3)]]) == 2


@pytest.mark.parametrize("count", range(1, 5))
def test_every_choice_of_constants_gives_the_same_result(count):
    operands = [X, U, V, W]
    for numbers in itertools.combinations(range(4), count):
        pattern = plait.compile("b i, i r, r j, j k -> k b").with_constants({n: operands[n] for n in numbers})
        others = [operand for n, operand in enumerate(operands) if n not in numbers]
        for _ in range(2):
            np.testing.assert_allclose(pattern.einsum(*others), (X @ U @ V @ W).T)


def test_without_constants_all_operands_are_given():
    pattern = plait.compile("b i, i r -> b r").with_constants({})
    np.testing.assert_allclose(pattern.einsum(X, U), X @ U)
    assert pattern.explain(X, U).lines[-1].shape == (50, 20)


def test_a_result_of_constants_alone_is_computed_once_and_may_be_written(einsum_shapes):
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({0: X, 1: U, 2: V})
    for _ in range(3):
        result = pattern.einsum()
        np.testing.assert_allclose(result, X @ U @ V)
        result[:] = 0
    assert len(einsum_shapes) <= 2
    total = plait.compile("a b ->").with_constants({0: U})
    np.testing.assert_allclose([total.einsum(), total.einsum()], [U.sum()] * 2)
    view = plait.compile("a b -> b a").with_constants({0: U}).einsum()
    view[:] = 0
    assert U.any()


def test_the_path_takes_what_is_constant_for_free():
    """The best path of all operands begins with the tensor that is not constant."""
    x, u, v = np.ones((1, 300)), np.ones((300, 50)), np.ones((50, 300))
    shown = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v}).explain(x)
    assert shown.costs.flops == 2 * 300 * 50 * 2  # the product of u and v would make a call slower
    many = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v}).explain((1000, 300))
    assert many.costs.flops == 2 * 1000 * 300 * 50 * 2
    wide = plait.compile("b i, i r, r j -> b j").with_constants({1: v.T[:30], 2: v}).explain((8, 30))
    assert plait.explain("b i, i r, r j -> b j", (8, 30), (30, 50), (50, 300)).plan.path == ((0, 1), (0, 1))
    assert wide.costs.flops == 2 * 8 * 30 * 300
    assert wide.text.splitlines()[1:3] == ["once:", "einsum  i r, r j -> i j"]


def lowest_flops_per_call(terms, output, lengths, constants):
    """Return the fewest FLOPs of a call over all orders of pairs, in which contractions of constants cost nothing."""

    def search(tensors):
        if len(tensors) == 1:
            return 0
        best = None
        for one, other in itertools.combinations(range(len(tensors)), 2):
            (axes, fixed), (other_axes, other_fixed) = tensors[one], tensors[other]
            rest = [tensor for number, tensor in enumerate(tensors) if number not in (one, other)]
            needed = set(output).union(*[tensor[0] for tensor in rest])
            union = axes | other_axes
            cost = np.prod([lengths[name] for name in union], dtype=int) * (1 + (not union <= needed))
            total = (0 if fixed and other_fixed else cost) + search([*rest, (union & needed, fixed and other_fixed)])
            best = total if best is None else min(best, total)
        return best

    return search([(frozenset(term), number in constants) for number, term in enumerate(terms)])


@given(st.data())
@settings(max_examples=example_count(60), deadline=None)
def test_up_to_five_tensors_have_the_fewest_operations_per_call(data):
    """Of all paths; on costs that count nothing but operations, and so large that no layout matters."""
    from plait._plan.contraction.hoisting import (
        _find_path_with_free_constants,
        _hoisting_along_path,
        contracted_network,
    )
    from plait._plan.contraction.network import TensorNetwork
    from plait._plan.contraction.paths import numbered_steps
    from plait._plan.contraction.tensor_graph import total_cost
    from plait.backends.costs import ContractionCosts

    count = data.draw(st.integers(3, 5))
    terms = [tuple(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))) for _ in range(count)]
    used = sorted({axis for term in terms for axis in term})
    counts = {axis: sum(axis in term for term in terms) for axis in used}
    once = [axis for axis in used if counts[axis] == 1]  # no tensor has an axis for itself alone
    output = tuple(dict.fromkeys([*once, *data.draw(st.lists(st.sampled_from(used), max_size=2))]))
    lengths = tuple(data.draw(st.lists(st.integers(2, 6), min_size=6, max_size=6)))
    constants = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=count - 1)))
    shapes = tuple(tuple(lengths[axis] for axis in term) for term in terms)
    network = TensorNetwork(
        tuple(terms), output, tuple("abcdef"), lengths, shapes, tuple(lengths[axis] for axis in output)
    )
    path = _find_path_with_free_constants(network, constants)
    found = _hoisting_along_path(network, constants, (), path, ContractionCosts())
    rest = contracted_network(network, found.operands)
    flops = total_cost(rest, numbered_steps(found.path, len(found.operands))) if len(found.operands) > 1 else 0
    assert flops == lowest_flops_per_call(terms, output, lengths, {*constants})


@given(einsum_patterns(4), st.data())
@settings(max_examples=example_count(150), deadline=None)
def test_drawn_patterns_equal_the_definition(drawn, data):
    arrays = [random_integer_array(shape, seed) for seed, shape in enumerate(drawn.shapes)]
    numbers = data.draw(st.sets(st.integers(0, len(arrays) - 1)))
    expected = expected_einsum(drawn.text, arrays, drawn.sizes)
    pattern = plait.compile(drawn.text, **drawn.sizes).with_constants({n: arrays[n] for n in numbers})
    others = [operand for n, operand in enumerate(arrays) if n not in numbers]
    for _ in range(2):
        result = pattern.einsum(*others)
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result, expected)
    shapes = [operand.shape for operand in others]
    assert pattern.output_shape(*shapes) == expected.shape
    assert pattern.explain(*shapes).lines[-1].shape == expected.shape
    assert pattern.explain(*others).lines[-1].shape == expected.shape


@pytest.mark.filterwarnings("ignore::plait.AxisWarning")
@given(classical_equations(4), st.data())
@settings(max_examples=example_count(150), deadline=None)
def test_drawn_equations_equal_numpy(drawn, data):
    arrays = [random_integer_array(shape, seed) for seed, shape in enumerate(drawn.shapes)]
    try:
        compiled = plait.compile(drawn.text)
        expected = compiled.einsum(*arrays)
    except plait.PlaitError:  # it may be a pattern of other axes, as "ij,ij->ij"
        return
    if compiled._equation is not None:
        np.testing.assert_array_equal(expected, np.einsum(drawn.text, *arrays))
    numbers = data.draw(st.sets(st.integers(0, len(arrays) - 1)))
    pattern = compiled.with_constants({n: arrays[n] for n in numbers})
    np.testing.assert_array_equal(
        pattern.einsum(*[operand for n, operand in enumerate(arrays) if n not in numbers]), expected
    )


def test_length_1_of_a_letter_is_stretched():
    a, b, c = array(1, 4), array(3, 5, seed=1), array(5, 1, seed=2)
    pattern = plait.compile("ij,jk,kl->il").with_constants({1: b, 2: c})
    a = a[:, :1]
    np.testing.assert_allclose(pattern.einsum(a), np.einsum("ij,jk,kl->il", a, b, c))
    assert pattern.output_shape((6, 1)) == (6, 1)


DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64", "complex64"]


@given(st.lists(st.sampled_from(DTYPES), min_size=3, max_size=3), st.sets(st.integers(0, 2)))
@settings(max_examples=example_count(150), deadline=None)
def test_element_types_are_those_of_all_operands(dtypes, numbers):
    shapes = [(4, 9), (9, 5), (5, 3)]
    operands = [
        (np.random.default_rng(seed).integers(0, 10, shape)).astype(dtype)
        for seed, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    ]
    expected = plait.einsum(*operands, "a b, b c, c d -> a d")
    pattern = plait.compile("a b, b c, c d -> a d").with_constants({n: operands[n] for n in numbers})
    result = pattern.einsum(*[operand for n, operand in enumerate(operands) if n not in numbers])
    assert result.dtype == expected.dtype
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, rtol={"float16": 1e-3}.get(expected.dtype.name, 1e-5))


def test_half_precision_is_rounded_once(einsum_shapes):
    x, u, v = [array(40, 40, seed=seed).astype(np.float16) for seed in range(3)]
    pattern = plait.compile("a b, b c, c d -> a d").with_constants({1: u, 2: v})
    exact = x.astype(float) @ u.astype(float) @ v.astype(float)
    result = pattern.einsum(x)
    assert result.dtype == np.float16
    assert (40, 40) in einsum_shapes[0]
    np.testing.assert_allclose(result.astype(float), exact, rtol=1e-3, atol=2e-2)
    assert np.abs(result - exact).max() <= np.abs(plait.einsum(x, u, v, "a b, b c, c d -> a d") - exact).max() * 1.01


def test_axes_of_a_constant_alone_are_summed_once(einsum_shapes):
    weight = array(30, 20, 4)
    pattern = plait.compile("b i, i r s -> b r").with_constants({1: weight})
    for _ in range(2):
        np.testing.assert_allclose(pattern.einsum(X), X @ weight.sum(2))
    assert einsum_shapes == [[(30, 20, 4)], *[[(50, 30), (30, 20)]] * 2]


def test_large_results_of_constants_are_not_kept(einsum_shapes):
    """The outer product of both constants would make a call cheaper, but needs more memory than all tensors."""
    u, v = array(3000), array(3000, seed=1)
    pattern = plait.compile("i, j, i j -> ").with_constants({0: u, 1: v})
    x = array(3000, 3000, seed=2)
    np.testing.assert_allclose(pattern.einsum(x), u @ x @ v)
    small = plait.compile("i, j, b -> b i j").with_constants({0: u, 1: v}).explain((1,))
    assert all(np.prod(line.shape) <= 4 * 3000 * 3000 + 2**16 for line in small.lines)


def test_options_apply_to_calls():
    pattern = plait.compile("b i, i r, r j, j k -> b k").with_constants({1: U, 2: V})
    expected = X @ U @ V @ W
    for path in ([(1, 2), (0, 1), (0, 1)], [(0, 1), (0, 1), (0, 1)], [(0, 1, 2, 3)], [(2, 3), (0, 2), (0, 1)]):
        with plait.options(contract=path):
            np.testing.assert_allclose(pattern.einsum(X, W), expected)
            np.testing.assert_allclose(pattern.einsum(X, W), expected)
    for contract in ("greedy", "optimal", 0.1, lambda inputs, *_: [(0, 1)] * (len(inputs) - 1)):
        with plait.options(contract=contract):
            np.testing.assert_allclose(pattern.einsum(X, W), expected)
    with plait.options(contract=plait.explain("b i, i r, r j, j k -> b k", X, U, V, W).plan):
        np.testing.assert_allclose(pattern.einsum(X, W), expected)
    with plait.options(contract=[(0, 1)]), pytest.raises(plait.AxisError, match="PLT214"):
        pattern.einsum(X, W)
    summed = plait.compile("b i, i r s -> b r").with_constants({1: array(30, 20, 4)})
    summed.einsum(X)
    with plait.options(strict=True), pytest.raises(plait.AxisError, match="PLT204"):
        summed.einsum(X)


def test_cache_clear_forgets_what_was_contracted_and_results_stay_right(einsum_shapes):
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    pattern.einsum(X)
    plait.cache_clear()
    assert not pattern._kept.calls
    assert not pattern._kept.results
    np.testing.assert_allclose(pattern.einsum(X), X @ U @ V)
    assert len([shapes for shapes in einsum_shapes if shapes == [(30, 20), (20, 3)]]) == 2


def test_the_number_of_kept_calls_is_bounded():
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    for size in range(3 * MAX_CALLS_PER_PATTERN):
        pattern.einsum(X[:1].repeat(size, 0))
    assert 0 < len(pattern._kept.calls) <= MAX_CALLS_PER_PATTERN


def test_constants_are_freed_with_the_pattern():
    class Array(np.ndarray):
        pass

    constant = array(30, 20)
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: constant, 2: V})
    pattern.einsum(X)
    kept = weakref.ref(constant)
    del constant
    gc.collect()
    assert kept() is not None
    del pattern
    gc.collect()
    assert kept() is None


def test_equality_hash_repr_copies_and_pickles():
    compiled = plait.compile("b (i j), i r, r k -> b k j", j=2)
    pattern = compiled.with_constants({2: V, 1: U})
    assert pattern == compiled.with_constants({1: U, 2: V})
    assert hash(pattern) == hash(compiled.with_constants({1: U, 2: V}))
    assert pattern != compiled.with_constants({1: U.copy(), 2: V})
    assert pattern != compiled.with_constants({1: U})
    assert pattern != compiled
    assert repr(pattern) == (
        "plait.compile('b (i j), i r, r k -> b k j', j=2).with_constants({1: <ndarray 30 20>, 2: <ndarray 20 3>})"
    )
    assert list(pattern.constants) == [1, 2]
    pattern.constants.clear()
    assert pattern.constants[1] is U
    x = array(4, 60)
    expected = pattern.einsum(x)
    for other in (pickle.loads(pickle.dumps(pattern)), copy.deepcopy(pattern), copy.copy(pattern)):
        assert isinstance(other, plait.PatternWithConstants)
        assert other.pattern == compiled
        np.testing.assert_allclose(other.einsum(x), expected)
    assert copy.copy(pattern) == pattern
    with pytest.raises(AttributeError, match="immutable"):
        pattern.pattern = compiled
    with pytest.raises(AttributeError, match="immutable"):
        del pattern.pattern


def test_a_pattern_with_constants_is_refused_in_a_sequence():
    pattern = plait.compile("b i, i r -> b r").with_constants({1: U})
    for make in (lambda: pattern >> plait.compile("b r -> r b"), lambda: plait.compile("i b -> b i") >> pattern):
        with pytest.raises(plait.AxisError, match="PLT215"):
            make()


def test_an_error_names_the_operands_of_the_whole_pattern():
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    for call in (pattern.einsum, pattern.explain, pattern.output_shape):
        argument = X[:, :7] if call == pattern.einsum else (50, 7)
        with pytest.raises(plait.SizeError, match=r"PLT305.*\n  b i, i r, r j -> b j\n    \^  \^") as caught:
            call(argument)
        assert caught.value.facts == {"tensor 0": "50 7", "tensor 1": "30 20", "tensor 2": "20 3"}
    for arguments in ((), (X, U), (X, U, V)):
        with pytest.raises(plait.AxisError, match=f"PLT202.*1 is not constant.*given {len(arguments)}"):
            pattern.einsum(*arguments)


def test_lists_and_other_operands_that_make_no_key_are_contracted_plainly():
    pattern = plait.compile("s b i, i r, r j -> s b j").with_constants({1: U, 2: V})
    np.testing.assert_allclose(pattern.einsum([X, X]), np.stack([X, X]) @ U @ V)
    with pytest.raises(plait.BackendError, match="PLT501"):
        pattern.einsum("text")


def test_misspelt_axes_warn_once_with_the_pattern_of_the_user():
    pattern = plait.compile("b head, head r, r heads -> b").with_constants({1: array(3, 4), 2: array(4, 5)})
    with pytest.warns(plait.AxisWarning, match="'b head, head r, r heads -> b'"):
        pattern.einsum(array(2, 3))


def test_threads_may_share_a_pattern_while_caches_are_cleared():
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: U, 2: V})
    failures = []

    def run(size):
        try:
            for _ in range(30):
                np.testing.assert_allclose(pattern.einsum(X[:size]), X[:size] @ U @ V)
                other = plait.compile("i r, r j -> i j").with_constants({0: U})
                np.testing.assert_allclose(other.einsum(V), U @ V)
                if size == 1:
                    plait.cache_clear()
        except BaseException as error:
            failures.append(error)
            raise

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=run, args=(size % 3 + 1,)) for size in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
