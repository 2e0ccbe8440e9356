"""The network of the specification in each framework: the same four lines, by its own layers and plait's."""
