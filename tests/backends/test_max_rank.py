"""`plait.options(max_rank=4)` on every framework: results equal NumPy's without a limit."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from backends.frameworks import parametrize_by_framework

IMAGES = np.arange(2 * 3 * 4 * 8, dtype=np.float32).reshape(2, 3, 4, 8) % 7 - 3
WEIGHTS = np.arange(3 * 8 * 5, dtype=np.float32).reshape(3, 8, 5) % 5 - 2

CALLS = {
    "rearrange": lambda x, _: plait.rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=2, q=2),
    "repeat": lambda x, _: plait.repeat(x, "b c h w -> b c (h p) (w q)", p=2, q=3),
    "sum": lambda x, _: plait.reduce(x, "b (c d) (h p) (w q) -> c b (h w)", "sum", p=2, q=2, d=1),
    "max": lambda x, _: plait.reduce(x, "b c (h p) (w q) -> w c b h", "max", p=2, q=2),
    "mean": lambda x, _: plait.reduce(x, "b (h p) (w q) c -> b h w c", "mean", p=3, q=2),
    "var": lambda x, _: plait.reduce(x, "b (h p) (w q) c -> c b w h", "var", p=3, q=2),
    "einsum": lambda x, w: plait.einsum(x, w, "b c (h p) w, c w o -> (b h) p o", p=2),
    "pattern": lambda x, _: plait.compile("b (h p) (w q) c -> (b h w) p q c", p=3, q=2).rearrange(x),
}


@parametrize_by_framework()
@pytest.mark.parametrize("name", CALLS)
def test_result_within_the_rank_equals_the_one_of_any_rank(framework, name):
    expected = CALLS[name](IMAGES, WEIGHTS)
    images, weights = framework.make(IMAGES), framework.make(WEIGHTS)
    with plait.options(max_rank=4):
        try:
            result = plait.asnumpy(CALLS[name](images, weights))
        except plait.BackendError as error:
            with plait.options(max_rank=None), pytest.raises(plait.BackendError, match=error.code):
                CALLS[name](images, weights)
            pytest.skip(f"{framework.name} does not support it: {error.message}")
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
