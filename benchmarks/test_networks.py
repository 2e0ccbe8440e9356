"""The networks of `benchmarks.networks`, and how it counts operations."""

from __future__ import annotations

from math import prod

import opt_einsum
import pytest

from benchmarks.network_cases import NETWORKS, draw_networks
from benchmarks.networks import count_flops_and_largest, find_path_of_plait, find_path_with_opt_einsum

SMALL_NETWORKS = [case for case in NETWORKS if len(case.terms) <= 16]


def test_there_are_35_networks_with_different_names():
    assert len(NETWORKS) == len({case.name for case in NETWORKS}) == 35


def test_drawn_networks_follow_from_the_seed():
    assert draw_networks(1) == draw_networks(1) != draw_networks(2)
    assert len({case.name for case in draw_networks(1)}) == len(draw_networks(1)) == 36


@pytest.mark.parametrize("case", [*NETWORKS, *draw_networks(1)], ids=lambda case: case.name)
def test_every_axis_has_a_length_and_two_uses(case):
    uses = [*case.output, *[axis for term in case.terms for axis in term]]
    assert set(uses) == set(range(len(case.sizes)))
    assert all(uses.count(axis) >= 2 for axis in range(len(case.sizes)))


@pytest.mark.parametrize("case", SMALL_NETWORKS, ids=lambda case: case.name)
def test_operations_are_counted_as_opt_einsum_does(case):
    path = find_path_with_opt_einsum(case, "auto")
    flops, largest = count_flops_and_largest(case, path)
    _, info = opt_einsum.contract_path(case.equation, *case.shapes, shapes=True, optimize=path)
    assert flops == int(info.opt_cost)
    assert largest == max(info.size_list)


@pytest.mark.parametrize("case", SMALL_NETWORKS, ids=lambda case: case.name)
def test_path_of_plait_contracts_all_tensors(case):
    remaining = len(case.terms)
    for positions in find_path_of_plait(case):
        remaining -= len(positions) - 1
    assert remaining == 1
    assert prod(case.shapes[0]) == case.draw_tensors()[0].size
