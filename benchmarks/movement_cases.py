"""The reductions and copies that `benchmarks.movements` compares: patterns, sizes, and what an expert writes.

What is written by hand is text over the array ``x``, with the length of the axis ``h`` in the place of ``{h}``;
``hand`` is `benchmarks.by_hand`. Where several ways are near one another, all of them are here: the fastest on the
machine of the day is the one to be compared with. A copy's pattern merges axes, so that the library has to make it: of
``b c h w -> b h w c`` both libraries give a view, and whoever copies that is no library.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.movement import ByHand, Movement

GROUPS = ("pooling", "blocks", "axes", "statistics", "copies", "repeats", "types", "layouts")


def case(
    group: str, name: str, call: str, by_hand: ByHand, *given: str, dtype: str = "float32", **sizes: int
) -> Movement:
    """A movement from ``"function: pattern"``, or ``"reduction: pattern"``."""
    does, pattern = call.split(": ")
    function, reduction = (does, "") if does in ("rearrange", "repeat") else ("reduce", does)
    return Movement(group, name, function, pattern, reduction, by_hand, sizes, given, dtype)


def ways(numpy: tuple[str, ...], torch: tuple[str, ...]) -> ByHand:
    """What is written by hand, by framework."""
    return {"numpy": numpy, "torch": torch}


def pool(combine: str, torch: tuple[str, ...], scale: str = "") -> ByHand:
    """Pairs of rows, then pairs of columns: whole, and in blocks."""
    then, more = (f" * {scale}", f", {scale}") if scale else ("", "")
    does = f"np.{combine}"
    whole = (
        f"(lambda t: {does}(t[..., 0::2], t[..., 1::2]))({does}(x[:, :, 0::2], x[:, :, 1::2])){then}",
        f"(lambda t: {does}(t[:, :, 0::2], t[:, :, 1::2]))({does}(x[..., 0::2], x[..., 1::2])){then}",
    )
    blocks = (f"hand.rows_first(x, {does}{more})", f"hand.columns_first(x, {does}{more})")
    return ways((*whole, *blocks), torch)


# fmt: off
IMAGES: dict[str, Any] = dict(b=16, c=32, h=224, w=224)
HALVES: dict[str, Any] = dict(b=16, c=32, h=112, w=112)
POOL = "b c (h 2) (w 2) -> b c h w"
TORCH_HALVES = (
    "(lambda t: torch.{0}(t[..., 0::2], t[..., 1::2]){1})(torch.{0}(x[:, :, 0::2], x[:, :, 1::2]))",
    "(lambda t: torch.{0}(t[:, :, 0::2], t[:, :, 1::2]){1})(torch.{0}(x[..., 0::2], x[..., 1::2]))",
)
MAX_POOL = pool("maximum", (
    *(text.format("maximum", "") for text in TORCH_HALVES), "hand.rows_first_torch(x, torch.maximum)",
))
MAX_POOL_FLOATS = {**MAX_POOL, "torch": (*MAX_POOL["torch"], "F.max_pool2d(x, 2)")}
MEAN_POOL = pool("add", (
    *(text.format("add", ".mul_(0.25)") for text in TORCH_HALVES),
    "hand.rows_first_torch(x, torch.add, 0.25)", "F.avg_pool2d(x, 2)",
), "x.dtype.type(0.25)")
SUM_POOL = pool("add", (*(text.format("add", "") for text in TORCH_HALVES), "hand.rows_first_torch(x, torch.add)"))
LAST = ways(("x.transpose(0, 2, 3, 1).reshape({b}, -1)", "hand.some_channels_last(x, 8, 32).reshape({b}, -1)",
             "hand.some_channels_last(x, 11, 32).reshape({b}, -1)"),
            ("x.permute(0, 2, 3, 1).reshape({b}, -1)",
             "x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape({b}, -1)",
             "x.reshape({b}, {c}, -1).transpose(1, 2).reshape({b}, -1)",
             "torch.stack([image.reshape({c}, -1).t().contiguous() for image in x]).view({b}, -1)"))
MAX2 = case("pooling", "max-pool 2x2", f"max: {POOL}", MAX_POOL_FLOATS, **HALVES)
MEAN2 = case("pooling", "mean-pool 2x2", f"mean: {POOL}", MEAN_POOL, **HALVES)
TO_LAST = case("copies", "b c h w -> b h w c", "rearrange: b c h w -> b (h w c)", LAST, **IMAGES)
TURNED = case("copies", "h w -> w h", "rearrange: b c h w -> b c (w h)", ways(
    ("x.swapaxes(2, 3).reshape({b}, {c}, -1)",), ("x.transpose(2, 3).reshape({b}, {c}, -1)",)), **IMAGES)

NINE = (
    MAX2,
    MEAN2,
    case("blocks", "sum 16x16", "sum: b c (h p) (w q) -> b c h w", ways(
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
    case("blocks", "max 16x16", "max: b c (h p) (w q) -> b c h w", ways(
        ("x.reshape({b}, {c}, {h}, {p}, -1).max(3).reshape({b}, {c}, {h}, {w}, {q}).max(4)",
         "np.maximum.reduceat(x.reshape({b}, {c}, {h}, {p}, -1).max(3), np.arange({w}) * {q}, 3)",
         "hand.transposed_max(x.reshape({b}, {c}, {h}, {p}, -1).max(3), {q}).reshape({b}, {c}, {h}, {w})"),
        ("x.reshape({b}, {c}, {h}, {p}, -1).amax(3).view({b}, {c}, {h}, {w}, {q}).amax(4)",
         "x.reshape({b}, {c}, {h}, {p}, {w}, {q}).amax(5).amax(3)", "F.max_pool2d(x, {p})")),
        "p", "q", b=16, c=32, h=14, w=14, p=16, q=16),
    case("axes", "max -> b w", "max: b c h w -> b w", ways(
        ("x.max((1, 2))", "x.max(2).max(1)", "hand.folded(x.reshape({b}, -1, {w}), np.maximum.reduce, 16)",
         "hand.folded(x.reshape({b}, -1, {w}), np.maximum.reduce, 64)"),
        ("x.amax((1, 2))", "x.amax(2).amax(1)", "hand.folded(x.reshape({b}, -1, {w}), torch.amax, 2)")), **IMAGES),
    TO_LAST,
    case("copies", "b c h w -> w h c b", "rearrange: b c h w -> (w h c b)", ways(
        ("x.T.ravel()", "hand.some_rows_reversed(x, 8).ravel()", "hand.some_rows_reversed(x, 1).ravel()"),
        ("x.permute(3, 2, 1, 0).reshape(-1)", "hand.in_two_steps(x).view(-1)")), **IMAGES),
    TURNED,
    case("copies", "patches of 16", "rearrange: b c (h p) (w q) -> b (h w) (p q c)", ways(
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).transpose(0, 2, 4, 3, 5, 1).reshape({b}, {h} * {w}, -1)",
         "hand.some_channels_of_patches(x, {p}, 16)"),
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).permute(0, 2, 4, 3, 5, 1).reshape({b}, {h} * {w}, -1)",
         "x.permute(0, 2, 3, 1).contiguous().view({b}, {h}, {p}, {w}, -1).transpose(2, 3).reshape({b}, {h} * {w}, -1)",
         "F.unfold(x, {p}, stride={p}).view({b}, {c}, -1, {h} * {w}).permute(0, 3, 2, 1).reshape({b}, {h} * {w}, -1)")),
        "p", "q", b=16, c=32, h=14, w=14, p=16, q=16),
)
"""Those that plait's promises are about."""

PROMISED = frozenset(does.name for does in NINE)

DEEP = (
    "(lambda t: {0}(t[..., 0::2], t[..., 1::2]))((lambda t: {0}(t[:, :, :, 0::2], t[:, :, :, 1::2]))"
    "({0}(x[:, :, 0::2], x[:, :, 1::2])))"
)
LAST_POOL = ways(
    ("(lambda t: np.maximum(t[:, :, 0::2], t[:, :, 1::2]))(np.maximum(x[:, 0::2], x[:, 1::2]))",
     "(lambda t: np.maximum(t[:, 0::2], t[:, 1::2]))(np.maximum(x[:, :, 0::2], x[:, :, 1::2]))",
     "np.maximum(np.maximum(x[:, 0::2, 0::2], x[:, 0::2, 1::2]), np.maximum(x[:, 1::2, 0::2], x[:, 1::2, 1::2]))"),
    ("(lambda t: torch.maximum(t[:, :, 0::2], t[:, :, 1::2]))(torch.maximum(x[:, 0::2], x[:, 1::2]))",
     "F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)"))

MOVEMENTS = (
    MAX2, MEAN2,
    case("pooling", "max-pool 2x2, 64 channels last", "max: b (h 2) (w 2) c -> b h w c", LAST_POOL,
         b=8, h=112, w=112, c=64),
    case("pooling", "max-pool 2x2, 3 channels last", "max: b (h 2) (w 2) c -> b h w c", LAST_POOL,
         b=170, h=112, w=112, c=3),
    case("pooling", "max-pool 2x2x2", "max: b c (d 2) (h 2) (w 2) -> b c d h w", ways(
        (DEEP.format("np.maximum"),), (DEEP.format("torch.maximum"), "F.max_pool3d(x, 2)")),
        b=4, c=16, d=16, h=56, w=56),
    case("pooling", "mean-pool 1d by 4", "mean: b c (t 4) -> b c t", ways(
        ("np.add(np.add(x[..., 0::4], x[..., 1::4]), np.add(x[..., 2::4], x[..., 3::4])) * np.float32(0.25)",
         "x.reshape({b}, {c}, {t}, 4) @ np.full(4, 0.25, np.float32)"),
        ("x.view({b}, {c}, {t}, 4).mean(3)", "F.avg_pool1d(x, 4)",
         "torch.add(torch.add(x[..., 0::4], x[..., 1::4]), torch.add(x[..., 2::4], x[..., 3::4])).mul_(0.25)")),
        b=64, c=64, t=1568),

    *NINE[2:4],
    case("blocks", "prod 2x2", f"prod: {POOL}", pool("multiply", tuple(
        text.format("mul", "") for text in TORCH_HALVES)), **HALVES),

    NINE[4],
    case("axes", "mean -> b c", "mean: b c h w -> b c", ways(
        ("x.mean((2, 3))", "x.reshape({b}, {c}, -1).mean(2)",
         "x.reshape({b}, {c}, -1) @ np.full({h} * {w}, 1 / ({h} * {w}), np.float32)"),
        ("x.mean((2, 3))", "F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]", "x.mean(3).mean(2)")), **IMAGES),
    case("axes", "sum -> c", "sum: b c h w -> c", ways(
        ("x.sum((0, 2, 3))", "x.reshape({b}, {c}, -1).sum(2).sum(0)",
         "(x.reshape({b}, {c}, -1) @ np.ones({h} * {w}, np.float32)).sum(0)"),
        ("x.sum((0, 2, 3))", "x.sum((2, 3)).sum(0)")), **IMAGES),
    case("axes", "mean -> h w", "mean: b c h w -> h w", ways(
        ("x.mean((0, 1))", "x.reshape({b} * {c}, -1).mean(0).reshape({h}, {w})", "x.mean(1).mean(0)"),
        ("x.mean((0, 1))", "x.view({b} * {c}, -1).mean(0).view({h}, {w})", "x.mean(1).mean(0)")), **IMAGES),
    case("axes", "sum -> b h", "sum: b c h w -> b h", ways(
        ("x.sum((1, 3))", "x.sum(1).sum(2)", "x.sum(3).sum(1)", "(x @ np.ones({w}, np.float32)).sum(1)"),
        ("x.sum((1, 3))", "x.sum(1).sum(2)", "x.sum(3).sum(1)")), **IMAGES),
    case("axes", "max of all", "max: b c h w ->", ways(
        ("x.max()", "x.reshape(-1, {w}).max(0).max()"),
        ("x.max()", "x.view(-1, {w}).amax(0).max()")), **IMAGES),
    case("axes", "any -> b h", "any: b c h w -> b h", ways(
        ("x.any((1, 3))", "x.any(1).any(2)", "np.bitwise_or.reduce(x, 1).any(2)"),
        ("x.any(3).any(1)", "x.any(1).any(2)")), dtype="bool", **IMAGES),
    case("axes", "all -> b w", "all: b c h w -> b w", ways(
        ("x.all((1, 2))", "np.bitwise_and.reduce(x.reshape({b}, -1, {w}), 1)", "x.all(2).all(1)"),
        ("x.all(2).all(1)", "x.all(1).all(1)")), dtype="bool", **IMAGES),

    case("statistics", "std -> c", "std: b c h w -> c", ways(
        ("x.std((0, 2, 3))",
         "(lambda m: np.sqrt(np.mean(np.square(x - m[:, None, None]), (0, 2, 3))))(x.mean((0, 2, 3)))"),
        ("x.std((0, 2, 3), correction=0)",)), **IMAGES),
    case("statistics", "var -> b c", "var: b c h w -> b c", ways(
        ("x.var((2, 3))",
         "(lambda t: np.vecdot(t, t) / np.float32({h} * {w}))(x.reshape({b}, {c}, -1) - x.mean((2, 3))[..., None])"),
        ("x.var((2, 3), correction=0)", "x.view({b}, {c}, -1).var(2, correction=0)")), **IMAGES),
    case("statistics", "logsumexp -> b c h", "logsumexp: b c h w -> b c h", ways(
        ("(lambda m: np.log(np.exp(x - m).sum(3)) + m[..., 0])(x.max(3, keepdims=True))",
         "(lambda m: (lambda t: np.log(np.exp(t, out=t).sum(3)) + m[..., 0])(x - m))(x.max(3, keepdims=True))"),
        ("x.logsumexp(3)",)), **IMAGES),

    *NINE[5:],
    case("copies", "space to depth", "rearrange: b c (h p) (w q) -> b (c p q) h w", ways(
        ("x.reshape({b}, {c}, {h}, {p}, {w}, {q}).transpose(0, 1, 3, 5, 2, 4).reshape({b}, -1, {h}, {w})",
         "np.stack([x[:, :, i::{p}, j::{q}] for i in range({p}) for j in range({q})], 2).reshape({b}, -1, {h}, {w})"),
        ("F.pixel_unshuffle(x, {p})",
         "x.view({b}, {c}, {h}, {p}, {w}, {q}).permute(0, 1, 3, 5, 2, 4).reshape({b}, -1, {h}, {w})")),
        "p", "q", p=2, q=2, **HALVES),
    case("copies", "depth to space", "rearrange: b (c p q) h w -> b c (h p) (w q)", ways(
        ("x.reshape({b}, {c}, {p}, {q}, {h}, {w}).transpose(0, 1, 4, 2, 5, 3).reshape({b}, {c}, {h} * {p}, -1)",),
        ("F.pixel_shuffle(x, {p})",
         "x.view({b}, {c}, {p}, {q}, {h}, {w}).permute(0, 1, 4, 2, 5, 3).reshape({b}, {c}, {h} * {p}, {w} * {q})")),
        "p", "q", p=2, q=2, **HALVES),
    case("copies", "heads", "rearrange: b t (h d) -> b (h t) d", ways(
        ("x.reshape({b}, {t}, {h}, {d}).transpose(0, 2, 1, 3).reshape({b}, {h} * {t}, {d})",),
        ("x.view({b}, {t}, {h}, {d}).transpose(1, 2).reshape({b}, {h} * {t}, {d})",)),
        "h", "d", b=32, t=1024, h=12, d=64),
    case("copies", "heads, for keys", "rearrange: b t (h d) -> b h (d t)", ways(
        ("x.reshape({b}, {t}, {h}, {d}).transpose(0, 2, 3, 1).reshape({b}, {h}, -1)",
         "x.swapaxes(1, 2).reshape({b}, {h}, -1)"),
        ("x.view({b}, {t}, {h}, {d}).permute(0, 2, 3, 1).reshape({b}, {h}, -1)",
         "x.transpose(1, 2).reshape({b}, {h}, -1)")),
        "h", "d", b=32, t=1024, h=12, d=64),

    case("repeats", "upsample 2x2", "repeat: b c h w -> b c (h p) (w q)", ways(
        ("np.broadcast_to(x[:, :, :, None, :, None], ({b}, {c}, {h}, {p}, {w}, {q})).reshape({b}, {c}, {h} * {p}, -1)",
         "x.repeat({q}, 3).repeat({p}, 2)", "hand.tile_twice(x)"),
        ("x[:, :, :, None, :, None].expand({b}, {c}, {h}, {p}, {w}, {q}).reshape({b}, {c}, {h} * {p}, -1)",
         "x.repeat_interleave({q}, 3).repeat_interleave({p}, 2)", "F.interpolate(x, scale_factor=2)")),
        "p", "q", p=2, q=2, **HALVES),
    case("repeats", "tile 2x2", "repeat: b c h w -> b c (p h) (q w)", ways(
        ("np.tile(x, ({p}, {q}))", "(lambda t: np.concatenate((t, t), 2))(np.concatenate((x, x), 3))"),
        ("x.repeat(1, 1, {p}, {q})", "x.tile({p}, {q})")), "p", "q", p=2, q=2, **HALVES),

    replace(MAX2, group="types", name="max-pool 2x2, float64", dtype="float64", by_hand=MAX_POOL),
    replace(MEAN2, group="types", name="mean-pool 2x2, float16", dtype="float16"),
    replace(MAX2, group="types", name="max-pool 2x2, uint8", dtype="uint8", by_hand=MAX_POOL),
    replace(MAX2, group="types", name="max-pool 2x2, int64", dtype="int64", by_hand=MAX_POOL),
    replace(MAX2, group="types", name="sum-pool 2x2, complex64", dtype="complex64", by_hand=SUM_POOL, reduction="sum"),
    replace(TO_LAST, group="types", name="b c h w -> b h w c, uint8", dtype="uint8"),
    replace(TO_LAST, group="types", name="b c h w -> b h w c, float64", dtype="float64"),
    replace(TURNED, group="types", name="h w -> w h, complex64", dtype="complex64"),

    replace(MAX2, group="layouts", name="max-pool 2x2 of x[..., ::2]", layout="every second"),
    replace(MAX2, group="layouts", name="max-pool 2x2, transposed", layout="transposed"),
    replace(MEAN2, group="layouts", name="mean-pool 2x2, channels last", layout="channels last"),
    replace(MEAN2, group="layouts", name="mean-pool 2x2, backwards", layout="backwards"),
    replace(MAX2, group="layouts", name="max-pool 2x2, cut out", layout="cut out"),
    replace(TO_LAST, group="layouts", name="b c h w -> b h w c, cut out", layout="cut out"),
    replace(TURNED, group="layouts", name="h w -> w h of x[..., ::2]", layout="every second"),
)
"""All of them, a group after the other, in the order of `GROUPS`."""
# fmt: on
