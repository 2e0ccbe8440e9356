"""Calls of plait from several threads at once, on Python with and without the global interpreter lock."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import plait
from plait._executor.cache import CachedCall, lookup

np = pytest.importorskip("numpy")

THREAD_COUNT = 8


@pytest.fixture(autouse=True)
def _switch_threads_often():
    """Let Python switch between threads as often as it can; a build without a global lock ignores this."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_in_threads(function, count=THREAD_COUNT):
    """Call ``function(number)`` in several threads that start at once; return the results, or raise an error."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run, number) for number in range(count)]]


def calls_and_results(shape):
    """Return calls of every kind for an array of a shape of four dimensions, with results computed by NumPy alone."""
    x = np.linspace(0, 1, np.prod(shape)).reshape(shape)
    b, c, h, w = shape
    pattern = plait.compile("b c (h p) w -> b h (p c w)", p=2)
    pipeline = plait.compile("b c h w -> b h w c") >> plait.compile("b h w c -> (b h) (w c)")
    split = x.reshape(b, c, h // 2, 2, w)
    return [
        (lambda: plait.rearrange(x, "b c h w -> w h c b"), x.T),
        (lambda: plait.view(x, "b c (h p) w -> b c h p w", p=2), split),
        (lambda: plait.reduce(x, "b c h w -> c", "sum"), x.sum((0, 2, 3))),
        (lambda: plait.reduce(x, "b c h w -> b w", "logsumexp"), np.log(np.exp(x).sum((1, 2)))),
        (lambda: plait.repeat(x, "b c h w -> b c h w 2"), np.stack([x, x], -1)),
        (lambda: plait.einsum(x, x, "b c h w, b c v w -> h v"), np.einsum("bchw,bcvw->hv", x, x)),
        (lambda: plait.einsum("bchw,bchv->wv", x, x), np.einsum("bchw,bchv->wv", x, x)),
        (lambda: plait.rearrange([x, x + 1], "n b c h w -> b (n c) h w"), np.concatenate([x, x + 1], 1)),
        (lambda: pattern.rearrange(x), split.transpose(0, 2, 3, 1, 4).reshape(b, h // 2, -1)),
        (lambda: pipeline.rearrange(x), x.transpose(0, 2, 3, 1).reshape(b * h, w * c)),
        (lambda: plait.pack([x, x[:, :, 0]], "b c * w")[0], np.concatenate([x, x[:, :, :1]], 2)),
        (lambda: plait.unpack(x, [(1,), (h - 1,)], "b c * w")[1], x[:, :, 1:]),
    ]


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_calls_of_many_patterns_and_shapes_while_the_caches_are_cleared(seconds):
    shapes = [(2, 3, 4, 6), (1, 1, 2, 1), (3, 2, 6, 5), (2, 8, 32, 32)]  # the last one is scheduled as a large tensor
    work = [each for shape in shapes for each in calls_and_results(shape)]
    x = np.zeros((2, 3))
    deadline = time.monotonic() + seconds

    def run(seed):
        generator = np.random.default_rng(seed)
        count = 0
        while time.monotonic() < deadline:
            call, expected = work[generator.integers(len(work))]
            np.testing.assert_allclose(call(), expected)
            name = f"axis_{generator.integers(10_000)}"  # mostly a pattern that is not in the cache
            assert plait.rearrange(x, f"a {name} -> {name} a").shape == (3, 2)
            with pytest.raises(plait.AxisError, match=name):
                plait.rearrange(x, f"a {name} -> a")
            if generator.random() < 0.02:
                plait.cache_clear()
            hits, misses, maxsize, currsize = plait.cache_info()
            assert min(hits, misses) >= 0
            assert 0 <= currsize <= maxsize + THREAD_COUNT
            count += 1
        return count

    assert min(run_in_threads(run)) > 0


def test_threads_call_the_same_new_pattern_at_once():
    x = np.arange(6.0).reshape(2, 3)
    for number in range(50):
        pattern = plait.compile(f"a b{number} -> b{number} a")
        for call in (lambda: pattern.rearrange(x), lambda: plait.reduce(x, f"a b{number} -> b{number}", "max")):
            results = run_in_threads(lambda _, call=call: call().tolist())
            assert all(result == results[0] for result in results)


def test_each_thread_keeps_its_handling_of_floating_point_errors():
    """A `logsumexp` silences the warnings of its infinities, and each thread has its own setting again afterwards."""
    x = np.array([[0.0, -np.inf], [-np.inf, -np.inf]])
    expected = [0.0, -np.inf]

    def run(number):
        setting = ("warn", "raise", "ignore")[number % 3]
        with np.errstate(divide=setting, over=setting):
            for _ in range(300):
                assert plait.reduce(x, "a b -> a", "logsumexp").tolist() == expected
                assert np.geterr()["divide"] == np.geterr()["over"] == setting

    run_in_threads(run)


def test_one_options_object_in_several_threads():
    """Each thread leaves the block that it entered, in any order."""
    strict = plait.options(strict=True)

    def run(number):
        for _ in range(200):
            with strict:
                time.sleep(0)
                with pytest.raises(plait.AxisError, match="strict=True"):
                    plait.einsum(np.ones((2, 3)), "i j -> i")
            assert plait.einsum(np.ones((2, 3)), "i j -> i").tolist() == [3, 3]

    run_in_threads(run)


def test_one_options_object_in_several_asyncio_tasks():
    strict = plait.options(strict=True)

    async def run(number):
        with strict:
            await asyncio.sleep(0.001 * (number % 3))
            with strict, pytest.raises(plait.AxisError, match="strict=True"):
                plait.einsum(np.ones((2, 3)), "i j -> i")
        assert plait.einsum(np.ones((2, 3)), "i j -> i").tolist() == [3, 3]

    async def run_all():
        await asyncio.gather(*[run(number) for number in range(20)])

    asyncio.run(run_all())


def test_an_entry_stays_built_when_another_thread_fails_to_build_it(monkeypatch):
    """One thread builds the callable of an entry while another one, which is interrupted, builds it too."""
    x = np.arange(6).reshape(2, 3)
    plait.rearrange(x, "a b -> (a b)")
    build = CachedCall.build_callable
    is_built, is_building = threading.Event(), threading.Event()

    def build_or_fail(*arguments):
        if threading.current_thread().name == "interrupted":
            is_building.set()
            is_built.wait()
            raise KeyboardInterrupt
        return build(*arguments)

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            plait.rearrange(x, "a b -> b a")

    plait.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(CachedCall, "build_callable", staticmethod(build_or_fail))
        thread = threading.Thread(target=interrupted, name="interrupted")
        thread.start()
        is_building.wait()
        assert plait.rearrange(x, "a b -> b a").tolist() == x.T.tolist()
        is_built.set()
        thread.join()
    assert callable(lookup("rearrange", "a b -> b a", np.ndarray, (2, 3)).call)
    assert plait.rearrange([x, x], "k a b -> b (k a)").shape == (3, 4)
    assert plait.cache_info().currsize == 2


def test_the_first_calls_of_a_process_in_several_threads():
    """The first call imports the rest of plait and the backend, while other threads call too."""
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
import numpy as np
import plait
x = np.arange(24).reshape(2, 3, 4)
barrier = threading.Barrier(8)
results = []

def run(number):
    barrier.wait()
    results.append([
        plait.rearrange(x, "a b c -> c (a b)").tolist(),
        plait.reduce(x, "a b c -> a", "sum").tolist(),
        plait.einsum(x, x, "a b c, a d c -> b d").tolist(),
        plait.compile("a b c -> c b a").rearrange(x).tolist(),
    ])

threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(results) == 8 and all(result == results[0] for result in results), len(results)
print(results[0][1])
"""
    for _ in range(3):
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
        assert process.stdout.strip() == "[66, 210]", process.stderr
