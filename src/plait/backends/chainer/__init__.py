"""The backend of Chainer."""
