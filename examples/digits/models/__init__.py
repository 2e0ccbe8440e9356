"""The network of the specification in each framework, built from its own layers and plait's."""
