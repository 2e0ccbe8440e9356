"""`plait.share_intermediates`: calls over the same operands share results, and no result changes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import weakref

import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._executor import shared_contractions
from plait._executor.options import CURRENT_OPTIONS

np = pytest.importorskip("numpy")

from einsum_strategies import (  # noqa: E402
    classical_equations,
    einsum_patterns,
    expected_einsum,
    random_integer_array,
)

CHAIN = "i j, j k, k l -> i l"


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


A, B, C, D = array(20, 30), array(30, 40, seed=1), array(40, 2, seed=2), array(2, 25, seed=3)


@pytest.fixture
def computed(monkeypatch):
    """The patterns of all steps that are computed inside blocks."""
    seen, build = [], shared_contractions.build_einsum

    def watched(stage, tensors, options):
        seen.append(stage[0])
        return build(stage, tensors, options)

    monkeypatch.setattr(shared_contractions, "build_einsum", watched)
    return seen


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: plait.einsum(A, B, C, CHAIN), A @ B @ C),
        (lambda: plait.einsum(A, B, C, "row in1, in1 in2, in2 col -> col row"), (A @ B @ C).T),
        (lambda: plait.einsum(C, B, A, "c d, b c, a b -> a d"), A @ B @ C),
        (lambda: plait.einsum("ij,jk,kl", A, B, C), A @ B @ C),
        (lambda: plait.einsum(A, [0, 1], B, [1, 2], C, [2, 3], [0, 3]), A @ B @ C),
        (lambda: plait.compile(CHAIN).einsum(A, B, C), A @ B @ C),
        (lambda: plait.compile("ij,jk,kl->il").einsum(A, B, C), A @ B @ C),
        (lambda: plait.compile(CHAIN).with_constants({0: A}).einsum(B, C), A @ B @ C),
        (lambda: plait.einsum(A, B, C, D, "i j, j k, k l, l m -> i m"), A @ B @ C @ D),
        (lambda: plait.einsum(A, B, C, "i (j a), (j a) k, k l -> i l", a=3), A @ B @ C),
        (lambda: plait.einsum(A, B, C, "(i e) j, j k, k l -> i e l", e=4), (A @ B @ C).reshape(5, 4, 2)),
        (lambda: plait.einsum(A, B, C, "i j, j (k q), (k q) l -> l i", q=8), (A @ B @ C).T),
    ],
)
def test_calls_over_the_same_operands_share_the_product(call, expected, computed):
    with plait.share_intermediates():
        with plait.options(contract=[(1, 2), (0, 1)]):
            np.testing.assert_allclose(plait.einsum(A, B, C, CHAIN), A @ B @ C)
        count = len(computed)
        assert count == 2
        np.testing.assert_allclose(call(), expected)
        np.testing.assert_allclose(call(), expected)
    assert {len(pattern.partition("->")[0].split(",")) for pattern in computed} == {2}
    last_steps = 2
    other_steps = 1 if expected.shape == (20, 25) else 0  # with D
    assert len(computed) == count + last_steps + other_steps


def test_outside_of_a_block_nothing_is_shared(computed):
    for _ in range(2):
        plait.einsum(A, B, C, CHAIN)
    with plait.share_intermediates():
        pass
    plait.einsum(A, B, C, CHAIN)
    assert computed == []
    assert CURRENT_OPTIONS.get() is None


def test_each_block_has_results_of_its_own_and_inner_blocks_those_of_the_outer(computed):
    with plait.share_intermediates():
        plait.einsum(A, B, C, CHAIN)
        with plait.share_intermediates():
            plait.einsum(A, B, C, CHAIN)
        plait.einsum(A, B, C, CHAIN)
    assert len(computed) == 4
    with plait.share_intermediates():
        plait.einsum(A, B, C, CHAIN)
    assert len(computed) == 6


def test_options_and_blocks_may_be_nested_in_any_order(computed):
    with plait.options(contract="greedy"), plait.share_intermediates(), plait.options(strict=True):
        plait.einsum(A, B, C, CHAIN)
        with pytest.raises(plait.AxisError, match="PLT204"):
            plait.einsum(A, B, C, "i j, j k, k l -> i")
        with plait.share_intermediates(), plait.options(contract=[(1, 2), (0, 1)]):
            plait.einsum(A, B, C, CHAIN)
    assert len(computed) == 3
    assert CURRENT_OPTIONS.get() is None


def test_another_path_gives_other_intermediate_results():
    with plait.share_intermediates():
        for path in ([(0, 1), (0, 1)], [(1, 2), (0, 1)], [(0, 2), (0, 1)], [(0, 1, 2)], [(0, 1, 2), (0,)]):
            with plait.options(contract=path):
                np.testing.assert_allclose(plait.einsum(A, B, C, CHAIN), A @ B @ C)


def test_results_belong_to_the_caller():
    with plait.share_intermediates():
        for _ in range(3):
            for pattern, expected in ((CHAIN, A @ B @ C), ("i j, j k, k l -> l i", (A @ B @ C).T)):
                result = plait.einsum(A, B, C, pattern)
                np.testing.assert_allclose(result, expected)
                result[:] = 0
        scalar = np.array(1.0)
        for _ in range(2):
            result = plait.einsum(B, C, scalar, "i j, j k, -> i k")
            np.testing.assert_allclose(result, B @ C)
            result[:] = 0


def test_everything_is_freed_at_the_end_of_the_block():
    kept = []
    with plait.share_intermediates():
        operands = [tensor.copy() for tensor in (A, B, C)]
        plait.einsum(*operands, CHAIN)
        store = CURRENT_OPTIONS.get().shared
        kept = [weakref.ref(tensor) for tensor in (*operands, *[result for result, _ in store.results.values()])]
        assert len(kept) == 4
        del operands
        gc.collect()
        assert all(reference() is not None for reference in kept)  # so that no id is used again
    gc.collect()
    assert all(reference() is None for reference in kept)
    assert store.is_closed
    with contextlib.suppress(ZeroDivisionError), plait.share_intermediates():
        plait.einsum(A, B, C, CHAIN)
        store = CURRENT_OPTIONS.get().shared
        raise ZeroDivisionError
    assert not store.results
    assert not store.operands


def test_new_arrays_at_the_same_address_are_not_mistaken():
    with plait.share_intermediates():
        for seed in range(20):
            first = array(20, 30, seed=seed)
            np.testing.assert_allclose(plait.einsum(first, B, C, CHAIN), first @ B @ C)


def test_the_cache_keeps_no_entry_of_a_block():
    plait.cache_clear()
    plait.einsum(A, B, C, CHAIN)
    for _ in range(3):
        with plait.share_intermediates():
            plait.einsum(A, B, C, CHAIN)
    size = plait.cache_info().currsize
    for _ in range(5):
        with plait.share_intermediates():
            plait.einsum(A, B, C, CHAIN)
    assert plait.cache_info().currsize == size
    assert all(value is not plait for value in gc.get_objects() if type(value) is shared_contractions.SharedResults)


def test_threads_do_not_share_and_tasks_of_a_block_do(computed):
    def run():
        plait.einsum(A, B, C, CHAIN)

    with plait.share_intermediates():
        plait.einsum(A, B, C, CHAIN)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        count = len(computed)

        async def task():
            plait.einsum(A, B, C, CHAIN)

        asyncio.run(task())
    assert count in (2, 3)  # 3 where threads inherit the context
    assert len(computed) == count + 1


def test_a_task_that_outlives_its_block_keeps_nothing():
    async def main():
        release = asyncio.Event()

        async def late():
            await release.wait()
            plait.einsum(A, B, C, CHAIN)
            return CURRENT_OPTIONS.get().shared

        with plait.share_intermediates():
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        release.set()
        return await task

    store = asyncio.run(main())
    assert store.is_closed
    assert not store.results
    assert not store.operands


def test_a_tensor_with_itself_is_found_in_either_order(computed):
    square = array(9, 9)
    with plait.share_intermediates(), plait.options(contract=[(0, 1), (0, 1)]):
        for pattern, equation in (
            ("a b, b c, c d -> a d", "ab,bc,cd->ad"),
            ("b c, a b, c d -> a d", "bc,ab,cd->ad"),
            ("b a, b c, c d -> a d", "ba,bc,cd->ad"),
            ("a b, b a, a d -> d", "ab,ba,ad->d"),
        ):
            np.testing.assert_allclose(
                plait.einsum(square, square, square, pattern), np.einsum(equation, *[square] * 3)
            )
    assert len(computed) == 4 + 3


@given(einsum_patterns(4), st.data())
@settings(max_examples=example_count(100), deadline=None)
def test_drawn_patterns_equal_the_definition(drawn, data):
    arrays = [random_integer_array(shape, seed) for seed, shape in enumerate(drawn.shapes)]
    expected = expected_einsum(drawn.text, arrays, drawn.sizes)
    left, _, right = drawn.text.partition("->")
    terms = left.split(",")
    with plait.share_intermediates():
        for _ in range(2):
            order = data.draw(st.permutations(range(len(arrays))))
            text = f"{','.join(terms[number] for number in order)} -> {right}"
            result = plait.einsum(*[arrays[number] for number in order], text, **drawn.sizes)
            np.testing.assert_array_equal(result, expected)


@pytest.mark.filterwarnings("ignore::plait.AxisWarning")
@given(st.lists(classical_equations(4), min_size=2, max_size=4), st.data())
@settings(max_examples=example_count(100), deadline=None)
def test_drawn_equations_over_shared_operands_equal_numpy(drawn, data):
    """Several equations take their operands from one pool by shape, so that tensors appear in many of them."""
    pool = {}
    with plait.share_intermediates():
        for case in drawn:
            arrays = []
            for shape in case.shapes:
                choices = pool.setdefault(shape, [random_integer_array(shape, seed) for seed in range(2)])
                arrays.append(choices[data.draw(st.integers(0, 1))])
            np.testing.assert_array_equal(plait.einsum(case.text, *arrays), np.einsum(case.text, *arrays))


@given(st.integers(0, 10**6), st.integers(3, 6))
@settings(max_examples=example_count(60), deadline=None)
def test_random_networks_of_few_operands_equal_numpy(seed, count):
    """The same two arrays in many places, with axes in many orders."""
    generator = np.random.default_rng(seed)
    pool = [generator.integers(-3, 4, (2, 2, 2)).astype(float), generator.integers(-3, 4, (2, 2)).astype(float)]
    with plait.share_intermediates():
        for _ in range(6):
            arrays = [pool[number] for number in generator.integers(0, 2, count)]
            terms = ["".join(generator.choice(list("abcd"), operand.ndim)) for operand in arrays]
            used = sorted({letter for term in terms for letter in term})
            output = "".join(generator.permutation(used)[: generator.integers(0, len(used) + 1)])
            equation = f"{','.join(terms)}->{output}"
            np.testing.assert_array_equal(plait.einsum(equation, *arrays), np.einsum(equation, *arrays))


@pytest.mark.parametrize("dtypes", list(itertools.product(["float16", "float32", "int8", "bool", "int64"], repeat=3)))
def test_element_types_are_those_outside_of_a_block(dtypes):
    shapes = ((4, 5), (5, 6), (6, 3))
    operands = [
        np.random.default_rng(seed).integers(0, 5, shape).astype(dtype)
        for seed, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    ]
    expected = plait.einsum(*operands, CHAIN)
    with plait.share_intermediates():
        for _ in range(2):
            result = plait.einsum(*operands, CHAIN)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


def test_half_precision_is_rounded_once(computed):
    operands = [tensor.astype(np.float16) for tensor in (A, B, C)]
    expected = plait.einsum(*operands, CHAIN)
    with plait.share_intermediates():
        for _ in range(2):
            np.testing.assert_allclose(plait.einsum(*operands, CHAIN), expected, rtol=2e-3)
    assert len(computed) == 3


def test_limits_lists_and_numbers_inside_a_block(computed):
    with plait.share_intermediates():
        with plait.options(memory_limit=10**9):
            np.testing.assert_allclose(plait.einsum(A, B, C, CHAIN), A @ B @ C)
        assert computed == []
        np.testing.assert_allclose(plait.einsum([A, A], B, C, "s i j, j k, k l -> s i l"), np.stack([A, A]) @ B @ C)
        np.testing.assert_allclose(plait.einsum("ij,jk,,kl->il", A, B, 2.0, C), 2 * (A @ B @ C))
        np.testing.assert_allclose(plait.einsum(A, B, "i j, j k -> i k"), A @ B)
        np.testing.assert_allclose(plait.einsum(A, "i j -> j"), A.sum(0))
        out = np.zeros((20, 2))
        assert plait.einsum("ij,jk,kl->il", A, B, C, out=out) is out
        np.testing.assert_allclose(out, A @ B @ C)


def test_errors_inside_a_block_are_those_outside():
    for call in (
        lambda: plait.einsum(A, B, D, CHAIN),
        lambda: plait.einsum(A, B, "i j, j k, k l -> i l"),
        lambda: plait.einsum(A, B, C, "i j, j k, k l -> i q"),
        lambda: plait.einsum(A, "text", C, CHAIN),
        lambda: plait.einsum("ij,jk,kl->il", A, B, D),
    ):
        with pytest.raises(plait.PlaitError) as outside:
            call()
        with plait.share_intermediates(), pytest.raises(plait.PlaitError) as inside:
            call()
        assert str(inside.value) == str(outside.value)


def test_misspelt_axes_warn_as_outside():
    with plait.share_intermediates(), pytest.warns(plait.AxisWarning, match="'a channel, a chanel, a b -> b'"):
        plait.einsum(array(2, 3), array(2, 4), array(2, 5), "a channel, a chanel, a b -> b")


def test_repr():
    assert repr(plait.share_intermediates()) == "plait.share_intermediates()"
