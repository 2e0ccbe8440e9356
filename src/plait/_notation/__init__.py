"""The parser of patterns, and the immutable syntax tree, which prints as canonical text.

Neither depends on the shapes of tensors.
"""
