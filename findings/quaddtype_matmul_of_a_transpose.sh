#!/usr/bin/env bash
# numpy-quaddtype 1.0.0 with numpy 2.4.6: `x @ y` is silently wrong for a transpose or a slice with steps.
#
# A matrix product of float64 is the same for a transpose and for a copy of it. That of quadruple precision reads the
# memory of the operand as if it lay in row-major order, and gives the product with other numbers, without an error.
# The product with a contiguous copy is right, and so are `*` and `sum` of the same arrays.
#
# Output seen:
#   float64   x @ x.T           [[14.0, 32.0], [32.0, 77.0]]
#   quadruple x @ x.T           [[14.0, 20.0], [32.0, 47.0]]
#   quadruple x @ x.T.copy()    [[14.0, 32.0], [32.0, 77.0]]
#   quadruple (x * x).sum(1)    [14.0, 77.0]
#   float64   x[:, ::2] @ y     [[10.0, 22.0], [22.0, 52.0]]
#   quadruple x[:, ::2] @ y     [[7.0, 16.0], [19.0, 46.0]]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "numpy==2.4.6" "numpy-quaddtype==1.0.0"
cd "$work"
cat > check.py <<'PYTHON'
import numpy as np
from numpy_quaddtype import QuadPrecDType

x = np.array([[1.0, 2, 3], [4, 5, 6]])
q = x.astype(QuadPrecDType())
y = x[:, ::2].T.copy()
rows = (
    ("float64   x @ x.T", x @ x.T),
    ("quadruple x @ x.T", q @ q.T),
    ("quadruple x @ x.T.copy()", q @ q.T.copy()),
    ("quadruple (x * x).sum(1)", (q * q).sum(1)),
    ("float64   x[:, ::2] @ y", x[:, ::2] @ y),
    ("quadruple x[:, ::2] @ y", q[:, ::2] @ y.astype(QuadPrecDType())),
)
for name, result in rows:
    print(f"{name:<27} {np.asarray(result, float).tolist()}")
found = [np.asarray(result, float).tolist() for _, result in rows]
assert found[0] == found[2] == [[14, 32], [32, 77]], found
assert found[1] == [[14, 20], [32, 47]], found
assert found[3] == [14, 77], found
assert found[5] != found[4] == [[10, 22], [22, 52]], found
PYTHON
"$work/venv/bin/python" check.py
