"""The backend of ndonnx: the array API, and lengths that are known only when the ONNX model runs."""
