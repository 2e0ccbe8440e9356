"""MXNet: in the making by a helper of its own; whoever does Paddle and Chainer leaves this file, tests/tracers/test_mxnet.py and the framework record alone."""
