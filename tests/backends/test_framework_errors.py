"""An error of a framework leaves plait as PLT513, with the pattern and the framework's message as reason.

Each function of a backend is replaced by one that fails, so that the test holds for every framework and every reason.
"""

from __future__ import annotations

import numpy as np
import pytest

import plait
from backends.frameworks import FRAMEWORKS, parametrize_by_framework
from plait.backends.registry import backend_for_type


def compile_pipeline(first, second):
    return plait.compile(first) >> plait.compile(second)


CALLS_BY_BACKEND_FUNCTION = {
    "permute": [
        ("rearrange", lambda x: plait.rearrange(x, "a b -> b a")),
        ("rearrange", lambda x: plait.compile("a b -> b a").rearrange(x)),
        ("rearrange", lambda x: compile_pipeline("a b -> b a", "b a -> b 1 a").rearrange(x)),
    ],
    "reshape": [
        ("rearrange", lambda x: plait.rearrange(x, "a (b c) -> a b c", b=3)),
        ("pack", lambda x: plait.pack([x, x], "*")),
        ("unpack", lambda x: plait.unpack(x, [(3,), (1, 3)], "a *")),
    ],
    "expand": [("repeat", lambda x: plait.repeat(x, "a b -> a b c", c=2))],
    "concat": [("pack", lambda x: plait.pack([x, x], "* b"))],
    "stack": [("rearrange", lambda x: plait.rearrange([x, x], "n a b -> a n b"))],
    "einsum": [
        ("einsum", lambda x: plait.einsum(x, x, "a b, a c -> b c")),
        ("einsum", lambda x: plait.einsum("ab,ac->bc", x, x)),
        ("einsum", lambda x: plait.compile("a b, a c -> b c").einsum(x, x)),
    ],
    "reduction": [
        ("reduce", lambda x: plait.reduce(x, "a b -> a", "max")),
        ("reduce", lambda x: plait.compile("a b -> a").reduce(x, "max")),
    ],
}
"""By function of a backend, calls that use it, with the operation that the message names."""

KINDS = (
    *(TypeError, ValueError, RuntimeError, NotImplementedError, IndexError, KeyError, AttributeError, OverflowError),
    *(AssertionError, type("OwnError", (Exception,), {})),
)
UNCHANGED_KINDS = (MemoryError, UserWarning, FloatingPointError, ZeroDivisionError, KeyboardInterrupt)


def replace_by_failing(tensor, function, error):
    """Make one function of the tensor's backend fail until the caches are cleared, and return the backend."""

    def fail(*_, **__):
        raise error

    plait.cache_clear()
    backend = backend_for_type(type(tensor))
    setattr(backend, function, (lambda *_: fail) if function == "reduction" else fail)
    backend.contraction_functions = lambda _: None
    backend.build_reshape_of_axes = None  # plans then call `reshape` on JAX too
    return backend


@pytest.fixture(autouse=True)
def _forget_the_backends():
    yield
    plait.cache_clear()


@pytest.fixture
def tensor(framework):
    tensor = framework.make(np.ones((2, 6), np.float32))
    plait.asnumpy(tensor)
    return tensor


@parametrize_by_framework()
@pytest.mark.parametrize("function", CALLS_BY_BACKEND_FUNCTION)
def test_error_of_a_framework_becomes_plt513(framework, tensor, function):
    for kind in KINDS:
        planted = kind("the tensor is too blue\nand more")
        backend = replace_by_failing(tensor, function, planted)
        for operation, call in CALLS_BY_BACKEND_FUNCTION[function]:
            for _ in range(2):  # the second time from the cache
                with pytest.raises(plait.BackendError) as caught:
                    call(tensor)
                error = caught.value
                assert error.code == "PLT513"
                assert error.message.startswith(f"{backend.name} cannot compute this {operation};")
                assert error.pattern
                reason = error.facts["reason"]
                assert reason.startswith(f"{kind.__name__}: ")
                assert "the tensor is too blue" in reason
                assert error.__cause__ is planted
                assert error.__suppress_context__


@parametrize_by_framework()
def test_other_errors_leave_plait_unchanged(framework, tensor):
    planted = [kind("planted") for kind in UNCHANGED_KINDS]
    planted += [RuntimeError("can't allocate memory: you tried"), RuntimeError("RESOURCE_EXHAUSTED: 8 bytes")]
    for error in planted:
        replace_by_failing(tensor, "permute", error)
        for call in (
            lambda: plait.rearrange(tensor, "a b -> b a"),
            lambda: plait.compile("a b -> b a").rearrange(tensor),
        ):
            with pytest.raises(type(error)) as caught:
                call()
            assert caught.value is error


@parametrize_by_framework()
def test_error_of_the_callers_reduction_leaves_plait_unchanged(framework, tensor):
    planted = TypeError("the caller's own")

    def fail(tensor, axes):
        raise planted

    for call in (
        lambda: plait.reduce(tensor, "a b -> a", fail),
        lambda: plait.compile("a b -> a").reduce(tensor, fail),
        lambda: (plait.compile("(a b) c -> a b c", a=2) >> plait.compile("a b c -> a c")).reduce(tensor, fail),
        lambda: plait.reduce([tensor, tensor], "n a b -> a", fail),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert caught.value is planted


def signals_of_tracers(framework):
    """Errors by which the framework's tracers and allocators speak to those that called them."""
    if framework.name == "torch":
        import torch
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
        from torch.fx.proxy import TraceError

        return GuardOnDataDependentSymNode(None, "u0"), TraceError("a proxy"), torch.cuda.OutOfMemoryError("of memory")
    import jax

    tracers = []
    jax.jit(lambda x: tracers.append(x) or x)(1.0)
    kinds = (jax.errors.TracerBoolConversionError, jax.errors.ConcretizationTypeError)
    return [kind(tracers[0]) for kind in kinds]


@parametrize_by_framework(tuple(framework for framework in FRAMEWORKS if framework.name in ("torch", "jax")))
def test_signals_of_tracers_leave_plait_unchanged(framework, tensor):
    for planted in signals_of_tracers(framework):
        replace_by_failing(tensor, "permute", planted)
        with pytest.raises(type(planted)) as caught:
            plait.rearrange(tensor, "a b -> b a")
        assert caught.value is planted
