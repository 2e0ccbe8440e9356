"""Calls that kernels compute: the same results, for every layout; and the calls that no kernel may compute."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from kernels.kernel_cases import (
    COPIED_NUMPY_DTYPES,
    NUMBER_DTYPES,
    NUMPY_DTYPES,
    REDUCTIONS,
    assert_equals_plain_call,
    calls,
    compute,
    kernels_for_all_sizes,
    to_numpy,
)
from plait.backends.kernels import MAX_KERNEL_RANK, Kernel

plait_kernels = pytest.importorskip("plait_kernels")

BY_KERNEL = "by a compiled kernel, in one pass over memory"
FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
DTYPES_OF_REDUCTIONS = {"numpy": NUMPY_DTYPES, "torch": NUMBER_DTYPES}
DTYPES_OF_COPIES = {"numpy": COPIED_NUMPY_DTYPES, "torch": NUMBER_DTYPES}


def check_call(call, reduction):
    """Check one call with kernels against the same call without them; return how many kernels ran."""
    tensor, pattern, sizes = call
    with kernels_for_all_sizes() as filled:
        try:
            with plait.options(kernels=False):
                plain = compute(tensor, pattern, reduction, sizes)
        except plait.BackendError as error:
            with pytest.raises(plait.BackendError) as caught:
                compute(tensor, pattern, reduction, sizes)
            assert caught.value.code == error.code
            return 0
        assert not filled
        found = compute(tensor, pattern, reduction, sizes)
        count = len(filled)
        again = compute(tensor, pattern, reduction, sizes)
        assert len(filled) == 2 * count
        given_reduction = {} if reduction is None else {"reduction": reduction}
        explanation = str(plait.explain(pattern, tensor, **given_reduction, **sizes))
    assert (BY_KERNEL in explanation) == bool(count), explanation
    assert_equals_plain_call(found, plain, tensor, pattern, reduction, sizes)
    assert to_numpy(found).tobytes() == to_numpy(again).tobytes()
    return count


@pytest.fixture(params=["numpy", "torch"])
def framework(request):
    """The frameworks whose tensors kernels compute."""
    pytest.importorskip(request.param)
    return request.param


@pytest.mark.parametrize("reduction", [None, *REDUCTIONS])
def test_kernel_calls_equal_plain_calls(framework, reduction):
    dtypes = (DTYPES_OF_REDUCTIONS if reduction else DTYPES_OF_COPIES)[framework]
    if reduction in ("mean", "var", "std", "logsumexp"):
        dtypes = (*FLOAT_DTYPES, "int16", "complex64")
    if framework == "torch":  # before 2.3 it lacks unsigned integers of more than 8 bits
        dtypes = [name for name in dtypes if hasattr(importlib.import_module("torch"), name)]
    kernel_counts = []

    @settings(max_examples=example_count(60))
    @given(calls(framework, dtypes, reduction))
    def check(call):
        kernel_counts.append(check_call(call, reduction))

    check()
    assert sum(kernel_counts) > len(kernel_counts) / 20


@settings(max_examples=example_count(40))
@given(st.data())
def test_repeated_axes_are_copied_by_kernels(data):
    tensor, _, _ = data.draw(calls("numpy", COPIED_NUMPY_DTYPES, None))
    names = [f"a{dim}" for dim in range(tensor.ndim)]
    right = data.draw(st.permutations([*names, "r"]))
    pattern = f"{' '.join(names)} -> ({' '.join(right)})"
    with kernels_for_all_sizes():
        with plait.options(kernels=False):
            plain = plait.repeat(tensor, pattern, r=3)
        for _ in range(2):
            found = plait.repeat(tensor, pattern, r=3)
            assert_equals_plain_call(found, plain, tensor, pattern, None, {"r": 3})
            assert found.flags.writeable


def large_array(dtype=np.float32):
    """Return an array that is large enough for kernels by default."""
    return np.random.default_rng(0).standard_normal((16, 64, 96)).astype(dtype)


@pytest.fixture
def filled_by_kernels(monkeypatch):
    """The list of the results that kernels have filled since the start of the test."""
    results = []
    call = Kernel.__call__

    def call_and_note(kernel, source, result):
        call(kernel, source, result)
        results.append(result)

    monkeypatch.setattr(Kernel, "__call__", call_and_note)
    return results


@pytest.mark.parametrize(("pattern", "reduction"), [("a (b 2) c -> a b c", "max"), ("a b c -> b (c a)", None)])
def test_kernel_is_used_for_its_own_layout_only(pattern, reduction, filled_by_kernels):
    """The cache of calls knows shapes only, but a kernel is bound to strides."""
    array = large_array()[:, :, :64].copy()
    turned = np.ascontiguousarray(array.transpose(2, 1, 0)).transpose(2, 1, 0)
    with plait.options(kernels=False):
        expected = compute(array, pattern, reduction, {})
    assert not filled_by_kernels
    for each in (array, turned, array[::-1][::-1], array[::-1].copy()[::-1], turned, array):
        np.testing.assert_array_equal(compute(each, pattern, reduction, {}), expected)
    assert len(filled_by_kernels) == 6


def arrays_with_plain_memory(folder):
    """Yield a name and an array that NumPy did not allocate in the usual way, with the elements of `large_array`."""
    array = large_array()
    read_only = array.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    yield "unpickled", pickle.loads(pickle.dumps(array))
    yield "from a buffer", np.frombuffer(array.tobytes(), np.float32).reshape(array.shape)
    yield "of a buffer", np.ndarray(array.shape, np.float32, bytearray(b"123" + array.tobytes()), 3)
    mapped = np.memmap(folder / "file", np.float32, "w+", shape=array.shape)
    mapped[...] = array
    yield "memory-mapped", mapped
    yield "view of a memory-mapped", mapped[::-1][::-1]
    yield "array of a memory-mapped", np.asarray(mapped)
    wider = np.zeros((array.size + 10, 3), np.float32)
    wider[5:-5, 1] = array.ravel()
    strides = [3 * stride for stride in array.strides]
    yield "strided", np.lib.stride_tricks.as_strided(wider[5:, 1], array.shape, strides)
    records = np.zeros(array.shape, [("x", "u1"), ("y", np.float32)])
    records["y"] = array
    yield "field of records", records["y"]
    try:
        import torch
    except ImportError:
        return
    yield "of PyTorch", torch.from_numpy(array.copy()).numpy()
    yield "through DLPack", np.from_dlpack(torch.from_numpy(array.copy()))


def test_arrays_of_any_memory_are_served(tmp_path, filled_by_kernels):
    array = large_array()
    with plait.options(kernels=False):
        copied = plait.rearrange(array, "a b c -> c (b a)")
    for name, each in arrays_with_plain_memory(tmp_path):
        filled_by_kernels.clear()
        found = plait.rearrange(each, "a b c -> c (b a)")
        assert type(found) is np.ndarray, name
        assert found.flags.writeable, name
        np.testing.assert_array_equal(found, copied, err_msg=name)
        np.testing.assert_array_equal(plait.reduce(each, "a b c -> a b", "max"), array.max(2), err_msg=name)
        assert len(filled_by_kernels) == 2, name


def test_tensors_of_any_memory_are_served(filled_by_kernels):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(large_array())
    expected = tensor.amax(2)
    with torch.inference_mode():
        in_inference_mode = tensor.clone()
    watched = tensor.clone().requires_grad_()
    for each in (
        tensor,
        tensor.clone().share_memory_(),
        torch.frombuffer(bytearray(large_array().tobytes()), dtype=torch.float32).reshape(tensor.shape),
        torch.from_dlpack(large_array()),
        in_inference_mode,
        watched.detach(),
        torch.zeros(2, *tensor.shape).copy_(tensor)[1],
    ):
        filled_by_kernels.clear()
        torch.testing.assert_close(plait.reduce(each, "a b c -> a b", "max"), expected, rtol=0, atol=0)
        assert len(filled_by_kernels) == 1
    filled_by_kernels.clear()
    with torch.no_grad():
        for each in (watched, torch.nn.Parameter(tensor.clone())):
            found = plait.reduce(each, "a b c -> a b", "max")
            assert type(found) is torch.Tensor
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert len(filled_by_kernels) == 2


class NamedArray(np.ndarray):
    """A subclass, which may have functions of its own."""


@pytest.mark.parametrize(
    "make",
    [
        lambda array: array.astype(object),
        lambda array: array.view(NamedArray),
        lambda array: np.ma.masked_array(array, array > 1),
        lambda array: np.zeros(array.shape, [("x", "O")]),
        lambda array: np.zeros(array.shape, "V0"),
        lambda array: np.zeros(array.shape, np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else object),
        lambda array: array[:, :0],
    ],
    ids=["objects", "subclass", "masked", "records of objects", "no bytes", "strings of any length", "no elements"],
)
def test_arrays_that_no_kernel_reads(make, filled_by_kernels):
    array = make(large_array())
    assert plait.rearrange(array, "a b c -> c (b a)").shape == (96, 16 * array.shape[1])
    if array.dtype.kind in "fO" and array.size and not isinstance(array, np.ma.MaskedArray):
        np.testing.assert_array_equal(plait.reduce(array, "a b c -> a b", "max"), np.asarray(array).max(2))
    assert not filled_by_kernels


@pytest.mark.parametrize(
    ("dtype", "reduction"),
    [("longdouble", "max"), (">f4", "max"), ("c8", "var"), ("m8[s]", "sum"), ("c8", "any")],
)
def test_reductions_without_a_kernel_are_computed(dtype, reduction):
    array = large_array()
    array = array.view(dtype) if dtype == "c8" else array.astype(dtype)
    with plait.options(kernels=False):
        expected = plait.reduce(array, "a b c -> a", reduction)
    found = plait.reduce(array, "a b c -> a", reduction)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5)


POOL = "a (b 2) c -> a b c"


def pooled(tensor):
    """Return the maximum of pairs of rows."""
    return plait.reduce(tensor, POOL, "max")


def value_and_gradients(tensor, call):
    """Return a result, its gradient for weights, the gradient of that, and the name of the node that is recorded."""
    torch = pytest.importorskip("torch")
    result = call(tensor)
    weights = torch.linspace(0.5, 2, result.numel()).reshape(result.shape)
    (gradient,) = torch.autograd.grad((result * weights).sum(), tensor, create_graph=True)
    second = torch.autograd.grad((gradient * gradient * tensor).sum(), tensor)[0]
    return result.detach(), gradient.detach(), second, result.grad_fn.name()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("PlaitCopyBackward", lambda tensor: plait.rearrange(tensor, "a b c -> c (b a)")),
        ("PlaitMaxBackward", lambda tensor: plait.reduce(tensor, "a (b 2) (c 2) -> a b c", "max")),
        ("PlaitMinBackward", lambda tensor: plait.reduce(tensor, "a (b 2) (c 2) -> a b c", "min")),
        ("PlaitMeanBackward", lambda tensor: plait.reduce(tensor, "a (b 2) (c 2) -> a b c", "mean")),
        ("PlaitVarBackward", lambda tensor: plait.reduce(tensor, "a b c -> b", "var")),
        ("PlaitStdBackward", lambda tensor: plait.reduce(tensor, "a b c -> a c", "std")),
        ("PlaitLogsumexpBackward", lambda tensor: plait.reduce(tensor, "a b c -> b c", "logsumexp")),
        ("PlaitProdBackward", lambda tensor: plait.reduce(tensor, "a (b 2) (c 2) -> a b c", "prod")),
    ],
)
def test_recorded_gradients_are_those_without_kernels(name, call, filled_by_kernels):
    torch = pytest.importorskip("torch")
    leaf = torch.from_numpy(large_array()).requires_grad_()
    for tensor in (leaf, torch.nn.Parameter(leaf.detach().clone()), leaf * 2, leaf.transpose(0, 2).contiguous().mT.mT):
        filled_by_kernels.clear()
        found = value_and_gradients(tensor, call)
        assert filled_by_kernels
        with plait.options(kernels=False):
            expected = value_and_gradients(tensor, call)
        # the second derivative of a product is a quotient of quotients
        error = {"rtol": 1e-3, "atol": 5e-3} if name == "PlaitProdBackward" else {"rtol": 2e-5, "atol": 5e-5}
        for one, other in zip(found[:3], expected[:3], strict=True):
            torch.testing.assert_close(one, other, **error)
            assert one.stride() == other.stride()
        assert found[3] == name


def test_result_of_a_recorded_kernel_can_be_changed_in_place():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(large_array()).requires_grad_()
    plait.rearrange(tensor, "a b c -> c (b a)").mul_(3).sum().backward()
    assert (tensor.grad == 3).all()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # in torch's own import
def test_transforms_and_tracers_of_torch_reach_no_kernel(filled_by_kernels):
    torch = pytest.importorskip("torch")
    from torch.fx.experimental.proxy_tensor import make_fx

    x = torch.from_numpy(large_array())
    expected = x.unflatten(1, (32, 2)).amax(2)
    torch.testing.assert_close(torch.vmap(lambda row: plait.reduce(row, "(b 2) c -> b c", "max"))(x), expected)
    torch.testing.assert_close(torch.func.jvp(pooled, (x,), (x,))[0], expected)
    assert torch.func.grad(lambda tensor: pooled(tensor).sum())(x).sum() == expected.numel()
    torch.testing.assert_close(make_fx(pooled)(x)(x), expected)
    with torch.autocast("cpu"):
        torch.testing.assert_close(pooled(x), expected)
    assert not filled_by_kernels


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_graphs_of_torch_reach_no_kernel(filled_by_kernels):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(large_array())
    if not hasattr(importlib.import_module("torch.fx.experimental.symbolic_shapes"), "guard_or_false"):
        pytest.skip("the Dynamo of this release of PyTorch cannot trace a plan that reshapes")
    compiled = torch.compile(pooled, backend="eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(x), x.unflatten(1, (32, 2)).amax(2))
    assert not filled_by_kernels
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_without_plain_memory_reach_no_kernel(filled_by_kernels):
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    x = torch.from_numpy(large_array())
    numbers = torch.complex(x, x + 1)
    conjugated = plait.rearrange(numbers.conj(), "a b c -> c (b a)")
    torch.testing.assert_close(conjugated, plait.rearrange(numbers.conj().resolve_conj(), "a b c -> c (b a)"))
    negated = numbers.conj().imag
    assert negated.is_neg()
    filled_by_kernels.clear()
    torch.testing.assert_close(pooled(negated), pooled(negated.resolve_neg()))
    assert len(filled_by_kernels) == 1  # that of the second, which has memory
    filled_by_kernels.clear()

    class Named(torch.Tensor):
        pass

    torch.testing.assert_close(pooled(x.as_subclass(Named)).as_subclass(torch.Tensor), x.unflatten(1, (32, 2)).amax(2))
    assert pooled(x.to("meta")).shape == (16, 32, 96)
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(x)
        assert pooled(fake).shape == (16, 32, 96)
    assert pooled(fake).shape == (16, 32, 96)
    for strange in (x.to_sparse(), torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)):
        try:
            pooled(strange)
        except Exception as error:
            assert not isinstance(error, SystemError)
    assert not filled_by_kernels


def test_tensors_of_more_dimensions_than_a_kernel_reads(filled_by_kernels):
    torch = pytest.importorskip("torch")
    assert MAX_KERNEL_RANK == plait_kernels.MAX_RANK
    x = torch.rand(*[2] * 16, *[1] * 54).permute(*range(15, -1, -1), *range(16, 70))
    names = " ".join(f"a{dim}" for dim in range(70))
    torch.testing.assert_close(plait.rearrange(x, f"{names} -> ({names})"), x.reshape(-1))
    assert not filled_by_kernels


@pytest.mark.parametrize(
    "make", [lambda x: x, lambda x: pytest.importorskip("torch").from_numpy(x)], ids=["numpy", "torch"]
)
def test_options_switch_kernels_off_and_on(make, filled_by_kernels):
    x = make(large_array())
    for kernels in (True, False, True, False):
        filled_by_kernels.clear()
        with plait.options(kernels=kernels):
            pooled(x)
            explanation = str(plait.explain(POOL, x, reduction="max"))
        assert bool(filled_by_kernels) is kernels
        assert (BY_KERNEL in explanation) is kernels
        assert ("without a kernel: plait.options(kernels=False)" in explanation) is not kernels


def test_every_kind_of_call_uses_kernels_and_the_option(framework, filled_by_kernels):
    x = large_array() if framework == "numpy" else pytest.importorskip("torch").from_numpy(large_array())
    pattern = plait.compile("a b c -> c (b a)")
    pipeline = plait.compile("a b c -> b c a") >> plait.compile("b c a -> (b a) c")
    for call in (
        lambda: pattern.rearrange(x),
        lambda: plait.compile("a (b 2) c -> a b c").reduce(x, "max"),
        lambda: pipeline.rearrange(x),
        lambda: plait.rearrange([x, x], "n a b c -> c (n b) a"),
        lambda: plait.reduce([x, x], "n a b c -> c a", "sum"),
        lambda: plait.repeat(x, "a b c -> c (b r) a", r=2),
        lambda: plait.einsum(x, "a b c -> c (b a)"),
    ):
        for kernels in (True, False, True):
            filled_by_kernels.clear()
            with plait.options(kernels=kernels):
                results = [call() for _ in range(3)]
            assert len({to_numpy(result).tobytes() for result in results}) == 1
            assert bool(filled_by_kernels) is kernels


PRINTED_EXPLANATION = f"""
import numpy as np, plait
x = np.random.default_rng(0).standard_normal((16, 64, 96)).astype(np.float32)
for _ in range(2):
    assert (plait.reduce(x, {POOL!r}, "max") == x.reshape(16, 32, 2, 96).max(2)).all()
print(str(plait.explain({POOL!r}, x, reduction="max")).splitlines()[-1].strip())
"""


def run_python(code, *, check=True, **environment):
    """Run code in a new process, and return what it prints."""
    environment = {**os.environ, **environment}
    command = [sys.executable, "-W", "error", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no"])
def test_the_environment_switches_kernels_off(word):
    assert run_python(PRINTED_EXPLANATION, PLAIT_KERNELS=word) == "without a kernel: PLAIT_KERNELS is off"


def test_kernels_are_on_by_default():
    environment = {name: value for name, value in os.environ.items() if name != "PLAIT_KERNELS"}
    with mock.patch.dict(os.environ, environment, clear=True):
        assert run_python(PRINTED_EXPLANATION) == BY_KERNEL


def test_a_missing_package_is_named():
    missing = "import sys; sys.modules['plait_kernels'] = None\n" + PRINTED_EXPLANATION
    expected = 'without a kernel: the package plait-kernels is not installed: pip install "plait[fast]"'
    assert run_python(missing) == expected


@pytest.mark.parametrize("error", [OSError("it fits no CPU"), ImportError("version 9 of the interface")])
def test_a_library_that_cannot_be_loaded_is_named(error, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(plait_kernels, "load", fail)
    x = large_array()
    np.testing.assert_array_equal(pooled(x), x.reshape(16, 32, 2, 96).max(2))
    line = f"without a kernel: the package plait-kernels cannot be loaded: {error}"
    assert str(plait.explain(POOL, x, reduction="max")).splitlines()[-1].strip() == line
    monkeypatch.undo()
    plait.cache_clear()
    assert BY_KERNEL in str(plait.explain(POOL, x, reduction="max"))


def test_small_arrays_do_not_load_the_library():
    code = (
        "import sys, numpy as np, plait\n"
        "x = np.zeros(({}, 4), 'f4'); plait.reduce(x, '(a 2) b -> a b', 'max'); plait.rearrange(x, 'a b -> (b a)')\n"
        "print('plait_kernels' in sys.modules)"
    )
    assert run_python(code.format(8), PLAIT_KERNELS="on") == "False"
    assert run_python(code.format(100_000), PLAIT_KERNELS="on") == "True"


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_a_kernel_is_left_out_where_the_calls_of_the_framework_are_expected_to_be_faster(framework):
    xp = pytest.importorskip(framework)
    matrix = xp.ones((2048, 2048), dtype=xp.float64)
    assert "estimated to be faster" in str(plait.explain("a b -> a", matrix, reduction="sum"))
    assert "by a compiled kernel" in str(plait.explain("a (b 2) -> a b", matrix, reduction="sum"))
    assert "by a compiled kernel" in str(plait.explain("a b -> a", matrix, reduction="max"))


def test_explain_names_reductions_that_have_no_kernel():
    array = large_array(np.longdouble)
    line = str(plait.explain(POOL, array, reduction="max")).splitlines()[-1].strip()
    assert line == "without a kernel: no kernel computes max of this element type"


@pytest.mark.parametrize(
    "fault", [lambda out: out.fill(3), lambda out: out.flat.__setitem__(-1, 7), lambda out: out.flat.__setitem__(0, 7)]
)
@pytest.mark.parametrize("reduction", [None, "max", "sum", "std", "logsumexp"])
def test_a_wrong_kernel_is_detected(fault, reduction, monkeypatch):
    array = np.linspace(1, 2, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    pattern = "a b c -> c (b a)" if reduction is None else "a b c -> c a"
    assert check_call((array, pattern, {}), reduction) == 1
    call = Kernel.__call__

    def call_and_spoil(kernel, source, result):
        call(kernel, source, result)
        fault(result)

    monkeypatch.setattr(Kernel, "__call__", call_and_spoil)
    with pytest.raises(AssertionError):
        check_call((array, pattern, {}), reduction)


def test_calls_of_many_threads_at_once(filled_by_kernels):
    arrays = [large_array(dtype) for dtype in (np.float32, np.float64, np.float16)]
    patterns = [("a b c -> c (b a)", None), (POOL, "max"), ("a b c -> b", "sum"), ("a b c ->", "var")]
    with plait.options(kernels=False):
        expected = [[compute(array, *each, {}) for each in patterns] for array in arrays]
    barrier = threading.Barrier(8)

    def run(number):
        barrier.wait()
        for turn in range(12):
            place, which = (number + turn) % len(arrays), (number * 3 + turn) % len(patterns)
            found = compute(arrays[place], *patterns[which], {})
            tolerance = 2e-3 if arrays[place].dtype == np.float16 else 2e-5
            np.testing.assert_allclose(found, expected[place][which], rtol=tolerance, atol=tolerance)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(8)))
    assert filled_by_kernels


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_process_computes_with_kernels():
    """The child has none of the threads of its parent."""
    code = """
import os, warnings
import numpy as np, plait
warnings.simplefilter("ignore")  # Python warns that threads do not survive a fork
x = np.random.default_rng(0).standard_normal((64, 256, 256)).astype("f4")
expected = plait.reduce(x, "a (b 2) c -> a b c", "max")
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(0 if (plait.reduce(x, "a (b 2) c -> a b c", "max") == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (plait.reduce(x, "a (b 2) c -> a b c", "max") == expected).all()
print("equal")
"""
    assert run_python(code, PLAIT_THREADS="3", PLAIT_KERNELS="on") == "equal"
