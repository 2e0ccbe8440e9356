"""`typing.get_type_hints` evaluates the annotations of every public function, method and class."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import typing

import pytest

import plait
import plait.compat.einops
import plait.layers
from layers.frameworks import FRAMEWORK_NAMES
from plait._types import ReductionName
from plait.backends.reduction_rules import REDUCTION_RULES


def list_object_and_methods(public: object) -> list[object]:
    """Return the function, or the class and the methods and property getters that it defines or inherits from plait."""
    if not inspect.isclass(public):
        return [public] if callable(public) else []
    found: list[object] = [public]
    for base in public.__mro__:
        if base.__module__.partition(".")[0] == "plait":
            for member in vars(base).values():
                unwrapped = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
                found += [unwrapped] if inspect.isfunction(unwrapped) else []
    return found


PUBLIC_OBJECT_BY_NAME = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (plait, plait.errors, plait.compat.einops, plait.layers)
    for name in module.__all__
}


@pytest.mark.parametrize("name", PUBLIC_OBJECT_BY_NAME)
def test_type_hints_of_public_names_resolve(name):
    for member in list_object_and_methods(PUBLIC_OBJECT_BY_NAME[name]):
        typing.get_type_hints(member)


@pytest.mark.filterwarnings("ignore")  # of frameworks while they are imported
@pytest.mark.parametrize("framework", FRAMEWORK_NAMES)
@pytest.mark.parametrize("name", ["Rearrange", "Reduce", "Repeat", "EinMix"])
def test_type_hints_of_layers_resolve(framework, name):
    try:
        module = importlib.import_module(f"plait.layers.{framework}")
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    for member in list_object_and_methods(getattr(module, name)):
        typing.get_type_hints(member)


def test_get_type_hints_of_reduce_and_explain():
    hints = typing.get_type_hints(plait.reduce)
    names, function = typing.get_args(hints["reduction"])
    assert typing.get_args(names) == tuple(REDUCTION_RULES) == typing.get_args(ReductionName)
    assert typing.get_origin(function).__name__ == "Callable"
    assert typing.get_type_hints(plait.explain)["return"].__name__ == "Explanation"
    assert typing.get_type_hints(plait.Pattern.explain)["return"].__name__ == "Explanation"


def test_type_hints_resolve_without_any_framework():
    """Hints resolve in a process that has imported neither NumPy nor a framework."""
    code = "import plait, typing; print(len(typing.get_type_hints(plait.einsum)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "6"
