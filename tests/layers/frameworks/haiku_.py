"""Haiku: what is built is a transformed function with its parameters."""

from layers.frameworks.on_jax import Jax


class Haiku(Jax):
    any_name = False

    def construct(self, /, kind, *arguments, **sizes):
        """Haiku makes a module inside a transformed function only; its constructor is all that is run."""
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

        parameters = function.init(jax.random.key(seed), self.example(example))
        return function, parameters, self.construct(kind, *arguments, **sizes)

    def call(self, built, tensor):
        function, parameters, _ = built
        return function.apply(parameters, tensor)

    def parameters(self, built):
        assert built[1].keys() <= {"ein_mix"}
        return {name: self.array(value) for name, value in built[1].get("ein_mix", {}).items()}

    def gradients(self, built, tensor):
        import jax

        function, parameters, _ = built
        found = jax.grad(lambda parameters: function.apply(parameters, tensor).sum())(parameters)
        return {name: self.array(value) for name, value in found["ein_mix"].items()}

    def description(self, built):
        return built[2]


FRAMEWORK = Haiku("haiku", ("haiku",))
