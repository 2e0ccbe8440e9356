"""Generated source: a plan as a Python function that calls the framework alone, without plait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plait._executor.compile import lower_pattern
from plait._notation.parser import parse
from plait._notation.tree import Name, Tree, item_leaves
from plait._operations.reduce import check_reduction_name
from plait._operations.table import OPERATION_NAMES, infer_operation
from plait._plan.codegen import generate_function
from plait._plan.contraction.decompose import decompose_einsum
from plait._plan.nodes import Contract
from plait._shapes.sizes import to_exact_size
from plait.backends.interface import NO_VIEWS_MESSAGE
from plait.backends.source_templates import source_templates_of
from plait.errors import make_error, short_repr


def generate_source(
    framework: str,
    pattern: str,
    ranks: tuple[Any, ...],
    sizes: Mapping[str, int],
    operation: str | None = None,
    reduction: object = None,
    max_rank: int | None = None,
) -> str:
    """Implement `plait.Pattern.source`; no tensor has a rank above ``max_rank``, if it is given."""
    if not isinstance(framework, str):
        raise make_error("PLT501", f"the framework must be a name, not {short_repr(framework)}")
    templates, tree = source_templates_of(_as_exact_str(framework)), parse(_as_exact_str(pattern))
    operation = infer_operation(tree) if operation is None else _as_exact_str(operation)
    if operation not in OPERATION_NAMES:
        raise make_error(
            "PLT209", f"unknown operation {operation!r}", pattern, facts={"known": ", ".join(OPERATION_NAMES)}
        )
    if operation == "view" and not templates.view:
        raise make_error("PLT507", NO_VIEWS_MESSAGE, pattern)
    if (operation == "reduce") != isinstance(reduction, str) or (operation != "reduce" and reduction is not None):
        needs = "needs the name of a reduction, not" if operation == "reduce" else "has no reduction, but was given"
        raise make_error("PLT209", f"the source of {operation} {needs} {short_repr(reduction)}", pattern)
    reduction_name = check_reduction_name(_as_exact_str(reduction)) if operation == "reduce" else ""
    int_ranks = tuple([to_exact_size(f"ranks[{place}]", rank) for place, rank in enumerate(ranks)])
    size_names = (*sizes, *missing_sizes(tree, sizes))
    plan = lower_pattern(operation, _as_exact_str(pattern), int_ranks, size_names, reduction_name, max_rank)
    equations = [node.equation for node, _ in plan.steps if isinstance(node, Contract)]
    if not all(map(templates.supports_einsum_equation, equations)):
        plan = decompose_einsum(plan)
    return generate_function(operation, plan, templates, sizes)


def _as_exact_str(name: Any) -> Any:
    """Return a string as an exact `str`, because a subclass, such as an enumeration, may print differently."""
    return str.__str__(name) if isinstance(name, str) else name


def missing_sizes(tree: Tree, sizes: Mapping[str, int]) -> list[str]:
    """Return the axes whose sizes must also be given: on the left all but one of each dimension, and new axes.

    >>> missing_sizes(parse("(a b) (b c d) -> a b c d e"), {"d": 2})
    ['b', 'e']
    """
    items = [item for expr in tree.left for item in expr.items]
    dims = [[leaf.text for leaf in item_leaves(item) if isinstance(leaf, Name)] for item in items]
    known_names, missing = {*sizes}, []
    while dims:
        unknown = [[name for name in dim if name not in known_names] for dim in dims]
        inferred = [names[0] for names in unknown if len(names) == 1]
        dims = [names for names in unknown if len(names) > 1]
        if not inferred and dims:
            missing.append(dims[0][-1])
            inferred = missing[-1:]
        known_names.update(inferred)
    right = [leaf for expr in tree.right or () for item in expr.items for leaf in item_leaves(item)]
    return missing + [leaf.text for leaf in right if isinstance(leaf, Name) and leaf.text not in known_names]
