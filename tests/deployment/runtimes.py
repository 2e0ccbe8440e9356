"""The runtimes to which networks of PyTorch are exported, and how a network is exported to each and run by it."""

from __future__ import annotations

import importlib
import io
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Exported(NamedTuple):
    """A network as a runtime has it: what it gives for the input, unless it cannot be run here, and its operators."""

    results: list[Any] | None
    operators: set[str]


class Runtime(NamedTuple):
    """A runtime, or a way to it: the packages that it needs, and the options under which plait exports to it."""

    name: str
    packages: tuple[str, ...]
    options: dict[str, Any]
    export: Callable[[Any, Any], Exported]

    def missing_packages(self) -> list[str]:
        """Return the packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def version(self) -> str:
        """Return the version of the runtime."""
        return version(self.packages[-1])


def _run_onnx(model: bytes, x: Any) -> Exported:
    """Run an ONNX model in ONNX Runtime."""
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load_from_string(model).graph.node}
    return Exported(session.run(None, {session.get_inputs()[0].name: x.numpy()}), operators)


def _onnx_of_exported_program(module: Any, x: Any) -> Exported:
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=True, verbose=False)
    return _run_onnx(file.getvalue(), x)


def _onnx_of_trace(module: Any, x: Any) -> Exported:
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=False)
    return _run_onnx(file.getvalue(), x)


def _openvino(module: Any, x: Any) -> Exported:
    import openvino

    model = openvino.convert_model(module, example_input=x)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(x.numpy())
    operators = {operation.get_type_name() for operation in model.get_ordered_ops()}
    return Exported([results[number] for number in range(len(compiled.outputs))], operators)


def _executorch(module: Any, x: Any) -> Exported:
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    program = to_edge_transform_and_lower(torch.export.export(module, (x,))).to_executorch()
    method = Runtime.get().load_program(program.buffer).load_method("forward")
    nodes = program.exported_program().graph.nodes
    return Exported(method.execute([x]), {str(node.target) for node in nodes if node.op == "call_function"})


def _core_ml(module: Any, x: Any) -> Exported:
    import coremltools

    program = torch.export.export(module, (x,)).run_decompositions({})
    model = coremltools.convert(program)  # only Apple's machines run it
    return Exported(None, {operation.op_type for operation in model._mil_program.functions["main"].operations})


def _ncnn(module: Any, x: Any) -> Exported:
    import ncnn
    import pnnx

    with tempfile.TemporaryDirectory() as folder:
        pnnx.export(module, str(Path(folder) / "network.pt"), (x,), fp16=False)
        parameters = (Path(folder) / "network.ncnn.param").read_text(encoding="utf-8")
        network = ncnn.Net()
        if network.load_param(str(Path(folder) / "network.ncnn.param")):
            raise ValueError("ncnn cannot load the network")
        network.load_model(str(Path(folder) / "network.ncnn.bin"))
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(x.numpy()).clone())
        outputs = [extractor.extract(name) for name in network.output_names()]
        results = [output.numpy().copy() for _, output in outputs]
    return Exported(results, {line.split()[0] for line in parameters.splitlines()[2:]})


RUNTIMES = (
    Runtime("ONNX Runtime", ("onnx", "onnxscript", "onnxruntime"), {"einsum": "matmul"}, _onnx_of_exported_program),
    Runtime("ONNX Runtime, of a trace", ("onnx", "onnxruntime"), {"einsum": "matmul"}, _onnx_of_trace),
    Runtime("OpenVINO", ("openvino",), {"einsum": "matmul"}, _openvino),
    Runtime("ExecuTorch", ("executorch",), {"einsum": "matmul"}, _executorch),
    Runtime("Core ML", ("coremltools",), {"einsum": "matmul", "max_rank": 5}, _core_ml),
    Runtime("ncnn", ("pnnx", "ncnn"), {"einsum": "matmul", "max_rank": 4}, _ncnn),
)
