#!/usr/bin/env bash
# paddlepaddle 3.3.1 (CPU): paddle.logsumexp of a row that holds an infinity is nan.
#
# The logarithm of a sum of exponentials of (-inf, -inf) is -inf, and that of (inf, 0) is inf, as in SciPy 1.15.3,
# PyTorch and JAX; a row of scores that is masked out as a whole is such a row. Paddle subtracts the greatest element
# also where it is infinite, and inf - inf is nan. Rows of finite numbers, and those with some -inf, are right.
#
# Output seen:
#   row            paddle  scipy
#   (-inf, -inf)   nan     -inf
#   (inf, 0.0)     nan     inf
#   (-inf, 0.0)    0.0     0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "paddlepaddle==3.3.1" "scipy==1.15.3" "setuptools<81"
cd "$work"
cat > check.py <<'PYTHON'
from math import inf

import paddle
from scipy.special import logsumexp

rows = ((-inf, -inf), (inf, 0.0), (-inf, 0.0))
print(f"{'row':<14} {'paddle':<7} scipy")
found = []
for row in rows:
    got = float(paddle.logsumexp(paddle.to_tensor(row, dtype="float64")))
    right = float(logsumexp(row))
    print(f"{row!s:<14} {got!s:<7} {right}")
    found.append((str(got), str(right)))
assert found == [("nan", "-inf"), ("nan", "inf"), ("0.0", "0.0")], found
PYTHON
"$work/venv/bin/python" -W ignore check.py
