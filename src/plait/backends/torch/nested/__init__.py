"""The backend of nested tensors of PyTorch, whose sequences differ in length."""
