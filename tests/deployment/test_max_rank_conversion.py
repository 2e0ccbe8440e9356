"""Models with ``max_rank`` in the formats of mobile runtimes: ONNX, Core ML and ncnn, each with its own converter."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import plait  # noqa: E402
from plait.layers.torch import Rearrange  # noqa: E402

PATCHES = ("b c (h p) (w q) -> b (h w) (p q c)", {"p": 4, "q": 4}, (2, 3, 16, 16), 4)
CASES = {
    "patches of an image, channels first": PATCHES,
    "patches of an image, channels last": ("b (h p) (w q) c -> b (h w) (p q c)", {"p": 4, "q": 4}, (2, 8, 16, 3), 4),
    "windows of Swin": ("b (h p) (w q) c -> (b h w) (p q) c", {"p": 4, "q": 4}, (2, 16, 16, 5), 4),
    "windows of Swin undone": ("(b h w) (p q) c -> b (h p) (w q) c", {"h": 4, "w": 4, "p": 4}, (32, 16, 5), 4),
    "patches of a video": (
        "b c (t r) (h p) (w q) -> b (t h w) (r p q c)",
        {"r": 2, "p": 4, "q": 4},
        (2, 3, 4, 8, 8),
        5,
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    """A layer, an input, and the result of the same pattern without a limit."""
    pattern, sizes, shape, max_rank = CASES[request.param]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Rearrange(pattern, max_rank=max_rank, **sizes).eval(), x, plait.rearrange(x, pattern, **sizes)


def onnx_ranks(model):
    """The ranks of all tensors of an ONNX model, which its shape inference must find."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output, *graph.value_info)
        if value.type.tensor_type.HasField("shape")
    }
    assert {name for node in graph.node for name in node.output} <= ranks.keys()
    return ranks.values()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("lengths", ["static", "dynamic"])
def test_onnx_model_keeps_the_rank_and_gives_the_same_bits(case, lengths, tmp_path):
    pytest.importorskip("onnxscript")
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    layer, x, expected = case
    is_dynamic = lengths == "dynamic"
    dynamic_shapes = ({0: torch.export.Dim.DYNAMIC},) if is_dynamic else None
    file = tmp_path / "model.onnx"
    torch.onnx.export(layer, (x,), dynamo=True, dynamic_shapes=dynamic_shapes, verbose=False).save(file)
    model = onnx.load(file)
    max_rank = layer.spec.config["sizes"]["max_rank"]
    assert max(onnx_ranks(model)) <= max_rank
    operators = [node.op_type for node in model.graph.node]
    steps = [line.step.split()[0] for line in layer.spec.pattern.explain(x).lines]
    assert operators.count("Transpose") == steps.count("permute") <= 2
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    longer = torch.cat([x, x + 1])
    for tensor, result in [(x, expected), (longer, layer(longer))][: 1 + is_dynamic]:
        (output,) = session.run(None, {session.get_inputs()[0].name: tensor.numpy()})
        assert (output == result.numpy()).all()


@pytest.mark.filterwarnings("ignore")
def test_core_ml_program_has_the_transposes_of_the_plan(case):
    coremltools = pytest.importorskip("coremltools")
    layer, x, _ = case
    program = torch.export.export(layer, (x,)).run_decompositions({})
    converted = coremltools.convert(
        program, convert_to="mlprogram", minimum_deployment_target=coremltools.target.iOS17
    )._mil_program
    operations = [each for function in converted.functions.values() for each in function.operations]
    ranks = [len(output.shape) for each in operations for output in each.outputs if hasattr(output, "shape")]
    assert max(ranks) <= 5
    steps = [line.step.split()[0] for line in layer.spec.pattern.explain(x).lines]
    assert [each.op_type for each in operations].count("transpose") == steps.count("permute")


@pytest.mark.filterwarnings("ignore")
def test_ncnn_model_gives_the_same_bits(case, tmp_path, monkeypatch):
    """ncnn has tensors of at most four dimensions, and its models have no batch."""
    numpy = pytest.importorskip("numpy")
    ncnn, pnnx = pytest.importorskip("ncnn"), pytest.importorskip("pnnx")
    layer, x, _ = case
    if layer.spec.config["sizes"]["max_rank"] > 4 or layer.spec.pattern.text.startswith("(b"):
        pytest.skip("ncnn has no batches of this model")
    image = x[:1]
    monkeypatch.chdir(tmp_path)
    pnnx.export(layer, "model.pt", (image,))
    network = ncnn.Net()
    assert network.load_param("model.ncnn.param") == 0
    assert network.load_model("model.ncnn.bin") == 0
    extractor = network.create_extractor()
    extractor.input("in0", ncnn.Mat(image[0].numpy()))
    status, output = extractor.extract("out0")
    assert status == 0
    assert (numpy.asarray(output).ravel() == layer(image).numpy().ravel()).all()
