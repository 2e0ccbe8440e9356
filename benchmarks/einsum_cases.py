"""The contractions that `benchmarks.einsum` measures: equations, lengths of axes, and hand-written NumPy code.

The hand-written code is text, so that exactly this expression is timed. Its arrays are called ``a``, ``b``, ``c`` ...
in the order of the equation; ``{h}`` is replaced by the length of the axis ``h``. If several expressions take about the
same time, all of them are listed: plait is compared with the fastest one on the machine at hand. ``np.matvec``,
``np.vecmat`` and ``np.vecdot`` need NumPy 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

GROUPS = ("table", "attention", "layers", "networks", "elements", "reductions", "layouts", "types", "views", "tiny")

CALL_BOUND_GROUPS = frozenset({"views", "tiny"})
"""The groups of cases so small that the overhead of the call takes longer than the computation."""


@dataclass(frozen=True)
class Contraction:
    """One contraction to measure.

    Attributes:
        group: one of `GROUPS`.
        name: a short description, unique among the cases.
        equation: the equation in the form of ``np.einsum``, such as ``"ik,kj->ij"``.
        handwritten: alternative NumPy expressions that compute it; ``{i}`` is replaced by the length of axis ``i``.
        sizes: the length of each axis.
        dtype: the element type of the arrays and of the result.
    """

    group: str
    name: str
    equation: str
    handwritten: tuple[str, ...]
    sizes: dict[str, int]
    dtype: str = "float32"

    @property
    def operand_axes(self) -> list[str]:
        """The axes of each array, one letter for each axis."""
        return self.equation.split("->")[0].split(",")

    @property
    def output_axes(self) -> str:
        """The axes of the result."""
        return self.equation.split("->")[1]

    @property
    def array_names(self) -> str:
        """The names of the arrays in the hand-written expressions: ``abc`` for three arrays."""
        return "abcdefghijklm"[: len(self.operand_axes)]

    @property
    def product_count(self) -> int:
        """The number of products that one loop over all axes computes."""
        return prod(self.sizes.values())

    @property
    def products_per_output(self) -> int:
        """The number of products that are summed to one element of the result."""
        return prod(size for axis, size in self.sizes.items() if axis not in self.output_axes)

    @property
    def output_bytes(self) -> int:
        """The size of the result, in bytes."""
        return prod(self.sizes[axis] for axis in self.output_axes) * np.dtype(self.dtype).itemsize

    def format_handwritten_templates(self) -> list[str]:
        """Return the hand-written expressions with the lengths of the axes inserted."""
        return [text.format(**self.sizes) for text in self.handwritten]

    def make_numpy_arrays(self) -> list[np.ndarray]:
        """Create arrays of random numbers between 0 and 1 (real and imaginary parts), so that sums do not cancel."""
        random = np.random.default_rng(0).random
        shapes = [tuple(self.sizes[axis] for axis in term) for term in self.operand_axes]
        if np.dtype(self.dtype).kind == "c":
            return [(random(shape) + 1j * random(shape)).astype(self.dtype) for shape in shapes]
        return [random(shape).astype(self.dtype) for shape in shapes]

    def with_small_sizes(self) -> Contraction:
        """Return the contraction with axes of the lengths 2, 3 and 4 in turn, so that swapped axes change a shape."""
        return replace(self, sizes={axis: 2 + index % 3 for index, axis in enumerate(self.sizes)})

    def make_tiny(self, name: str, **sizes: int) -> Contraction:
        """Return the contraction with these sizes in the group ``"tiny"``."""
        return replace(self, group="tiny", name=f"tiny {name}", sizes=sizes)


def case(group: str, name: str, equation: str, *handwritten: str, dtype: str = "float32", **sizes: int) -> Contraction:
    """Create a contraction from positional arguments, so that a case of the table below fits on one line."""
    return Contraction(group, name, equation, handwritten, sizes, dtype)


# fmt: off
MATRIX_PRODUCT = case("table", "matrix product", "ik,kj->ij", "a @ b", "a.dot(b)", i=1024, k=1024, j=1024)
ATTENTION_SCORES = case(
    "table", "scores, heads inside", "bihd,bjhd->bhij",
    "a.transpose(0, 2, 1, 3) @ b.transpose(0, 2, 3, 1)",
    "a.transpose(0, 2, 1, 3).copy() @ b.transpose(0, 2, 3, 1)",
    b=4, h=8, i=256, j=256, d=64,
)
THREE_OPERANDS = case(
    "table", "three tensors", "ik,jkl,il->ij",
    "(a[:, :, None] * c[:, None]).reshape({i}, {k} * {l}) @ b.reshape({j}, {k} * {l}).T",
    "np.matvec((a @ b).transpose(1, 0, 2), c)", "np.vecdot(a @ b, c).T",
    i=64, k=96, j=128, l=80,
)
MATRIX_CHAIN = case(
    "table", "chain of four", "ab,bc,cd,de->ae", "(a @ b) @ (c @ d)", "a.dot(b).dot(c.dot(d))",
    "np.linalg.multi_dot((a, b, c, d))",
    a=40, b=300, c=40, d=300, e=40,
)
LINEAR_LAYER = case(
    "layers", "linear", "bij,jk->bik", "(a.reshape({b} * {i}, {j}) @ b).reshape({b}, {i}, {k})", "a @ b",
    b=64, i=32, j=128, k=128,
)
OUTER_PRODUCT = case(
    "elements", "outer product", "i,j->ij", "a[:, None] * b", "np.multiply.outer(a, b)", "np.outer(a, b)",
    i=1000, j=1000,
)
ELEMENTWISE_PRODUCT = case("elements", "product of elements", "ij,ij->ij", "a * b", i=1000, j=1000)
ROW_DOT_PRODUCTS = case(
    "reductions", "dot products of rows", "ij,ij->i", "np.vecdot(a, b)", "(a[:, None] @ b[:, :, None])[:, 0, 0]",
    "(a * b) @ np.ones({j}, np.float32)", "(a * b).sum(1)", i=1000, j=1000,
)
TRACE = case("views", "trace", "ii->", "a.trace()", "a.reshape({i} * {i})[::{i} + 1].sum()", i=1000)

CONTRACTIONS = (
    # The seven cases of the table in README.md.
    MATRIX_PRODUCT,
    case("table", "scores, heads first", "bhid,bhjd->bhij", "a @ b.mT", "a @ b.mT.copy()",
         b=4, h=8, i=256, j=256, d=64),
    ATTENTION_SCORES,
    THREE_OPERANDS,
    MATRIX_CHAIN,
    case("table", "a matrix for each head", "bhi,hij->bhj", "np.matmul(a, b, axes=[(0, 2), (1, 2), (0, 2)])",
         "(a.transpose(1, 0, 2) @ b).transpose(1, 0, 2)", "(a.transpose(1, 0, 2).copy() @ b).transpose(1, 0, 2)",
         "np.vecmat(a, b)", b=256, h=16, i=64, j=64),
    case("table", "1x1 convolution", "bchw,oc->bohw",
         "(b @ a.reshape({b}, {c}, {h} * {w})).reshape({b}, {o}, {h}, {w})", b=8, c=64, h=56, w=56, o=64),

    case("attention", "values, heads inside", "bhij,bjhd->bihd", "np.matmul(a, b, axes=[(2, 3), (1, 3), (1, 3)])",
         "(a @ b.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)", b=4, h=8, i=256, j=256, d=64),
    case("attention", "values, heads first", "bhij,bhjd->bihd", "np.matmul(a, b, axes=[(2, 3), (2, 3), (1, 3)])",
         "(a @ b).transpose(0, 2, 1, 3)", b=4, h=8, i=256, j=256, d=64),
    case("attention", "grouped queries", "bkgid,bkjd->bkgij",
         "(a.reshape({b}, {k}, {g} * {i}, {d}) @ b.mT).reshape({b}, {k}, {g}, {i}, {j})", "a @ b[:, :, None].mT",
         b=2, k=2, g=8, i=128, j=128, d=64),
    case("attention", "linear attention", "bhnd,bhne,bhmd->bhme", "c @ (a.mT @ b)", b=4, h=8, n=512, m=512, d=32, e=32),
    case("attention", "state, heads inside", "bnhd,bnhe->bhde", "a.transpose(0, 2, 3, 1) @ b.transpose(0, 2, 1, 3)",
         b=4, h=8, n=512, d=64, e=64),

    LINEAR_LAYER,
    case("layers", "bilinear", "bi,oij,bj->bo", "np.matvec((a @ b).transpose(1, 0, 2), c)", "np.vecdot(a @ b, c).T",
         "(a[:, :, None] * c[:, None]).reshape({b}, {i} * {j}) @ b.reshape({o}, {i} * {j}).T", b=64, o=32, i=64, j=64),
    case("layers", "quadratic form", "bi,ij,bj->b", "np.vecdot(a @ b, c)", b=4096, i=64, j=64),
    case("layers", "weighted Gram matrix", "ki,k,kj->ij", "(a * b[:, None]).T @ c", "(a.T * b) @ c",
         "a.T @ (b[:, None] * c)", k=10_000, i=64, j=64),
    case("layers", "mixture of experts", "becd,edf->becf", "a @ b", "(a.transpose(1, 0, 2, 3).reshape({e}, {b} * {c}, "
         "{d}) @ b).reshape({e}, {b}, {c}, {f}).transpose(1, 0, 2, 3)", b=32, e=8, c=4, d=128, f=128),
    case("layers", "3x3 convolution", "bchwpq,ocpq->bohw",
         "np.tensordot(b, a, ((1, 2, 3), (1, 4, 5))).transpose(1, 0, 2, 3)",
         "(b.reshape({o}, {c} * {p} * {q}) @ a.transpose(0, 1, 4, 5, 2, 3).reshape({b}, {c} * {p} * {q}, {h} * {w}))"
         ".reshape({b}, {o}, {h}, {w})", b=4, c=16, h=28, w=28, p=3, q=3, o=32),
    case("layers", "depthwise convolution", "bchwpq,cpq->bchw",
         "np.matvec(a.reshape({b}, {c}, {h} * {w}, {p} * {q}), b.reshape({c}, {p} * {q})).reshape({b}, {c}, {h}, {w})",
         b=8, c=32, h=28, w=28, p=3, q=3),

    case("networks", "matrix product state", "ia,ajb,bkc,cld,dme,en->ijklmn",
         "(((a @ b.reshape({a}, -1)).reshape(-1, {b}) @ c.reshape({b}, -1)).reshape(-1, {c}) @ (d.reshape(-1, {d})"
         " @ (e.reshape(-1, {e}) @ f).reshape({d}, -1)).reshape({c}, -1)).reshape({i}, {j}, {k}, {l}, {m}, {n})",
         **dict.fromkeys("ijklmn", 8), **dict.fromkeys("abcde", 32)),
    case("networks", "ring of four", "ab,bc,cd,da->", "np.vdot(a @ b, d.T @ c.T)", "np.vdot(a @ b, (c @ d).T)",
         "np.einsum('ac,ca->', a @ b, c @ d)", a=256, b=256, c=256, d=256),
    case("networks", "2x2 patch", "abi,bcj,adk,dcl->ijkl",
         "np.tensordot(np.tensordot(a, b, (1, 0)), np.tensordot(c, d, (1, 0)), ((0, 2), (0, 2)))",
         **dict.fromkeys("abcd", 8), **dict.fromkeys("ijkl", 16)),
    case("networks", "Tucker", "abc,ai,bj,ck->ijk",
         "c.T @ (b.T @ a.reshape({a}, {b} * {c})).reshape({i}, {b}, {c}) @ d",
         "c.T @ ((b.T @ a.reshape({a}, {b} * {c})).reshape({i} * {b}, {c}) @ d).reshape({i}, {b}, {k})",
         a=32, b=32, c=32, i=64, j=64, k=64),
    case("networks", "CP step (MTTKRP)", "ijk,jr,kr->ir",
         "a.reshape({i}, {j} * {k}) @ (b[:, None] * c).reshape({j} * {k}, {r})",
         "((a.reshape({i} * {j}, {k}) @ c).reshape({i}, {j}, {r}) * b).sum(1)",
         "np.einsum('ijr,jr->ir', (a.reshape({i} * {j}, {k}) @ c).reshape({i}, {j}, {r}), b)", i=96, j=96, k=96, r=32),
    case("networks", "two axes to two", "abcd,cdef->abef", "np.tensordot(a, b, 2)", "(a.reshape({a} * {b}, {c} * {d})"
         " @ b.reshape({c} * {d}, {e} * {f})).reshape({a}, {b}, {e}, {f})", **dict.fromkeys("abcdef", 16)),

    OUTER_PRODUCT,
    case("elements", "outer products", "bi,bj->bij", "a[:, :, None] * b[:, None]", b=256, i=64, j=64),
    ELEMENTWISE_PRODUCT,
    case("elements", "elements, transposed", "ij,ji->ij", "a * b.T", "a * b.T.copy()", i=1000, j=1000),
    case("elements", "elements of three", "ij,ij,ij->ij", "a * b * c", i=1000, j=1000),
    case("elements", "scaled columns", "ij,j->ij", "a * b", i=1000, j=1000),
    case("elements", "scaled rows", "ij,i->ij", "a * b[:, None]", i=1000, j=1000),

    ROW_DOT_PRODUCTS,
    replace(ROW_DOT_PRODUCTS, name="dot products of short rows", sizes=dict(i=100_000, j=8)),
    case("reductions", "dot products of columns", "ij,ij->j", "np.ones({i}, np.float32) @ (a * b)", "(a * b).sum(0)",
         "np.vecdot(a, b, axis=0)", i=1000, j=1000),
    case("reductions", "Frobenius", "ij,ij->", "np.vdot(a, b)", "a.ravel() @ b.ravel()", i=1000, j=1000),
    case("reductions", "Frobenius, transposed", "ij,ji->", "np.vecdot(a, b.T).sum()", "np.vdot(a, b.T)",
         i=1000, j=1000),
    case("reductions", "matrix times vector", "ij,j->i", "a.dot(b)", "a @ b", i=2000, j=2000),
    case("reductions", "vector times matrix", "ij,i->j", "b.dot(a)", "b @ a", "a.T @ b", i=2000, j=2000),
    case("reductions", "matrices times vectors", "bij,bj->bi", "np.matvec(a, b)", "(a @ b[:, :, None])[:, :, 0]",
         b=256, i=64, j=64),
    case("reductions", "traces", "bii->b", "a.diagonal(0, 1, 2).sum(1)", "a.trace(0, 1, 2)", b=1000, i=64),
    case("reductions", "sums of rows", "ij->i", "a @ np.ones({j}, np.float32)", "a.sum(1)", i=1000, j=1000),
    case("reductions", "sums of columns", "ij->j", "np.ones({i}, np.float32) @ a", "a.sum(0)", i=1000, j=1000),
    case("reductions", "sum", "ij->", "(a @ np.ones({j}, np.float32)).sum()", "a.sum()", i=1000, j=1000),
    case("reductions", "an axis of one tensor", "ij,jk->k", "np.ones({i}, np.float32) @ a @ b", "a.sum(0) @ b",
         i=512, j=512, k=512),

    replace(MATRIX_PRODUCT, group="layouts", name="tall times small", sizes=dict(i=100_000, k=8, j=8)),
    replace(MATRIX_PRODUCT, group="layouts", name="wide times tall", sizes=dict(i=8, k=100_000, j=8)),
    case("layouts", "both tall", "ki,kj->ij", "a.T @ b", k=100_000, i=8, j=8),
    case("layouts", "transposed result", "ik,kj->ji", "(a @ b).T", "b.T @ a.T", i=512, k=512, j=512),
    case("layouts", "transposed operands", "ki,jk->ij", "a.T @ b.T", "(b @ a).T", i=512, k=512, j=512),
    case("layouts", "transposed results", "bik,kj->bji", "(a.reshape({b} * {i}, {k}) @ b).reshape({b}, {i}, {j}).mT",
         "(a @ b).mT", "b.T @ a.mT", b=16, i=128, k=64, j=96),
    case("layouts", "batch at the end", "ijb,jkb->ikb", "np.matmul(a, b, axes=[(0, 1), (0, 1), (0, 1)])",
         "(a.transpose(2, 0, 1).copy() @ b.transpose(2, 0, 1).copy()).transpose(1, 2, 0)", b=64, i=48, j=48, k=48),
    case("layouts", "summed batch", "bij,bjk->ik", "a.transpose(1, 0, 2).reshape({i}, {b} * {j}) @ "
         "b.reshape({b} * {j}, {k})", "(a @ b).sum(0)", b=64, i=64, j=64, k=64),

    replace(MATRIX_PRODUCT, group="types", name="float64 matrices", sizes=dict(i=512, k=512, j=512), dtype="float64"),
    case("types", "float64 four indices", "pi,qj,pqrs,rk,sl->ijkl",
         "(a.T @ (b.T @ (d.T @ (c @ e)).reshape({p}, {q}, {k} * {l})).reshape({p}, {j} * {k} * {l}))"
         ".reshape({i}, {j}, {k}, {l})", dtype="float64", **dict.fromkeys("pqrsijkl", 20)),
    case("types", "float64 coupled cluster", "ikac,jkbc->ijab",
         "np.tensordot(a, b, ((1, 3), (1, 3))).transpose(0, 2, 1, 3)", dtype="float64",
         i=10, a=24, k=10, c=24, j=10, b=24),
    replace(MATRIX_PRODUCT, group="types", name="complex64 matrices", sizes=dict(i=256, k=256, j=256),
            dtype="complex64"),
    case("types", "float16 matrices", "ik,kj->ij", "(a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)",
         "a @ b", dtype="float16", i=128, k=128, j=128),

    case("views", "transpose", "ijk->kji", "a.T", "a.transpose(2, 1, 0)", i=64, j=96, k=128),
    case("views", "diagonal", "ii->i", "a.diagonal()", i=1000),
    TRACE,

    MATRIX_PRODUCT.make_tiny("matrix product", i=3, k=4, j=5),
    LINEAR_LAYER.make_tiny("linear", b=2, i=3, j=4, k=5),
    ATTENTION_SCORES.make_tiny("scores", b=2, h=2, i=4, j=4, d=3),
    THREE_OPERANDS.make_tiny("three tensors", i=3, k=4, j=5, l=2),
    MATRIX_CHAIN.make_tiny("chain of four", a=3, b=5, c=3, d=5, e=3),
    case("tiny", "tiny dot product", "i,i->", "a.dot(b)", "np.vdot(a, b)", i=6),
    OUTER_PRODUCT.make_tiny("outer product", i=5, j=6),
    ELEMENTWISE_PRODUCT.make_tiny("product of elements", i=4, j=5),
    ROW_DOT_PRODUCTS.make_tiny("dot products of rows", i=4, j=5),
    TRACE.make_tiny("trace", i=5),
)
"""All cases, ordered by group as in `GROUPS`."""
# fmt: on
