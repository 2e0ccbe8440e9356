"""The parser: text becomes an immutable syntax tree, and a tree prints as canonical text. Shapes play no part."""
