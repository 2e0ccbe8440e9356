#!/usr/bin/env bash
# jax 0.10.2 (CPU): `jnp.any` and `jnp.all` of complex numbers look at the real parts alone.
#
# A number is true if it is not zero: `bool(x[0])`, `x.astype(bool)` and `x != 0` say so of 1j in JAX, and so do NumPy and
# PyTorch for `any` and `all`. `jnp.any` of purely imaginary numbers is False, without an error, eagerly and under jit.
# The same in jax 0.12.
#
# Output seen:
#   any            False
#   any under jit  False
#   all            False
#   any of x != 0  True
#   numpy          True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

x = jnp.asarray([1j, 2j])
found = [bool(jnp.any(x)), bool(jax.jit(jnp.any)(x)), bool(jnp.all(x)), bool(jnp.any(x != 0)), bool(np.any(np.asarray(x)))]
for name, value in zip(("any", "any under jit", "all", "any of x != 0", "numpy"), found):
    print(f"{name:14} {value}")
assert bool(x[0]) and bool(x.astype(bool).all())
assert found == [False, False, False, True, True], "JAX looks at both parts now"
PYTHON
"$work/venv/bin/python" check.py 2> /dev/null
