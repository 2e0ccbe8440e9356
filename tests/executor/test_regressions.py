"""Bugs that were fixed, each as a small test."""

from __future__ import annotations

import gc
import weakref

import pytest

import plait

np = pytest.importorskip("numpy")

X = np.arange(6.0).reshape(2, 3)
MASKED = np.ma.MaskedArray(X, mask=X > 3)


def test_broadcast_ellipsis_next_to_a_group():
    one, other = np.arange(6.0).reshape(1, 6), np.arange(10.0).reshape(5, 2)
    result = plait.einsum(one, other, "... (a b), ... a -> ... b")
    assert np.allclose(result, np.einsum("...ab,...a->...b", one.reshape(1, 2, 3), other))
    assert plait.explain("... (a b), ... a -> ... b", (1, 6), (5, 2)).lines[-1].shape == (5, 3)
    assert plait.einsum(one, other, "... (a b), ... a -> (... b)").shape == (15,)
    torch = pytest.importorskip("torch")
    assert torch.allclose(
        plait.einsum(torch.tensor(one), torch.tensor(other), "... (a b), ... a -> ... b"), torch.tensor(result)
    )


def test_unit_axes_of_a_scalar_result():
    assert plait.einsum(X, "a b -> 1").tolist() == [15]
    assert plait.einsum(X[0], X[0], "a, a -> 1 1").tolist() == [[5]]
    assert plait.compile("a b -> () 1").einsum(X).tolist() == [[15]]
    assert plait.reduce(X, "a b -> 1", np.median).tolist() == [2.5]
    assert plait.reduce(X, "a b -> 1 1", lambda tensor, axes: tensor.sum(axes)).tolist() == [[15]]
    assert plait.einsum(np.float64(3), X, ", a (b c) -> a b c", b=3).shape == (2, 3, 1)


def test_repeat_of_a_scalar_between_unit_axes():
    assert plait.repeat(np.float64(3.0), "-> 1 a 1", a=2).tolist() == [[[3.0], [3.0]]]
    assert plait.repeat(np.int64(3), "-> () (a b)", a=0, b=2).shape == (1, 0)


def test_pack_of_scalars_and_arrays():
    packed, shapes = plait.pack([X, X.sum()], "*")
    assert packed.tolist() == [0, 1, 2, 3, 4, 5, 15]
    assert shapes == [(2, 3), ()]
    assert plait.pack([np.float64(1), X], "*")[0].shape == (7,)


def test_masked_arrays_keep_masks_or_raise():
    assert plait.repeat(MASKED, "a b -> a b r", r=2).sum() == 12
    assert plait.repeat(MASKED, "a b -> (r a) b", r=2).sum() == 12
    assert plait.rearrange([MASKED, MASKED], "n a b -> (n a b)").sum() == 12
    assert plait.einsum(MASKED, "a b ->") == 6
    for other in (MASKED, X * 0):
        assert plait.pack([MASKED, other], "* b")[0].sum() == (12 if other is MASKED else 6)
        assert plait.pack([other, MASKED], "* b")[0].sum() == (12 if other is MASKED else 6)
    assert plait.einsum(MASKED, "a b ->") == 6
    assert plait.einsum(X, MASKED, "a b, a b ->") == (X * MASKED).sum()
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.reduce(MASKED, "a b -> a", "logsumexp")


def test_repeat_and_view_of_torch_are_expanded_views():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0).reshape(2, 3)
    for call in (plait.repeat, plait.view):
        result = call(tensor, "a b -> a b r", r=3)
        assert result.stride() == (3, 1, 0)
        assert result.data_ptr() == tensor.data_ptr()
    with pytest.raises(plait.CopyRequiredError, match="PLT401"):
        plait.view(tensor, "a b -> a (b r)", r=3)


INVALID_PACKED_SHAPES = [
    [(np.int64(-5),), (8,)],
    [(np.float32(1),), (2,)],
    [(None,), (2,)],
    5,
    None,
    [(True,), (2,)],
    [("1",)],
]


@pytest.mark.parametrize("shapes", INVALID_PACKED_SHAPES, ids=str)
def test_invalid_packed_shapes_raise(shapes):
    with pytest.raises(plait.SizeError, match="PLT309"):
        plait.unpack(X, shapes, "a *")


def test_packed_shapes_of_numpy_integers():
    assert [part.shape for part in plait.unpack(X, [(np.int64(-1),), np.array([1])], "a *")] == [(2, 2), (2, 1)]


def test_axis_names_equal_to_parameter_names():
    for name in "operation cls shape self name details backend sizes tensors more given".split():
        text = f"({name} b) -> {name} b"
        assert plait.compile(text, **{name: 3}).view(np.zeros(6)).shape == (3, 2)
        assert plait.compile(text, **{name: 3}).rearrange(np.zeros(6)).shape == (3, 2)
        assert plait.explain(text, (6,), **{name: 3}).lines[-1].shape == (3, 2)
        assert plait.compile(f"{name} b -> ({name} b)").inverse(**{name: 3}).output_shape((6,)) == (3, 2)
    assert plait.compile("(tensor b) -> tensor b", tensor=2).view(np.zeros(6)).shape == (2, 3)
    assert plait.explain("(pattern b) -> pattern b", (6,), pattern=3).lines[-1].shape == (3, 2)


def test_closures_are_not_kept_alive():
    class Held:
        pass

    def call(with_default):
        held = Held()
        if with_default:
            plait.reduce(X, "a b -> a", lambda tensor, axes, held=held: tensor.sum(axes))
        else:
            plait.reduce(X, "a b -> a", lambda tensor, axes: tensor.sum(axes) if held else None)
        return weakref.ref(held)

    for with_default in (True, False):
        reference = call(with_default)
        gc.collect()
        assert reference() is None


def test_tensors_are_not_kept_alive():
    x = np.zeros((2, 3)).view(type("Mine", (np.ndarray,), {}))
    reference = weakref.ref(x)
    plait.rearrange(x, "a b -> b a")
    plait.reduce(x, "a b -> a", "sum")
    del x
    gc.collect()
    assert reference() is None


def test_malformed_shape_arguments_raise():
    for call in (
        lambda: plait.compile("a -> a").output_shape(5),
        lambda: plait.explain("a -> a", 5),
        lambda: plait.explain("a -> a", (2.0,)),
    ):
        with pytest.raises(plait.SizeError, match="PLT301"):
            call()
    assert plait.explain("a -> a", (np.int64(5),)).lines[-1].shape == (5,)


def test_mean_of_timedeltas():
    times = np.array([[1, 3], [5, 7]], "m8[s]")
    assert plait.reduce(times, "a b -> a", "mean").tolist() == times.mean(1).tolist()


def test_error_points_at_the_second_arrow():
    with pytest.raises(plait.PatternSyntaxError) as caught:
        plait.einsum("a->b->c", X)
    assert caught.value.spans == ((4, 6),)
