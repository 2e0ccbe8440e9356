"""MLX."""

from layers.frameworks.base import Framework


class MLX(Framework):
    def to_tensor(self, array):
        import mlx.core as mx

        return mx.array(array)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import mlx.core as mx

        mx.random.seed(seed)
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        from mlx.utils import tree_flatten

        return {name: self.to_numpy(parameter) for name, parameter in tree_flatten(built.trainable_parameters())}

    def parameter_gradients(self, built, tensor):
        from mlx import nn
        from mlx.utils import tree_flatten

        _, found = nn.value_and_grad(built, lambda given: built(given).sum())(tensor)
        return {name: self.to_numpy(gradient) for name, gradient in tree_flatten(found)}


FRAMEWORK = MLX("mlx", ("mlx",))
