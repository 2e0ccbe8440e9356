"""The cache of calls: hits, its bounds, and what the cached callables hold."""

from __future__ import annotations

import ast
import gc
import tracemalloc
import weakref
from pathlib import Path

import pytest

import plait
from plait._caches import clearable_lru_cache
from plait._executor.cache import MAX_CACHED_CALLS, CachedCall, lookup
from plait._executor.compile import lower_pattern

np = pytest.importorskip("numpy")


def test_second_call_is_a_cache_hit():
    x = np.zeros((2, 3))
    plait.cache_clear()
    for _ in range(3):
        plait.rearrange(x, "a b -> b a")
    assert plait.cache_info()[:2] == (2, 1)
    plait.rearrange(x.T, "a b -> b a")
    plait.rearrange(x.astype("f4"), "a b -> b a")
    assert plait.cache_info()[:2] == (3, 2)


def test_every_cache_is_cleared_by_cache_clear():
    """Only `clearable_lru_cache` makes an ``lru_cache``, except in the conformance suite."""
    package = Path(plait.__file__).parent
    found = 0
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "testing"):
            continue
        nodes = [*ast.walk(ast.parse(path.read_text("utf-8")))]
        if path.name != "_caches.py":
            assert not any(_is_function_or_call_of(node, "lru_cache") for node in nodes), path
        found += sum(
            isinstance(node, ast.Call) and _is_function_or_call_of(node, "clearable_lru_cache") for node in nodes
        )
    assert found > 20
    cache = clearable_lru_cache(4)(abs)
    assert cache(-1) == 1
    plait.cache_clear()
    assert cache.cache_info().currsize == 0


def _is_function_or_call_of(node: ast.AST, name: str) -> bool:
    """Whether the node is the function of this name, or a call of it."""
    return getattr(node.func if isinstance(node, ast.Call) else node, "id", None) == name


def test_reduce_caches_each_dtype_separately():
    plait.reduce(np.zeros((2, 3)), "a b -> a", "mean")
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.reduce(np.zeros((2, 3), int), "a b -> a", "mean")


def test_einsum_caches_each_dtype_separately():
    """The callable for ``float32`` would lose digits of ``float16``, and fail for complex numbers."""
    product = plait.compile("i j, i j -> i")
    for _ in range(2):
        for dtype, value in (("float32", 1), ("float16", 1), ("complex64", 1j), ("int64", 1)):
            x = np.full((3, 4096), value, dtype)
            for result in (plait.einsum("ij,ij->i", x, x), product.einsum(x, x)):
                assert result.dtype == dtype
                np.testing.assert_array_equal(result, np.full(3, 4096 * value**2))


def test_errors_are_not_cached():
    x = np.zeros((2, 3))
    plait.cache_clear()
    for _ in range(3):
        with pytest.raises(plait.SizeError):
            plait.rearrange(x, "(a b) c -> a b c", a=5)
    assert plait.cache_info().currsize == 0


def _raise_error(tensor, axes):
    raise KeyError(tensor.shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: plait.rearrange(x, "a b -> a"),
        lambda x: plait.rearrange([x, x], "k a b -> a"),
        lambda x: plait.view(x, "a b -> (b a)"),
        lambda x: plait.repeat(x, "a b -> a b c"),
        lambda x: plait.reduce(x, "a b c -> a", "sum"),
        lambda x: plait.reduce(x, "a b -> a", _raise_error),
        lambda x: plait.einsum(x, x, "a b, b a -> a"),
        lambda x: plait.einsum("ab,ba->a", x, x),
        lambda x: plait.pack([x], "a b c *"),
        lambda x: plait.unpack(x, [(2,), (5,)], "a *"),
        lambda x: plait.parse_shape(x, "a"),
        lambda x: plait.asnumpy([x]),
        lambda x: plait.compile("a b -> a").rearrange(x),
        lambda x: plait.compile("a b -> a").reduce(x, _raise_error),
        lambda x: plait.compile("a b, b a -> a").einsum(x, x),
        (plait.compile("a b -> b a") >> plait.compile("(c 5) a -> c a")).rearrange,
    ],
)
def test_an_error_does_not_keep_the_tensor_alive(call):
    """No cycle of references, which only the garbage collector would find, leads from the error to the tensor."""
    x = np.zeros((2, 3))
    reference = weakref.ref(x)
    gc.collect()
    gc.disable()
    try:
        try:
            call(x)
        except (plait.PlaitError, KeyError):
            del x
        assert reference() is None
    finally:
        gc.enable()


def test_cache_info_does_not_count_evicted_errors():
    x = np.zeros((2, 3))
    plait.cache_clear()
    for number in range(MAX_CACHED_CALLS + 50):
        with pytest.raises(plait.AxisError):
            plait.rearrange(x, f"a{number} b -> b")
    assert plait.cache_info().currsize == 0
    plait.rearrange(x, "a b -> b a")
    assert plait.cache_info().currsize == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda x, number: plait.rearrange(x, f"a{number} b -> b a{number}"),
        lambda x, number: plait.einsum(x, f"a{number} b -> b"),
    ],
    ids=["rearrange", "einsum without sizes"],
)
def test_currsize_reaches_maxsize_and_stays_there(call):
    x = np.zeros((2, 3))
    plait.cache_clear()
    maxsize = plait.cache_info().maxsize
    for number in range(maxsize - 1):
        call(x, number)
    assert plait.cache_info().currsize == maxsize - 1
    for number in range(maxsize, maxsize + 3):
        call(x, number)
    assert plait.cache_info()[2:] == (maxsize, maxsize)
    plait.cache_clear()


def test_cache_info_does_not_count_failed_einsums():
    x = np.zeros((2, 3))
    plait.cache_clear()
    plait.rearrange(x, "a b -> b a")
    for number in range(3):
        with pytest.raises(plait.PlaitError):
            plait.einsum(x, f"a{number} b c -> b")
    assert plait.cache_info().currsize == 1
    plait.einsum(x, "a b -> b")
    plait.einsum(x, "a b -> a")
    assert plait.cache_info().currsize == 2


def test_call_is_cached_when_it_succeeds_after_a_failure(monkeypatch):
    x = np.zeros((2, 3))
    plait.rearrange(x, "a b -> b a")
    plait.cache_clear()

    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CachedCall, "build_callable", staticmethod(broken))
        with pytest.raises(KeyboardInterrupt):
            plait.rearrange(x, "a b -> b a")
    assert plait.cache_info().currsize == 0
    for _ in range(2):
        assert plait.rearrange(x, "a b -> b a").shape == (3, 2)
    assert plait.cache_info().currsize == 1


def test_options_apply_to_each_call_with_a_list_of_tensors():
    x = [np.ones((2, 2))] * 2
    for _ in range(2):
        assert plait.einsum(x, "s i j -> j").tolist() == [4, 4]
        with plait.options(strict=True), pytest.raises(plait.AxisError, match="PLT204"):
            plait.einsum(x, "s i j -> j")


@pytest.mark.parametrize(
    "call",
    [
        lambda: plait.einsum("ij->ji"),
        lambda: plait.einsum(np.zeros((2, 3))),
        lambda: plait.compile("i j -> j i").einsum(),
        (plait.compile("i j -> j i") >> plait.compile("i j, j k -> i k")).einsum,
    ],
)
def test_einsum_without_tensors_raises_type_error(call):
    with pytest.raises(TypeError, match="tensor"):
        call()


def test_closures_are_not_cached():
    big = np.zeros(10)
    x = np.ones((2, 3))
    plait.cache_clear()

    def closure(tensor, axes):
        return tensor.sum(axes) + big[0]

    assert plait.reduce(x, "a b -> a", closure).tolist() == [3, 3]
    assert plait.cache_info().currsize == 0
    assert plait.reduce(x, "a b -> a", np.median).tolist() == [1, 1]
    assert plait.reduce(x, "a b -> a", lambda tensor, axes: tensor.max(axes)).tolist() == [1, 1]


@pytest.mark.slow
def test_memory_is_bounded_over_100000_shapes():
    compiled_pattern = plait.compile("a b -> b a")

    def visit(start, stop):
        base = np.lib.stride_tricks.as_strided(np.zeros(1), (400, 400), (0, 0))
        for number in range(start, stop):
            x = base[: 1 + number % 333, : 1 + number // 333]
            plait.rearrange(x, "a b -> b a")
            compiled_pattern.rearrange(x)

    plait.cache_clear()
    visit(0, 2 * MAX_CACHED_CALLS)
    tracemalloc.start()
    visit(2 * MAX_CACHED_CALLS, 20_000)
    gc.collect()
    early, _ = tracemalloc.get_traced_memory()
    visit(20_000, 100_000)
    gc.collect()
    late, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plait.cache_info().currsize == MAX_CACHED_CALLS
    assert late - early < 300_000  # bytes; 80,000 entries would be tens of millions


@pytest.mark.slow
def test_memory_is_bounded_over_many_patterns():
    x = np.zeros((2, 3))

    def visit(start, stop):
        for number in range(start, stop):
            plait.rearrange(x, f"a{number} b -> b a{number}")

    visit(0, 2 * MAX_CACHED_CALLS)
    tracemalloc.start()
    visit(10_000, 16_000)
    gc.collect()
    early, _ = tracemalloc.get_traced_memory()
    visit(16_000, 30_000)
    gc.collect()
    late, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert late - early < 300_000


def test_cached_callable_holds_no_text_of_the_pattern():
    plait.rearrange(np.zeros((2, 6)), "secret_b (secret_h p) -> p (secret_h secret_b)", p=2)
    call = lookup("rearrange", "secret_b (secret_h p) -> p (secret_h secret_b)", np.ndarray, (2, 6), p=2).call
    code = call.__code__
    held = repr((code.co_names, code.co_varnames, code.co_consts, [cell.cell_contents for cell in call.__closure__]))
    assert "secret" not in held


FILES_WITH_EXEC = ("traced_functions.py",)
"""The files that execute what they write themselves: `test_what_is_executed_has_no_text_of_the_caller`."""


def test_package_calls_exec_and_eval_for_its_own_text_alone():
    for path in Path(plait.__file__).parent.rglob("*.py"):
        if path.name in FILES_WITH_EXEC:
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        called = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert not called & {"exec", "eval", "__import__"}, path


def test_what_is_executed_has_no_text_of_the_caller():
    from plait._executor.traced_functions import TracedCall, write_function

    for operation, pattern, count in (
        ("rearrange", "secret_b (secret_h secret_p) -> secret_p secret_h secret_b", 1),
        ("einsum", "secret_a secret_b, secret_b (secret_c secret_p) -> secret_a secret_c secret_p", 2),
    ):
        plan = lower_pattern(operation, pattern, (2,) * count, ("secret_p",))
        call = TracedCall(operation, pattern, (2,) * count, ("secret_p",), (None,) * count, "", False)
        pytest.importorskip("torch")
        source, closure = write_function(plan, call)
        assert "secret" not in source
        assert all(name.isidentifier() and "secret" not in name for name in closure)


def test_scalars_are_tensors_of_rank_0():
    for scalar in (np.float32(3), np.array(3.0), np.int64(3), np.bool_(True)):
        assert plait.rearrange(scalar, "->").shape == ()
        assert plait.rearrange(scalar, "-> 1 1").shape == (1, 1)
        assert plait.repeat(scalar, "-> a", a=2).tolist() == [scalar, scalar]
        assert plait.reduce(scalar, "->", "sum") == scalar
        assert plait.parse_shape(scalar, "") == {}
        assert plait.asnumpy(scalar).shape == ()
        assert plait.einsum(scalar, np.ones(2), ", a -> a").tolist() == [scalar, scalar]


def test_masked_arrays_are_rearranged_and_reduced_with_their_masks():
    masked = np.ma.masked_array(np.arange(6.0).reshape(2, 3), mask=[[0, 1, 0], [0, 0, 1]])
    turned = plait.rearrange(masked, "a b -> b a")
    assert turned.mask.tolist() == [[False, False], [True, False], [False, True]]
    assert plait.reduce(masked, "a b -> a", "sum").tolist() == [2.0, 7.0]
    assert plait.reduce(masked, "a b -> a", "mean").tolist() == [1.0, 3.5]


def test_lists_of_scalars_stack():
    assert plait.rearrange([np.float64(1), np.float64(2)], "a -> a 1").shape == (2, 1)


def test_chain_calls_composes_functions_in_order():
    from plait._executor.executable import chain_calls

    for count in range(12):
        call = chain_calls([(lambda tensor, constant: [*tensor, constant], number) for number in range(count)])
        assert call([]) == list(range(count))
