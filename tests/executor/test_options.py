"""`plait.options`, and the arguments of one einsum."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
import warnings
import weakref

import pytest

import plait
from plait._executor import contraction
from plait._executor.options import CURRENT_OPTIONS

np = pytest.importorskip("numpy")

A, B, C = np.ones((2, 30)), np.ones((30, 4)), np.ones((4, 5))
CHAIN_PATTERN = "i j, j k, k l -> i l"


@pytest.fixture
def recorded_contraction_paths(monkeypatch):
    """The contraction paths chosen during a test."""
    seen, choose = [], contraction.choose_contraction

    def watched(*arguments):
        chosen = choose(*arguments)
        seen.append(chosen and chosen.path)
        return chosen

    monkeypatch.setattr(contraction, "choose_contraction", watched)
    return seen


def test_explicit_path_is_used(recorded_contraction_paths):
    for path in ([(1, 2), (0, 1)], [(0, 1), (0, 1)], ((0, 1, 2),), [(0, 2), (0, 1)]):
        with plait.options(contract=path):
            np.testing.assert_array_equal(plait.einsum(A, B, C, CHAIN_PATTERN), A @ B @ C)
    assert recorded_contraction_paths == [((1, 2), (0, 1)), ((0, 1), (0, 1)), ((0, 1, 2),), ((0, 2), (0, 1))]


def test_path_of_numpy_einsum_path_is_used(recorded_contraction_paths):
    found, _ = np.einsum_path("ij,jk,kl->il", A, B, C, optimize="optimal")
    with plait.options(contract=found):
        plait.einsum("ij,jk,kl->il", A, B, C)
    assert recorded_contraction_paths == [tuple(found[1:])]


@pytest.mark.parametrize(
    ("contract", "left"),
    [([(1, 2)], 2), ([], 3), (["einsum_path", (0, 1)], 2), (lambda *_: [(0, 1)], 2), ([(0,), (0, 1)], 2)],
)
def test_path_that_leaves_tensors_over_is_an_error(contract, left):
    with (
        plait.options(contract=contract),
        pytest.raises(plait.AxisError, match=f"leaves {left} tensors over"),
    ):
        plait.einsum(A, B, C, CHAIN_PATTERN)


@pytest.mark.parametrize("found", [None, 3, "abc", [(0.5, 1)], [0, 1], [("0", "1")]])
def test_function_that_returns_no_path_is_an_error(found):
    with plait.options(contract=lambda *_: found), pytest.raises(plait.AxisError, match=r"PLT214.*a list of tuples"):
        plait.einsum(A, B, C, CHAIN_PATTERN)


def test_error_of_a_function_that_finds_paths_leaves_plait_unchanged():
    def fail(*_):
        raise LookupError("no idea")

    with plait.options(contract=fail), pytest.raises(LookupError, match="no idea"):
        plait.einsum(A, B, C, CHAIN_PATTERN)


def test_one_tensor_needs_no_path():
    for path in ([], [(0,)], ["einsum_path", (0,)]):
        with plait.options(contract=path):
            np.testing.assert_array_equal(plait.einsum(A, "i j -> i"), A.sum(1))


@pytest.mark.parametrize("contract", ["auto", "optimal", "dp"])
def test_limit_of_no_elements_contracts_at_once(contract):
    if contract == "dp":
        pytest.importorskip("opt_einsum")
    np.testing.assert_allclose(plait.einsum("ij,jk,kl->il", A, B, C, optimize=(contract, 0)), A @ B @ C)


def test_path_found_by_a_function(recorded_contraction_paths):
    seen = []

    def last_first(inputs, output, sizes, limit):
        seen.append((inputs, output, sizes, limit))
        return [(1, 2), (0, 1)]

    with plait.options(contract=last_first):
        plait.einsum(A, B, C, CHAIN_PATTERN)
    assert recorded_contraction_paths == [((1, 2), (0, 1))]
    ((inputs, _, sizes, limit), *_) = seen
    assert len(inputs) == 3
    assert sorted(sizes.values()) == [2, 4, 5, 30]
    assert limit is None


@pytest.mark.parametrize("how", ["auto", "greedy", "optimal", "dp", "branch-2", "cotengra"])
def test_all_path_optimizers_give_the_same_result(how):
    if how not in ("auto", "greedy", "optimal"):
        pytest.importorskip("cotengra" if how == "cotengra" else "opt_einsum")
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=(3, 3)) for _ in range(7)]
    pattern = ", ".join(f"a{n} a{n + 1}" for n in range(7)) + " -> a0 a7"
    with warnings.catch_warnings(), plait.options(contract=how):
        warnings.simplefilter("ignore")  # about optional packages that cotengra misses
        np.testing.assert_allclose(plait.einsum(*tensors, pattern), np.linalg.multi_dot(tensors), rtol=1e-12)


def test_limit_of_elements_changes_the_contraction_path(recorded_contraction_paths):
    outer = "i,j,ij->i"  # contracting i and j first would make 10 000 elements
    x, y = np.ones(100), np.ones((100, 100))
    np.testing.assert_array_equal(plait.einsum(outer, x, x, y, optimize=("optimal", 100)), y @ x * x)
    np.testing.assert_array_equal(plait.einsum(outer, x, x, y, optimize=("auto", 1)), y @ x * x)
    assert recorded_contraction_paths == [((1, 2), (0, 1)), ((0, 1, 2),)]


def test_nested_options_are_restored():
    assert CURRENT_OPTIONS.get() is None
    with plait.options(strict=True):
        with plait.options(contract="greedy"):
            assert CURRENT_OPTIONS.get()[:3] == ("greedy", None, True)
            with plait.options(strict=False, contract="auto"):
                assert CURRENT_OPTIONS.get() is None
        assert CURRENT_OPTIONS.get()[:3] == ("auto", None, True)
    assert CURRENT_OPTIONS.get() is None


def test_options_are_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), plait.options(strict=True):
        raise ZeroDivisionError
    assert CURRENT_OPTIONS.get() is None


def test_options_object_can_be_entered_repeatedly():
    strict = plait.options(strict=True)
    for _ in range(2):
        with strict, strict:
            assert CURRENT_OPTIONS.get().strict
    assert CURRENT_OPTIONS.get() is None
    assert repr(strict) == "plait.options(strict=True)"


def is_einsum_strict():
    """Return whether einsum is strict in the current context."""
    try:
        plait.einsum(A, "i j -> i")
    except plait.AxisError:
        return True
    return False


def test_options_apply_to_one_thread():
    found, inside, outside = {}, threading.Event(), threading.Event()

    def other():
        inside.wait()
        found["other"] = is_einsum_strict()
        outside.set()

    thread = threading.Thread(target=other)
    thread.start()
    with plait.options(strict=True):
        inside.set()
        outside.wait()
        found["this"] = is_einsum_strict()
    thread.join()
    assert found == {"this": True, "other": False}


def test_options_apply_to_one_asyncio_task():
    found = {}

    async def strict():
        with plait.options(strict=True):
            await asyncio.sleep(0)
            found["strict"] = is_einsum_strict()
            found["child"] = await asyncio.create_task(child())

    async def child():
        return is_einsum_strict()

    async def lax():
        await asyncio.sleep(0)
        found["lax"] = is_einsum_strict()

    async def both():
        await asyncio.gather(strict(), lax())

    asyncio.run(both())
    assert found == {"strict": True, "child": True, "lax": False}


def test_calls_with_different_options_are_cached_separately():
    product = plait.compile("i j, j k -> i")
    for call in (
        lambda: plait.einsum(A, B, "i j, j k -> i"),
        lambda: product.einsum(A, B),
        lambda: plait.einsum("ij,jk->i", A, B),
    ):
        for _ in range(2):
            assert call().shape == (2,)
            with plait.options(strict=True), pytest.raises(plait.AxisError, match="PLT204"):
                call()


@pytest.mark.parametrize(
    ("pattern", "lonely"),
    [("i j, j k -> i", "axis 'k'"), ("a b c ->", "axes 'a', 'b' and 'c'"), ("3 b, b -> b", "axis '3'")],
)
def test_strict_error_names_all_implicitly_summed_axes(pattern, lonely):
    tensors = [np.ones((3, 3)), np.ones((3, 3))] if "j k" in pattern else [np.ones((3, 3)), np.ones(3)]
    tensors = [np.ones((3, 3, 3))] if "a b c" in pattern else tensors
    with plait.options(strict=True), pytest.raises(plait.AxisError) as caught:
        plait.einsum(*tensors, pattern)
    assert lonely in str(caught.value)
    assert plait.einsum(*tensors, pattern) is not None


def test_strict_allows_sums_over_shared_axes():
    with plait.options(strict=True):
        assert plait.einsum(A, B, "i j, j k -> i k").shape == (2, 4)
        assert plait.einsum("ij,kj->ik", A, A).shape == (2, 2)


@pytest.mark.parametrize(
    ("pattern", "warned"),
    [
        ("b d, b dd -> b", "axis 'd' appears only once in 'b d, b dd -> b', so it is summed; did you mean 'dd'?"),
        ("batch head, heads -> batch", "did you mean 'heads'?"),
        ("batch chanel, channel -> batch", "did you mean 'channel'?"),
        ("batch Head, head -> batch", "did you mean 'head'?"),
        ("b i, b j -> b", None),
        ("b h1, b h2 -> b", None),
        ("b c -> b", None),
        ("b width, height -> b", None),
        ("b d, d dd -> b dd", None),
    ],
)
def test_likely_typo_warns_once(pattern, warned):
    tensors = [np.ones((3,) * len(term.split())) for term in pattern.split("->")[0].split(",")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for size in (3, 3, 4):
            plait.einsum(*[np.ones((size,) * tensor.ndim) for tensor in tensors], pattern)
    assert len(caught) == (warned is not None)
    for warning in caught:
        assert warned in str(warning.message)
        assert warning.category is plait.AxisWarning
        assert warning.filename == __file__


def test_classical_equations_never_warn_of_typos():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plait.einsum("aA,a->a", np.ones((2, 3)), np.ones(2))


@pytest.mark.parametrize("path", [[(0, 5)], [(0, 0)], [()], [(0, 1), (0, 1), (0, 1)]])
def test_invalid_path_raises(path):
    with plait.options(contract=path), pytest.raises(plait.AxisError, match="PLT214"):
        plait.einsum(A, B, C, CHAIN_PATTERN)


def test_jax_arguments_raise_for_other_frameworks():
    for wish in ({"precision": "highest"}, {"preferred_element_type": np.float32}):
        with pytest.raises(plait.BackendError, match="PLT512"):
            plait.einsum(A, B, "i j, j k -> i k", **wish)
        with pytest.raises(plait.BackendError, match="PLT512"):
            plait.compile("i j, j k -> i k").einsum(A, B, **wish)


def test_explicit_path_with_unknown_shapes():
    """With symbolic sizes an explicit path is used, and each pair is one call of the framework's einsum."""
    torch = pytest.importorskip("torch")

    def call(x, y, z):
        with plait.options(contract=[(1, 2), (0, 1)]):
            return plait.einsum(x, y, z, CHAIN_PATTERN)

    traced = torch.fx.symbolic_trace(call)
    assert [node.target for node in traced.graph.nodes if node.op == "call_function"].count(torch.einsum) == 2
    torch.testing.assert_close(traced(*map(torch.tensor, (A, B, C))).numpy(), A @ B @ C)


# Memory


def peak_and_result_bytes(call):
    """Return the largest number of bytes allocated during a call, and the bytes of its result."""
    call()
    gc.collect()
    tracemalloc.start()
    result = call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, result.nbytes


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bihd,bjhd->bhij", [(2, 64, 4, 32), (2, 64, 4, 32)]),
        ("bhij,bjhd->bihd", [(2, 4, 64, 64), (2, 64, 4, 32)]),
        ("bchw,oc->bohw", [(4, 32, 28, 28), (32, 32)]),
        ("ij,ij->i", [(300, 300), (300, 300)]),
        ("ij,ji->", [(300, 300), (300, 300)]),
        ("ij,ij,ij->ij", [(300, 300)] * 3),
        ("ij->", [(1000, 1000)]),
    ],
)
def test_einsum_needs_memory_of_its_result_only(equation, shapes):
    """These equations need no copies of operands and no intermediate results."""
    tensors = [np.ones(shape, np.float32) for shape in shapes]
    most, result = peak_and_result_bytes(lambda: plait.einsum(equation, *tensors))
    assert most <= result + 16_384  # for Python objects and NumPy buffers


def test_intermediate_results_are_freed():
    """A chain of square matrices needs the memory of two intermediate results, for any length."""
    square = np.eye(200, dtype=np.float32)
    pattern = ", ".join(f"a{n} a{n + 1}" for n in range(12)) + " -> a0 a12"
    with plait.options(contract=[(0, 1)] + [(0, 10 - n) for n in range(10)]):
        most, result = peak_and_result_bytes(lambda: plait.einsum(*[square] * 12, pattern))
    assert most <= 2 * result + 16_384


def test_einsum_keeps_no_tensor_alive():
    class Traceable(np.ndarray):
        pass

    for kind in (np.ndarray, Traceable):
        x = np.ones((4, 4)).view(Traceable).view(kind) if kind is Traceable else np.ones((4, 4)).view(Traceable)
        alive = weakref.ref(x)
        plait.einsum(x, x, x, "a b, b c, c d -> a d")
        del x
        gc.collect()
        assert alive() is None
