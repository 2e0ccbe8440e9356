"""PyTorch DTensor."""
