"""Calls of einsum in the classical and the interleaved form, with the arguments and operands that NumPy's einsum takes.

Calls without them are looked up directly. Here ``optimize`` becomes an option, numbers and lists become tensors, and
``out``, ``dtype``, ``casting`` and ``order`` are left to the backend of NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait._executor.cache import lookup, lookup_einsum_without_sizes, types_shapes_and_dtypes
from plait._executor.compile import add_error_context
from plait._executor.einsum_forms import ARRAY_LIKE_TYPES, CLASSICAL_EINSUM, INTERLEAVED_EINSUM
from plait._executor.tensors import stack_lists_of_tensors
from plait._executor.uncacheable_calls import run_uncacheable_call
from plait._notation.interleaved import axis_numbers
from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import PlaitError, make_error, short_repr

_DEFAULTS_BY_ARGUMENT = {"out": (), "dtype": (), "casting": ("safe",), "order": ("K", "k")}
"""By argument that only NumPy arrays have, the texts that change nothing, as ``None`` does."""

_HINT_BY_ARGUMENT = {
    "out": "assign the result, or copy it to where you need it",
    "dtype": "convert the tensors before the call",
    "casting": "convert the tensors before the call",
    "order": "copy the result in the order that you need",
}
"""By argument that only NumPy arrays have, what to do on other frameworks."""

_NUMBER_TYPES = (bool, int, float, complex)


def run_classical_call(
    form: str, equation: str, operands: Sequence[Any], arguments: dict[str, Any], options: Any
) -> Any:
    """Make a call with arguments of NumPy's einsum, or with operands that are numbers or lists.

    Args:
        form: ``"classical"``, or ``"interleaved"``, whose axes cannot be given sizes.
        equation: The equation; of the interleaved form the one that says the same.
        operands: The tensors, numbers, and lists.
        arguments: The keyword arguments of NumPy's einsum; in the classical form also sizes.
        options: The options of the call, or ``None``.

    Returns:
        The result, or ``out``.
    """
    try:
        if not arguments:
            return _call(equation, tensors_from_operands(operands), {}, options)
        return _run(form, equation, operands, arguments, options)
    except PlaitError as error:
        if all(hasattr(operand, "shape") for operand in operands):
            add_error_context(error, equation, [operand.shape for operand in operands], {})
        if form == INTERLEAVED_EINSUM and error.pattern is not None:
            error.facts["axes"] = ", ".join([f"{letter} is {number}" for letter, number in axis_numbers(equation)])
        raise


def _run(form: str, equation: str, operands: Sequence[Any], arguments: dict[str, Any], options: Any) -> Any:
    """Do what `run_classical_call` does, without the context of errors."""
    sizes = dict(arguments)
    optimize = sizes.pop("optimize", None)
    given = {name: value for name in _DEFAULTS_BY_ARGUMENT if (value := sizes.pop(name, None)) is not None}
    if sizes and form == INTERLEAVED_EINSUM:
        message = f"'{next(iter(sizes))}' is not an argument of einsum in the interleaved form, which takes no sizes"
        raise make_error("PLT203", message, equation)
    if optimize is not None and not isinstance(optimize, bool):
        from plait._executor.einsum_options import options_with_optimize

        options = options_with_optimize(options, optimize)
    tensors = tensors_from_operands(operands)
    if all(is_default_argument(name, value) for name, value in given.items()):
        return _call(equation, tensors, sizes, options)
    tensors = stack_lists_of_tensors(tensors)
    backend = common_backend(tuple([type(tensor) for tensor in tensors]))
    if backend.name != "numpy":
        raise argument_error(next(iter(given)), backend)
    from plait.backends.numpy.einsum_arguments import einsum_with_arguments

    return einsum_with_arguments(
        lambda *arrays: _call(equation, arrays, sizes, options),
        tensors,
        **given,
        is_optimized=optimize is not None and optimize is not False,
    )


def _call(equation: str, tensors: Sequence[Any], sizes: dict[str, Any], options: Any) -> Any:
    """Make a call in the classical form on tensors."""
    try:
        key = types_shapes_and_dtypes(tensors)
        if sizes:
            call = lookup(CLASSICAL_EINSUM, equation, *key, options, **sizes).call
        else:
            call = lookup_einsum_without_sizes(CLASSICAL_EINSUM, equation, *key, options).call
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    if call is None:
        return run_uncacheable_call(CLASSICAL_EINSUM, tensors, equation, sizes, "", options)
    return call(*tensors)


def is_default_argument(name: str, value: Any) -> bool:
    """Whether an argument of NumPy's einsum changes nothing."""
    return value is None or (isinstance(value, str) and value in _DEFAULTS_BY_ARGUMENT.get(name, ()))


def is_array_like(operand: Any) -> bool:
    """Whether an operand is a Python number, or a list that is not a list of tensors."""
    if isinstance(operand, (list, tuple)):
        return not operand or not all(hasattr(item, "shape") for item in operand)
    return type(operand) in _NUMBER_TYPES  # a scalar of NumPy, which may be a float too, is a tensor


def tensors_from_operands(operands: Sequence[Any]) -> Sequence[Any]:
    """Return the operands with numbers and lists of numbers as tensors of the framework of the other operands.

    Without other operands, and beside NumPy arrays, they become NumPy arrays. Elsewhere only numbers become tensors.
    """
    if ARRAY_LIKE_TYPES.isdisjoint(map(type, operands)):
        return operands
    others = [operand for operand in operands if not is_array_like(operand)]
    if len(others) == len(operands):
        return operands  # some are lists of tensors
    tensors = [item for operand in others for item in (operand if isinstance(operand, (list, tuple)) else [operand])]
    backend = common_backend(tuple([type(tensor) for tensor in tensors])) if tensors else None
    if backend is None or backend.name == "numpy":
        from plait.backends.numpy.einsum_arguments import array_from_array_like

        return [array_from_array_like(operand) if is_array_like(operand) else operand for operand in operands]
    return [_tensor_from_number(operand, tensors[0]) if is_array_like(operand) else operand for operand in operands]


def _tensor_from_number(number: Any, tensor: Any) -> Any:
    """Return a number as a tensor of rank 0 of the framework of another tensor."""
    cls: Any = type(tensor)
    backend = backend_for_type(cls)
    if not isinstance(number, _NUMBER_TYPES):
        message = f"expected a tensor, not {type(number).__name__}: {short_repr(number)}"
        raise make_error("PLT501", f"{message}; make a tensor of {backend.name} of it")
    if backend.tensor_from_number is None:
        message = f"expected a tensor, not {type(number).__name__}: {short_repr(number)}; multiply the result by it"
        raise make_error("PLT501", message)
    return backend.tensor_from_number(number, tensor)


def argument_error(name: str, backend: Backend) -> Exception:
    """Return the error for an argument that only NumPy arrays have."""
    hint = _HINT_BY_ARGUMENT[name]
    if name == "dtype" and backend.name == "jax":
        hint = "pass preferred_element_type instead"
    return make_error("PLT512", f"{name} can be given for NumPy arrays only, not for {backend.name}; {hint}")
