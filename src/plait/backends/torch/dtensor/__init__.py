"""The backend of PyTorch's DTensor."""
