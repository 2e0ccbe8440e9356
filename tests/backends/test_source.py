"""Generated source code on every framework, compared with the oracle; it does not need plait."""

from __future__ import annotations

import numpy as np
import pytest
from einsum_strategies import expected_einsum

import plait
from backends.frameworks import parametrize_by_framework
from backends.frameworks.cupy_ import has_device
from plait.backends.source_templates import source_templates_of
from plait.testing import _oracle as oracle
from plait.testing._arrays import arange_array, assert_close, assert_equal, random_array
from plait.testing._cases import EINSUM_CASES, REARRANGE_CASES, REDUCE_CASES, REPEAT_CASES, EinsumCase

TEMPLATE_NAME_BY_FRAMEWORK = {"array_api_strict": "array_api", "sparse": "array_api", "ndonnx": "array_api"}
MORE_EINSUM_CASES = [
    EinsumCase("... i j, ... j k -> i ... k", ((2, 1, 2, 3), (4, 3, 2))),
    EinsumCase("... i, ... i -> ...", ((1, 2, 3), (2, 1, 3))),
    EinsumCase("a a b, b c c -> a c", ((3, 3, 2), (2, 2, 2))),
    EinsumCase("a b, c d, b d -> c a", ((2, 3), (2, 2), (3, 2))),
]


SKIP_REASON_BY_CASE = {
    ("dask", "(a 1 b) c -> a (b 1 c)"): "Dask's reshape moves no elements from one dimension to the next",
    ("dask", "(a b) c -> b (a c)"): "Dask reshapes no array without elements into one of another rank",
    ("mxnet", "a b c d e f g -> g f e d c b a"): "MXNet transposes six dimensions at most",
    ("mxnet", "any"): "MXNet transposes no truth values",
    ("mxnet", "all"): "MXNet transposes no truth values",
    ("ndonnx", "view"): "ndonnx refuses copy=False",
    ("paddle", "-> 1"): "Paddle gives no view of a tensor of rank 0",
}
"""What a framework's own functions do not do, where plait finds another way."""


def generated_function(framework, pattern, ranks, sizes, **options):
    """Generate source code, execute it and return the function that it defines."""
    if framework.name == "cupy" and not has_device():
        pytest.skip("no GPU, and the stand-in has no more functions than the backend needs")
    framework.module()  # with the settings that the suite has for its import
    namespace = {}
    text = plait.compile(pattern, **sizes).source(
        TEMPLATE_NAME_BY_FRAMEWORK.get(framework.name, framework.name), *ranks, **options
    )
    exec(text, namespace)
    return namespace[text.partition("def ")[2].partition("(")[0]]


@parametrize_by_framework()
@pytest.mark.parametrize("operation", ["rearrange", "repeat", "view"])
def test_source_of_movements_agrees_with_the_oracle(framework, operation):
    if (
        operation == "view"
        and not source_templates_of(TEMPLATE_NAME_BY_FRAMEWORK.get(framework.name, framework.name)).view
    ):
        pytest.skip(f"no plain call of {framework.name} promises a view")
    if (framework.name, operation) in SKIP_REASON_BY_CASE:
        pytest.skip(SKIP_REASON_BY_CASE[framework.name, operation])
    if operation == "view" and framework.name == "numpy" and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("np.reshape takes copy=False from NumPy 2.1 on")
    for case in REPEAT_CASES if operation == "repeat" else REARRANGE_CASES:
        if (framework.name, case.pattern) in SKIP_REASON_BY_CASE or (operation == "view" and not case.view):
            continue
        array = arange_array(case.shape)
        call = generated_function(framework, case.pattern, [array.ndim], case.sizes, operation=operation)
        tensor = framework.make(array)
        result = call(tensor)
        assert type(result) in framework.result_types(tensor), case
        assert_equal(plait.asnumpy(result), oracle.rearrange(case.pattern, array, case.sizes))


@parametrize_by_framework()
@pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
def test_source_of_reductions_agrees_with_the_oracle(framework, reduction):
    if (framework.name, reduction) in SKIP_REASON_BY_CASE:
        pytest.skip(SKIP_REASON_BY_CASE[framework.name, reduction])
    # MLX computes exp of float64 only in the precision of float32
    digits = "float32" if (framework.name, reduction) == ("mlx", "logsumexp") else "float64"
    for case in REDUCE_CASES:
        array = random_array(case.shape)
        call = generated_function(
            framework, case.pattern, [array.ndim], case.sizes, operation="reduce", reduction=reduction
        )
        result = call(framework.make(array))
        if case.pattern in ("->", "a b -> a b"):
            assert_equal(plait.asnumpy(result), oracle.rearrange(case.pattern, array, case.sizes))
        else:
            assert_close(plait.asnumpy(result), oracle.reduce(case.pattern, array, reduction, case.sizes), digits)


@parametrize_by_framework()
@pytest.mark.parametrize("case", [*EINSUM_CASES, *MORE_EINSUM_CASES], ids=str)
def test_source_of_einsum(framework, case):
    arrays = [random_array(shape, seed=number) for number, shape in enumerate(case.shapes)]
    call = generated_function(framework, case.pattern, [array.ndim for array in arrays], case.sizes, operation="einsum")
    result = plait.asnumpy(call(*map(framework.make, arrays)))
    np.testing.assert_allclose(result, expected_einsum(case.pattern, arrays, case.sizes), rtol=1e-12, atol=1e-12)


@parametrize_by_framework()
def test_generated_functions_check_sizes(framework):
    call = generated_function(framework, "b (h p) -> b h p", [2], {"p": 2})
    with pytest.raises(ValueError, match="p = 2 does not divide"):
        call(framework.make(arange_array((2, 5))))
    array = arange_array((2, 9))
    result = plait.asnumpy(call(framework.make(array), p=3))
    assert_equal(result, oracle.rearrange("b (h p) -> b h p", array, {"p": 3}))
    with pytest.raises(ValueError, match="negative"):
        call(framework.make(arange_array((2, 4))), p=-2)
    with pytest.raises(ValueError, match="unpack"):
        call(framework.make(arange_array((2, 4, 6))))
