"""The cases of the layers: what is given to the constructor, and the shape of the input."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A layer of one operation."""

    kind: str
    arguments: tuple
    shape: tuple[int, ...]
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.kind, *self.arguments, *(f"{name}={size}" for name, size in self.sizes.items())])


@dataclass(frozen=True)
class Mix:
    """An ``EinMix``: its pattern, the shapes, and those that its parameters must have."""

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


OPERATIONS = [
    Case("Rearrange", ("b c h w -> b h w c",), (2, 3, 4, 6)),
    Case("Rearrange", ("b c (h p) (w q) -> b (h w) (p q c)",), (2, 3, 4, 6), {"p": 2, "q": 3}),
    Case("Rearrange", ("b ... -> b (...)",), (2, 3, 4)),
    Case("Rearrange", ("b (h w) -> b 1 h w",), (2, 12), {"h": 3}),
    Case("Rearrange", ("... -> ...",), (2, 3)),
    Case("Rearrange", ("(b heads) c -> b heads c",), (6, 2), {"heads": 3}),
    *(
        Case("Reduce", ("b c (h 2) (w 2) -> b (c h w)", reduction), (2, 3, 4, 6))
        for reduction in ("max", "min", "sum", "mean", "prod", "std", "var", "logsumexp")
    ),
    Case("Reduce", ("b c h w -> b c", "mean"), (2, 3, 4, 6)),
    Case("Reduce", ("b c h w -> b c () ()", "max"), (2, 3, 4, 6)),
    Case("Reduce", ("b ... c -> b c", "mean"), (2, 3, 4, 6)),
    Case("Reduce", ("b (h p) -> b h", "max"), (2, 12), {"p": 3}),
    Case("Repeat", ("b h w -> b (h p) (w q)",), (2, 3, 4), {"p": 2, "q": 3}),
    Case("Repeat", ("b c -> b c t",), (2, 3), {"t": 4}),
    Case("Repeat", ("b ... -> b copies ...",), (2, 3, 4), {"copies": 2}),
]

MIXES = [
    Mix("b c -> b d", "c d", "d", (2, 3), dict(c=3, d=4), (3, 4), (1, 4), 3),
    Mix("b c -> b d", "d c", None, (2, 3), dict(c=3, d=4), (4, 3), None, 3),
    Mix("... c -> ... d", "c d", "d", (2, 5, 3), dict(c=3, d=4), (3, 4), (4,), 3),
    Mix("... c -> ... d", "c d", "d", (3,), dict(c=3, d=4), (3, 4), (4,), 3),
    Mix("b h w c -> b k w c", "h k", "k", (2, 3, 4, 5), dict(h=3, k=6), (3, 6), (1, 6, 1, 1), 3),
    Mix("b t (h c) -> b t (h d)", "h c d", "h d", (2, 3, 8), dict(h=2, c=4, d=3), (2, 4, 3), (1, 1, 2, 3), 4),
    Mix("b (t p) c -> b t d", "p c d", "d", (2, 6, 4), dict(p=2, c=4, d=3), (2, 4, 3), (1, 1, 3), 8),
    Mix("b t c -> b t c", "c", None, (2, 3, 4), dict(c=4), (4,), None, 1),
    Mix("b t c -> b t c", "c", "t c", (2, 3, 4), dict(c=4, t=3), (4,), (1, 3, 4), 1),
    Mix("b c ... -> b d ...", "c d", "d", (2, 3, 4, 5), dict(c=3, d=6), (3, 6), (1, 6), 3),
    Mix("b ... c -> b ... d", "c d", "d", (2, 4, 3), dict(c=3, d=6), (3, 6), (1, 6), 3),
    Mix("b c h w -> b (d h w)", "c d", "d h", (2, 3, 2, 2), dict(c=3, d=4, h=2), (3, 4), (1, 4, 2, 1), 3),
    Mix("b c ... -> b (d ...)", "c d", "d", (2, 3, 2, 5), dict(c=3, d=4), (3, 4), (1, 4), 3),
    Mix("b t c -> b d", "t c d", "d", (2, 3, 4), dict(t=3, c=4, d=5), (3, 4, 5), (1, 5), 12),
    Mix("b t c -> b c", "c", None, (2, 3, 4), dict(c=4), (4,), None, 1),
    Mix("b c -> b 1 d", "c 1 d", "d", (2, 3), dict(c=3, d=4), (3, 1, 4), (1, 4), 3),
    Mix("b 1 c -> (b d)", "d c", "d", (2, 1, 3), dict(c=3, d=4), (4, 3), (1, 4), 3),
    Mix("a b -> a b", "", None, (2, 3), {}, (), None, 1),
    Mix("in class -> in out", "class out", "out", (2, 3), {"class": 3, "out": 4}, (3, 4), (1, 4), 3),
]

MISTAKES = [
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
