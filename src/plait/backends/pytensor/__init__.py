"""The backend of PyTensor."""
