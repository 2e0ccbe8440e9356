"""Tests of layers that all frameworks on JAX share: the test file of each framework inherits from `JaxLayerTests`."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import plait
from layers.test_conformance import FUNCTION_BY_LAYER, random_array

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import export  # noqa: E402


class UnknownDtypeTensor:
    """An object like a tensor of another framework: JAX does not know its dtype."""

    shape = (2, 3)
    dtype = "odd.float"


def sum_of_squares_reduction(tensor, axes):
    """A callable reduction."""
    return (tensor**2).sum(axes)


HANDWRITTEN_CASES = {
    "space to depth": (
        ("Rearrange", "b (h p) (w q) c -> b h w (p q c)"),
        {"p": 2, "q": 3},
        lambda x: x.reshape(2, 2, 2, 2, 3, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 2, 18),
    ),
    "flatten": (("Rearrange", "b ... -> b (...)"), {}, lambda x: x.reshape(2, 72)),
    "nothing": (("Rearrange", "b ... -> b ..."), {}, lambda x: x),
    "pool": (
        ("Reduce", "b (h 2) (w 2) c -> b (c h w)", "max"),
        {},
        lambda x: x.reshape(2, 2, 2, 3, 2, 3).max((2, 4)).transpose(0, 3, 1, 2).reshape(2, 18),
    ),
    "logsumexp": (("Reduce", "b h w c -> b c", "logsumexp"), {}, lambda x: jax.nn.logsumexp(x, (1, 2))),
    "callable": (("Reduce", "b h w c -> b c", sum_of_squares_reduction), {}, lambda x: (x**2).sum((1, 2))),
    "repeat": (
        ("Repeat", "b h w c -> b h r w c"),
        {"r": 5},
        lambda x: jnp.broadcast_to(x.reshape(2, 4, 1, 6, 3), (2, 4, 5, 6, 3)),
    ),
    "dense": (
        ("EinMix", "b h w c -> b h w d", "c d", "d"),
        {"c": 3, "d": 5},
        lambda x, weight, bias: jnp.einsum("bhwc,cd->bhwd", x, weight) + bias,
    ),
    "scale": (
        ("EinMix", "b ... c -> b ... c", "c"),
        {"c": 3},
        lambda x, weight: jnp.einsum("b...c,c->b...c", x, weight),
    ),
    "heads": (
        ("EinMix", "b h w (n c) -> b (h w) (n d)", "n c d", "n d"),
        {"n": 3, "c": 1, "d": 4},
        lambda x, weight, bias: (jnp.einsum("bhwnc,ncd->bhwnd", x.reshape(2, 4, 6, 3, 1), weight) + bias).reshape(
            2, 24, 12
        ),
    ),
}
"""Arguments of a layer, its sizes, and hand-written code that computes the same, for an input of the shape `SHAPE`."""

SHAPE = (2, 4, 6, 3)
each_handwritten_case = pytest.mark.parametrize("name", HANDWRITTEN_CASES)


def parameters_by_name(params):
    """Return the parameters by name from the tree of a framework."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        (name,) = [name for name in ("weight", "bias") if name in jax.tree_util.keystr(path)]
        found[name] = leaf
    return found


def assert_trees_equal_exactly(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for ours, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def assert_near(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    actual, expected = (np.asarray(array).astype("complex128") for array in (actual, expected))  # bfloat16 too
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


class JaxLayerTests:
    """Tests of a framework, given as an object of `layers.frameworks`."""

    framework = None
    """The framework under test."""

    x64_parameter_dtype = "float32"
    """The default element type of parameters if JAX is set to 64 bits and the input has float32."""

    @pytest.fixture(autouse=True)
    def _set_x64(self, request):
        with jax.enable_x64(getattr(request, "param", False)):
            yield

    @staticmethod
    def make_functional(built):
        """Return a function of parameters and a tensor, and the parameters, for the result of ``framework.build``."""
        raise NotImplementedError

    def functions_and_params(self, name, x):
        arguments, sizes, written = HANDWRITTEN_CASES[name]
        function, params = self.make_functional(self.framework.build(*arguments, example=np.asarray(x), **sizes))
        return function, lambda params, x: written(x, **parameters_by_name(params)), params

    @each_handwritten_case
    def test_jaxpr_equals_that_of_handwritten_code(self, name):
        x = jnp.asarray(random_array(SHAPE))
        ours, theirs, params = self.functions_and_params(name, x)
        assert str(jax.make_jaxpr(ours)(params, x)) == str(jax.make_jaxpr(theirs)(params, x))
        loss = lambda function: lambda params, x: (function(params, x) ** 2).sum()
        ours_back, theirs_back = (jax.value_and_grad(loss(function), (0, 1)) for function in (ours, theirs))
        assert str(jax.make_jaxpr(ours_back)(params, x)) == str(jax.make_jaxpr(theirs_back)(params, x))
        if name != "callable":
            many = [jax.vmap(function, (None, 0)) for function in (ours, theirs)]
            assert str(jax.make_jaxpr(many[0])(params, x[None])) == str(jax.make_jaxpr(many[1])(params, x[None]))

    @pytest.mark.parametrize("name", ["pool", "heads"])
    def test_results_under_transformations_equal_handwritten_code(self, name):
        x = jnp.asarray(random_array(SHAPE))
        ours, theirs, params = self.functions_and_params(name, x)
        expected = theirs(params, x)
        assert isinstance(ours(params, x), jax.Array)
        assert_near(ours(params, x), expected)
        assert_near(jax.jit(ours)(params, x), expected)
        assert_near(jax.checkpoint(ours)(params, x), expected)
        assert_near(jax.vmap(ours, (None, 0))(params, jnp.stack([x, -x]))[1], theirs(params, -x))
        _, several = jax.lax.scan(lambda carry, x: (carry, ours(params, x)), 0, jnp.stack([x, -x]))
        assert_near(several[1], theirs(params, -x))
        tangents = jax.jvp(ours, (params, x), (params, x))[1], jax.jvp(theirs, (params, x), (params, x))[1]
        assert_near(*tangents)
        shape = jax.eval_shape(ours, params, jax.ShapeDtypeStruct(SHAPE, jnp.float32))
        assert (shape.shape, shape.dtype) == (expected.shape, expected.dtype)

    @pytest.mark.parametrize("name", ["pool", "repeat", "heads"])
    def test_export_with_a_symbolic_batch(self, name):
        x = random_array(SHAPE)
        ours, _, params = self.functions_and_params(name, x)
        (batch,) = export.symbolic_shape("batch")
        leaves, tree = jax.tree.flatten(params)  # some frameworks' trees have no serial form
        flat = jax.jit(lambda leaves, x: ours(jax.tree.unflatten(tree, leaves), x))
        exported = export.export(flat)(leaves, jax.ShapeDtypeStruct((batch, *SHAPE[1:]), x.dtype))
        loaded = export.deserialize(exported.serialize())
        more = random_array((7, *SHAPE[1:]), 1)
        for array in (x, more):
            assert_near(loaded.call(leaves, array), ours(params, jnp.asarray(array)))

    def test_jit_with_a_list_of_tensors(self):
        several = [random_array((3, 4), seed) for seed in range(2)]
        function, params = self.make_functional(self.framework.build("Rearrange", "k a b -> a (k b)", example=several))
        assert_near(jax.jit(function)(params, several), plait.rearrange(np.stack(several), "k a b -> a (k b)"))

    @pytest.mark.parametrize(
        "transformation",
        {
            "jit": jax.jit,
            "grad": lambda f: jax.grad(lambda *args: f(*args).sum(), 1),
            "vmap": lambda f: lambda params, x: jax.vmap(f, (None, 0))(params, x[None]),
            "scan": lambda f: lambda params, x: jax.lax.scan(lambda c, x: (c, f(params, x)), 0, x[None]),
            "checkpoint": jax.checkpoint,
            "eval_shape": lambda f: lambda *args: jax.eval_shape(f, *args),
        }.items(),
        ids=lambda item: item[0],
    )
    def test_error_is_the_same_under_every_transformation(self, transformation):
        good, bad = jnp.ones((2, 6)), jnp.ones((2, 5))
        cases = (("Rearrange", "b (c p) -> b c p", {"p": 3}), ("Repeat", "b (c p) -> b c p r", {"p": 3, "r": 2}))
        for kind, pattern, sizes in cases:
            function, params = self.make_functional(self.framework.build(kind, pattern, example=good, **sizes))
            with pytest.raises(plait.SizeError, match="PLT302") as expected:
                FUNCTION_BY_LAYER[kind](bad, pattern, **sizes)
            with pytest.raises(plait.SizeError) as found:
                transformation[1](function)(params, bad)
            assert str(found.value) == str(expected.value)
        function, params = self.make_functional(
            self.framework.build("EinMix", "b c -> b d", "c d", example=good, c=6, d=2)
        )
        with pytest.raises(plait.SizeError, match="PLT305"):
            transformation[1](function)(params, bad)
        function, params = self.make_functional(self.framework.build("Reduce", "b c -> b", "mean", example=good))
        with pytest.raises(plait.BackendError, match="PLT503"):
            jax.jit(function)(params, jnp.ones((2, 3), int))

    @pytest.mark.parametrize(
        "non_tensor", ["text", None, 3.0, UnknownDtypeTensor()], ids=lambda non_tensor: type(non_tensor).__name__
    )
    def test_call_with_a_non_tensor_raises(self, non_tensor):
        for built in (
            self.framework.build("Rearrange", "b c -> c b", example=np.ones((2, 3), "float32")),
            self.framework.build("EinMix", "b c -> b d", "c d", "d", example=np.ones((2, 3), "float32"), c=3, d=4),
        ):
            with pytest.raises(plait.PlaitError, match="PLT501"):
                self.framework.call(built, non_tensor)

    @pytest.mark.parametrize("_set_x64", [False, True], ids=["32 bits", "64 bits"], indirect=True)
    def test_parameter_dtype_with_32_and_64_bits(self):
        x = random_array((2, 3))
        built = self.framework.build("EinMix", "b c -> b d", "c d", "d", example=x, c=3, d=4)
        kinds = {value.dtype.name for value in self.framework.parameters(built).values()}
        assert kinds == {self.x64_parameter_dtype if jax.config.jax_enable_x64 else "float32"}
        result = self.framework.call(built, jnp.asarray(x))
        assert result.dtype.name in kinds
        parameters = self.framework.parameters(built)
        np.testing.assert_allclose(result, x @ parameters["weight"] + parameters["bias"], rtol=1e-5, atol=1e-6)

    def test_einmix_of_integers_returns_floats(self):
        x = np.arange(6).reshape(2, 3)
        built = self.framework.build("EinMix", "b c -> b d", "c d", example=x, c=3, d=4)
        result = self.framework.call(built, jnp.asarray(x))
        assert_near(result, (x @ self.framework.parameters(built)["weight"]).astype("float32"))

    def test_layers_have_their_names_modules_and_docstrings(self):
        layers = importlib.import_module(f"plait.layers.{self.framework.name}")
        for name in ("Rearrange", "Reduce", "Repeat", "EinMix"):
            assert getattr(layers, name).__name__ == name
            assert getattr(layers, name).__module__ == layers.__name__
            layer = getattr(layers, name)
            assert "Args:" in layer.__doc__ or "Args:" in layer.__init__.__doc__
