"""The checked options of an einsum, and the check of axes that it sums implicitly."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from math import inf
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from plait._caches import clearable_lru_cache
from plait._executor.memory_sizes import parse_memory_limit
from plait._executor.progress import ProgressOption, check_progress_option
from plait._notation.equation import PATTERN_LAST_HINT, find_word_like_name
from plait._notation.tree import collect_leaves
from plait._operations.einsum import implicitly_summed_axes, lower_to_framework_einsum
from plait._operations.rules import format_axis_names
from plait._plan.contraction.contraction_plan import ContractionPlan, path_of_plan
from plait._plan.contraction.paths import check_algorithm_name, normalize_path
from plait._plan.graph import Plan
from plait._plan.nodes import Contract, Reshape
from plait._shapes.sizes import to_exact_size
from plait._shapes.solver import SolvedPattern
from plait.errors import AxisWarning, PlaitError, make_error, short_repr

if TYPE_CHECKING:
    from plait._executor.sharing import SharedResults


MIN_MAX_RANK = 3
"""The lowest ``max_rank``, which products of stacks of matrices have."""


class OptionValues(NamedTuple):
    """The values of all options.

    ``backend_kwargs`` are passed to the framework's own einsum; ``shared`` are the results of `share_intermediates`.
    """

    contract: Any = "auto"  # a `PathOrAlgorithm`; or a `ContractionPlan`, until `options_with_path_of_plan` replaces it
    memory_limit: int | None = None  # in bytes
    strict: bool = False
    kernels: bool = True
    einsum: str = "auto"  # or "matmul"
    progress: ProgressOption = False
    max_rank: int | None = None
    max_intermediate: int | None = None  # the most elements of an intermediate result, for a path
    is_block: bool = False  # whether the call is for a block of an einsum under a limit of memory
    backend_kwargs: tuple[tuple[str, Any], ...] = ()
    shared: SharedResults | None = None

    @property
    def requests_path(self) -> bool:
        """Whether the options ask for a contraction path other than the default."""
        return self.contract != "auto" or self.max_intermediate is not None


DEFAULT_OPTIONS = OptionValues()


def normalize_options_by_name(options: dict[str, Any]) -> dict[str, Any]:
    """Return the given options, each checked and converted to the type of its field in `OptionValues`."""
    return {name: _CHECKS[name](value) for name, value in options.items()}


def _normalize_contract(contract: Any) -> Any:
    """Return ``contract`` as a name, a function, a plan, seconds, or a path that is a tuple of tuples of ints."""
    if isinstance(contract, str):
        check_algorithm_name(contract)
        return contract
    if callable(contract) or isinstance(contract, ContractionPlan):
        return contract
    if isinstance(contract, (int, float)) and not isinstance(contract, bool) and 0 <= contract < inf:
        return float(contract)
    try:
        pairs = [pair for pair in contract if pair != "einsum_path"]  # the first item of NumPy's paths
        return tuple([tuple([index(operand) for operand in pair]) for pair in pairs])
    except TypeError:
        message = (
            "contract must be a name, a path such as [(0, 1), (0, 1)], a function, a plan, or a number of seconds, "
            f"not {short_repr(contract)}"
        )
        raise make_error("PLT214", message) from None


def check_max_rank(max_rank: Any) -> int | None:
    """Return the highest rank of a tensor as an int, or ``None``; raise PLT301 or PLT314 for another value."""
    if max_rank is None:
        return None
    exact = to_exact_size("max_rank", max_rank)
    if exact < MIN_MAX_RANK:
        raise make_error("PLT314", f"max_rank={exact} is too low; the lowest is {MIN_MAX_RANK}")
    return exact


def _check_einsum_method(method: Any) -> str:
    """Return the way in which contractions are computed, if it is known."""
    if method not in ("auto", "matmul"):
        raise make_error("PLT214", f'einsum must be "auto" or "matmul", not {short_repr(method)}')
    return str(method)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "contract": _normalize_contract,
    "memory_limit": lambda limit: None if limit is None else parse_memory_limit(limit),
    "strict": bool,
    "kernels": bool,
    "einsum": _check_einsum_method,
    "progress": check_progress_option,
    "max_rank": check_max_rank,
}
"""By option of `plait.options`, the function that checks it and returns its value in `OptionValues`."""


def options_with_optimize(options: OptionValues | None, optimize: Any) -> OptionValues | None:
    """Return the options with the contraction path that the argument ``optimize`` of other libraries' einsums asks for.

    Args:
        options: The options of the call, or ``None``.
        optimize: A name, a path, a function that finds one, or a pair of a name and the most elements of an
            intermediate result, as `numpy.einsum_path` takes it; a truth value or ``None`` asks for nothing.

    Returns:
        The options, or ``None`` if all have their defaults.

    Raises:
        AxisError: PLT214, it is none of these.
    """
    if optimize is None or isinstance(optimize, bool):
        return options
    if isinstance(optimize, (int, float)):
        message = f"optimize must be a name, a path such as [(0, 1), (0, 1)], or a function, not {short_repr(optimize)}"
        raise make_error("PLT214", message)
    limit = None
    if isinstance(optimize, (tuple, list)) and len(optimize) == 2 and isinstance(optimize[0], str):
        optimize, limit = (optimize, None) if optimize[0] == "einsum_path" else optimize
    try:
        chosen = (options or DEFAULT_OPTIONS)._replace(contract=_normalize_contract(optimize))
    except PlaitError as error:
        raise make_error(error.code, error.message.replace("contract", "optimize", 1)) from None
    if isinstance(limit, (int, float)) and limit >= 0:  # in elements; NumPy writes no limit as -1
        chosen = chosen._replace(max_intermediate=int(limit))
    return None if chosen == DEFAULT_OPTIONS else chosen


def options_with_max_rank(options: OptionValues | None, max_rank: int | None) -> OptionValues | None:
    """Return the options with another limit of the rank; ``None`` keeps the one that they have."""
    return options if max_rank is None else (options or DEFAULT_OPTIONS)._replace(max_rank=max_rank)


def options_with_path_of_plan(
    options: OptionValues | None, solved: SolvedPattern, slots: Sequence[Any] | None
) -> OptionValues | None:
    """Return the options with a saved plan replaced by its path.

    ``slots`` are the sizes of the call, evaluated, or ``None`` if they are unknown. Raise PLT216 if the plan was made
    for another call.
    """
    if options is None or not isinstance(options.contract, ContractionPlan):
        return options
    return options._replace(contract=path_of_plan(options.contract, solved, slots))


def apply_einsum_options(plan: Plan, options: OptionValues | None) -> Plan:
    """Check the implicit sums of an einsum of unknown sizes; return its plan, with the path if the options give one."""
    check_implicit_sums(plan.solved, options)
    options = options_with_path_of_plan(options, plan.solved, None)
    if options is None:
        return plan
    count = len(plan.solved.ranks)
    path = normalize_path(options.contract, count) if isinstance(options.contract, tuple) else ()
    if options.einsum == "matmul" and count > 1 and not options.backend_kwargs:
        from plait._operations.einsum_by_matmul import lower_to_matmul  # imported here because few calls ask for it

        return lower_to_matmul(plan.solved, path, options.max_rank)
    if path or options.backend_kwargs:
        plan = lower_to_framework_einsum(plan.solved, path, options.max_rank)
    check_backend_kwargs_fit_plan(plan, options)
    return plan


def check_backend_kwargs_fit_plan(plan: Plan, options: OptionValues) -> None:
    """Raise PLT314 for arguments of the framework's einsum if ``max_rank`` needs steps that do not take them."""
    if options.backend_kwargs and options.max_rank is not None:
        steps = [node for node, _ in plan.steps]
        last = max([step for step, node in enumerate(steps) if isinstance(node, Contract)])
        if any(not isinstance(node, Reshape) for node in steps[last + 1 :]):
            message = (
                f"{options.backend_kwargs[0][0]} cannot be given where max_rank={options.max_rank} divides the einsum"
            )
            raise make_error("PLT314", message, plan.solved.text)


def check_implicit_sums(solved: SolvedPattern, options: OptionValues | None) -> None:
    """Check the labels over which an einsum sums because they appear only once.

    Raise PLT204 for such a label if the options are strict. If they are not, warn about the first label of a pattern
    that looks like a misspelling of another. Warn also if an equation of single letters has ``...`` and a run of
    letters, such as ``vec``, that looks like the name of one axis.
    """
    if solved.is_classical and "..." in solved.text:
        word = find_word_like_name(solved.tree)
        if word is not None:
            _warn_about_word(solved.text, word)
    summed_axes = implicitly_summed_axes(solved)
    if not summed_axes:
        return
    labels = list(dict.fromkeys([solved.labels[axis] for axis in summed_axes]))
    if options is not None and options.strict:
        spans = [(leaf.start, leaf.stop) for leaf in collect_leaves(solved.tree.left) if str(leaf) in labels]
        message = (
            f"{format_axis_names(labels)} would be summed, but appear{'s' * (len(labels) == 1)} only once (strict=True)"
        )
        raise make_error("PLT204", message, solved.tree.text, spans)
    if not solved.is_classical:
        for label in labels:
            similar = next(
                (other for other in dict.fromkeys(solved.labels) if axis_names_look_alike(label, other)), None
            )
            if similar is not None:
                _warn_about_typo(solved.text, label, similar)
                return


def axis_names_look_alike(name: str, other: str) -> bool:
    """Whether one name may be a misspelling of the other, such as ``d`` and ``dd``, or ``chanel`` and ``channel``.

    Names with digits and pairs of different single letters are taken as intended.

    >>> [axis_names_look_alike(*pair) for pair in (("head", "heads"), ("d", "dd"), ("i", "j"), ("h1", "h2"))]
    [True, True, False, False]
    """
    if name == other or not (name.isidentifier() and other.isidentifier()):
        return False
    shorter, longer = sorted((name, other), key=len)
    if any(char.isdigit() for char in name + other):
        return False
    if longer.startswith(shorter):
        return longer[len(shorter) :] in ("s", "es", shorter[-1])
    if len(shorter) < 3:
        return False
    from difflib import SequenceMatcher

    if name.casefold() == other.casefold():
        return True
    return len(longer) - len(shorter) <= 1 and SequenceMatcher(None, name, other).ratio() >= 0.8


@clearable_lru_cache(maxsize=1024)
def _warn_about_typo(text: str, name: str, similar: str) -> None:
    """Issue an `AxisWarning` at the line of the caller's code, once for each pattern."""
    message = f"axis '{name}' appears only once in '{text}', so it is summed; did you mean '{similar}'?"
    _warn_at_callers_line(AxisWarning(message, code="PLT601"))


@clearable_lru_cache(maxsize=1024)
def _warn_about_word(text: str, word: str) -> None:
    """Issue an `AxisWarning` at the line of the caller's code, once for each equation."""
    message = f"'{word}' in '{text}' is {len(word)} axes, {', '.join(word)}; {PATTERN_LAST_HINT}"
    _warn_at_callers_line(AxisWarning(message, code="PLT602"))


def _warn_at_callers_line(warning: AxisWarning) -> None:
    """Issue a warning at the line of the code that called plait."""
    level, frame = 1, sys._getframe()
    while str(frame.f_globals.get("__name__", "")).partition(".")[0] == "plait" and frame.f_back:
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)
