"""Whatever a caller writes, plait answers with a result or with a `PlaitError`: drawn calls of every public function.

Patterns are drawn valid, nearly valid and invalid; so are shapes, sizes, element types, reductions and options. A
Python call without a required argument stays Python's own `TypeError`, and is not drawn.
"""

from __future__ import annotations

import os
import random
import time
import warnings

import pytest

import plait
from plait.errors import leaves_unchanged

np = pytest.importorskip("numpy")

MINUTES = float(os.environ.get("PLAIT_DRAWN_MINUTES", "0"))
SEED = int(os.environ.get("PLAIT_DRAWN_SEED", "7"))
EXAMPLES = 3000
"""How many calls of each framework are drawn where no time is given.

Half an hour with PLAIT_DRAWN_MINUTES and the seeds 7, 8 and 9, some 690,000 calls, found three other errors: that of
opt_einsum for a memory limit of 0 (tests/executor/test_options.py), and those of the last two tests below.
"""

NAMES = ("a", "b", "c", "d", "h", "w", "i", "j", "head", "heads", "batch", "vec", "x1", "ß", "in", "tensor", "pattern")
NUMPY_DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"),
    *("float64", "longdouble", "complex64", "complex128", "object", "U3", "S2", "M8[D]", "m8[s]", "V4", "i4,f8"),
)
TORCH_DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16"),
    *("float32", "float64", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
)
REDUCTIONS = (
    *("min", "max", "sum", "mean", "prod", "any", "all", "std", "var", "logsumexp", "maen", "", "median", "sum", "max"),
    *(None, 3, np.sum, np.max, ["sum"]),
)
SIZES = (0, 1, 2, 2, 3, 3, 4, 6, -1, 2.0, True, "2", None, 2**50, 2**62, 2**70, np.int64(2), np.zeros(2), [2])
OPERATIONS = (
    *("rearrange", "view", "reduce", "reduce", "repeat", "einsum", "einsum", "einsum", "classical", "pack", "unpack"),
    *("parse_shape", "explain", "compile", "pipeline", "source", "layer", "list", "output_shape", "asnumpy", "inverse"),
)
LENGTHS = (0, 1, 1, 2, 2, 2, 3, 3, 4, 6)
PATHS = (
    "auto",
    "greedy",
    "optimal",
    "dp",
    "best",
    [(0, 1)],
    [(0, 1), (0, 1)],
    [(0, 1, 2)],
    [(0,)],
    [],
    [(0, 5)],
    [(0, 0)],
    3,
)
WORDS = (*NAMES, *"() ( ) [ ] ... … , -> + * _ 1 2 3 0 -1 1.5 a... ij a_ _a · .".split())


def draw_term(draw: random.Random, names: list[str], *, numbers: bool = True) -> list[str]:
    """Draw the items of one tensor: names, some of them in groups, numbers, and an ellipsis."""
    items: list[str] = []
    rest = list(names)
    while rest:
        take = draw.choice((1, 1, 1, 2, 3))
        group, rest = rest[:take], rest[take:]
        items.append(group[0] if len(group) == 1 and draw.random() < 0.9 else f"({' '.join(group)})")
    for word, chance in (("1", 0.08), ("()", 0.04), ("2", 0.06 * numbers), ("...", 0.1)):
        if draw.random() < chance:
            items.insert(draw.randint(0, len(items)), word)
    return items


def draw_pattern(
    draw: random.Random, tensors: int, *, arrow: bool = True, may_drop: bool = True, may_add: bool = True
) -> str:
    """Draw a pattern for several tensors, which is then spoiled in one place, in one call of three."""
    names = draw.sample(NAMES, draw.randint(0, 6))
    terms = [draw_term(draw, draw.sample(names, draw.randint(0, len(names)))) for _ in range(tensors)]
    if tensors == 1:
        terms = [draw_term(draw, names)]
    chance = draw.random()
    right_names = draw.sample(names, draw.randint(0, len(names)) if may_drop or chance < 0.1 else len(names))
    right = draw_term(draw, right_names, numbers=may_add)
    if draw.random() < (0.7 if may_add else 0.05):
        right.append(draw.choice(NAMES))
    if "..." in " ".join(terms[0]) and "..." not in " ".join(right) and chance < 0.9:
        right.insert(0, "...")
    text = ", ".join(" ".join(term) for term in terms)
    text = f"{text} -> {' '.join(right)}" if arrow else text
    chance = 2 * draw.random()
    if chance < 0.2:
        words = text.split(" ")
        place = draw.randrange(len(words))
        words[place : place + draw.randint(0, 1)] = [draw.choice(WORDS)] * draw.randint(0, 1)
        text = " ".join(words)
    elif chance < 0.25:
        text = " ".join(draw.choices(WORDS, k=draw.randint(0, 8)))
    elif chance < 0.3:
        text = text.replace(" ", "")
    return text


def draw_equation(draw: random.Random, tensors: int) -> str:
    """Draw a classical equation, most of them valid."""
    letters = draw.sample("abcdijkXYZ", draw.randint(1, 5))
    terms = ["".join(draw.choices(letters, k=draw.randint(0, 4))) for _ in range(tensors)]
    terms = [
        draw.choice(("", "", "", "...", " ")) + term + draw.choice(("", "", "", "...", " i", "1")) for term in terms
    ]
    right = "".join(draw.sample(letters, draw.randint(0, len(letters))))
    return ",".join(terms) + draw.choice(("", "->" + right, " -> ..." + right, "->" + right + "q"))


def draw_shape(draw: random.Random, pattern: str, number: int, lengths: dict[str, int]) -> tuple[int, ...]:
    """Draw a shape, mostly one that fits a term of the pattern and these lengths of its axes."""
    terms = pattern.partition("->")[0].split(",")
    term = terms[number] if number < len(terms) else ""
    if draw.random() < 0.12:
        return tuple(draw.choice(LENGTHS) for _ in range(draw.randint(0, 6)))
    shape: list[int] = []
    depth = 0
    for word in term.replace("(", " ( ").replace(")", " ) ").split():
        depth += (word == "(") - (word == ")")
        if word == "(" and depth == 1:
            shape.append(1)
        elif word in ("...", "*", "…"):
            shape += draw.choices(LENGTHS, k=draw.randint(0, 2))
        elif word not in ("(", ")"):
            length = int(word) if word.isdecimal() else lengths.get(word, 2)
            shape[-1:] = [shape[-1] * length] if depth > 0 and shape else [*shape[-1:], length]
    return tuple(shape[:12])


class NumpyMaker:
    name = "numpy"
    dtypes = NUMPY_DTYPES

    def make(self, draw, shape):
        dtype = np.dtype(draw.choice((*self.dtypes, *("float32", "float64", "int64") * 8)))
        array = np.zeros(shape, dtype)
        if dtype.kind == "O" and draw.random() < 0.5:
            array[...] = draw.choice(("text", None, 1.5, 2**70))
        kind = draw.random()
        if kind < 0.05:
            return np.ma.masked_array(array, mask=False)
        return array.T if kind < 0.2 else array


class TorchMaker:
    name = "torch"
    dtypes = TORCH_DTYPES

    def make(self, draw, shape):
        import torch

        dtype = getattr(torch, draw.choice((*self.dtypes, *("float32", "float64", "int64") * 8)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about complex32
            tensor = torch.zeros(shape).to(dtype)
        kind = draw.random()
        if kind < 0.04:
            return tensor.to("meta")
        if kind < 0.07 and tensor.ndim and dtype in (torch.float32, torch.float64):
            return tensor.to_sparse()
        return tensor.mT if kind < 0.2 and tensor.ndim >= 2 else tensor


class StrictMaker:
    name = "array_api_strict"

    def make(self, draw, shape):
        import array_api_strict

        names = ("bool", "int8", "uint8", "int64", "uint64", "float32", "float64", "complex64", "float32", "float64")
        return array_api_strict.zeros(shape, dtype=getattr(array_api_strict, draw.choice(names)))


def draw_call(draw: random.Random, maker):
    """Return a text that describes a drawn call, and the call."""
    operation = draw.choice(OPERATIONS)
    count = draw.choice((1, 2, 2, 3)) if operation in ("einsum", "classical") else 1
    if operation in ("pack", "unpack", "parse_shape"):
        pattern = draw_pattern(draw, 1, arrow=draw.random() < 0.05)
        if operation != "parse_shape" and draw.random() < 0.9:
            words = pattern.split()
            words.insert(draw.randint(0, len(words)), "*")
            pattern = " ".join(words)
    elif operation == "classical":
        pattern = draw_equation(draw, count if draw.random() < 0.9 else count + 1)
    else:
        may_drop = operation not in ("rearrange", "view", "repeat", "layer")
        pattern = draw_pattern(
            draw, count if draw.random() < 0.9 else 2, may_drop=may_drop, may_add=operation == "repeat"
        )
    lengths = {name: draw.choice(LENGTHS) for name in NAMES}
    shapes = [draw_shape(draw, pattern, number, lengths) for number in range(count)]
    if operation == "classical":
        words = pattern.partition("->")[0].replace("...", "").replace(" ", "").split(",")
        shapes = [
            tuple(draw.choice((2, 2, 2, 1, 3)) for _ in (words[number] if number < len(words) else ""))
            for number in range(count)
        ]
    names = [word for word in pattern.replace("(", " ").replace(")", " ").split() if word.isidentifier()]
    names += ["zebra"] * (draw.random() < 0.03) + ["optimize", "out"] * (draw.random() < 0.02)
    sizes = {}
    chance = draw.choice((0.4, 0.9, 0.9))
    for name in names:
        if draw.random() < chance and name not in ("tensor", "pattern"):
            sizes[name] = draw.choice(SIZES) if draw.random() < 0.05 else lengths.get(name, 2)
    reduction = draw.choice(REDUCTIONS if draw.random() < 0.6 else REDUCTIONS[:10])
    tensors = [maker.make(draw, shape) for shape in shapes]
    contract = draw.choice(PATHS) if draw.random() < 0.2 else "auto"
    strict = draw.random() < 0.1
    limit = draw.choice((None, None, None, 0, 1, 100, -1, 2.5))
    packed = [draw_shape(draw, "a b", 0, lengths) for _ in range(draw.randint(0, 3))]
    packed = draw.choice((packed, packed, [(-1,)], [()], [(-1, 2), (1,)], 3, [3], [(2.0,)], [("a",)], None))
    listed = [maker.make(draw, draw.choice((shapes[0], shapes[0], (2,)))) for _ in range(draw.randint(0, 3))]
    second = draw_pattern(draw, 1)
    method = draw.choice(("rearrange", "view", "reduce", "repeat", "einsum"))
    framework = draw.choice(("numpy", "torch", "jax", "array_api", "tensorflow", "nunpy"))
    described = [f"{type(tensor).__name__}{tuple(tensor.shape)}:{tensor.dtype}" for tensor in tensors]
    text = f"{operation} {pattern!r} {described} {sizes=} {reduction=} {contract=} {strict=} {limit=} {packed=}"
    text += f" list={len(listed)} {second=} {method=} {framework=}"

    def apply(compiled):
        function = getattr(compiled, method)
        return function(*tensors, reduction) if method == "reduce" else function(*tensors)

    def call():
        match operation:
            case "rearrange" | "view" | "repeat":
                return getattr(plait, operation)(tensors[0], pattern, **sizes)
            case "reduce":
                return plait.reduce(tensors[0], pattern, reduction, **sizes)
            case "einsum" | "classical":
                with plait.options(contract=contract, memory_limit=limit, strict=strict):
                    if operation == "classical":
                        return plait.einsum(pattern, *tensors)
                    return plait.einsum(*tensors, pattern, **sizes)
            case "list":
                return plait.reduce(listed, f"n {pattern}", reduction, **sizes)
            case "pack":
                packed_tensor, packed_shapes = plait.pack(listed, pattern)
                return plait.unpack(packed_tensor, packed_shapes, pattern)
            case "unpack":
                return plait.unpack(tensors[0], packed, pattern)
            case "parse_shape":
                return plait.parse_shape(tensors[0], pattern)
            case "asnumpy":
                return plait.asnumpy(tensors[0])
            case "explain":
                explanation = plait.explain(pattern, *draw.choice((shapes, tensors)), **sizes)
                return explanation.source(framework)
            case "compile":
                return apply(plait.compile(pattern, **sizes))
            case "pipeline":
                return apply(plait.compile(pattern, **sizes) >> plait.compile(second))
            case "source":
                named = reduction if method == "reduce" else None
                return plait.compile(pattern, **sizes).source(
                    framework, *map(len, shapes), operation=draw.choice((None, method, "pack")), reduction=named
                )
            case "output_shape":
                unknown = [tuple(draw.choice((None, size)) for size in shape) for shape in shapes]
                return plait.compile(pattern, **sizes).output_shape(*unknown)
            case "inverse":
                return plait.compile(pattern).inverse(**sizes)
            case "layer":
                return call_layer(draw, maker, pattern, sizes, reduction, tensors)

    return text, call


def call_layer(draw, maker, pattern, sizes, reduction, tensors):
    """Draw a layer and call it: one of PyTorch if ``maker`` makes its tensors, else plait's description of a layer."""
    from plait.layers import MixSpec
    from plait.layers._spec import operation_spec

    kind = draw.choice(("rearrange", "reduce", "repeat", "mix"))
    if kind == "mix":
        weight = " ".join(draw.sample(NAMES, draw.randint(0, 3)))
        bias = draw.choice((None, weight))
        if maker.name == "torch":
            from plait.layers.torch import EinMix

            return EinMix(pattern, weight, bias, **{name: size for name, size in sizes.items() if name != "device"})(
                tensors[0]
            )
        return MixSpec.read(pattern, weight, bias, sizes)
    if maker.name == "torch":
        from plait.layers import torch as layers

        cls = getattr(layers, kind.capitalize())
        arguments = (pattern, reduction) if kind == "reduce" else (pattern,)
        return cls(*arguments, **sizes)(tensors[0])
    return operation_spec(kind, pattern, sizes, reduction if kind == "reduce" else None)(tensors[0])


def is_accepted(error: Exception, text: str) -> bool:
    """Whether an error may leave plait: its own, a lack of memory, or that of a function of the caller's."""
    is_of_caller = leaves_unchanged(error) and "reduction=<function" in text
    return isinstance(error, (plait.PlaitError, MemoryError)) or "allocate memory" in str(error) or is_of_caller


@pytest.mark.parametrize("maker", [NumpyMaker(), TorchMaker(), StrictMaker()], ids=lambda maker: maker.name)
def test_a_drawn_call_gives_a_result_or_a_plait_error(maker):
    pytest.importorskip(maker.name)
    stop = time.monotonic() + 60 * MINUTES
    seed = SEED * 1_000_000
    found: dict[str, str] = {}
    results = errors = 0
    while results + errors < EXAMPLES or time.monotonic() < stop:
        seed += 1
        draw = random.Random(seed)
        text, call = draw_call(draw, maker)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call()
            results += 1
        except Exception as error:
            errors += 1
            if not is_accepted(error, text):
                key = f"{type(error).__name__}: {str(error)[:60]}"
                found.setdefault(key, f"seed {seed}: {text}\n    {type(error).__name__}: {str(error)[:300]}")
    if MINUTES:
        print(f"\n{maker.name}: seeds {SEED * 1_000_000 + 1} to {seed}, {results} results, {errors} errors")  # noqa: T201
    assert not found, f"{len(found)} kinds of other errors:\n" + "\n".join(found.values())
    assert results > (results + errors) // 10


def test_explain_of_an_empty_tensor_with_a_huge_result():
    for tensor in ((3, 0), np.zeros((3, 0), np.int64)):
        explanation = plait.explain("w (t b) -> () b", tensor, w=3, b=2**40)
        assert explanation.lines[-1].shape == (1, 2**40)


def test_bias_of_a_layer_on_another_device():
    torch = pytest.importorskip("torch")
    from plait.layers.torch import EinMix

    layer = EinMix("a b -> a c", "b c", "c", b=2, c=3)
    layer.weight = torch.nn.Parameter(layer.weight.to("meta"))
    with pytest.raises(plait.BackendError, match=r"PLT513.*EinMix") as caught:
        layer(torch.zeros(4, 2, device="meta"))
    assert caught.value.pattern == "a b -> a c"
