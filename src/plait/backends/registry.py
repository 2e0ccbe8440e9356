"""From the type of a tensor to its backend, loaded only when such a tensor arrives."""

from __future__ import annotations

from importlib import import_module

from plait._caches import clearable_lru_cache
from plait.backends.interface import Backend
from plait.errors import make_error

MODULES = {
    "numpy": "plait.backends.numpy.backend",
    "torch": "plait.backends.torch.backend",
    "torch.distributed.tensor": "plait.backends.torch.dtensor.backend",
    "jax": "plait.backends.jax.backend",
    "jaxlib": "plait.backends.jax.backend",
    "tensorflow": "plait.backends.tensorflow.backend",
    "keras": "plait.backends.keras.backend",
    "mlx": "plait.backends.mlx.backend",
    "tinygrad": "plait.backends.tinygrad.backend",
    "paddle": "plait.backends.paddle.backend",
    "pytensor": "plait.backends.pytensor.backend",
    "chainer": "plait.backends.chainer.backend",
    "mxnet": "plait.backends.mxnet.backend",
    "cupy": "plait.backends.cupy.backend",
    "dask": "plait.backends.dask.backend",
}
"""The package of a tensor's type, and the module that serves it: its ``BACKEND`` makes the backend for a type."""

ARRAY_API = "plait.backends.array_api.backend"
"""Serves whatever follows the Python array API standard and has no row of its own."""

ENTRY_POINTS = "plait.backends"
"""The entry-point group of third parties: the name is a root package, the value a subclass of `Backend`."""


@clearable_lru_cache(maxsize=256)
def backend_of(cls: type) -> Backend:
    """The backend that serves tensors of a type, a subclass of a known one included.

    Raises:
        BackendError: PLT501, no backend serves the type; PLT502, the one that should does not load.
    """
    for base in cls.__mro__:
        package = str(getattr(base, "__module__", ""))
        root = package.partition(".")[0]
        while package and package not in MODULES:
            package = package.rpartition(".")[0]
        if package:
            return _load(MODULES[package], "BACKEND", package, cls)
        entry = _third_parties().get(root)
        if entry is not None:
            return _load(*entry, root, cls)
        if "__array_namespace__" in vars(base):  # before the bases, which may be mere mixins of another framework
            return _load(ARRAY_API, "BACKEND", root, cls)
    raise make_error("PLT501", f"{cls.__module__}.{cls.__qualname__} is no tensor of a framework that plait knows")


def common_backend(classes: tuple[type, ...]) -> Backend:
    """The backend of all these types.

    Raises:
        BackendError: PLT504, they have several, and none of those takes the tensors of the others.
    """
    backend = backend_of(classes[0])
    for place, cls in enumerate(classes[1:], 1):
        other = backend_of(cls)
        if backend.name in other.accepts:
            backend = other.for_any_type()
        elif other.name != backend.name and other.name not in backend.accepts:
            message = f"tensor {place} is of {other.name}, and those before it of {backend.name}; convert one of them"
            raise make_error("PLT504", message)
        elif cls is not classes[0]:
            backend = backend.for_any_type()
    return backend


@clearable_lru_cache(maxsize=1)
def _third_parties() -> dict[str, tuple[str, str]]:
    from importlib.metadata import entry_points  # slow to import, and needed only by a stranger's tensor

    return {entry.name: (entry.module, entry.attr) for entry in entry_points(group=ENTRY_POINTS)}


def _load(module: str, attribute: str, package: str, cls: type) -> Backend:
    try:
        backend = getattr(import_module(module), attribute)(cls)
        if not isinstance(backend, Backend):
            raise TypeError(f"{module}:{attribute} gives {type(backend).__name__}, which is not a subclass of Backend")
        if missing := backend.missing():
            raise TypeError(f"{type(backend).__qualname__} has no {' and no '.join(missing)}")
    except Exception as error:  # whatever a broken framework raises, the others must not see it
        reason = f"{type(error).__name__}: {error}"
        name = f"{cls.__module__}.{cls.__qualname__}"
        raise make_error("PLT502", f"the backend of {package} does not serve {name}: {reason}") from error
    return backend
