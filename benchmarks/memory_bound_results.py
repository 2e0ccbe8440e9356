"""The results of `benchmarks.memory_bound`: measured times and memory of each case, ratios, and performance targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import geometric_mean

from benchmarks.memory_bound_cases import TARGET_OPERATION_NAMES
from benchmarks.memory_bound_variants import HANDWRITTEN_PREFIX
from benchmarks.targets import Target, worst_case_target
from benchmarks.timing import IGNORED_BYTES

MAX_RATIO_TO_EINOPS = 1.03
"""The limit of the ratio of plait's time to that of einops."""

MIN_SPEEDUPS_BY_FRAMEWORK = {
    "numpy": ((("max-pool 2x2", "mean-pool 2x2"), 10.0), (("sum 16x16",), 4.0)),
    "torch": ((("max-pool 2x2", "mean-pool 2x2"), 5.0),),
}
"""The cases for which plait should be faster than einops by a factor, by framework."""

MIN_MEAN_SPEEDUP_BY_FRAMEWORK = {"numpy": 3.0}
"""The factor by which plait should be faster than einops in the geometric mean of `TARGET_OPERATIONS`, by framework."""

MAX_KERNEL_RATIO_BY_GROUP = {"copies": 2.0, "pooling": 1.0, "blocks": 1.0}
"""The limit of the time with kernels, divided by that of ``memcpy``, by group."""


@dataclass(frozen=True)
class MemoryBoundResult:
    """The measurements of one operation on one framework.

    Attributes:
        framework: the name of the framework.
        group: the group of the operation.
        case: the name of the operation.
        pattern: the pattern.
        reduction: the name of the reduction; ``""`` for a copy.
        dtype: the element type of the array.
        elements: the number of elements of the array.
        expressions: the measured expressions, by variant.
        seconds: the time of one call, by variant.
        peak_bytes: the peak memory of one call, by variant; empty except on NumPy.
        input_bytes: the size of the array.
        output_bytes: the size of the result.
        uses_kernels: whether plait used its kernels.
        kernel_ratio: the time of plait with kernels, measured in another process, divided by that of ``memcpy`` there.
    """

    framework: str
    group: str
    case: str
    pattern: str
    reduction: str
    dtype: str
    elements: int
    expressions: dict[str, str]
    seconds: dict[str, float]
    peak_bytes: dict[str, int]
    input_bytes: int
    output_bytes: int
    uses_kernels: bool
    kernel_ratio: float | None = None

    @property
    def key(self) -> str:
        """The name of the result in the baseline, such as ``"numpy max-pool 2x2"``."""
        return f"{self.framework} {self.case}"

    @property
    def best_handwritten(self) -> str:
        """The fastest hand-written variant."""
        return min((name for name in self.seconds if name.startswith(HANDWRITTEN_PREFIX)), key=self.seconds.__getitem__)

    @property
    def ratios_to_memcpy(self) -> dict[str, float]:
        """The times of einops, hand-written code and plait divided by that of ``memcpy``, by label."""
        variants = {"einops": "einops", HANDWRITTEN_PREFIX: self.best_handwritten, "plait": "plait"}
        ratios = {label: self.variant_ratio_to_memcpy(variant) for label, variant in variants.items()}
        return ratios if self.kernel_ratio is None else ratios | {"plait, kernels": self.kernel_ratio}

    @property
    def ratio_to_einops(self) -> float:
        """The time of plait divided by that of einops."""
        return self.ratio_to("einops")

    @property
    def extra_memory_to_input_ratio(self) -> float | None:
        """The peak memory of plait without the result, divided by the size of the input; small objects are ignored."""
        if not self.peak_bytes:
            return None
        return max(0, self.peak_bytes["plait"] - self.output_bytes - IGNORED_BYTES) / self.input_bytes

    def ratio_to(self, variant: str) -> float:
        """Return the time of plait divided by that of a variant."""
        return self.seconds["plait"] / self.seconds[variant]

    def variant_ratio_to_memcpy(self, variant: str) -> float:
        """Return the time of a variant divided by that of ``memcpy``."""
        return self.seconds[variant] / self.seconds["memcpy"]


def memory_bound_targets(framework: str, results: Sequence[MemoryBoundResult]) -> list[Target]:
    """Return the performance targets of a framework with their measured values."""
    ratio = attrgetter("ratio_to_einops")
    targets = [worst_case_target("a case, in times of einops, at worst", results, ratio, MAX_RATIO_TO_EINOPS)]
    for names, speedup in MIN_SPEEDUPS_BY_FRAMEWORK[framework]:
        if selected := [result for result in results if result.case in names]:
            targets.append(
                worst_case_target(f"{' and '.join(names)}, in times of einops", selected, ratio, 1 / speedup)
            )
    target_results = [result for result in results if result.case in TARGET_OPERATION_NAMES]
    if framework in MIN_MEAN_SPEEDUP_BY_FRAMEWORK and len(target_results) == len(TARGET_OPERATION_NAMES):
        description = "the nine, in times of einops, in the geometric mean"
        targets.append(
            Target(
                description, geometric_mean(map(ratio, target_results)), 1 / MIN_MEAN_SPEEDUP_BY_FRAMEWORK[framework]
            )
        )
    return [*targets, *kernel_targets(results), *memory_targets(results)]


def kernel_targets(results: Sequence[MemoryBoundResult]) -> list[Target]:
    """Return the targets for plait with kernels, as far as it was measured."""

    def ratio(result: MemoryBoundResult) -> float:
        return result.variant_ratio_to_memcpy("plait") if result.uses_kernels else result.kernel_ratio or 0

    targets = []
    measured = [result for result in results if result.uses_kernels or result.kernel_ratio is not None]
    for group, limit in MAX_KERNEL_RATIO_BY_GROUP.items():
        selected = [result for result in measured if result.group == group]
        if selected:
            description = f"{group} with kernels, in times of memcpy, at worst"
            targets.append(worst_case_target(description, selected, ratio, limit))
    return targets


def memory_targets(results: Sequence[MemoryBoundResult]) -> list[Target]:
    """Return the targets for extra memory, as far as it was measured."""
    targets = []
    measured = [result for result in results if result.extra_memory_to_input_ratio is not None]
    if copies := [result for result in measured if not result.reduction]:
        description = "memory of a copy beyond its result, in inputs"
        targets.append(
            worst_case_target(description, copies, lambda result: result.extra_memory_to_input_ratio or 0, 0.0)
        )
    if reductions := [result for result in measured if result.reduction]:
        description = "memory of a reduction beyond its result, in inputs"
        targets.append(
            worst_case_target(description, reductions, lambda result: result.extra_memory_to_input_ratio or 0, 1.0)
        )
    return targets
