"""The reductions and copies that `benchmarks.memory_bound` measures: patterns, sizes, and hand-written code.

The hand-written code is text; its array is called ``x``, ``{h}`` is replaced by the length of the axis ``h``, and
``hand`` is the module `benchmarks.handwritten`. If several expressions take about the same time, all of them are
listed: plait is compared with the fastest one on the machine at hand. The patterns of copies merge axes, which forces a
copy: for ``b c h w -> b h w c`` both plait and einops return a view.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.memory_bound_operation import ExpressionsByFramework, MemoryBoundOperation

GROUPS = ("pooling", "blocks", "axes", "statistics", "copies", "repeats", "types", "layouts")


def case(
    group: str,
    name: str,
    call: str,
    handwritten: ExpressionsByFramework,
    *given: str,
    dtype: str = "float32",
    **sizes: int,
) -> MemoryBoundOperation:
    """Create an operation from positional arguments.

    Args:
        group: one of `GROUPS`.
        name: a short description.
        call: ``"function: pattern"``, or ``"reduction: pattern"``.
        handwritten: the hand-written code by framework.
        given: the axes whose sizes are passed in the call.
        dtype: the element type of the array.
        sizes: the length of each named axis.
    """
    operation, pattern = call.split(": ")
    function, reduction = (operation, "") if operation in ("rearrange", "repeat") else ("reduce", operation)
    return MemoryBoundOperation(group, name, function, pattern, reduction, handwritten, sizes, given, dtype)


def handwritten_code(numpy: tuple[str, ...], torch: tuple[str, ...]) -> ExpressionsByFramework:
    """Return the hand-written code of an operation by framework."""
    return {"numpy": numpy, "torch": torch}


def pool_code(combine: str, torch: tuple[str, ...], scale: str = "") -> ExpressionsByFramework:
    """Return the code for 2x2 pooling: combine pairs of rows and of columns, in whole arrays and in blocks.

    Args:
        combine: the name of the NumPy function that combines two elements.
        torch: the expressions for PyTorch.
        scale: an expression by which the result is multiplied.
    """
    scale_suffix, scale_argument = (f" * {scale}", f", {scale}") if scale else ("", "")
    function = f"np.{combine}"
    whole_arrays = (
        f"(lambda t: {function}(t[..., 0::2], t[..., 1::2]))({function}(x[:, :, 0::2], x[:, :, 1::2])){scale_suffix}",
        f"(lambda t: {function}(t[:, :, 0::2], t[:, :, 1::2]))({function}(x[..., 0::2], x[..., 1::2])){scale_suffix}",
    )
    blocks = (
        f"hand.pool_rows_then_columns(x, {function}{scale_argument})",
        f"hand.pool_columns_then_rows(x, {function}{scale_argument})",
    )
    return handwritten_code((*whole_arrays, *blocks), torch)


# fmt: off
IMAGE_SIZES: dict[str, Any] = dict(b=16, c=32, h=224, w=224)
HALF_RESOLUTION_SIZES: dict[str, Any] = dict(b=16, c=32, h=112, w=112)
POOL_PATTERN = "b c (h 2) (w 2) -> b c h w"
TORCH_POOL_TEMPLATES = (
    "(lambda t: torch.{0}(t[..., 0::2], t[..., 1::2]){1})(torch.{0}(x[:, :, 0::2], x[:, :, 1::2]))",
    "(lambda t: torch.{0}(t[:, :, 0::2], t[:, :, 1::2]){1})(torch.{0}(x[..., 0::2], x[..., 1::2]))",
)
MAX_POOL_CODE = pool_code("maximum", (
    *(text.format("maximum", "") for text in TORCH_POOL_TEMPLATES),
    "hand.pool_rows_then_columns_torch(x, torch.maximum)",
))
MAX_POOL_FLOAT_CODE = {**MAX_POOL_CODE, "torch": (*MAX_POOL_CODE["torch"], "F.max_pool2d(x, 2)")}
MEAN_POOL_CODE = pool_code("add", (
    *(text.format("add", ".mul_(0.25)") for text in TORCH_POOL_TEMPLATES),
    "hand.pool_rows_then_columns_torch(x, torch.add, 0.25)", "F.avg_pool2d(x, 2)",
), "x.dtype.type(0.25)")
SUM_POOL_CODE = pool_code("add", (
    *(text.format("add", "") for text in TORCH_POOL_TEMPLATES), "hand.pool_rows_then_columns_torch(x, torch.add)",
))
CHANNELS_LAST_CODE = handwritten_code(("x.transpose(0, 2, 3, 1).reshape({b}, -1)",
             "hand.to_channels_last_blocked(x, 8, 32).reshape({b}, -1)",
             "hand.to_channels_last_blocked(x, 11, 32).reshape({b}, -1)"),
            ("x.permute(0, 2, 3, 1).reshape({b}, -1)",
             "x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape({b}, -1)",
             "x.reshape({b}, {c}, -1).transpose(1, 2).reshape({b}, -1)",
             "torch.stack([image.reshape({c}, -1).t().contiguous() for image in x]).view({b}, -1)"))
MAX_POOL_2X2 = case("pooling", "max-pool 2x2", f"max: {POOL_PATTERN}", MAX_POOL_FLOAT_CODE, **HALF_RESOLUTION_SIZES)
MEAN_POOL_2X2 = case("pooling", "mean-pool 2x2", f"mean: {POOL_PATTERN}", MEAN_POOL_CODE, **HALF_RESOLUTION_SIZES)
TO_CHANNELS_LAST = case("copies", "b c h w -> b h w c", "rearrange: b c h w -> b (h w c)", CHANNELS_LAST_CODE,
                        **IMAGE_SIZES)
TRANSPOSE = case("copies", "h w -> w h", "rearrange: b c h w -> b c (w h)", handwritten_code(
    ("x.swapaxes(2, 3).reshape({b}, {c}, -1)",), ("x.transpose(2, 3).reshape({b}, {c}, -1)",)), **IMAGE_SIZES)

TARGET_OPERATIONS = (
    MAX_POOL_2X2,
    MEAN_POOL_2X2,
    case("blocks", "sum 16x16", "sum: b c (h p) (w q) -> b c h w", handwritten_code(
        ("x.reshape({b}, {c}, {h}, {p}, -1).sum(3).reshape({b}, {c}, {h}, {w}, {q}).sum(4)",
         "x.reshape({b}, {c}, {h}, {p}, -1).sum(3).reshape({b}, {c}, {h}, {w}, {q}) @ np.ones({q}, x.dtype)",
         ("(np.einsum('npw->nw', x.reshape(-1, {p}, {w} * {q})).reshape(-1, {q}) @ np.ones({q}, x.dtype))"
          ".reshape({b}, {c}, {h}, {w})"),
         ("(np.ones({p}, x.dtype) @ (x.reshape(-1, {q}) @ np.ones({q}, x.dtype)).reshape(-1, {p}, {w}))"
          ".reshape({b}, {c}, {h}, {w})")),
        ("x.reshape({b}, {c}, {h}, {p}, -1).sum(3).view({b}, {c}, {h}, {w}, {q}).sum(4)",
         "x.reshape({b}, {c}, {h}, {p}, {w}, {q}).sum(5).sum(3)",
         "(x.reshape(-1, {q}) @ torch.ones({q})).view({b}, {c}, {h}, {p}, {w}).sum(3)",
         "F.avg_pool2d(x, {p}, divisor_override=1)")), "p", "q", b=16, c=32, h=14, w=14, p=16, q=16),
    case("blocks", "max 16x16", "max: b c (h p) (w q) -> b c h w", handwritten_code(
        ("x.reshape({b}, {c}, {h}, {p}, -1).max(3).reshape({b}, {c}, {h}, {w}, {q}).max(4)",
         "np.maximum.reduceat(x.reshape({b}, {c}, {h}, {p}, -1).max(3), np.arange({w}) * {q}, 3)",
         "hand.max_of_short_groups(x.reshape({b}, {c}, {h}, {p}, -1).max(3), {q}).reshape({b}, {c}, {h}, {w})"),
        ("x.reshape({b}, {c}, {h}, {p}, -1).amax(3).view({b}, {c}, {h}, {w}, {q}).amax(4)",
         "x.reshape({b}, {c}, {h}, {p}, {w}, {q}).amax(5).amax(3)", "F.max_pool2d(x, {p})")),
        "p", "q", b=16, c=32, h=14, w=14, p=16, q=16),
    case("axes", "max -> b w", "max: b c h w -> b w", handwritten_code(
        ("x.max((1, 2))", "x.max(2).max(1)", "hand.reduce_in_two_steps(x.reshape({b}, -1, {w}), np.maximum.reduce, 16)",
         "hand.reduce_in_two_steps(x.reshape({b}, -1, {w}), np.maximum.reduce, 64)"),
        ("x.amax((1, 2))", "x.amax(2).amax(1)", "hand.reduce_in_two_steps(x.reshape({b}, -1, {w}), torch.amax, 2)")),
        **IMAGE_SIZES),
    TO_CHANNELS_LAST,
    case("copies", "b c h w -> w h c b", "rearrange: b c h w -> (w h c b)", handwritten_code(
        ("x.T.ravel()", "hand.reverse_axes_blocked(x, 8).ravel()", "hand.reverse_axes_blocked(x, 1).ravel()"),
        ("x.permute(3, 2, 1, 0).reshape(-1)", "hand.reverse_axes_in_two_copies(x).view(-1)")), **IMAGE_SIZES),
    TRANSPOSE,
    case("copies", "patches of 16", "rearrange: b c (h p) (w q) -> b (h w) (p q c)", handwritten_code(
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).transpose(0, 2, 4, 3, 5, 1).reshape({b}, {h} * {w}, -1)",
         "hand.to_patches_blocked(x, {p}, 16)"),
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).permute(0, 2, 4, 3, 5, 1).reshape({b}, {h} * {w}, -1)",
         "x.permute(0, 2, 3, 1).contiguous().view({b}, {h}, {p}, {w}, -1).transpose(2, 3).reshape({b}, {h} * {w}, -1)",
         "F.unfold(x, {p}, stride={p}).view({b}, {c}, -1, {h} * {w}).permute(0, 3, 2, 1).reshape({b}, {h} * {w}, -1)")),
        "p", "q", b=16, c=32, h=14, w=14, p=16, q=16),
)
"""The nine operations that have performance targets."""

TARGET_OPERATION_NAMES = frozenset(operation.name for operation in TARGET_OPERATIONS)
"""The names of `TARGET_OPERATIONS`."""

POOL_3D_TEMPLATE = (
    "(lambda t: {0}(t[..., 0::2], t[..., 1::2]))((lambda t: {0}(t[:, :, :, 0::2], t[:, :, :, 1::2]))"
    "({0}(x[:, :, 0::2], x[:, :, 1::2])))"
)
CHANNELS_LAST_MAX_POOL_CODE = handwritten_code(
    ("(lambda t: np.maximum(t[:, :, 0::2], t[:, :, 1::2]))(np.maximum(x[:, 0::2], x[:, 1::2]))",
     "(lambda t: np.maximum(t[:, 0::2], t[:, 1::2]))(np.maximum(x[:, :, 0::2], x[:, :, 1::2]))",
     "np.maximum(np.maximum(x[:, 0::2, 0::2], x[:, 0::2, 1::2]), np.maximum(x[:, 1::2, 0::2], x[:, 1::2, 1::2]))"),
    ("(lambda t: torch.maximum(t[:, :, 0::2], t[:, :, 1::2]))(torch.maximum(x[:, 0::2], x[:, 1::2]))",
     "F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)"))

MEMORY_BOUND_OPERATIONS = (
    MAX_POOL_2X2, MEAN_POOL_2X2,
    case("pooling", "max-pool 2x2, 64 channels last", "max: b (h 2) (w 2) c -> b h w c", CHANNELS_LAST_MAX_POOL_CODE,
         b=8, h=112, w=112, c=64),
    case("pooling", "max-pool 2x2, 3 channels last", "max: b (h 2) (w 2) c -> b h w c", CHANNELS_LAST_MAX_POOL_CODE,
         b=170, h=112, w=112, c=3),
    case("pooling", "max-pool 2x2x2", "max: b c (d 2) (h 2) (w 2) -> b c d h w", handwritten_code(
        (POOL_3D_TEMPLATE.format("np.maximum"),), (POOL_3D_TEMPLATE.format("torch.maximum"), "F.max_pool3d(x, 2)")),
        b=4, c=16, d=16, h=56, w=56),
    case("pooling", "mean-pool 1d by 4", "mean: b c (t 4) -> b c t", handwritten_code(
        ("np.add(np.add(x[..., 0::4], x[..., 1::4]), np.add(x[..., 2::4], x[..., 3::4])) * np.float32(0.25)",
         "x.reshape({b}, {c}, {t}, 4) @ np.full(4, 0.25, np.float32)"),
        ("x.view({b}, {c}, {t}, 4).mean(3)", "F.avg_pool1d(x, 4)",
         "torch.add(torch.add(x[..., 0::4], x[..., 1::4]), torch.add(x[..., 2::4], x[..., 3::4])).mul_(0.25)")),
        b=64, c=64, t=1568),

    *TARGET_OPERATIONS[2:4],
    case("blocks", "prod 2x2", f"prod: {POOL_PATTERN}", pool_code("multiply", tuple(
        text.format("mul", "") for text in TORCH_POOL_TEMPLATES)), **HALF_RESOLUTION_SIZES),

    TARGET_OPERATIONS[4],
    case("axes", "mean -> b c", "mean: b c h w -> b c", handwritten_code(
        ("x.mean((2, 3))", "x.reshape({b}, {c}, -1).mean(2)",
         "x.reshape({b}, {c}, -1) @ np.full({h} * {w}, 1 / ({h} * {w}), np.float32)"),
        ("x.mean((2, 3))", "F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]", "x.mean(3).mean(2)")), **IMAGE_SIZES),
    case("axes", "sum -> c", "sum: b c h w -> c", handwritten_code(
        ("x.sum((0, 2, 3))", "x.reshape({b}, {c}, -1).sum(2).sum(0)",
         "(x.reshape({b}, {c}, -1) @ np.ones({h} * {w}, np.float32)).sum(0)"),
        ("x.sum((0, 2, 3))", "x.sum((2, 3)).sum(0)")), **IMAGE_SIZES),
    case("axes", "mean -> h w", "mean: b c h w -> h w", handwritten_code(
        ("x.mean((0, 1))", "x.reshape({b} * {c}, -1).mean(0).reshape({h}, {w})", "x.mean(1).mean(0)"),
        ("x.mean((0, 1))", "x.view({b} * {c}, -1).mean(0).view({h}, {w})", "x.mean(1).mean(0)")), **IMAGE_SIZES),
    case("axes", "sum -> b h", "sum: b c h w -> b h", handwritten_code(
        ("x.sum((1, 3))", "x.sum(1).sum(2)", "x.sum(3).sum(1)", "(x @ np.ones({w}, np.float32)).sum(1)"),
        ("x.sum((1, 3))", "x.sum(1).sum(2)", "x.sum(3).sum(1)")), **IMAGE_SIZES),
    case("axes", "max of all", "max: b c h w ->", handwritten_code(
        ("x.max()", "x.reshape(-1, {w}).max(0).max()"),
        ("x.max()", "x.view(-1, {w}).amax(0).max()")), **IMAGE_SIZES),
    case("axes", "any -> b h", "any: b c h w -> b h", handwritten_code(
        ("x.any((1, 3))", "x.any(1).any(2)", "np.bitwise_or.reduce(x, 1).any(2)"),
        ("x.any(3).any(1)", "x.any(1).any(2)")), dtype="bool", **IMAGE_SIZES),
    case("axes", "all -> b w", "all: b c h w -> b w", handwritten_code(
        ("x.all((1, 2))", "np.bitwise_and.reduce(x.reshape({b}, -1, {w}), 1)", "x.all(2).all(1)"),
        ("x.all(2).all(1)", "x.all(1).all(1)")), dtype="bool", **IMAGE_SIZES),

    case("statistics", "std -> c", "std: b c h w -> c", handwritten_code(
        ("x.std((0, 2, 3))",
         "(lambda m: np.sqrt(np.mean(np.square(x - m[:, None, None]), (0, 2, 3))))(x.mean((0, 2, 3)))"),
        ("x.std((0, 2, 3), correction=0)",)), **IMAGE_SIZES),
    case("statistics", "var -> b c", "var: b c h w -> b c", handwritten_code(
        ("x.var((2, 3))",
         "(lambda t: np.vecdot(t, t) / np.float32({h} * {w}))(x.reshape({b}, {c}, -1) - x.mean((2, 3))[..., None])"),
        ("x.var((2, 3), correction=0)", "x.view({b}, {c}, -1).var(2, correction=0)")), **IMAGE_SIZES),
    case("statistics", "logsumexp -> b c h", "logsumexp: b c h w -> b c h", handwritten_code(
        ("(lambda m: np.log(np.exp(x - m).sum(3)) + m[..., 0])(x.max(3, keepdims=True))",
         "(lambda m: (lambda t: np.log(np.exp(t, out=t).sum(3)) + m[..., 0])(x - m))(x.max(3, keepdims=True))"),
        ("x.logsumexp(3)",)), **IMAGE_SIZES),

    *TARGET_OPERATIONS[5:],
    case("copies", "space to depth", "rearrange: b c (h p) (w q) -> b (c p q) h w", handwritten_code(
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).transpose(0, 1, 3, 5, 2, 4).reshape({b}, -1, {h}, {w})",
         "np.stack([x[:, :, i::{p}, j::{q}] for i in range({p}) for j in range({q})], 2).reshape({b}, -1, {h}, {w})"),
        ("F.pixel_unshuffle(x, {p})",
         "x.view({b}, {c}, {h}, {p}, {w}, {q}).permute(0, 1, 3, 5, 2, 4).reshape({b}, -1, {h}, {w})")),
        "p", "q", p=2, q=2, **HALF_RESOLUTION_SIZES),
    case("copies", "depth to space", "rearrange: b (c p q) h w -> b c (h p) (w q)", handwritten_code(
        ("x.reshape({b}, {c}, {p}, {q}, {h}, {w}).transpose(0, 1, 4, 2, 5, 3).reshape({b}, {c}, {h} * {p}, -1)",),
        ("F.pixel_shuffle(x, {p})",
         "x.view({b}, {c}, {p}, {q}, {h}, {w}).permute(0, 1, 4, 2, 5, 3).reshape({b}, {c}, {h} * {p}, {w} * {q})")),
        "p", "q", p=2, q=2, **HALF_RESOLUTION_SIZES),
    case("copies", "heads", "rearrange: b t (h d) -> b (h t) d", handwritten_code(
        ("x.reshape({b}, {t}, {h}, {d}).transpose(0, 2, 1, 3).reshape({b}, {h} * {t}, {d})",),
        ("x.view({b}, {t}, {h}, {d}).transpose(1, 2).reshape({b}, {h} * {t}, {d})",)),
        "h", "d", b=32, t=1024, h=12, d=64),
    case("copies", "heads, for keys", "rearrange: b t (h d) -> b h (d t)", handwritten_code(
        ("x.reshape({b}, {t}, {h}, {d}).transpose(0, 2, 3, 1).reshape({b}, {h}, -1)",
         "x.swapaxes(1, 2).reshape({b}, {h}, -1)"),
        ("x.view({b}, {t}, {h}, {d}).permute(0, 2, 3, 1).reshape({b}, {h}, -1)",
         "x.transpose(1, 2).reshape({b}, {h}, -1)")),
        "h", "d", b=32, t=1024, h=12, d=64),

    case("repeats", "upsample 2x2", "repeat: b c h w -> b c (h p) (w q)", handwritten_code(
        ("np.broadcast_to(x[:, :, :, None, :, None], ({b}, {c}, {h}, {p}, {w}, {q})).reshape({b}, {c}, {h} * {p}, -1)",
         "x.repeat({q}, 3).repeat({p}, 2)", "hand.upsample_2x2(x)"),
        ("x[:, :, :, None, :, None].expand({b}, {c}, {h}, {p}, {w}, {q}).reshape({b}, {c}, {h} * {p}, -1)",
         "x.repeat_interleave({q}, 3).repeat_interleave({p}, 2)", "F.interpolate(x, scale_factor=2)")),
        "p", "q", p=2, q=2, **HALF_RESOLUTION_SIZES),
    case("repeats", "tile 2x2", "repeat: b c h w -> b c (p h) (q w)", handwritten_code(
        ("np.tile(x, ({p}, {q}))", "(lambda t: np.concatenate((t, t), 2))(np.concatenate((x, x), 3))"),
        ("x.repeat(1, 1, {p}, {q})", "x.tile({p}, {q})")), "p", "q", p=2, q=2, **HALF_RESOLUTION_SIZES),

    replace(MAX_POOL_2X2, group="types", name="max-pool 2x2, float64", dtype="float64", handwritten=MAX_POOL_CODE),
    replace(MEAN_POOL_2X2, group="types", name="mean-pool 2x2, float16", dtype="float16"),
    replace(MAX_POOL_2X2, group="types", name="max-pool 2x2, uint8", dtype="uint8", handwritten=MAX_POOL_CODE),
    replace(MAX_POOL_2X2, group="types", name="max-pool 2x2, int64", dtype="int64", handwritten=MAX_POOL_CODE),
    replace(MAX_POOL_2X2, group="types", name="sum-pool 2x2, complex64", dtype="complex64", handwritten=SUM_POOL_CODE,
            reduction="sum"),
    replace(TO_CHANNELS_LAST, group="types", name="b c h w -> b h w c, uint8", dtype="uint8"),
    replace(TO_CHANNELS_LAST, group="types", name="b c h w -> b h w c, float64", dtype="float64"),
    replace(TRANSPOSE, group="types", name="h w -> w h, complex64", dtype="complex64"),

    replace(MAX_POOL_2X2, group="layouts", name="max-pool 2x2 of x[..., ::2]", layout="every second"),
    replace(MAX_POOL_2X2, group="layouts", name="max-pool 2x2, transposed", layout="transposed"),
    replace(MEAN_POOL_2X2, group="layouts", name="mean-pool 2x2, channels last", layout="channels last"),
    replace(MEAN_POOL_2X2, group="layouts", name="mean-pool 2x2, backwards", layout="backwards"),
    replace(MAX_POOL_2X2, group="layouts", name="max-pool 2x2, cut out", layout="cut out"),
    replace(TO_CHANNELS_LAST, group="layouts", name="b c h w -> b h w c, cut out", layout="cut out"),
    replace(TRANSPOSE, group="layouts", name="h w -> w h of x[..., ::2]", layout="every second"),
)
"""All operations, ordered by group as in `GROUPS`."""
# fmt: on
