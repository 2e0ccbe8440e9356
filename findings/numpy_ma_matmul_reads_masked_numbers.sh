#!/usr/bin/env bash
# numpy 2.4.6: the operator `@` of masked arrays adds the numbers that are masked, and masks other elements.
#
# `+`, `*`, `sum` and `np.ma.dot` leave out what is masked. `@` takes the hidden numbers for elements, and gives the
# result the mask of its operands, element by element, though its elements are sums over rows and columns. Where the
# shapes of the operands differ, the mask does not fit and there is an error; for square matrices the result is silent.
#
# Output seen, for m = [[1, --], [3, 4]] with 100 under the mask:
#   m @ m            [[301.0, None], [15.0, 316.0]]
#   np.ma.dot(m, m)  [[1.0, None], [15.0, 16.0]]
#   (1, 3) @ (3, 2)  ValueError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
import numpy as np

m = np.ma.masked_array([[1.0, 100.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])
product, dot = (m @ m).tolist(), np.ma.dot(m, m).tolist()
print("m @ m           ", product)
print("np.ma.dot(m, m) ", dot)
try:
    np.ma.masked_array([[1.0, 100.0, 2.0]], mask=[[0, 1, 0]]) @ np.ma.ones((3, 2))
    error = "none"
except ValueError as raised:
    error = type(raised).__name__
print("(1, 3) @ (3, 2) ", error)
assert product == [[301.0, None], [15.0, 316.0]], product
assert dot == [[1.0, None], [15.0, 16.0]], dot
assert error == "ValueError", error
PYTHON
"$work/venv/bin/python" check.py
