"""TensorFlow, eager."""

from plait.testing import Framework


class TensorFlow(Framework):
    def make(self, array):
        return self.module().constant(array)

    def gradient(self, function, array):
        tf = self.module()
        tensor = self.make(array)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            total = tf.reduce_sum(function(tensor))
        return tape.gradient(total, tensor).numpy()


FRAMEWORK = TensorFlow("tensorflow", "tensorflow")
