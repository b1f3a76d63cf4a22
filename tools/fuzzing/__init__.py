"""Random ONNX models, and what several executors make of them."""
