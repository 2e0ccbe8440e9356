"""The backend of PyTorch: `backend` has its class; the others have tracing, contractions, large tensors, autograd."""
