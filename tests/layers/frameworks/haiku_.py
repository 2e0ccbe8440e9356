"""Haiku; `build` returns a transformed function with its parameters and its description."""

from layers.frameworks.jax_base import JaxFramework


class Haiku(JaxFramework):
    allows_axis_self = False

    def construct(self, /, kind, *arguments, **sizes):
        self.construct_and_describe(kind, *arguments, **sizes)

    def construct_and_describe(self, /, kind, *arguments, **sizes):
        """Return the repr of a module, which Haiku can create inside of a transformed function only."""
        import haiku as hk
        import jax

        made = super().construct
        return hk.transform(lambda: repr(made(kind, *arguments, **sizes))).apply({}, jax.random.key(0))

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import haiku as hk
        import jax

        made = super().construct

        @hk.without_apply_rng
        @hk.transform
        def function(tensor):
            return made(kind, *arguments, **sizes)(tensor)

        parameters = function.init(jax.random.key(seed), self.example_to_jax(example))
        return function, parameters, self.construct_and_describe(kind, *arguments, **sizes)

    def call(self, built, tensor):
        function, parameters, _ = built
        return function.apply(parameters, tensor)

    def parameters(self, built):
        assert built[1].keys() <= {"ein_mix"}
        return {name: self.to_numpy(value) for name, value in built[1].get("ein_mix", {}).items()}

    def parameter_gradients(self, built, tensor):
        import jax

        function, parameters, _ = built
        found = jax.grad(lambda parameters: function.apply(parameters, tensor).sum())(parameters)
        return {name: self.to_numpy(value) for name, value in found["ein_mix"].items()}

    def describe(self, built):
        return built[2]


FRAMEWORK = Haiku("haiku", ("haiku",))
