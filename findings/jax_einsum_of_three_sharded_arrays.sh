#!/usr/bin/env bash
# jax 0.10.2 (CPU, eight devices): an einsum of three arrays that are sharded over a mesh of Auto axes is silently wrong.
#
# The sharding of an array decides where its elements are and what is sent, and not what a sum is. Here the numbers differ
# from those on one device, eagerly and under jit, without an error; every array is right when it is read back. NumPy
# gives the number of one device. Other sizes of the same shapes are wrong too; with two arrays all that were tried were
# right.
#
# Output seen:
#   one device   91.60
#   eight, eager 19.43
#   eight, jit   19.43
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
cd "$work"
cat > check.py <<'PYTHON'
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

mesh = jax.make_mesh((2, 2, 2), ("x", "y", "z"), axis_types=(AxisType.Auto,) * 3)
D, C, A, E, B = 4, 4, 4, 2, 3
shapes = (D, C, A), (C * D, D), (A, E * C * B, D)
specs = PartitionSpec("x", "z", "y"), PartitionSpec("x", ("y", "z")), PartitionSpec(("x", "y"), None, None)
arrays = [(np.arange(np.prod(shape), dtype=np.float32) / 100).reshape(shape) for shape in shapes]


def contract(d, s, t):
    return jnp.einsum("dca,cdd,aecbd->", d, s.reshape(C, D, D), t.reshape(A, E, C, B, D))


sharded = [jax.device_put(array, NamedSharding(mesh, spec)) for array, spec in zip(arrays, specs)]
one, eager, jitted = float(contract(*arrays)), float(contract(*sharded)), float(jax.jit(contract)(*sharded))
print(f"one device   {one:.2f}")
print(f"eight, eager {eager:.2f}")
print(f"eight, jit   {jitted:.2f}")
right = np.einsum("dca,cdd,aecbd->", arrays[0], arrays[1].reshape(C, D, D), arrays[2].reshape(A, E, C, B, D))
assert abs(one - right) < 1e-2, (one, right)
assert abs(jitted - right) > 1, "JAX computes it right now"
PYTHON
"$work/venv/bin/python" check.py 2> /dev/null
