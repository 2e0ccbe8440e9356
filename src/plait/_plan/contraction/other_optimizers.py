"""Contraction paths from other packages: opt_einsum, cotengra, and functions that the caller passes."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from plait._plan.contraction.paths import Path, normalize_path
from plait.errors import make_error

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork

IMPORT_SECONDS = {"opt_einsum": 0.2, "cotengra": 2.0}
"""By package how long its first import may take."""

TRIAL_SECONDS_PER_USE = {"opt_einsum": 4e-5, "cotengra": 1e-3}
"""By package how long one of its random trials takes, for each axis of each tensor."""


def find_path_with_function(network: TensorNetwork, function: Callable[..., Any], memory_limit: int | None) -> Path:
    """Return the path that a function finds, which takes arguments as the optimizers of opt_einsum and cotengra do."""
    *inputs, output = [{_axis_character(axis) for axis in term} for term in (*network.terms, network.output)]
    sizes = {_axis_character(axis): size for axis, size in enumerate(network.sizes)}
    return normalize_path(function(inputs, output, sizes, memory_limit), len(network.terms))


def find_path_with_opt_einsum(network: TensorNetwork, optimize: str, memory_limit: int | None) -> Path:
    """Return the path that an algorithm of opt_einsum finds; raise PLT511 if it is not installed."""
    try:
        import opt_einsum
    except ImportError as error:
        message = (
            f"contract={optimize!r} for {len(network.terms)} tensors needs opt_einsum: pip install 'plait[einsum]'"
        )
        raise make_error("PLT511", message) from error
    if memory_limit == 0:  # no intermediate result is allowed, and opt_einsum refuses the number
        return (tuple(range(len(network.terms))),)
    texts = ["".join(map(_axis_character, term)) for term in (*network.terms, network.output)]
    shapes = [tuple([network.sizes[axis] for axis in term]) for term in network.terms]
    try:
        found, _ = opt_einsum.contract_path(
            f"{','.join(texts[:-1])}->{texts[-1]}",
            *shapes,
            shapes=True,
            optimize=optimize,
            memory_limit=memory_limit,
        )
    except Exception as error:
        message = f"opt_einsum finds no path with contract={optimize!r}: {type(error).__name__}: {error}"
        raise make_error("PLT214", message) from error
    return normalize_path(found, len(network.terms))


def find_path_with_cotengra(network: TensorNetwork) -> Path:
    """Return the path that cotengra finds; raise PLT511 if it is not installed."""
    try:
        import cotengra
    except ImportError as error:
        raise make_error("PLT511", "contract='cotengra' needs cotengra: pip install cotengra") from error
    sizes = dict(enumerate(network.sizes))
    found = cotengra.array_contract_path(list(network.terms), network.output, size_dict=sizes, optimize="auto-hq")
    return normalize_path(found, len(network.terms))


def list_paths_of_installed_packages(network: TensorNetwork, seconds: float) -> list[Path]:
    """Return a path from each of opt_einsum and cotengra that is installed, if the time suffices, import included.

    The number of random trials follows from the time, and their seeds are fixed, so that the paths are always the same.
    """
    paths = []
    uses = sum(map(len, network.terms))
    for package, find in (("cotengra", _find_with_trials_of_cotengra), ("opt_einsum", _find_with_trials_of_opt_einsum)):
        left = seconds / 2 - IMPORT_SECONDS[package]
        trials = int(left / (TRIAL_SECONDS_PER_USE[package] * uses))
        if trials > 1 and (package in sys.modules or find_spec(package) is not None):
            paths.append(find(network, trials))
    return paths


def _find_with_trials_of_opt_einsum(network: TensorNetwork, trials: int) -> Path:
    """Return the best of several random greedy paths of opt_einsum, which seeds the global random numbers."""
    from opt_einsum.path_random import RandomGreedy

    state = random.getstate()
    try:
        return find_path_with_function(network, RandomGreedy(max_repeats=trials, parallel=False), None)
    finally:
        random.setstate(state)


def _find_with_trials_of_cotengra(network: TensorNetwork, trials: int) -> Path:
    """Return the best of several paths of cotengra."""
    import cotengra

    optimizer = cotengra.HyperOptimizer(
        methods=["greedy"],
        optlib="random",
        max_repeats=trials,
        minimize="flops",
        reconf_opts={},
        parallel=False,
        on_trial_error="ignore",
    )
    state = random.getstate()
    random.seed(0)
    try:
        found = optimizer(list(network.terms), network.output, dict(enumerate(network.sizes)))
    finally:
        random.setstate(state)
    return normalize_path(found, len(network.terms))


def _axis_character(axis: int) -> str:
    """Return the character that represents an axis for opt_einsum; there may be more axes than letters."""
    if axis < 26:
        return chr(ord("a") + axis)
    return chr(axis + 0x100 if axis < 0xD700 else axis + 0x900)  # surrogates are no characters
