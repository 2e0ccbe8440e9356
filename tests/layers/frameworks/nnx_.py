"""Flax NNX."""

from layers.frameworks.jax_base import JaxFramework


class Nnx(JaxFramework):
    allows_axis_self = False

    def construct(self, /, kind, *arguments, seed=0, **sizes):
        from flax import nnx

        rngs = {"rngs": nnx.Rngs(seed)} if kind == "EinMix" else {}
        return super().construct(kind, *arguments, **rngs, **sizes)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        return self.construct(kind, *arguments, seed=seed, **sizes)

    def parameters(self, built):
        from flax import nnx

        return {name: self.to_numpy(value) for name, value in nnx.to_pure_dict(nnx.state(built, nnx.Param)).items()}

    def parameter_gradients(self, built, tensor):
        from flax import nnx

        found = nnx.grad(lambda module: module(tensor).sum())(built)
        return {name: self.to_numpy(value) for name, value in nnx.to_pure_dict(found).items()}


FRAMEWORK = Nnx("nnx", ("flax",))
