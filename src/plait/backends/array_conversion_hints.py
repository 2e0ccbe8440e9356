"""The conversions that error messages suggest for objects with numbers that are no tensors, such as tables."""

from __future__ import annotations

CONVERSION_TO_ARRAY_BY_PACKAGE = {
    "awkward": "awkward.to_numpy(x)",
    "h5py": "x[...]",
    "netCDF4": "x[...]",
    "pandas": "x.to_numpy()",
    "polars": "x.to_numpy()",
    "tensorstore": "x.read().result()",
    "zarr": "x[...]",
}
"""By package, the expression that makes an array of its objects ``x`` that have ``__array__``."""


def conversion_hint(cls: type) -> str:
    """Return the clause that says how objects of a type are converted to an array, or ``""`` if nothing is known."""
    package = cls.__module__.partition(".")[0]
    if hasattr(cls, "__array__"):
        expression = CONVERSION_TO_ARRAY_BY_PACKAGE.get(package, "numpy.asarray(x)")
    elif hasattr(cls, "__dlpack__"):
        expression = "numpy.from_dlpack(x)"
    elif cls is memoryview or package == "array":
        expression = "numpy.asarray(x)"
    elif package == "polars" and hasattr(cls, "collect"):
        expression = "x.collect().to_numpy()"
    else:
        return ""
    return f"; {expression} makes an array of it"
