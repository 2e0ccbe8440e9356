"""Checks of DTensor on several processes, which ``test_dtensor.py`` starts and whose reports it reads.

    python tests/distributed/on_processes.py COUNT FOLDER          all checks
    python tests/distributed/on_processes.py COUNT FOLDER PAGE     the examples of a page

Every call is made for every placement of its tensors; its result is compared with that of plain tensors, and the
collectives that it takes are counted beside those of the calls that one would write by hand.
"""

from __future__ import annotations

import doctest
import functools
import io
import itertools
import json
import random
import re
import sys
import traceback
from datetime import timedelta
from math import prod
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode

import plait

CHECKS = {}


def register_check(name):
    """Register a check, a function without arguments, under a name."""

    def add(function):
        assert name not in CHECKS
        CHECKS[name] = function

    return add


def random_tensor(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distribute(full, mesh, placements):
    """Distribute a tensor; partial placements get a different summand on each process."""
    summands = [Replicate() if placement.is_partial() else placement for placement in placements]
    tensor = distribute_tensor(full, mesh, summands)
    share = 1.0
    for number, placement in enumerate(placements):
        if placement.is_partial():
            share = share * (mesh.get_local_rank(number) + 1) / sum(range(1, mesh.size(number) + 1))
    return DTensor.from_local(
        tensor.to_local() * share, mesh, placements, run_check=False, shape=tensor.shape, stride=tensor.stride()
    )


def run_and_count_collectives(call):
    with CommDebugMode() as mode:
        result = call()
    return result, mode.get_total_counts()


def run_hand_written(call, *tensors):
    """Run hand-written code; return the result and the number of collectives.

    If torch refuses the sharding of the tensors, the code runs on replicated ones.
    """
    try:
        return run_and_count_collectives(lambda: call(*tensors))
    except RuntimeError:
        pass
    placements = [[Replicate()] * tensor.device_mesh.ndim for tensor in tensors]
    return run_and_count_collectives(
        lambda: call(*[tensor.redistribute(placements=each) for tensor, each in zip(tensors, placements, strict=True)])
    )


def assert_equals_dense(result, expected):
    assert type(result) is DTensor
    assert result.shape == expected.shape
    full = result.full_tensor()
    assert full.dtype == expected.dtype
    torch.testing.assert_close(full, expected, equal_nan=True)


def compare_with_hand_written(plait_call, hand_written, tensors, distributed_tensors):
    """Check that values equal those without shards, with no more collectives than hand-written code needs."""
    result, count = run_and_count_collectives(lambda: plait_call(*distributed_tensors))
    assert_equals_dense(result, plait_call(*tensors))
    other, limit = run_hand_written(hand_written, *distributed_tensors)
    assert_equals_dense(other, hand_written(*tensors))
    assert count <= limit, f"{count} collectives, and {limit} by hand"
    return result


def placement_choices(rank, partial=True):
    return [Replicate(), *([Partial()] if partial else []), *map(Shard, range(rank))]


MOVEMENT_CASES = {
    "permute": ("a b c -> c a b", {}, lambda x: x.permute(2, 0, 1)),
    "merge first": ("a b c -> (a b) c", {}, lambda x: x.flatten(0, 1)),
    "merge last": ("a b c -> a (b c)", {}, lambda x: x.flatten(1, 2)),
    "merge all": ("a b c -> (a b c)", {}, lambda x: x.flatten()),
    "move and merge": ("a b c -> c (a b)", {}, lambda x: x.permute(2, 0, 1).flatten(1, 2)),
    "turn and merge": ("a b c -> (c b) a", {}, lambda x: x.permute(2, 1, 0).flatten(0, 1)),
    "split": ("a (b d) c -> a b d c", {"d": 2}, lambda x: x.unflatten(1, (-1, 2))),
    "split and move": ("a (b d) c -> d a b c", {"b": 2}, lambda x: x.unflatten(1, (2, -1)).permute(2, 0, 1, 3)),
    "split and merge": (
        "a (b d) c -> (a b) (d c)",
        {"d": 2},
        lambda x: x.unflatten(1, (-1, 2)).flatten(2, 3).flatten(0, 1),
    ),
    "regroup": ("a (b d) c -> (a b) d c", {"d": 2}, lambda x: x.unflatten(1, (-1, 2)).flatten(0, 1)),
    "units": ("a b c -> 1 a b () c 1", {}, lambda x: x[None, :, :, None, :, None]),
    "nothing": ("a b c -> a b c", {}, lambda x: x),
}
REPEAT_CASES = {
    "between": ("a b c -> a r b c", {"r": 2}, lambda x: x[:, None].expand(-1, 2, -1, -1)),
    "before": ("a b c -> r a b c", {"r": 2}, lambda x: x[None].expand(2, -1, -1, -1)),
    "merged behind": ("a b c -> a (b r) c", {"r": 2}, lambda x: x[:, :, None].expand(-1, -1, 2, -1).flatten(1, 2)),
    "merged before": ("a b c -> (r a) b c", {"r": 2}, lambda x: x[None].expand(2, -1, -1, -1).flatten(0, 1)),
}
SHAPE_BY_KIND = {"even": (4, 8, 12), "uneven": (5, 6, 7)}


def add_movement_checks(mesh, placement_combinations, prefix, kind):
    for placements in placement_combinations:
        shape = SHAPE_BY_KIND[kind]
        where = f"{prefix} {kind} {placements}"
        for name, (pattern, sizes, hand_written) in MOVEMENT_CASES.items():

            @register_check(f"rearrange, {name}: {where}")
            def _(pattern=pattern, sizes=sizes, hand_written=hand_written, shape=shape, placements=placements):
                full = random_tensor(shape)
                plait_call = lambda x: plait.rearrange(x, pattern, **sizes)
                compare_with_hand_written(plait_call, hand_written, [full], [distribute(full, mesh, placements)])

        for name, (pattern, sizes, hand_written) in REPEAT_CASES.items():

            @register_check(f"repeat, {name}: {where}")
            def _(pattern=pattern, sizes=sizes, hand_written=hand_written, shape=shape, placements=placements):
                full = random_tensor(shape)
                plait_call = lambda x: plait.repeat(x, pattern, **sizes)
                compare_with_hand_written(plait_call, hand_written, [full], [distribute(full, mesh, placements)])


def prod_over_axes(x, axes):
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis)
    return x


TORCH_REDUCTIONS = {
    "min": torch.amin,
    "max": torch.amax,
    "sum": torch.sum,
    "mean": torch.mean,
    "prod": prod_over_axes,
    "any": lambda x, axes: torch.any(
        x.redistribute(placements=[Replicate()] * x.device_mesh.ndim) if _has_partial_sums(x) else x, axes
    ),
    "all": torch.all,
    "std": lambda x, axes: torch.std(x, axes, correction=0),
    "var": lambda x, axes: torch.var(x, axes, correction=0),
    "logsumexp": torch.logsumexp,
}


def _has_partial_sums(x):
    return isinstance(x, DTensor) and any(placement.is_partial() for placement in x.placements)


REDUCE_CASES = {"a b c -> b": (0, 2), "a b c -> c a": (1,), "a b c ->": (0, 1, 2)}


def add_reduction_checks(mesh, placement_combinations, prefix, kind):
    for placements in placement_combinations:
        shape = SHAPE_BY_KIND[kind]
        for (name, function), (pattern, axes) in itertools.product(TORCH_REDUCTIONS.items(), REDUCE_CASES.items()):

            @register_check(f"reduce, {name} {pattern}: {prefix} {kind} {placements}")
            def _(name=name, function=function, pattern=pattern, axes=axes, shape=shape, placements=placements):
                full = random_tensor(shape)
                full[1, :, 2] = 0  # for any and all
                hand_written = lambda x: function(x, axes).T if pattern.endswith("c a") else function(x, axes)
                compare_with_hand_written(
                    lambda x: plait.reduce(x, pattern, name), hand_written, [full], [distribute(full, mesh, placements)]
                )


EINSUM_CASES = {
    "i k, k j -> i j": [(4, 8), (8, 12)],
    "i k, k j -> j": [(5, 6), (6, 7)],
    "b i d, b j d -> b i j": [(5, 4, 6), (5, 3, 6)],
    "b i (h d), b j (h d) -> b h i j": [(4, 6, 8), (4, 2, 8)],
    "b i (e d), b j (e d) -> b e i j": [(3, 5, 6), (3, 4, 6)],
    "b h i j, b j (h d) -> b i (h d)": [(3, 2, 5, 4), (3, 4, 6)],
    "a b c -> c a": [(4, 5, 6)],
    "a a b -> b": [(4, 4, 6)],
    "... i, i o -> ... o": [(3, 5, 6), (6, 4)],
}
GIVEN_SIZES_BY_EINSUM = {"b i (h d), b j (h d) -> b h i j": {"h": 2}, "b i (e d), b j (e d) -> b e i j": {"e": 3}}
HAND_WRITTEN_EINSUMS = {
    "i k, k j -> i j": lambda x, y: x @ y,
    "b i d, b j d -> b i j": lambda x, y: torch.einsum("bid,bjd->bij", x, y),
    "b i (h d), b j (h d) -> b h i j": lambda x, y: torch.einsum(
        "bihd,bjhd->bhij", x.unflatten(2, (2, -1)), y.unflatten(2, (2, -1))
    ),
    "b i (e d), b j (e d) -> b e i j": lambda x, y: torch.einsum(
        "bied,bjed->beij", x.unflatten(2, (3, -1)), y.unflatten(2, (3, -1))
    ),
    "b h i j, b j (h d) -> b i (h d)": lambda x, y: torch.einsum(
        "bhij,bjhd->bihd", x, y.unflatten(2, (x.shape[1], -1))
    ).flatten(2, 3),
    "a a b -> b": lambda x: torch.einsum("aab->b", x),
}


def add_einsum_checks(mesh, partial, prefix, every=1):
    for pattern, shapes in EINSUM_CASES.items():
        choices = [itertools.product(placement_choices(len(shape), partial), repeat=mesh.ndim) for shape in shapes]
        for placements in itertools.islice(itertools.product(*choices), None, None, every):

            @register_check(f"einsum, {pattern}: {prefix} {placements}")
            def _(pattern=pattern, shapes=shapes, placements=placements):
                fulls = [random_tensor(shape, number) for number, shape in enumerate(shapes)]
                distributed_tensors = [
                    distribute(full, mesh, each) for full, each in zip(fulls, placements, strict=True)
                ]
                plait_call = lambda *tensors: plait.einsum(*tensors, pattern, **GIVEN_SIZES_BY_EINSUM.get(pattern, {}))
                equation = "".join(pattern.split())
                compare_with_hand_written(
                    plait_call,
                    HAND_WRITTEN_EINSUMS.get(pattern, lambda *tensors: torch.einsum(equation, *tensors)),
                    fulls,
                    distributed_tensors,
                )


KEPT_SHARDING_CASES = [
    # pattern, sizes, and by sharded dimension of the input, the sharded dimension of the result
    ("a b c -> c a b", {}, {0: 1, 1: 2, 2: 0}),
    ("a b c -> (a b) c", {}, {0: 0, 2: 1}),
    ("a b c -> c (a b)", {}, {0: 1, 2: 0}),
    ("a b c -> (c b) a", {}, {0: 1, 2: 0}),
    ("a (b d) c -> (a b) (d c)", {"d": 2}, {0: 0}),
    ("a (b d) c -> d a b c", {"d": 2}, {0: 1, 1: 2, 2: 3}),
    ("a b c -> 1 a () b c", {}, {0: 1, 1: 3, 2: 4}),
    ("a b c -> a b c r", {"r": 2}, {0: 0, 1: 1, 2: 2}),
]


def add_kept_sharding_checks(mesh):
    for pattern, sizes, kept in KEPT_SHARDING_CASES:
        for old, new in kept.items():

            @register_check(f"keeps its sharding: {pattern} {old}")
            def _(pattern=pattern, sizes=sizes, old=old, new=new):
                full = random_tensor((4, 8, 12))
                operation = plait.repeat if "r" in sizes else plait.rearrange
                tensor = distribute(full, mesh, [Shard(old)])
                result, count = run_and_count_collectives(lambda: operation(tensor, pattern, **sizes))
                assert list(result.placements) == [Shard(new)]
                assert count == 0

    @register_check("an uneven shard that cannot stay goes to an axis that is not touched, and is nowhere gathered")
    def _():
        full = random_tensor((5, 3, 8))
        for pattern, placement in [("a b c -> (a b) c", Shard(1)), ("a b c -> c (a b)", Shard(0))]:
            tensor = distribute(full, mesh, [Shard(0)])
            result, count = run_and_count_collectives(lambda: plait.rearrange(tensor, pattern))
            assert list(result.placements) == [placement]
            assert count == 1

    @register_check("an uneven shard in the middle of a group")
    def _():
        full = random_tensor((4, 5, 3, 8))
        for pattern, hand_written in [
            ("a b c d -> (a b c) d", lambda x: x.flatten(0, 2)),
            ("a b c d -> d (a b c)", lambda x: x.permute(3, 0, 1, 2).flatten(1, 3)),
            ("a b c d -> a (b c) d", lambda x: x.flatten(1, 2)),
        ]:
            plait_call = lambda x, pattern=pattern: plait.rearrange(x, pattern)
            compare_with_hand_written(plait_call, hand_written, [full], [distribute(full, mesh, [Shard(1)])])

    @register_check("only the shards that stand in the way move")
    def _():
        if mesh.size() != 4:
            return
        square = init_device_mesh("cpu", (2, 2))
        full = random_tensor((5, 4, 6))
        tensor = distribute(full, square, [Shard(0), Shard(1)])
        result, count = run_and_count_collectives(lambda: plait.rearrange(tensor, "a b c -> (a b) c"))
        assert_equals_dense(result, full.flatten(0, 1))
        assert result.placements[0] == Shard(1)
        assert not result.placements[1].is_replicate()
        assert count == 1


REGROUPING_CASES = [
    ((2, 8, 6), [Shard(0), Shard(1)], "b n d -> (b n) d", "(b n) d -> b n d", {"b": 2}, [Shard(0), Shard(1)], 0),
    ((2, 8, 6), [Shard(1), Shard(0)], "b n d -> (b n) d", "(b n) d -> b n d", {"b": 2}, [Shard(1), Shard(0)], 0),
    ((2, 8, 6), [Shard(1), Shard(1)], "b n d -> (b n) d", "(b n) d -> b n d", {"b": 2}, [Shard(1), Shard(1)], 0),
    ((4, 4, 4), [Shard(1), Shard(2)], "a b c -> (a b c)", "(a b) -> a b", {"a": 8}, [Shard(0), Shard(0)], 2),
    ((4, 4, 4), [Shard(1), Shard(1)], "a b c -> (a b c)", "(a b) -> a b", {"a": 2}, [Shard(0), Shard(0)], 2),
]
"""A shape, placements, two patterns of ``rearrange``, the sizes of the second, and the placements and collectives."""


def add_regrouping_checks(line, square):
    """Dimensions that are merged and then split, with one or two of them sharded along each dimension of the mesh."""
    for shape, placements, merge, split, sizes, expected, collectives in REGROUPING_CASES:

        @register_check(f"merged and split: {shape} {placements} {split} {sizes}")
        def _(
            shape=shape,
            placements=placements,
            merge=merge,
            split=split,
            sizes=sizes,
            expected=expected,
            collectives=collectives,
        ):
            full = random_tensor(shape)
            tensor = distribute(full, square, placements)
            call = lambda x: plait.rearrange(plait.rearrange(x, merge), split, **sizes)
            result, count = run_and_count_collectives(lambda: call(tensor))
            assert_equals_dense(result, call(full))
            if sizes != {"a": 2}:
                assert (list(result.placements), count) == (expected, collectives)

    @register_check("a dimension that is sharded in a group and cut by a split is redistributed")
    def _():
        full = random_tensor((4, 4, 4))
        merged = plait.rearrange(distribute(full, line, [Shard(1)]), "a b c -> (a b c)")
        result, count = run_and_count_collectives(lambda: plait.rearrange(merged, "(a b) -> a b", a=8))
        assert_equals_dense(result, full.reshape(8, 8))
        assert (list(result.placements), count) == ([Shard(0)], 1)
        try:
            plait.view(merged, "(a b) -> a b", a=8)
        except plait.BackendError as error:
            assert error.code == "PLT509"
        else:
            raise AssertionError("nothing was raised")

    for seed in range(60):

        @register_check(f"drawn shapes, placements and groups: {seed}")
        def _(seed=seed):
            draw = random.Random(seed)
            mesh = draw.choice((line, square, square))
            shape = tuple(draw.choice((1, 2, 3, 4, 6, 8)) for _ in range(draw.randint(1, 3)))
            placements = [draw.choice([Replicate(), *map(Shard, range(len(shape)))]) for _ in range(mesh.ndim)]
            full = random_tensor(shape).requires_grad_()
            tensor = distribute(full.detach(), mesh, placements).requires_grad_()
            steps = []
            for _ in range(draw.randint(1, 3)):
                shape = drawn_shape(draw, prod(shape))
                steps.append(shape)
            call = lambda x: functools.reduce(reshape_by_plait, steps, x)
            weights = random_tensor(shape, 1)
            result, expected = call(tensor), call(full)
            assert_equals_dense(result.detach(), expected.detach())
            names = " ".join([f"a{number}" for number in range(1, result.dim())])
            for other in (
                lambda x: plait.reduce(x, "a ... -> ...", "sum"),
                lambda x: plait.einsum(x, x, f"a {names}, b {names} -> a b"),
            ):
                assert_equals_dense(other(result.detach()), other(expected.detach()))
            (expected * weights).sum().backward()
            (result * distribute_tensor(weights, mesh, [Replicate()] * mesh.ndim)).sum().backward()
            assert_equals_dense(tensor.grad, full.grad)


def drawn_shape(draw, count):
    """Return a random shape with this number of elements."""
    shape = []
    while count > 1:
        size = draw.choice([size for size in range(2, count + 1) if count % size == 0])
        shape.append(size)
        count //= size
    return tuple(shape) or (1,)


def reshape_by_plait(x, shape):
    """Reshape a tensor by two calls of plait, which merge all its dimensions and split them again, or by one call."""
    flat = plait.rearrange(x, "... -> (...)")
    names = [f"a{number}" for number in range(len(shape))]
    return plait.rearrange(flat, f"({' '.join(names)}) -> {' '.join(names)}", **dict(zip(names, shape, strict=True)))


def add_gradient_checks(mesh):
    calls = {
        "merge": lambda x: plait.rearrange(x, "a b c -> (a b) c"),
        "split and merge": lambda x: plait.rearrange(x, "a (b d) c -> (d a) (b c)", d=2),
        "repeat": lambda x: plait.repeat(x, "a b c -> a (b r) c", r=3),
        "mean": lambda x: plait.reduce(x, "a b c -> b", "mean"),
        "logsumexp": lambda x: plait.reduce(x, "a b c -> c", "logsumexp"),
        "product": lambda x: plait.einsum(x, x, "a i c, a j c -> a i j"),
        "grouped product": lambda x: plait.einsum(x, x, "a (i e) c, a (j e) c -> a e i j", e=3),
        "contraction": lambda x: plait.einsum(x, x, "a b c, d b c -> a d"),
    }
    for (name, call), shape in itertools.product(calls.items(), [(4, 6, 8), (5, 6, 7)]):
        for placement in placement_choices(3, partial=False):

            @register_check(f"gradient of {name}: {shape} {placement}")
            def _(call=call, shape=shape, placement=placement):
                full = random_tensor(shape).requires_grad_()
                weights = random_tensor(tuple(call(full).shape), 1)
                (call(full) * weights).sum().backward()
                tensor = distribute(full.detach(), mesh, [placement]).requires_grad_()
                result = call(tensor)
                (result * distribute_tensor(weights, mesh, [Replicate()])).sum().backward()
                assert_equals_dense(tensor.grad, full.grad)


COMPILED_CASES = [
    (lambda x: plait.rearrange(x * 2, "a b c -> c (a b)") + 1, lambda x: (x * 2).permute(2, 0, 1).flatten(1) + 1),
    (lambda x: plait.reduce(x, "a b c -> b", "mean"), lambda x: x.mean((0, 2))),
    (lambda x: plait.einsum(x, x, "a b c, d b c -> a d"), lambda x: torch.einsum("abc,dbc->ad", x, x)),
]


def einsum_that_torch_would_group(x, w):
    """An einsum in which torch itself would merge a and b, whose shards are uneven."""
    return plait.einsum(x, w, "a b i, i j -> a b j")


def add_two_tensor_gradient_checks(mesh):
    for one, other in itertools.product(placement_choices(3, partial=False), placement_choices(2, partial=False)):

        @register_check(f"gradient of a product of two: {one} {other}")
        def _(one=one, other=other):
            fulls = [random_tensor(shape, seed).requires_grad_() for seed, shape in enumerate([(5, 6, 8), (8, 4)])]
            weights = random_tensor((5, 6, 4), 2)
            (einsum_that_torch_would_group(*fulls) * weights).sum().backward()
            tensors = [
                distribute(full.detach(), mesh, [place]).requires_grad_()
                for full, place in zip(fulls, (one, other), strict=True)
            ]
            result = einsum_that_torch_would_group(*tensors)
            (result * distribute_tensor(weights, mesh, [Replicate()])).sum().backward()
            for tensor, full in zip(tensors, fulls, strict=True):
                assert_equals_dense(tensor.grad, full.grad)


def add_other_checks(mesh):
    full = random_tensor((4, 24, 8))

    @register_check("a compiled pattern, and sizes of other types")
    def _():
        pattern = plait.compile("a (b d) c -> d (a b) c", d=2)
        assert_equals_dense(pattern.rearrange(distribute(full, mesh, [Shard(0)])), pattern.rearrange(full))
        assert_equals_dense(
            plait.rearrange(distribute(full, mesh, [Shard(2)]), "a (b d) c -> d (a b) c", d=np.int64(2)),
            pattern.rearrange(full),
        )

    @register_check("no elements, and no dimensions")
    def _():
        empty = distribute_tensor(torch.zeros(4, 0, 6), mesh, [Shard(0)])
        assert plait.rearrange(empty, "a b (c d) -> (a c) (b d)", c=2).shape == (8, 0)
        assert plait.reduce(empty, "a b c -> a c", "sum").full_tensor().abs().sum() == 0
        total = plait.reduce(distribute(full, mesh, [Shard(1)]), "a b c ->", "sum")
        assert_equals_dense(plait.repeat(total, "-> r", r=3), full.sum().expand(3))

    @register_check("torch.compile")
    def _():
        if mesh.size() > 2:
            return  # one number of processes is as good as another, and the compiler is slow
        made = 0
        for placement, (plait_call, hand_written) in itertools.product(
            placement_choices(3, partial=False), COMPILED_CASES
        ):
            tensor = distribute(full, mesh, [placement])
            torch._dynamo.reset()
            try:
                expected = torch.compile(hand_written, backend="aot_eager", fullgraph=True)(tensor)
            except torch._dynamo.exc.BackendCompilerFailed:  # torch 2.13 compiles no merge of a second axis
                continue
            result = torch.compile(plait_call, backend="aot_eager", fullgraph=True)(tensor)
            assert_equals_dense(result, hand_written(full))
            assert result.placements == expected.placements
            made += 1
        assert made >= 11

    @register_check("any of what adds up to nothing")
    def _():
        summands = torch.tensor([[1.0, 2.0], [1.0, -1.0]]) * (1 if mesh.get_rank() == 0 else -1)
        local = summands if mesh.get_rank() < 2 else torch.zeros(2, 2)
        local = local + torch.tensor([[0.0, 0.0], [0.0, 1.0]])
        tensor = DTensor.from_local(local, mesh, [Partial()], run_check=False)
        assert plait.reduce(tensor, "a b -> a", "any").full_tensor().tolist() == [False, True]

    @register_check("a mistake")
    def _():
        tensor = distribute(full, mesh, [Shard(0)])
        texts = []
        for x in (tensor, full):
            for call in (
                lambda: plait.rearrange(x, "a (b d) c -> a b c d", d=5),
                lambda: plait.reduce(x, "a b c -> b", "median"),
                lambda: plait.einsum(x, x, "a b c, b c a -> a"),
                lambda: plait.unpack(x, [(2,), (5,)], "a * c"),
            ):
                try:
                    call()
                except plait.PlaitError as error:
                    texts.append(str(error))
        assert len(texts) == 8
        assert texts[:4] == texts[4:]

    @register_check("plain tensors beside DTensors")
    def _():
        tensor = distribute(full, mesh, [Shard(0)])
        uneven = distribute(random_tensor((5, 3)), mesh, [Shard(0)])
        for call in (
            lambda: plait.einsum(uneven, random_tensor((5, 3)), "a b, a c -> a b c"),
            lambda: plait.einsum(tensor, full, "a b c, d b c -> a d"),
            lambda: plait.einsum(full, tensor, "a b c, d b c -> a d"),
            lambda: plait.rearrange([full, tensor], "n a b c -> a b (n c)"),
            lambda: plait.pack([tensor, full], "a * c"),
        ):
            try:
                call()
            except plait.BackendError as error:
                assert error.code == "PLT504"
                assert "DTensor" in error.message
            else:
                raise AssertionError("nothing was raised")

    for placement in placement_choices(3):

        @register_check(f"a list is stacked: {placement}")
        def _(placement=placement):
            tensors = [distribute(full + number, mesh, [placement]) for number in range(3)]
            stacked = plait.rearrange(tensors, "n a b c -> a (b n) c")
            assert_equals_dense(stacked, torch.stack([full, full + 1, full + 2]).permute(1, 2, 0, 3).flatten(1, 2))

        @register_check(f"pack and unpack: {placement}")
        def _(placement=placement):
            parts = [full, full[:, 0], full.reshape(4, 2, 12, 8)]
            places = [placement, placement, placement]
            if isinstance(placement, Shard) and placement.dim:
                places[1:] = [Shard(placement.dim - 1), Shard(placement.dim + 1)]
            distributed_tensors = [distribute(part, mesh, [each]) for part, each in zip(parts, places, strict=True)]
            (packed, shapes), count = run_and_count_collectives(lambda: plait.pack(distributed_tensors, "a * c"))
            _, limit = run_and_count_collectives(
                lambda: torch.cat(
                    [distributed_tensors[0], distributed_tensors[1][:, None], distributed_tensors[2].flatten(1, 2)], 1
                )
            )
            assert shapes == [(24,), (), (2, 12)]
            assert count <= limit
            assert_equals_dense(packed, torch.cat([full, full[:, :1], full], 1))
            whole = distribute(torch.cat([full, full[:, :1], full], 1), mesh, [placement])
            found, count = run_and_count_collectives(lambda: plait.unpack(whole, shapes, "a * c"))
            _, limit = run_and_count_collectives(lambda: torch.split(whole, [24, 1, 24], 1))
            assert count <= limit
            for part, expected in zip(found, parts, strict=True):
                assert_equals_dense(part, expected)

        @register_check(f"view: {placement}")
        def _(placement=placement):
            tensor = distribute(full, mesh, [placement])
            for pattern in ("a b c -> c a b", "a b c -> (a b) c", "a (b d) c -> a d b c", "a (b d) c -> (a b) d c"):
                sizes = {"d": 3} if "d" in pattern else {}
                result, count = run_and_count_collectives(lambda: plait.view(tensor, pattern, **sizes))
                assert_equals_dense(result, plait.view(full, pattern, **sizes))
                assert count == 0
                local, own = result.to_local(), tensor.to_local()
                assert local.untyped_storage().data_ptr() == own.untyped_storage().data_ptr()

        @register_check(f"asnumpy, parse_shape: {placement}")
        def _(placement=placement):
            tensor = distribute(full, mesh, [placement]).requires_grad_()
            array = plait.asnumpy(tensor)
            assert type(array) is np.ndarray
            np.testing.assert_allclose(array, full.numpy())
            assert plait.parse_shape(tensor, "a _ c") == {"a": 4, "c": 8}

    @register_check("a view that would have to be redistributed")
    def _():
        for tensor, pattern, sizes in [
            (distribute(random_tensor((5, 6)), mesh, [Shard(0)]), "a b -> (a b)", {}),
            (distribute(random_tensor((4, 6)), mesh, [Shard(1)]), "a (b d) -> a b d", {"b": 3}),
        ]:
            try:
                plait.view(tensor, pattern, **sizes)
            except plait.BackendError as error:
                assert error.code == "PLT509"
            else:
                raise AssertionError("nothing was raised")


def register_all_checks(count: int) -> None:
    line = init_device_mesh("cpu", (count,))
    add_kept_sharding_checks(line)
    add_other_checks(line)
    each = [[placement] for placement in placement_choices(3)]
    add_movement_checks(line, each, "in a line", "uneven")
    if count == 2:
        add_movement_checks(line, each, "in a line", "even")
        add_reduction_checks(line, each, "in a line", "uneven")
        add_einsum_checks(line, partial=True, prefix="in a line")
        add_gradient_checks(line)
        add_two_tensor_gradient_checks(line)
    else:
        square = init_device_mesh("cpu", (2, 2))
        add_movement_checks(
            square, [list(pair) for pair in itertools.product(map(Shard, range(3)), repeat=2)], "in a square", "uneven"
        )
        add_movement_checks(square, [[Replicate(), Shard(1)], [Shard(1), Shard(1)]], "in a square", "even")
        add_reduction_checks(square, [[Shard(0), Shard(1)], [Partial(), Shard(2)]], "in a square", "uneven")
        add_einsum_checks(square, partial=False, prefix="in a square", every=61)
        add_regrouping_checks(line, square)


def run_checks(count: int) -> dict[str, str]:
    """Run all checks in the same order on every process, and return the outcome of each."""
    register_all_checks(count)
    outcomes = {}
    for name, function in CHECKS.items():
        try:
            function()
            outcomes[name] = ""
        except Exception:
            outcomes[name] = traceback.format_exc()
            if "gloo" in outcomes[name] or "pair closure" in outcomes[name]:
                break  # another process has failed, and so has a collective of this one
    return outcomes


def run_page_examples(path: Path) -> dict[str, str]:
    """Execute the examples of a page, which every process does."""
    text = "\n".join(re.findall(r"^```pycon\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    report = io.StringIO()
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.write)
    assert results.attempted > 20
    return {path.name: report.getvalue() if results.failed else ""}


def run_process(rank: int, count: int, folder: str, *pages: str) -> None:
    """Run the checks on one process, and write their outcomes to a file."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=timedelta(seconds=20))
    outcomes = run_page_examples(Path(pages[0])) if pages else run_checks(count)
    Path(folder, f"{rank}.json").write_text(json.dumps(outcomes))
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(run_process, (int(sys.argv[1]), *sys.argv[2:]), nprocs=int(sys.argv[1]))
