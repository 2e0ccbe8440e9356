"""PaddlePaddle, on the CPU."""

import numpy as np

from plait.testing import Framework


class Paddle(Framework):
    def version(self):
        return self.module().__version__

    def make(self, array):
        paddle = self.module()
        if array.dtype.name == "bfloat16":
            return paddle.to_tensor(array.astype(np.float32)).astype("bfloat16")
        return paddle.to_tensor(array)

    def shares_memory(self, first, second):
        return first.data_ptr() == second.data_ptr()

    def gradient(self, function, array):
        tensor = self.make(array)
        tensor.stop_gradient = False
        function(tensor).sum().backward()
        return tensor.grad.numpy()


FRAMEWORK = Paddle(
    "paddle",
    "paddle",
    unsupported_dtypes={"uint16": "Paddle takes an array of uint16 for one of bfloat16"},
    copying_operations={
        "repeat": "Paddle's broadcast_to copies; its as_strided would not, but has another gradient",
        "-> 1": "Paddle's reshape copies the one element of a tensor of rank 0",
    },
)
