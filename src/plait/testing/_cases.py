"""The cases of the conformance suite: patterns with the shapes and the sizes that they are called with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A pattern of one tensor, with the tensor's shape.

    Attributes:
        pattern: the pattern.
        shape: the shape of the tensor.
        sizes: the sizes of axes that the call gives.
        view: whether the result for a contiguous tensor is a view, if the framework has views; ``None``: not checked.
    """

    pattern: str
    shape: tuple[int, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    view: bool | None = None

    def __str__(self) -> str:
        sizes = "".join(f" {name}={size}" for name, size in self.sizes.items())
        return f"{self.pattern.strip()}{sizes} {'x'.join(map(str, self.shape))}"


REARRANGE_CASES = [
    Case("->", (), view=True),
    Case("-> 1", (), view=True),
    Case("1 ->", (1,), view=True),
    Case("a -> a", (4,), view=True),
    Case("... -> ...", (2, 3, 4), view=True),
    Case("b c h w -> b h w c", (2, 3, 4, 6), view=True),
    Case("b c h w -> b (c h w)", (2, 3, 4, 6), view=True),
    Case("b c h w -> b (h w c)", (2, 3, 4, 6), view=False),
    Case("b (h w c) -> b c h w", (2, 72), {"h": 4, "w": 6}, view=True),
    Case("b c (h p) (w q) -> b (c p q) h w", (2, 3, 4, 6), {"p": 2, "q": 2}, view=False),
    Case("b c (h p) (w q) -> b c h w p q", (2, 3, 4, 6), {"p": 2, "q": 3}, view=True),
    Case("(a b c) -> c (b a)", (24,), {"a": 2, "b": 3}, view=False),
    Case("b 1 c () -> b c", (2, 1, 3, 1), view=True),
    Case("b c -> 1 b () c 1", (2, 3), view=True),
    Case("b ... -> b (...)", (2, 3, 4), view=True),
    Case("b ... c -> ... (b c)", (2, 3, 5, 4), view=False),
    Case("... a b -> ... b a", (3, 4), view=True),
    Case("a ... -> ... a", (5,), view=True),
    Case("(a (b c)) d -> (c d) (a b)", (12, 2), {"b": 2, "c": 3}, view=True),
    Case("a (b (c (d e))) -> e a (d c b)", (2, 24), {"b": 2, "c": 2, "d": 3}, view=False),
    Case("(a 1 b) c -> a (b 1 c)", (6, 2), {"a": 2}, view=True),
    Case("a b -> b a", (0, 3)),
    Case("a b c -> (a c) b", (2, 0, 3)),
    Case("(a b) c -> b (a c)", (0, 3), {"b": 2}),
    Case("a b c -> c a b", (1, 1, 1), view=True),
    Case("a b c d e f g -> g f e d c b a", (2, 1, 3, 2, 1, 2, 2), view=True),
    Case("in class not -> class in not", (2, 3, 4), view=True),
    Case("日本 ℎ -> ℎ 日本", (2, 3), view=True),
    Case("a\tb\n->  b\u00a0a", (2, 3), view=True),
    Case("(h h2) w -> h h2 w", (4, 6), {"h": 2, "h2": 2}, view=True),
]

REDUCE_CASES = [
    Case("a ->", (4,)),
    Case("a -> 1", (4,)),
    Case("a b -> () 1", (2, 3)),
    Case("a b -> b", (2, 3)),
    Case("a b -> a", (2, 3)),
    Case("a b c d -> c a", (2, 3, 4, 2)),
    Case("b (h 2) (w 2) c -> b h w c", (2, 4, 6, 3)),
    Case("b (h p) (w q) -> b w h", (2, 4, 6), {"p": 2, "q": 3}),
    Case("b c h w -> b c 1 1", (2, 3, 2, 2)),
    Case("b ... -> b", (2, 3, 2)),
    Case("... c -> c", (2, 3, 4)),
    Case("... c -> ...", (2, 3, 4)),
    Case("a 1 b -> b ()", (2, 1, 3)),
    Case("(a b c) -> (c a)", (12,), {"a": 2, "b": 3}),
    Case("a b -> a b", (2, 3)),
    Case("a (b c) d -> (d a)", (2, 6, 3), {"b": 2}),
    Case("3 b -> b", (3, 2)),
    Case("->", ()),
]

EMPTY_REDUCE_CASES = [
    Case("a b -> b", (0, 3)),
    Case("a b -> a", (3, 0)),
    Case("a b ->", (0, 0)),
]
"""Cases of ``reduce`` in which a reduced axis has length 0."""

REPEAT_CASES = [
    Case("-> a", (), {"a": 3}, view=True),
    Case("a -> a b", (2,), {"b": 3}, view=True),
    Case("a -> b a", (2,), {"b": 3}, view=True),
    Case("b c h w -> b c h w r", (2, 3, 2, 2), {"r": 3}, view=True),
    Case("h w -> (h 2) (w 3)", (2, 3), view=False),
    Case("h w -> h (r w)", (2, 3), {"r": 2}, view=False),
    Case("h w -> (r h) w", (2, 3), {"r": 2}, view=False),
    Case("h w -> h w 3", (2, 3), view=True),
    Case("h w -> w (a h) b c 1", (2, 3), {"a": 2, "b": 2, "c": 3}, view=False),
    Case("(a b) -> b (r a)", (6,), {"a": 2, "r": 2}, view=False),
    Case("... c -> ... (c r)", (2, 3), {"r": 2}, view=False),
    Case("1 a -> 4 a", (1, 3), view=True),
    Case("a -> a 0", (3,)),
    Case("a b -> a r b", (0, 3), {"r": 2}),
    Case("a -> a r", (3,), {"r": 0}),
    Case("a -> a 1 r", (3,), {"r": 1}, view=True),
]


@dataclass(frozen=True)
class EinsumCase:
    """A pattern of an einsum, with the shapes of its tensors.

    Attributes:
        pattern: the pattern.
        shapes: the shape of each tensor.
        sizes: the sizes of axes that the call gives.
    """

    pattern: str
    shapes: tuple[tuple[int, ...], ...]
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.pattern


EINSUM_CASES = [
    EinsumCase("i k, k j -> i j", ((2, 3), (3, 4))),
    EinsumCase("i k, k j -> j i", ((2, 3), (3, 4))),
    EinsumCase("b i d, b j d -> b i j", ((2, 3, 4), (2, 5, 4))),
    EinsumCase("b i (h d), b j (h d) -> b h i j", ((2, 3, 4), (2, 2, 4)), {"h": 2}),
    EinsumCase("b h i j, b j (h d) -> b i (h d)", ((2, 2, 3, 2), (2, 2, 4))),
    EinsumCase("a b -> b a", ((2, 3),)),
    EinsumCase("a b ->", ((2, 3),)),
    EinsumCase("a a -> a", ((3, 3),)),
    EinsumCase("a b a -> b", ((3, 2, 3),)),
    EinsumCase("a a ->", ((3, 3),)),
    EinsumCase("a, b -> a b", ((2,), (3,))),
    EinsumCase("a, b -> (b a)", ((2,), (3,))),
    EinsumCase("a, a -> a", ((3,), (3,))),
    EinsumCase("a, a ->", ((3,), (3,))),
    EinsumCase("... i, i o -> ... o", ((2, 3, 4), (4, 5))),
    EinsumCase("... i, ... i -> ...", ((2, 3, 4), (2, 3, 4))),
    EinsumCase("... i j, j -> i ...", ((2, 3, 4), (4,))),
    EinsumCase("b ... c, c -> b (...)", ((2, 3, 2, 4), (4,))),
    EinsumCase("i k, j k, k -> i j", ((2, 3), (4, 3), (3,))),
    EinsumCase("a b, b c, c d, d e -> a e", ((2, 3), (3, 2), (2, 3), (3, 2))),
    EinsumCase("a 1 b, b 2 -> 1 a", ((2, 1, 3), (3, 2))),
    EinsumCase("i k, k j -> i j", ((2, 0), (0, 4))),
    EinsumCase("i k, k j -> i j", ((0, 3), (3, 4))),
    EinsumCase(", a -> a", ((), (3,))),
]

CLASSICAL_EINSUM_CASES: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ba", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("Ab, bC -> AC", [(2, 3), (3, 4)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
    ("...ij,...jk", [(5, 2, 3), (1, 3, 4)]),
    ("i...->...", [(2, 3, 4)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    (",->", [(), ()]),
    ("...,...", [(2, 3), (3,)]),
    ("b...c,c->b...", [(2, 4), (4,)]),
    ("ij,ij->j", [(4, 3), (1, 3)]),
    ("...i,i->i", [(2, 3), (3,)]),
]
"""Equations in the form of NumPy's einsum, each with the shapes of its tensors."""
