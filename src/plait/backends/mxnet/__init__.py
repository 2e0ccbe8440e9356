"""The backend of mxnet."""
