"""The backend of TensorFlow 2."""
