"""A hook that waits for the import of a module which plait does not import itself, since that takes long."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_FUNCTIONS_BY_MODULE: dict[str, list[Callable[[], Any]]] = {}
"""By name of a module that is not imported yet, the functions to call as soon as it is."""


def call_when_imported(module: str, function: Callable[[], Any]) -> None:
    """Call a function as soon as a module is imported; at once if it is."""
    if module in sys.modules:
        function()
        return
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    _FUNCTIONS_BY_MODULE.setdefault(module, []).append(function)


class _Finder:
    """Finds the modules for which functions wait, by the other finders."""

    @classmethod
    def find_spec(cls, name: str, *_: Any) -> Any:
        """Return the spec of a module with a loader that calls the functions; ``None`` for any other module."""
        functions = _FUNCTIONS_BY_MODULE.pop(name, None)
        if functions is None:
            return None
        from importlib.util import find_spec

        spec: Any = find_spec(name)
        if spec is None or spec.loader is None:
            _FUNCTIONS_BY_MODULE[name] = functions
        else:
            spec.loader = _Loader(spec.loader, functions)
        return spec


class _Loader:
    """Loads a module by its own loader, and calls functions after it."""

    def __init__(self, loader: Any, functions: list[Callable[[], Any]]) -> None:
        self.loader, self.functions = loader, functions

    def create_module(self, spec: Any) -> Any:
        """Return what the loader of the module returns."""
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Execute the module, and call the functions; if that fails, they wait for the next import."""
        module.__loader__ = module.__spec__.loader = self.loader
        try:
            self.loader.exec_module(module)
        except BaseException:
            _FUNCTIONS_BY_MODULE[module.__name__] = self.functions
            raise
        for function in self.functions:
            function()
