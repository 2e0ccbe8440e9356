"""``xarray.DataArray``: names, coordinates and attributes of results, and the arrays inside."""

from __future__ import annotations

import numpy as np
import pytest

import plait

xr = pytest.importorskip("xarray")


@pytest.fixture
def field():
    return xr.DataArray(
        np.arange(24.0).reshape(2, 3, 4),
        dims=("time", "lat", "lon"),
        coords={
            "time": [10, 20],
            "month": ("time", [1, 2]),
            "lat": [1.0, 2.0, 3.0],
            "area": (("lat", "lon"), np.arange(12.0).reshape(3, 4)),
            "run": 7,
        },
        name="t2m",
        attrs={"units": "K"},
    )


CALL_DIMS_AND_COORDS_BY_NAME = {
    "a permutation keeps all": (
        lambda x: plait.rearrange(x, "t y x -> y x t"),
        ("lat", "lon", "time"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a merged axis is named by the pattern": (
        lambda x: plait.rearrange(x, "t y x -> t (y x)"),
        ("time", "y_x"),
        {"time", "month", "run"},
    ),
    "split axes are named by the pattern": (
        lambda x: plait.rearrange(x, "t y (a b) -> a t y b", b=2),
        ("a", "time", "lat", "b"),
        {"time", "month", "lat", "run"},
    ),
    "an axis without a name": (
        lambda x: plait.rearrange(x, "t y x -> t 1 y x"),
        ("time", "dim_1", "lat", "lon"),
        {"time", "month", "lat", "area", "run"},
    ),
    "ellipsis": (
        lambda x: plait.rearrange(x, "t ... -> ... t"),
        ("lat", "lon", "time"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a dimension that is split and merged again stays whole": (
        lambda x: plait.rearrange(x, "t y (a b) -> t (a b) y", b=2),
        ("time", "lon", "lat"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a reduction drops what had the axis": (
        lambda x: plait.reduce(x, "t y x -> x t", "mean"),
        ("lon", "time"),
        {"time", "month", "run"},
    ),
    "a reduction to a scalar": (lambda x: plait.reduce(x, "t y x ->", "max"), (), {"run"}),
    "a pooled axis has no coordinates": (
        lambda x: plait.reduce(x, "t y (x 2) -> t y x", "max"),
        ("time", "lat", "x"),
        {"time", "month", "lat", "run"},
    ),
    "a new axis": (
        lambda x: plait.repeat(x, "t y x -> t y x r", r=2),
        ("time", "lat", "lon", "r"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a new axis with the name of a scalar coordinate": (
        lambda x: plait.repeat(x, "t y x -> t y x run", run=2),
        ("time", "lat", "lon", "run"),
        {"time", "month", "lat", "area"},
    ),
    "a new axis with the name of a dimension": (
        lambda x: plait.repeat(x, "t y x -> lat t y x", lat=2),
        ("lat_2", "time", "lat", "lon"),
        {"time", "month", "lat", "area", "run"},
    ),
    "einsum with an array": (
        lambda x: plait.einsum(x, np.ones((4, 2)), "t y x, x z -> t y z"),
        ("time", "lat", "z"),
        {"time", "month", "lat", "run"},
    ),
    "einsum with one name twice": (
        lambda x: plait.einsum(x, x, "t y x, s y x -> t s"),
        ("time", "s"),
        {"time", "month", "s", "run"},
    ),
    "einsum of a diagonal": (
        lambda x: plait.einsum(x[:, :2], "t t x -> x t"),
        ("lon", "t"),
        {"run"},
    ),
    "a list": (
        lambda x: plait.rearrange([x, x], "n t y x -> t n y x"),
        ("time", "n", "lat", "lon"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a list of arrays of both kinds": (
        lambda x: plait.rearrange([x.data, x], "n t y x -> n t (y x)"),
        ("n", "time", "y_x"),
        {"time", "month", "run"},
    ),
    "pack": (
        lambda x: plait.pack([x, x.isel(lat=0)], "t * x")[0],
        ("time", "dim_1", "lon"),
        {"time", "month", "run"},
    ),
    "unpack": (
        lambda x: plait.unpack(x, [(1,), (2,)], "t * x")[1],
        ("time", "dim_1", "lon"),
        {"time", "month", "run"},
    ),
    "a compiled pattern": (
        lambda x: plait.compile("t y x -> x t y").rearrange(x),
        ("lon", "time", "lat"),
        {"time", "month", "lat", "area", "run"},
    ),
    "a pipeline": (
        (plait.compile("t y x -> t (y x)") >> plait.compile("t n -> n t")).rearrange,
        ("y_x", "time"),
        {"time", "month", "run"},
    ),
    "view": (
        lambda x: plait.view(x, "t y x -> t (y x)"),
        ("time", "y_x"),
        {"time", "month", "run"},
    ),
}


@pytest.mark.parametrize("name", CALL_DIMS_AND_COORDS_BY_NAME)
@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
def test_names_and_coordinates(field, name, lazy):
    call, dims, coords = CALL_DIMS_AND_COORDS_BY_NAME[name]
    if lazy:
        pytest.importorskip("dask")
        if name == "view":
            pytest.skip("Dask has no views")
        field = field.chunk(2)
    for _ in range(2):
        result = call(field)
        assert result.dims == dims
        assert set(result.coords) == coords
        assert (result.name, result.attrs) == ("t2m", {"units": "K"})
        assert lazy == (type(result.data).__module__.partition(".")[0] == "dask")
        plain = call(xr.DataArray(field.compute().data, dims=field.dims))
        np.testing.assert_array_equal(result.compute().data, plain.data)
        for coord in coords & set(field.coords):
            xr.testing.assert_equal(result.coords[coord].variable.compute(), field.coords[coord].variable.compute())


def test_nothing_is_computed(field):
    dask = pytest.importorskip("dask")

    def fail(*_, **__):
        raise AssertionError("computed")

    lazy = field.chunk(2).assign_coords(area=field.area.chunk(1))
    with dask.config.set(scheduler=fail):
        plait.einsum(lazy, lazy, "t y x, t y x -> y x")
        plait.reduce([lazy, lazy], "n t y x -> n x", "mean")


def test_values_of_a_renamed_dimension(field):
    result = plait.einsum(field, field, "t y x, s y x -> t s")
    assert result.s.to_numpy().tolist() == [10, 20]


def test_a_multi_index_is_kept_or_dropped_as_a_whole():
    pandas = pytest.importorskip("pandas")
    index = pandas.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["u", "v"])
    array = xr.DataArray(np.arange(24.0).reshape(4, 6), dims=("s", "x"), coords={"s": index})
    assert set(plait.rearrange(array, "s x -> x s").coords) == {"s", "u", "v"}
    assert plait.rearrange(array, "s x -> x s").sel(u=2, v="b").to_numpy().tolist() == array[3].to_numpy().tolist()
    assert set(plait.rearrange(array, "(a b) x -> a b x", b=2).coords) == set()


def test_coordinates_that_differ_are_an_error(field):
    other = field.assign_coords(time=[10, 30])
    for call in (
        lambda: plait.einsum(field, other, "t y x, t y x -> t"),
        lambda: plait.einsum(field, other, "t y x, t y x ->"),
        lambda: plait.rearrange([field, other], "n t y x -> t n y x"),
        lambda: plait.pack([field, other], "t * x"),
    ):
        with pytest.raises(plait.BackendError, match=r"PLT515.*'time'.*xarray.align"):
            call()
    assert plait.einsum(field, other.drop_vars("time"), "t y x, t y x -> t").time.to_numpy().tolist() == [10, 20]


def test_attributes_and_names_that_differ_are_dropped(field):
    other = field.rename("precipitation").assign_attrs(units="mm", source="radar").assign_coords(run=8)
    result = plait.einsum(field, other, "t y x, t y x -> t")
    assert (result.name, result.attrs, set(result.coords)) == (None, {"source": "radar"}, {"time", "month"})


def test_dimensions_of_length_one_broadcast(field):
    result = plait.einsum(field, field.isel(time=[0]), "... x, ... x -> ...")
    assert result.dims == ("time", "lat")
    assert result.time.to_numpy().tolist() == [10, 20]


def test_a_view_shares_memory(field):
    plait.view(field, "t y x -> t (y x)")[0, 0] = -1.0
    assert field[0, 0, 0] == -1.0


def test_units_inside_stay(field):
    pint = pytest.importorskip("pint")
    quantity = field.copy(data=field.data * pint.UnitRegistry().kelvin)
    result = plait.reduce(quantity, "t y x -> x", "mean")
    assert str(result.data.units) == "kelvin"
    assert result.dims == ("lon",)
    np.testing.assert_allclose(result.data.magnitude, field.data.mean((0, 1)))
    assert str(plait.einsum(quantity, quantity, "t y x, t y x -> t").data.units) == "kelvin ** 2"


def test_other_objects_of_xarray(field):
    with pytest.raises(plait.BackendError, match=r"PLT502.*to_dataarray\(\)"):
        plait.rearrange(field.to_dataset(), "a b c -> c b a")
    with pytest.raises(plait.BackendError, match=r"PLT502.*DataArray\(x\)"):
        plait.rearrange(field.variable, "a b c -> c b a")


def test_a_function_of_the_caller_gets_the_array_inside(field):
    types = []

    def total(array, axes):
        types.append(type(array))
        return array.sum(axes)

    assert plait.reduce(field, "t y x -> x", total).dims == ("lon",)
    assert types == [np.ndarray]


def test_other_wrappers_in_one_call_are_an_error(field):
    sparse = pytest.importorskip("sparse")
    with pytest.raises(plait.BackendError, match="PLT504"):
        plait.einsum(field, sparse.GCXS.from_numpy(np.ones(4)), "t y x, x -> t y")
