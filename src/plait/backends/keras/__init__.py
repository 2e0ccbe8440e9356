"""The backends of Keras 3: `backend` has their classes, and `operation_with_sizes` an operation with unknown sizes."""
