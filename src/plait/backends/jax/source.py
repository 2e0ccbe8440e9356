"""How JAX is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(
    imports="import jax\nimport jax.numpy as jnp",
    module="jnp",
    reductions={"logsumexp": "jax.nn.logsumexp({tensor}, axis={axis})"},
)
