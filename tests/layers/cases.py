"""Cases for the tests of layers: arguments of the constructor, and the shape of the input."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OperationCase:
    """A layer ``Rearrange``, ``Reduce`` or ``Repeat``.

    Attributes:
        kind: the name of the layer class.
        arguments: the positional arguments of the constructor.
        shape: the shape of the input.
        sizes: the sizes of axes.
    """

    kind: str
    arguments: tuple
    shape: tuple[int, ...]
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.kind, *self.arguments, *(f"{name}={size}" for name, size in self.sizes.items())])


@dataclass(frozen=True)
class EinMixCase:
    """An ``EinMix``.

    Attributes:
        pattern: the first argument of the constructor.
        weight_shape: the second argument.
        bias_shape: the third argument.
        shape: the shape of the input.
        sizes: the sizes of axes.
        weight: the expected shape of the weight.
        bias: the expected shape of the bias.
        fan_in: the expected number of weight elements in each sum.
    """

    pattern: str
    weight_shape: str
    bias_shape: str | None
    shape: tuple[int, ...]
    sizes: dict[str, int]
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None = None
    fan_in: int = 1

    def __str__(self) -> str:
        return f"{self.pattern}, {self.weight_shape}, {self.bias_shape}, {'x'.join(map(str, self.shape))}"


OPERATION_CASES = [
    OperationCase("Rearrange", ("b c h w -> b h w c",), (2, 3, 4, 6)),
    OperationCase("Rearrange", ("b c (h p) (w q) -> b (h w) (p q c)",), (2, 3, 4, 6), {"p": 2, "q": 3}),
    OperationCase("Rearrange", ("b ... -> b (...)",), (2, 3, 4)),
    OperationCase("Rearrange", ("b (h w) -> b 1 h w",), (2, 12), {"h": 3}),
    OperationCase("Rearrange", ("... -> ...",), (2, 3)),
    OperationCase("Rearrange", ("(b heads) c -> b heads c",), (6, 2), {"heads": 3}),
    *(
        OperationCase("Reduce", ("b c (h 2) (w 2) -> b (c h w)", reduction), (2, 3, 4, 6))
        for reduction in ("max", "min", "sum", "mean", "prod", "std", "var", "logsumexp")
    ),
    OperationCase("Reduce", ("b c h w -> b c", "mean"), (2, 3, 4, 6)),
    OperationCase("Reduce", ("b c h w -> b c () ()", "max"), (2, 3, 4, 6)),
    OperationCase("Reduce", ("b ... c -> b c", "mean"), (2, 3, 4, 6)),
    OperationCase("Reduce", ("b (h p) -> b h", "max"), (2, 12), {"p": 3}),
    OperationCase("Repeat", ("b h w -> b (h p) (w q)",), (2, 3, 4), {"p": 2, "q": 3}),
    OperationCase("Repeat", ("b c -> b c t",), (2, 3), {"t": 4}),
    OperationCase("Repeat", ("b ... -> b copies ...",), (2, 3, 4), {"copies": 2}),
]

EINMIX_CASES = [
    EinMixCase("b c -> b d", "c d", "d", (2, 3), dict(c=3, d=4), (3, 4), (1, 4), 3),
    EinMixCase("b c -> b d", "d c", None, (2, 3), dict(c=3, d=4), (4, 3), None, 3),
    EinMixCase("... c -> ... d", "c d", "d", (2, 5, 3), dict(c=3, d=4), (3, 4), (4,), 3),
    EinMixCase("... c -> ... d", "c d", "d", (3,), dict(c=3, d=4), (3, 4), (4,), 3),
    EinMixCase("b h w c -> b k w c", "h k", "k", (2, 3, 4, 5), dict(h=3, k=6), (3, 6), (1, 6, 1, 1), 3),
    EinMixCase("b t (h c) -> b t (h d)", "h c d", "h d", (2, 3, 8), dict(h=2, c=4, d=3), (2, 4, 3), (1, 1, 2, 3), 4),
    EinMixCase("b (t p) c -> b t d", "p c d", "d", (2, 6, 4), dict(p=2, c=4, d=3), (2, 4, 3), (1, 1, 3), 8),
    EinMixCase("b t c -> b t c", "c", None, (2, 3, 4), dict(c=4), (4,), None, 1),
    EinMixCase("b t c -> b t c", "c", "t c", (2, 3, 4), dict(c=4, t=3), (4,), (1, 3, 4), 1),
    EinMixCase("b c ... -> b d ...", "c d", "d", (2, 3, 4, 5), dict(c=3, d=6), (3, 6), (1, 6), 3),
    EinMixCase("b ... c -> b ... d", "c d", "d", (2, 4, 3), dict(c=3, d=6), (3, 6), (1, 6), 3),
    EinMixCase("b c h w -> b (d h w)", "c d", "d h", (2, 3, 2, 2), dict(c=3, d=4, h=2), (3, 4), (1, 4, 2, 1), 3),
    EinMixCase("b c ... -> b (d ...)", "c d", "d", (2, 3, 2, 5), dict(c=3, d=4), (3, 4), (1, 4), 3),
    EinMixCase("b t c -> b d", "t c d", "d", (2, 3, 4), dict(t=3, c=4, d=5), (3, 4, 5), (1, 5), 12),
    EinMixCase("b t c -> b c", "c", None, (2, 3, 4), dict(c=4), (4,), None, 1),
    EinMixCase("b c -> b 1 d", "c 1 d", "d", (2, 3), dict(c=3, d=4), (3, 1, 4), (1, 4), 3),
    EinMixCase("b 1 c -> (b d)", "d c", "d", (2, 1, 3), dict(c=3, d=4), (4, 3), (1, 4), 3),
    EinMixCase("a b -> a b", "", None, (2, 3), {}, (), None, 1),
    EinMixCase("in class -> in out", "class out", "out", (2, 3), {"class": 3, "out": 4}, (3, 4), (1, 4), 3),
]

INVALID_ARGUMENTS = [
    ("Rearrange", ("b c -> b",), {}),
    ("Rearrange", ("b (h w) -> b h w",), {}),
    ("Rearrange", ("b (h w -> b h w",), {}),
    ("Rearrange", ("b c -> c b",), {"d": 2}),
    ("Rearrange", ("b (h w) -> b h w",), {"h": 2.5}),
    ("Reduce", ("b c -> b", "medium"), {}),
    ("Reduce", ("b c -> b d", "max"), {}),
    ("Repeat", ("b c -> b c d",), {}),
    ("Repeat", ("b c, d -> b c d",), {"d": 2}),
    ("EinMix", ("b c -> b d", "c d"), {"c": 3}),
    ("EinMix", ("b c -> b d", "k d"), {"k": 3, "d": 4}),
    ("EinMix", ("b c -> b d", "c d", "e"), {"c": 3, "d": 4}),
    ("EinMix", ("b c -> b d", "(c d)"), {"c": 3, "d": 4}),
    ("EinMix", ("b c -> b d", "c d"), {"c": 3, "d": 4, "f": 5}),
    ("EinMix", ("b (t s) c -> b t s d", "c d"), {"c": 3, "d": 4}),
    ("EinMix", ("b c ... -> b d", "c d"), {"c": 3, "d": 4}),
    ("EinMix", ("b 2 c -> b d", "c d"), {"c": 3, "d": 4}),
]
"""Layer classes, positional arguments and sizes for which the constructor raises an error."""
