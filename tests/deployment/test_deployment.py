"""Networks that are exported from PyTorch, and run by the runtimes to which they are exported."""

from __future__ import annotations

import pytest

import plait

torch = pytest.importorskip("torch")

from deployment.networks import NETWORKS, expected_results, module_and_input  # noqa: E402
from deployment.runtimes import RUNTIMES  # noqa: E402

pytestmark = [  # the exporters warn of their own functions
    pytest.mark.filterwarnings(f"ignore::{name}") for name in ("DeprecationWarning", "FutureWarning", "UserWarning")
]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=[runtime.name for runtime in RUNTIMES])
def test_exported_networks_give_the_same_results(runtime, name, record_property):
    if missing := runtime.missing_packages():
        pytest.skip(f"{', '.join(missing)} not installed")
    module, x = module_and_input(name)
    if x.ndim > runtime.options.get("max_rank", x.ndim):
        with plait.options(**runtime.options), pytest.raises(plait.SizeError, match="PLT314"):
            module(x)
        record_property("deployment", (runtime.name, name, f"no input of rank {x.ndim}"))
        return
    with plait.options(**runtime.options):
        exported = runtime.export(module, x)
    assert not [operator for operator in exported.operators if "einsum" in operator.lower()]
    outcome = "converts"
    if exported.results is not None:
        is_movement = NETWORKS[name].is_movement
        tolerance = {"rtol": 0, "atol": 0} if is_movement else {"rtol": 1e-4, "atol": 1e-5}
        for found, expected in zip(exported.results, expected_results(module, x), strict=True):
            torch.testing.assert_close(torch.as_tensor(found), expected, **tolerance)
        outcome = "the same bits" if is_movement else "equal but for rounding"
    record_property("deployment", (runtime.name, name, outcome))
