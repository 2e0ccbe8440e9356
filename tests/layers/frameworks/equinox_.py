"""Equinox."""

from layers.frameworks.jax_base import JaxFramework


class Equinox(JaxFramework):
    def construct(self, /, kind, *arguments, seed=0, **sizes):
        import jax

        key = {"key": jax.random.key(seed)} if kind == "EinMix" else {}
        return super().construct(kind, *arguments, **key, **sizes)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        return self.construct(kind, *arguments, seed=seed, **sizes)

    def parameters(self, built):
        import jax

        return {path[0].name: self.to_numpy(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(built)}

    def parameter_gradients(self, built, tensor):
        import equinox as eqx

        return self.parameters(eqx.filter_grad(lambda module: module(tensor).sum())(built))


FRAMEWORK = Equinox("equinox", ("equinox",))
