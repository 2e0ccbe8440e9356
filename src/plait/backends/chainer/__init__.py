"""The backend of chainer."""
