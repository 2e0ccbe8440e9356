"""Einsums under a limit of memory: the values, the measured peak, arrays in files, progress, and refusals."""

from __future__ import annotations

import random
import tracemalloc
from string import ascii_lowercase

import pytest
from resident_memory import measure_resident_memory

import plait
from plait._executor.memory_sizes import parse_memory_limit
from plait.errors import format_bytes

np = pytest.importorskip("numpy")

PYTHON_OBJECTS = 100_000
"""How many bytes the objects of a call may take beside its arrays."""

NUMPY_BUFFERS = 2 * 8192 * 16
"""How many bytes NumPy buffers while it adds a block to a part of the result."""


def draw_einsum(seed):
    """Return a pattern, the same equation for NumPy, the shapes of its tensors, and the sizes to be given."""
    draw = random.Random(seed)
    letters = ascii_lowercase[: draw.randint(2, 7)]
    sizes = {letter: draw.choice((1, 2, 3, 5, 8, 13)) for letter in letters}
    terms = [[draw.choice(letters) for _ in range(draw.randint(1, 4))] for _ in range(draw.randint(1, 5))]
    if draw.random() < 0.7:  # otherwise an axis may be repeated in a term
        terms = [list(dict.fromkeys(term)) for term in terms]
    used = sorted({letter for term in terms for letter in term})
    output = draw.sample(used, draw.randint(0, min(4, len(used))))
    equation = f"{','.join(map(''.join, terms))}->{''.join(output)}"
    shapes = [tuple([sizes[letter] for letter in term]) for term in terms]
    return equation, shapes, draw


def as_named_pattern(equation, draw):
    """Return the equation with names, where some neighbours share a dimension in one tensor or in the result."""
    *left, right = equation.replace("->", ",").split(",")
    texts = []
    groups = []
    for term in (*left, right):
        names = [f"{letter}x" for letter in term]
        dims = [[place] for place in range(len(term))]
        if len(term) > 1 and draw.random() < 0.4:
            first = draw.randrange(len(term) - 1)
            dims[first : first + 2] = [[first, first + 1]]
        groups.append(dims)
        texts.append(" ".join([names[d[0]] if len(d) == 1 else f"({' '.join(names[p] for p in d)})" for d in dims]))
    return f"{', '.join(texts[:-1])} -> {texts[-1]}", groups


def merged(shape, dims):
    return tuple([int(np.prod([shape[place] for place in dim])) for dim in dims])


def make_array(shape, kind, draw):
    """Return an array of small integers, so that sums are exact; its memory may have any order of dimensions."""
    rng = np.random.default_rng(draw.randrange(1 << 30))
    array = rng.integers(-3, 4, shape)
    array = array > 0 if kind == "bool" else array.astype(kind)
    if kind == "complex64":
        array = array + 1j * rng.integers(-3, 4, shape).astype(kind)
    order = draw.sample(range(len(shape)), len(shape))
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


@pytest.mark.parametrize("seed", range(150))
def test_drawn_einsums_have_the_right_values_and_keep_the_limit(seed):
    equation, shapes, draw = draw_einsum(seed)
    kind = draw.choice(("float64", "float32", "int64", "complex64", "bool", "float16"))
    arrays = [make_array(shape, kind, draw) for shape in shapes]
    pattern, groups = as_named_pattern(equation, draw)
    letters = [letter for letter in equation if letter.isalpha()]
    sizes = dict(zip(letters, [n for shape in shapes for n in shape], strict=False))
    given = {f"{letter}x": size for letter, size in sizes.items() if f"{letter}x" in pattern and "(" in pattern}
    operands = [array.reshape(merged(shape, dims)) for array, shape, dims in zip(arrays, shapes, groups, strict=False)]
    expected = plait.einsum(*operands, pattern, **given)
    oracle = np.einsum(equation, *[array.astype(np.complex128) for array in arrays])
    oracle = oracle.reshape(merged(oracle.shape, groups[-1]))
    if kind == "bool":
        np.testing.assert_array_equal(expected, oracle != 0)
    else:
        np.testing.assert_allclose(expected, oracle, rtol=1e-3 if kind == "float16" else 1e-6)
    for limit in (1 << 20, 6000, 1500, 400, 100):
        with plait.options(memory_limit=limit):
            try:
                found = plait.einsum(*operands, pattern, **given)
            except plait.SizeError as error:
                assert error.code == "PLT313"
                assert limit < 1 << 20
                continue
        assert found.dtype == expected.dtype
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)


MEDIUM_EINSUMS = {
    "i j, j k -> i k": [(300, 900), (900, 280)],
    "i j, j k, k l -> i l": [(300, 400), (400, 500), (500, 200)],
    "a b c, c d, d e b -> a e": [(60, 70, 80), (80, 90), (90, 50, 70)],
    "b h q d, b h k d, b h k e -> b h q e": [(2, 4, 200, 32)] * 3,
    "a b, b c, c d, d e, e a ->": [(200, 220), (220, 230), (230, 210), (210, 240), (240, 200)],
    "a b c d, d c e f -> a f e b": [(20, 30, 40, 25), (25, 40, 15, 20)],
    "i j k l -> k i": [(40, 30, 50, 20)],
}


@pytest.mark.parametrize("dtype", ["float32", "complex128", "float16"])
@pytest.mark.parametrize("pattern", MEDIUM_EINSUMS)
def test_measured_peak_keeps_the_limit(pattern, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(0, 0.1, shape).astype(dtype) for shape in MEDIUM_EINSUMS[pattern]]
    expected = plait.einsum(*arrays, pattern)
    kept = 0
    for part in (1.0, 0.5, 0.2, 0.05):
        limit = expected.nbytes + int(part * 2_000_000) + PYTHON_OBJECTS
        with plait.options(memory_limit=limit):
            try:
                plait.einsum(*arrays, pattern)  # plans, and imports what is needed
            except plait.SizeError as error:
                assert error.code == "PLT313"
                continue
            tracemalloc.start()
            try:
                found = plait.einsum(*arrays, pattern)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        kept += 1
        assert peak <= 1.1 * limit + NUMPY_BUFFERS
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=scale * (2e-3 if dtype == "float16" else 1e-5))
    assert kept


def test_columns_and_reversed_and_broadcast_operands_keep_the_limit():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(600, 500))[::-2, ::2]
    b = rng.normal(size=(400, 250)).T[:, ::-1]
    c = np.broadcast_to(rng.normal(size=400), (300, 400))
    limit = 300 * 300 * 8 + 200_000
    pattern = "i j, j k, l k -> i l"
    expected = np.einsum("ij,jk,lk->il", a, b, c)
    with plait.options(memory_limit=limit):
        plait.einsum(a, b, c, pattern)
        tracemalloc.start()
        found = plait.einsum(a, b, c, pattern)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert peak <= 1.1 * limit


def test_results_without_a_sliced_axis_are_computed_once(monkeypatch):
    """In ``a b, b c, x c -> a x`` the sliced axis is that of the result alone, and the first product is made once."""
    from plait._executor import sliced_einsum

    programs = []
    plan = sliced_einsum.plan_within_limit
    monkeypatch.setattr(
        sliced_einsum, "plan_within_limit", lambda *arguments: programs.append(plan(*arguments)) or programs[-1]
    )
    rng = np.random.default_rng(0)
    a, b, c, d = rng.normal(size=(20, 500)), rng.normal(size=(500, 20)), rng.normal(size=(400, 20, 30)), np.ones(30)
    with plait.options(memory_limit=20 * 400 * 8 + 50_000):
        found = plait.einsum(a, b, c, d, "a b, b c, x c e, e -> a x")
    np.testing.assert_allclose(found, np.einsum("ab,bc,xce,e->ax", a, b, c, d), rtol=1e-9)
    (program,) = programs
    assert program.block_lengths
    assert len(program.parts) > 1
    assert all(part.output for part in program.parts[:-1])


def test_the_sum_of_many_blocks_is_as_accurate_as_the_whole_sum():
    rng = np.random.default_rng(0)
    a = rng.uniform(1, 2, size=(4, 400_000)).astype(np.float32)
    blocks = []
    path = [(0, 1), (0, 1)]
    with plait.options(memory_limit=20_000, contract=path, progress=lambda done, total: blocks.append(total)):
        found = plait.einsum(a, a, a, "i x, j x, k x -> i j k")
    assert len(blocks) > 50
    exact = np.einsum("ix,jx,kx->ijk", *[a.astype(np.float64)] * 3)
    assert np.abs(found / exact - 1).max() < 2e-7


def test_error_names_the_least_memory_and_allocates_nothing():
    a = np.ones((1000, 1000))
    with plait.options(memory_limit="1MiB"):
        with pytest.raises(plait.SizeError, match=r"PLT313.*needs 7\.\d+ MiB.*memory_limit is 1\.000 MiB"):
            plait.einsum(a, a, "i j, j k -> i k")
        tracemalloc.start()
        with pytest.raises(plait.SizeError):
            plait.einsum(a, a, "i j, j k -> i k")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 500_000


def test_with_the_memory_that_the_error_names_the_einsum_succeeds():
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=shape) for shape in ((60, 70), (70, 50))]
    pattern = "a b, b c -> a c"
    with plait.options(memory_limit=100), pytest.raises(plait.SizeError) as caught:
        plait.einsum(*tensors, pattern)
    amount, unit = caught.value.message.split("needs ")[1].split(", the least")[0].split()
    limit = int(float(amount)) if unit.startswith("byte") else f"{amount}{unit}"
    with plait.options(memory_limit=limit):
        found = plait.einsum(*tensors, pattern)
    np.testing.assert_allclose(found, tensors[0] @ tensors[1], rtol=1e-9)


def test_memory_mapped_operands_are_read_in_slices(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "operand.dat"
    mapped = np.memmap(path, dtype=np.float32, mode="w+", shape=(500, 2000))
    mapped[:] = rng.normal(size=mapped.shape)
    other = rng.normal(size=(2000, 10)).astype(np.float32)
    blocks = []
    with plait.options(memory_limit=300_000, progress=lambda done, total: blocks.append((done, total))):
        found = plait.einsum(mapped, other, "i j, j k -> i k")
    assert len(blocks) > 10
    assert blocks == [(done, len(blocks)) for done in range(1, len(blocks) + 1)]
    np.testing.assert_allclose(found, np.asarray(mapped) @ other, rtol=1e-4, atol=1e-3)


def test_an_interrupt_ends_the_call_and_the_next_one_is_right():
    a = np.arange(90_000.0).reshape(300, 300)
    calls = []

    def interrupt(done, total):
        calls.append(done)
        if done == 2 and len(calls) == 2:
            raise KeyboardInterrupt

    with plait.options(memory_limit=a.nbytes + 60_000, progress=interrupt):
        with pytest.raises(KeyboardInterrupt):
            plait.einsum(a, a, a, "i j, j k, k l -> i l")
        found = plait.einsum(a, a, a, "i j, j k, k l -> i l")
    np.testing.assert_allclose(found, a @ a @ a, rtol=1e-12)


def test_progress_shows_a_bar(capsys):
    pytest.importorskip("rich")
    a = np.ones((300, 300))
    with plait.options(memory_limit=a.nbytes + 60_000, progress=True):
        plait.einsum(a, a, a, "i j, j k, k l -> i l")
    assert "einsum" in capsys.readouterr().out


@pytest.mark.parametrize("progress", [1, "yes", None])
def test_progress_must_be_a_truth_value_or_a_function(progress):
    with pytest.raises(plait.AxisError, match=r"PLT214.*progress"):
        plait.options(progress=progress)


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        (4096, 4096),
        (np.int64(7), 7),
        ("4096 B", 4096),
        ("4KiB", 4096),
        ("1.5 GB", 1_500_000_000),
        (" 2 mib ", 1 << 21),
        ("1_000kB", 1_000_000),
        ("3TiB", 3 << 40),
    ],
)
def test_limits_are_bytes_or_text_with_a_unit(limit, count):
    assert parse_memory_limit(limit) == count


@pytest.mark.parametrize("limit", ["1024", "1G", "GiB", "-1 MiB", "1 XiB", "", "1e9 B", "1 iB", 2.5, b"1GiB", [1]])
def test_other_limits_are_errors(limit):
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.options(memory_limit=limit)


def test_a_negative_limit_is_an_error():
    with pytest.raises(plait.SizeError, match="PLT306"):
        plait.options(memory_limit=-1)


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 999_999, 1 << 20, (1 << 30) + 1, 5 << 50, 1 << 70])
def test_amounts_of_memory_are_rounded_up(count):
    text = format_bytes(count)
    amount, unit = text.split()
    assert float(amount) * (1 if unit.startswith("byte") else parse_memory_limit(f"1{unit}")) >= count


@pytest.mark.parametrize("contract", [[(0, 1), (0, 1)], "greedy", "optimal", lambda *_: [(1, 2), (0, 1)]])
def test_requested_paths_are_sliced(contract):
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(100, 80)), rng.normal(size=(80, 90)), rng.normal(size=(90, 70))
    with plait.options(memory_limit=100 * 70 * 8 + 20_000, contract=contract):
        found = plait.einsum(a, b, c, "i j, j k, k l -> i l")
    np.testing.assert_allclose(found, a @ b @ c, rtol=1e-9)


def test_the_classical_form_with_stretched_lengths_keeps_the_limit():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, 1)), rng.normal(size=(80, 90))
    with plait.options(memory_limit=100 * 90 * 8 + 10_000):
        np.testing.assert_allclose(plait.einsum("ij,jk->ik", a, b), a * b.sum(0), rtol=1e-9)
        np.testing.assert_allclose(plait.einsum(a, [0, 1], b, [1, 2], [0, 2]), a * b.sum(0), rtol=1e-9)


def test_empty_operands_give_zeros():
    with plait.options(memory_limit=1000):
        np.testing.assert_array_equal(
            plait.einsum(np.ones((3, 0)), np.ones((0, 4)), "i j, j k -> i k"), np.zeros((3, 4))
        )
        assert plait.einsum(np.ones((0, 3)), np.ones((3, 4)), "i j, j k -> i k").shape == (0, 4)


def test_other_array_classes_are_refused():
    masked = np.ma.masked_array(np.ones((2, 2)), [[True, False], [False, False]])
    with plait.options(memory_limit="1MiB"), pytest.raises(plait.BackendError, match=r"PLT512.*memory_limit"):
        plait.einsum(masked, masked, "i j, j k -> i k")


@pytest.mark.parametrize("seed", range(40))
def test_drawn_einsums_of_pytorch_have_the_right_values(seed):
    torch = pytest.importorskip("torch")
    equation, shapes, draw = draw_einsum(seed)
    pattern, _ = as_named_pattern(equation, random.Random(1))
    kind = draw.choice(("float64", "float32", "int64", "complex64", "bool", "float16", "uint8"))
    arrays = [make_array(shape, kind.replace("uint", "int"), draw) for shape in shapes]
    tensors = [torch.from_numpy(array).to(getattr(torch, kind)) for array in arrays]
    if "(" in pattern:
        return
    expected = plait.einsum(*tensors, pattern)
    for limit in (1 << 20, 4000, 800, 200):
        with plait.options(memory_limit=limit):
            try:
                found = plait.einsum(*tensors, pattern)
            except plait.SizeError as error:
                assert error.code == "PLT313"
                continue
        assert found.dtype is expected.dtype
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_gradients_of_pytorch_pass_through_the_blocks():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    shapes = ((60, 50), (50, 70), (70, 40))
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    weight = torch.randn((60, 40), generator=generator, dtype=torch.float64)
    pattern = "i j, j k, k l -> i l"
    expected = torch.autograd.grad((plait.einsum(*tensors, pattern) * weight).sum(), tensors)
    blocks = []
    with plait.options(memory_limit=60 * 40 * 8 + 6000, progress=lambda done, total: blocks.append(total)):
        found = torch.autograd.grad((plait.einsum(*tensors, pattern) * weight).sum(), tensors)
    assert len(blocks) > 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_pytorch_keeps_no_intermediate_result_for_the_gradient():
    """What the graph keeps is the operands and the result: blocks are computed again in the backward pass."""
    torch = pytest.importorskip("torch")
    a, b, c = [torch.randn(200, 200, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    kept = []
    with (
        torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor),
        plait.options(memory_limit=200 * 200 * 8 + 60_000),
    ):
        plait.einsum(a, b, c, "i j, j k, k l -> i l")
    storages = {tensor.untyped_storage().data_ptr() for tensor in kept}
    assert storages <= {tensor.untyped_storage().data_ptr() for tensor in (a, b, c)}


def test_function_transforms_are_refused():
    torch = pytest.importorskip("torch")
    a = torch.ones(3, 4, 4)
    with plait.options(memory_limit="1MiB"), pytest.raises(plait.SizeError, match=r"PLT313.*function transform"):
        torch.vmap(lambda each: plait.einsum(each, each, "i j, j k -> i k"))(a)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_resident_memory_keeps_the_limit(framework):
    """The memory of the process, as the system counts it; small allocations are made without the heap's free lists."""
    pytest.importorskip(framework)
    assert measure_resident_memory(framework) <= 1.1


def test_explain_shows_the_slices_that_the_call_makes():
    a, b, c = np.ones((300, 400)), np.ones((400, 500)), np.ones((500, 200))
    pattern = "i j, j k, k l -> i l"
    blocks = []
    with plait.options(memory_limit="0.6 MB", progress=lambda done, total: blocks.append(total)):
        explanation = plait.explain(pattern, a, b, c)
        plait.einsum(a, b, c, pattern)
        for_shapes = plait.explain(pattern, a.shape, b.shape, c.shape)
    sizes = {"i": 300, "j": 400, "k": 500, "l": 200}
    lengths = explanation.block_lengths
    assert lengths
    assert np.prod([-(-sizes[axis] // length) for axis, length in lengths.items()]) == len(blocks)
    (note,) = [line for line in explanation.text.splitlines() if "memory_limit" in line]
    assert f"in {len(blocks)} blocks: " in note
    assert all(f"{axis} by {length}" in note for axis, length in lengths.items())
    assert for_shapes.block_lengths == {} or for_shapes.block_lengths != lengths  # float32 takes half the memory
    with plait.options(memory_limit="1 GB"):
        assert "not sliced" in plait.explain(pattern, a, b, c).text
    assert plait.explain(pattern, a, b, c).block_lengths is None


def test_a_saved_plan_is_sliced():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(100, 80)), rng.normal(size=(80, 90)), rng.normal(size=(90, 70))
    pattern = "i j, j k, k l -> i l"
    plan = plait.ContractionPlan.from_json(plait.explain(pattern, a, b, c).plan.to_json())
    with plait.options(memory_limit=100 * 70 * 8 + 20_000, contract=plan):
        found = plait.einsum(a, b, c, pattern)
    np.testing.assert_allclose(found, a @ b @ c, rtol=1e-9)
