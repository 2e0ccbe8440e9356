"""The results of `benchmarks.einsum`: measured times and memory of each case, ratios, and performance targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import geometric_mean

from benchmarks.einsum_cases import CALL_BOUND_GROUPS
from benchmarks.einsum_variants import HANDWRITTEN_PREFIX
from benchmarks.targets import Target, worst_case_target
from benchmarks.timing import IGNORED_BYTES

UNRANKED_VARIANT = "torch"
"""The variant of the NumPy cases that is shown, but that plait is not compared with: PyTorch's einsum."""

PLAIN_VARIANT = "plain"
"""The variant ``np.einsum`` without ``optimize``: one loop over all axes."""


@dataclass(frozen=True)
class EinsumResult:
    """The measurements of one contraction on one framework.

    Attributes:
        framework: the name of the framework.
        group: the group of the contraction.
        case: the name of the contraction.
        equation: the equation in the form of ``np.einsum``.
        expressions: the measured expressions, by variant.
        seconds: the time of one call, by variant.
        peak_bytes: the peak memory of one call, by variant; empty except on NumPy.
        output_bytes: the size of the result.
    """

    framework: str
    group: str
    case: str
    equation: str
    expressions: dict[str, str]
    seconds: dict[str, float]
    peak_bytes: dict[str, int]
    output_bytes: int

    @property
    def best_handwritten(self) -> str | None:
        """The fastest hand-written variant, or ``None`` if there is none."""
        return self._fastest(variant for variant in self.seconds if variant.startswith(HANDWRITTEN_PREFIX))

    @property
    def best_peer(self) -> str:
        """The fastest of the variants that plait is compared with.

        In `CALL_BOUND_GROUPS`, no library that parses an equation can be as fast as a hand-written expression: there
        plait is compared only with the other libraries.
        """
        skipped = ("plait", UNRANKED_VARIANT, *([] if self.group in CALL_BOUND_GROUPS else [PLAIN_VARIANT]))
        peers = [variant for variant in self.seconds if self.framework != "numpy" or variant not in skipped]
        if self.group in CALL_BOUND_GROUPS:
            peers = [variant for variant in peers if not variant.startswith(HANDWRITTEN_PREFIX)]
        return self._fastest(variant for variant in peers if variant != "plait") or ""

    @property
    def ratio_to_peer(self) -> float:
        """The time of plait divided by that of the best peer."""
        return self.ratio_to(self.best_peer)

    @property
    def ratio_to_peer_or_plain(self) -> float:
        """The time of plait divided by that of the best peer or of plain ``np.einsum``, whichever is faster."""
        if PLAIN_VARIANT not in self.seconds:
            return self.ratio_to_peer
        return max(self.ratio_to_peer, self.ratio_to(PLAIN_VARIANT))

    @property
    def extra_memory_over_peer_ratio(self) -> float | None:
        """The peak memory of plait minus that of the best peer, divided by the size of the result.

        `IGNORED_BYTES` of the difference do not count.
        """
        if not self.peak_bytes:
            return None
        difference = self.peak_bytes["plait"] - self.peak_bytes[self.best_peer]
        return (max(difference - IGNORED_BYTES, 0) + min(difference + IGNORED_BYTES, 0)) / self.output_bytes

    def ratio_to(self, variant: str) -> float:
        """Return the time of plait divided by that of a variant."""
        return self.seconds["plait"] / self.seconds[variant]

    def _fastest(self, variants: Iterable[str]) -> str | None:
        """Return the fastest of these variants, or ``None`` if there are none."""
        return min(variants, key=self.seconds.__getitem__, default=None)


def framework_ratio_to_peer_limit(framework: str) -> float:
    """Return the limit of the ratio to the best peer."""
    return 1.15 if framework == "numpy" else 1.05


def einsum_targets(framework: str, results: list[EinsumResult]) -> list[Target]:
    """Return the performance targets of a framework with their measured values."""
    description, limit = "a case, in times of the best peer, at worst", framework_ratio_to_peer_limit(framework)
    targets = [worst_case_target(description, results, lambda result: result.ratio_to_peer, limit)]
    if framework != "numpy":
        return targets
    description = "the geometric mean, with plain np.einsum among the peers"
    targets.append(Target(description, geometric_mean(result.ratio_to_peer_or_plain for result in results), 1.0))
    call_bound = [result for result in results if result.group in CALL_BOUND_GROUPS]
    if call_bound:
        description = "a tiny case or a view, in times of plain np.einsum, at worst"
        targets.append(worst_case_target(description, call_bound, lambda result: result.ratio_to(PLAIN_VARIANT), 1.0))
    description = "memory at its peak beyond the best peer's, in results, at worst"
    return [
        *targets,
        worst_case_target(description, results, lambda result: result.extra_memory_over_peer_ratio or 0.0, 1.0),
    ]
