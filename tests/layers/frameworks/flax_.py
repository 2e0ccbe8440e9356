"""Flax Linen; `build` returns a module with its variables."""

from layers.frameworks.jax_base import JaxFramework


class Flax(JaxFramework):
    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import jax

        module = self.construct(kind, *arguments, **sizes)
        return module, module.init(jax.random.key(seed), self.example_to_jax(example))

    def call(self, built, tensor):
        module, variables = built
        return module.apply(variables, tensor)

    def parameters(self, built):
        assert built[1].keys() <= {"params"}
        return {name: self.to_numpy(value) for name, value in built[1].get("params", {}).items()}

    def parameter_gradients(self, built, tensor):
        import jax

        module, variables = built
        found = jax.grad(lambda params: module.apply({"params": params}, tensor).sum())(variables["params"])
        return {name: self.to_numpy(value) for name, value in found.items()}

    def describe(self, built):
        return repr(built[0])


FRAMEWORK = Flax("flax", ("flax",))
