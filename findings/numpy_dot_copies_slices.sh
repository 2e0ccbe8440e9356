#!/usr/bin/env bash
# numpy 2.4.6: `dot` copies an operand that is a block of a larger matrix, although BLAS takes it as it is.
#
# A block of columns of a row-major matrix has contiguous rows, and its row stride is the leading dimension that BLAS is
# told: `a[:, :400] @ b` needs no memory but the result. `ndarray.dot`, `np.dot` and `np.tensordot` copy the whole block
# first: here 3.2 MB for a result of 64 kB. Blocks of rows, which are contiguous, are not copied. Who divides a product
# into blocks to save memory pays for a copy of every block.
#
# Output seen (bytes that are allocated beyond the result, in units of the block, rounded):
#   block.dot(b)                            1.0
#   np.dot(block, b)                        1.0
#   np.tensordot(block, b, 1)               1.0
#   np.matmul(block, b)                     0.0
#   rows.dot(b)                             0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
import tracemalloc

import numpy as np

a, b = np.ones((1000, 800)), np.ones((400, 8))
block, rows = a[:, :400], np.ones((2000, 400))[:1000]
calls = {
    "block.dot(b)": lambda: block.dot(b),
    "np.dot(block, b)": lambda: np.dot(block, b),
    "np.tensordot(block, b, 1)": lambda: np.tensordot(block, b, 1),
    "np.matmul(block, b)": lambda: np.matmul(block, b),
    "rows.dot(b)": lambda: rows.dot(b),
}
found = {}
for name, call in calls.items():
    call()
    tracemalloc.start()
    result = call()
    found[name] = round((tracemalloc.get_traced_memory()[1] - result.nbytes) / block.nbytes, 1)
    tracemalloc.stop()
    print(f"{name:38}  {found[name]}")
assert list(found.values()) == [1.0, 1.0, 1.0, 0.0, 0.0], "NumPy copies something else now"
PYTHON
"$work/venv/bin/python" check.py
