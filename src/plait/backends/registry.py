"""Find the backend for a type of tensors; its framework's package is imported when the first such tensor arrives."""

from __future__ import annotations

from importlib import import_module

from plait._caches import clearable_lru_cache
from plait.backends.array_conversion_hints import conversion_hint
from plait.backends.interface import Backend
from plait.errors import make_error

BACKEND_MODULES = {
    "numpy": "plait.backends.numpy.backend",
    "torch": "plait.backends.torch.backend",
    "torch.distributed.tensor": "plait.backends.torch.dtensor.backend",
    "torch.nested": "plait.backends.torch.nested.backend",
    "jax": "plait.backends.jax.backend",
    "jax.experimental.sparse": "plait.backends.jax.sparse.backend",
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
    "blosc2": "plait.backends.blosc2.backend",
    "cubed": "plait.backends.cubed.backend",
    "ndonnx": "plait.backends.ndonnx.backend",
    "scipy.sparse": "plait.backends.scipy.backend",
    "sparse": "plait.backends.sparse.backend",
    "xarray": "plait.backends.xarray.backend",
}
"""By package of a tensor's type, the module of its backend; its ``BACKEND_FACTORY`` makes the backend for the type."""

ARRAY_API_MODULE = "plait.backends.array_api.backend"
"""The module of the backend for libraries that follow the array API standard and are not in `BACKEND_MODULES`."""

JAX_ARRAY_MODULE = "plait.backends.jax.jax_array_protocol"
"""The module of the backend for objects that stand for a JAX array, which have the method ``__jax_array__``."""

ENTRY_POINT_GROUP = "plait.backends"
"""The entry-point group of third-party backends: the name is a root package, the value a subclass of `Backend`."""


@clearable_lru_cache(maxsize=256)
def backend_for_type(cls: type) -> Backend:
    """Return the backend for tensors of a type, or for the nearest of its base classes that has one.

    Raises:
        BackendError: PLT501, no backend serves the type; PLT502, the backend does not load.
    """
    for base in cls.__mro__:
        package = str(getattr(base, "__module__", ""))
        root = package.partition(".")[0]
        while package and package not in BACKEND_MODULES:
            package = package.rpartition(".")[0]
        if package:
            return _load_backend(BACKEND_MODULES[package], "BACKEND_FACTORY", package, cls)
        entry = _third_party_entry_points().get(root)
        if entry is not None:
            return _load_backend(*entry, root, cls)
        if "__array_namespace__" in vars(base):  # checked before its bases, which may be of another framework
            return _load_backend(ARRAY_API_MODULE, "BACKEND_FACTORY", root, cls)
        if "__array_function__" in vars(base):
            return _load_backend(BACKEND_MODULES["numpy"], "BACKEND_FACTORY", root, cls)
        if "__jax_array__" in vars(base):
            return _load_backend(JAX_ARRAY_MODULE, "BACKEND_FACTORY", root, cls)
    name = f"{cls.__module__}.{cls.__qualname__}"
    raise make_error("PLT501", f"{name} is not a tensor of a framework that plait supports{conversion_hint(cls)}")


def common_backend(classes: tuple[type, ...]) -> Backend:
    """Return the backend for tensors of all these types.

    Raises:
        BackendError: PLT504, they belong to several backends, and none of those accepts the tensors of the others.
    """
    backend = backend_for_type(classes[0])
    wrappers = [each for each in map(backend_for_type, classes) if each.is_wrapper]
    if wrappers:  # the tensors inside are compared when the call is made on them
        others = [each.name for each in wrappers if each.name != wrappers[0].name]
        if others:
            raise make_error(
                "PLT504", f"one tensor is of {wrappers[0].name}, another of {others[0]}; convert one of them"
            )
        return wrappers[0]
    for number, cls in enumerate(classes[1:], 1):
        other = backend_for_type(cls)
        if backend.name in other.accepts:
            backend = other.for_any_type()
        elif other.name != backend.name and other.name not in backend.accepts:
            message = f"tensor {number} is of {other.name}, but others are of {backend.name}; convert one of them"
            raise make_error("PLT504", message)
        elif cls is not classes[0]:
            backend = backend.for_any_type()
    return backend


@clearable_lru_cache(maxsize=1)
def _third_party_entry_points() -> dict[str, tuple[str, str]]:
    """Return the module and the attribute of each third-party backend, by root package."""
    from importlib.metadata import entry_points  # slow to import, and needed only for an unknown type

    return {entry.name: (entry.module, entry.attr) for entry in entry_points(group=ENTRY_POINT_GROUP)}


def _load_backend(module: str, attribute: str, package: str, cls: type) -> Backend:
    """Import the module of a backend and create the backend for a type; raise PLT502 if either fails."""
    try:
        backend = getattr(import_module(module), attribute)(cls)
        if not isinstance(backend, Backend):
            raise TypeError(f"{module}:{attribute} is {type(backend).__name__}, which is not a subclass of Backend")
        if missing := backend.missing():
            raise TypeError(f"{type(backend).__qualname__} does not define {' and '.join(missing)}")
    except Exception as error:  # a broken framework may raise anything, and must not disturb the others
        reason = f"{type(error).__name__}: {error}"
        name = f"{cls.__module__}.{cls.__qualname__}"
        raise make_error("PLT502", f"the backend for {package} cannot be used for {name}: {reason}") from error
    return backend
