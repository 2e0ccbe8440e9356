"""Writes what the documentation takes from elsewhere: ``python docs/generate.py``.

``docs/errors.md`` is made of the table of codes and the snapshot of the tests; in the other pages the parts between two
marks are made of the table of reductions, of ``docs/conformance``, which runs of the tests wrote (see tests/record.py),
and of the files that the marks name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from plait.backends.reduction_rules import REDUCTION_RULES
from plait.errors import CODES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
SNAPSHOT = ROOT / "tests" / "errors" / "snapshot.txt"
PAGES_WITH_PARTS = [ROOT / "docs" / f"{name}.md" for name in ("deployment", "element-types", "frameworks")]
CONFORMANCE = ROOT / "docs" / "conformance"

HEAD = """# Error codes

Every mistake that plait finds is a `plait.PlaitError`, which is a `ValueError` and a `RuntimeError`. Each error has
a stable code, which you can search for on this page and which decides its class. `error.code`, `error.message`,
`error.pattern`, `error.spans` and `error.facts` are the parts of its text. [The classes](api/errors.md) are in
`plait` and in `plait.errors`, whose `CODES` maps each code to its class and its meaning. An einsum that may not compute
what is meant gets a warning, `plait.AxisWarning`, once for each pattern.

| class | codes | about |
|---|---|---|
| `PatternSyntaxError` | PLT1xx | the text of a pattern |
| `AxisError` | PLT2xx | a rule of the operation |
| `SizeError` | PLT3xx | ranks and sizes |
| `CopyRequiredError` | PLT4xx | a view was asked for, and none exists |
| `BackendError` | PLT5xx | the framework behind the tensor |
| `AxisWarning` | PLT6xx | an einsum that may not compute what is meant |

(This page is made by `python docs/generate.py` from the table of codes and the snapshot of the tests.)
"""

REMEDIES = {
    "PLT101": ("The pattern is not a string; often the tensor and the pattern are swapped.", "Pass the tensor first."),
    "PLT102": (
        "The pattern contains a character that the notation does not use.",
        "Write names, numbers, `( )`, `...`, `,` and `->` only, with blanks between names.",
    ),
    "PLT103": (
        "A word is not a valid name of an axis.",
        "Use a Python identifier that neither begins nor ends with an underscore.",
    ),
    "PLT104": ("A parenthesis or bracket has no partner.", "Add or remove the one that the carets show."),
    "PLT105": ("The pattern has no arrow, or several.", "Write what goes in, `->`, and what comes out."),
    "PLT106": ("One tensor has several ellipses.", "Keep one; name the other axes."),
    "PLT107": ("A number is larger than any tensor can be.", "Check the number, or use a name."),
    "PLT108": ("Groups are nested too deeply.", "Flatten them: `((a b) c)` means the same as `(a b c)`."),
    "PLT109": ("A `+` is outside a group, or has no axis beside it.", "Write it between axes in a group: `(a + b)`."),
    "PLT110": (
        "The classical equation contains something else than letters, `...`, `,` and `->`.",
        "Use letters, or the named form: tensors first, then a pattern with blanks between the names.",
    ),
    "PLT201": (
        "The operation does not support this part of the notation.",
        "See the table on [The notation](notation.md).",
    ),
    "PLT202": (
        "The number of tensors differs from the number of comma-separated parts of the pattern.",
        "Pass one tensor for each part.",
    ),
    "PLT203": (
        "A size has a name that is not an axis of the pattern.",
        "Correct the name, or remove the size. Options of other libraries, such as `optimize=`, are not sizes.",
    ),
    "PLT204": ("An axis disappears, which this operation does not allow.", "Add it on the right, or use `reduce`."),
    "PLT205": (
        "An axis is new on the right, which this operation does not allow.",
        "Add it on the left, or use `repeat`.",
    ),
    "PLT206": ("An axis appears twice in one tensor.", "Give the two axes different names."),
    "PLT207": ("The operation must match an axis by its name, but it has only a length.", "Give it a name and a size."),
    "PLT208": (
        "An ellipsis appears on one side only, or in a group on the left.",
        "Write it on both sides, outside groups.",
    ),
    "PLT209": (
        "The reduction or the operation does not exist.",
        "Use one of the listed names, or pass a function `f(tensor, axes)` as the reduction.",
    ),
    "PLT210": ("A pattern of `pack` or `unpack` needs exactly one `*`.", "Add or remove a `*`."),
    "PLT211": ("The pattern loses information, so nothing can invert it.", "Invert patterns with one input only."),
    "PLT212": (
        "A weight or bias has an axis that the pattern does not have.",
        "Add the axis to the pattern, or correct its name.",
    ),
    "PLT213": ("An axis has the name of an argument of the layer's constructor.", "Rename the axis."),
    "PLT214": (
        "The contraction path does not fit the tensors, or the method is unknown.",
        'Correct it, or use `contract="auto"`.',
    ),
    "PLT215": ("Patterns in sequence cannot be combined into one function.", "Take the source of each pattern."),
    "PLT216": (
        "A `ContractionPlan` was made for another pattern, or for tensors of other shapes or sizes.",
        "Make a plan for this call by `plait.explain`, or leave the block of its options.",
    ),
    "PLT217": (
        "The text is not a saved `ContractionPlan`, or a newer release of plait has written it.",
        "Pass what `to_json` returned, or make the plan again by `plait.explain`.",
    ),
    "PLT218": (
        "`with_constants` was given a constant for an operand that the pattern does not have.",
        "Number the operands from 0, in the order of the pattern: `with_constants({1: w})`.",
    ),
    "PLT301": ("A size is not an integer.", "Convert it: `int(size)`."),
    "PLT302": (
        "The sizes of a group do not divide the length of the dimension.",
        "Correct the size, or pad or crop the tensor first.",
    ),
    "PLT303": ("A length cannot be computed from the shape.", "Pass it as a keyword argument."),
    "PLT304": (
        "The tensor has more or fewer dimensions than the pattern.",
        "Check the tensor's shape; use `...` for dimensions that you don't want to name.",
    ),
    "PLT305": (
        "The same axis has two lengths.",
        "Give different axes different names, or correct the tensor or the size.",
    ),
    "PLT306": (
        "A size is negative, or a size of 0 makes another one undetermined.",
        "Pass all sizes of a group that has length 0.",
    ),
    "PLT307": ("A minimum or maximum over no elements does not exist.", "Handle empty tensors before the call."),
    "PLT308": (
        "The tensors of a list differ in shape, or cannot be joined, as metres and bare numbers; or the list is empty.",
        "Pad them to one shape, or use `pack`; convert them to one element type and unit.",
    ),
    "PLT309": ("The packed shapes do not add up to the packed dimension.", "Pass the shapes that `pack` returned."),
    "PLT310": (
        "A function given as the reduction returned the wrong shape.",
        "Remove exactly the dimensions in `axes`.",
    ),
    "PLT311": ("One size was given twice.", "Remove one of the two."),
    "PLT312": (
        "The array passed as `out` to a classical einsum has another shape than the result.",
        "Pass an array of the result's shape, or use the returned result.",
    ),
    "PLT313": (
        "An einsum needs more memory than `memory_limit` allows, or its memory cannot be known, as under a tracer.",
        "Allow what the message names, or enter the block of `plait.options` outside of what is traced.",
    ),
    "PLT314": (
        "An input or the result has more dimensions than `max_rank` allows; or `max_rank` is below 3.",
        "Merge dimensions that the pattern does not need apart; between its ends, plait keeps the rank itself.",
    ),
    "PLT401": ("A view of the tensor with this shape does not exist.", "Use `rearrange`, which copies where it must."),
    "PLT501": (
        "The object is not a tensor, or its framework is unknown.",
        "Convert it to an array, or register a backend.",
    ),
    "PLT502": (
        "The backend of the framework could not be loaded.",
        "Update the framework; the reason is in the message.",
    ),
    "PLT503": (
        "The operation is not defined for this element type, or for this class of arrays, as a sum of logarithms.",
        "Convert the tensor first, as the message says.",
    ),
    "PLT504": ("The tensors of one call belong to different frameworks.", "Convert them to one framework."),
    "PLT505": ("While tracing, the framework does not know the rank.", "Name all axes instead of writing `...`."),
    "PLT506": (
        "The framework's einsum supports a limited number of axes.",
        "Merge axes, or contract fewer tensors at once.",
    ),
    "PLT507": ("The framework does not say whether a result is a view.", "Use `rearrange` or `repeat`."),
    "PLT508": (
        "NumPy cannot read the elements, as of a tensor without data.",
        "Materialise the tensor on a CPU first.",
    ),
    "PLT509": (
        "The result cannot be sharded as asked, or needs a decision about communication.",
        "Follow the advice in the message.",
    ),
    "PLT510": (
        "`torch.jit.script` cannot compile a function given as the reduction.",
        "Use `torch.jit.trace`, or a named reduction.",
    ),
    "PLT511": ("The option needs a package that is not installed.", "Install it with the command in the message."),
    "PLT512": (
        "The framework's einsum does not have this argument, which exists for JAX or for NumPy only.",
        "Remove it, or do what the message says.",
    ),
    "PLT513": (
        "The framework refuses the tensors: their element type, their devices, their number of axes, or a length.",
        "Do what `reason` asks for, the framework's own message. `error.__cause__` is the framework's own error.",
    ),
    "PLT601": (
        "Only one tensor has this axis, so that it is summed, and its name is almost that of another axis.",
        "Correct the name, or choose names that differ more. With `plait.options(strict=True)` it is an error.",
    ),
    "PLT602": (
        "An equation comes first, and has a word beside `...` in several terms, as if it were the name of one axis.",
        "For axes with names, put the pattern last. If letters are meant, choose others, or ignore it.",
    ),
    "PLT514": (
        "The framework cannot do this with a tensor of this kind, such as a nested or a sparse one.",
        "Do what the message says, or convert the tensor to a dense one.",
    ),
    "PLT515": (
        "An axis has different coordinates in two labelled arrays.",
        "Align them first, as by `xarray.align`, or drop the coordinates.",
    ),
    "PLT517": (
        "A tensor was written to in a block of `plait.share_intermediates`, after an einsum of it.",
        "Write to it outside of the block, or write to a copy.",
    ),
    "PLT516": (
        "`out`, `dtype`, `casting` or `order` of a classical einsum has a wrong value, or asks for a forbidden cast.",
        'Correct the value; for a cast pass `casting="same_kind"` or `"unsafe"`, or convert the array.',
    ),
}
"""For each code what causes the error, and what to do."""

COLUMNS = {
    "rearrange": ("rearrange",),
    "reduce": ("reduce", "reduce_with_a_callable"),
    "repeat": ("repeat",),
    "einsum": ("einsum", "classical_einsum"),
    "pack, lists, parse_shape, asnumpy": ("pack_and_unpack", "parse_shape", "list_of_tensors_is_stacked", "asnumpy"),
    "dtypes": (
        *("rearrange_and_repeat_keep_the_dtype", "reduce_of_every_dtype"),
        *("half_precision_is_accumulated_wider", "reduce_of_narrow_dtypes"),
        *("einsum_keeps_the_dtype", "einsum_promotes", "einsum_of_one_tensor_is_a_sum"),
    ),
    "empty, NaN": ("reduce_of_no_elements", "reduce_of_nan_and_infinity"),
    "view or copy": ("view_or_copy", "view_is_a_view_or_an_error"),
    "gradients": ("gradient_of_rearrange_and_repeat", "gradient_of_reduce"),
    "errors": ("errors_are_those_of_numpy",),
}
"""The columns of the table, and the tests of the conformance suite that each counts."""


def page() -> str:
    """The text of the page of errors."""
    parts = SNAPSHOT.read_text(encoding="utf-8").split("\n\n## ")[1:]
    example: dict[str, str] = {}
    for part in parts:
        name, text = part.rstrip("\n").split("\n", 1)
        example.setdefault(name.split()[0], text)
    return HEAD + "".join([section(code, meaning, example[code]) for code, (_, meaning) in CODES.items()])


def section(code: str, meaning: str, example: str) -> str:
    """What the page says about one code."""
    cause, remedy = REMEDIES[code]
    return f"\n## {code}: {meaning}\n\n**Cause.** {cause}\n\n**What to do.** {remedy}\n\n```text\n{example}\n```\n"


KINDS = {
    "bool": "bool",
    "integer": "integers of 4 to 64 bits",
    "half": "floats of 4 to 16 bits",
    "floating": "`float32`, `float64`",
    "half_complex": "`complex32`",
    "complex": "`complex64`, `complex128`",
}
"""The columns of the table of reductions: a key of `ReductionRule.accumulators`, and what it stands for."""


def reductions() -> str:
    """The table of reductions: for each kind of element type what comes back, from the table that backends read."""
    lines = [f"| reduction | {' | '.join(KINDS.values())} | no elements |", "|---" * (len(KINDS) + 2) + "|"]
    for name, rule in REDUCTION_RULES.items():
        cells = [_reduction_cell(name, kind) for kind in KINDS]
        empty = "PLT307" if rule.empty_value is None else str(rule.empty_value).replace("nan", "NaN")
        lines.append(f"| `{name}` | {' | '.join(cells)} | {empty} |")
    return "\n".join(lines)


def _reduction_cell(name: str, kind: str) -> str:
    """What a reduction gives for one kind of element types."""
    rule = REDUCTION_RULES[name]
    if {"half": "floating", "half_complex": "complex"}.get(kind, kind) not in rule.kinds:
        return "PLT503"
    accumulator = rule.accumulators.get(kind)
    if name in ("any", "all"):
        return "bool"
    if accumulator == "int64":
        return "64-bit integer"
    result = "real part type" if "complex" in kind and name in ("var", "std") else "the same"
    return result if accumulator is None or name in ("min", "max") else f"{result}, in `{accumulator}`"


def records() -> dict[str, dict[str, Any]]:
    """What the conformance suite found, by framework."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CONFORMANCE.glob("*.json"))}


def conformance() -> str:
    """The table: frameworks down, and across how many tests of each kind passed."""
    lines = [f"| framework | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for name, record in records().items():
        if "areas" not in record:
            continue
        cells = []
        for areas in COLUMNS.values():
            passed = sum(record["areas"].get(area, {}).get("passed", 0) for area in areas)
            cells.append(str(passed) if passed else "none")
        lines.append(f"| {name} {record['version']} | {' | '.join(cells)} |")
    return "\n".join(lines)


ARRAY_CLASS_COLUMNS = {
    "movements": ("movements", "repeat_gives_new_writable_memory"),
    "lists, pack": ("lists_and_packs_of_one_class", "lists_with_plain_arrays"),
    "reductions": ("reductions",),
    "einsum": ("einsum", "einsum_with_plain_arrays", "einsum_of_a_finite_field_with_plain_arrays_is_refused"),
}
"""The columns of the table of classes of arrays, and the tests of tests/science that each counts."""


def array_classes() -> str:
    """The table of arrays that mean more than their numbers: how many tests passed, and what is refused."""
    lines = [f"| arrays | package | {' | '.join(ARRAY_CLASS_COLUMNS)} | refused |"]
    lines.append("|---" * (len(ARRAY_CLASS_COLUMNS) + 3) + "|")
    record = records()["arrays_with_meaning"]
    for name, tested in record["array_classes"].items():
        counts = [sum(tested["areas"].get(area, 0) for area in areas) for areas in ARRAY_CLASS_COLUMNS.values()]
        operations: dict[str, list[str]] = {}
        for operation, code in tested["refusals"].items():
            operations.setdefault(code, []).append(operation)
        refused = "; ".join(f"{', '.join(names)} ({code})" for code, names in operations.items()) or "nothing"
        lines.append(f"| {name} | {record['versions'][name]} | {' | '.join(map(str, counts))} | {refused} |")
    return "\n".join(lines)


def deployments() -> str:
    """The table of runtimes: what came of each network that was exported to them."""
    record = records()["deployment"]
    networks = list(dict.fromkeys([name for tested in record["deployments"].values() for name in tested["networks"]]))
    lines = [f"| runtime | version | options | {' | '.join(networks)} |", "|---" * (len(networks) + 3) + "|"]
    for name, tested in record["deployments"].items():
        options = ", ".join([f"{option}={value!r}" for option, value in tested["options"].items()])
        outcomes = " | ".join([tested["networks"].get(network, "fails") for network in networks])
        lines.append(f"| {name} | {record['versions'][name]} | `{options}` | {outcomes} |")
    return "\n".join(lines)


def lacking() -> str:
    """What frameworks do not have, in a list."""
    lines = []
    for name, record in records().items():
        reasons: dict[str, list[str]] = {}
        for dtype, reason in record.get("unsupported_dtypes", {}).items():
            reasons.setdefault(reason, []).append(dtype)
        lines += [f"* {name}: no {', '.join(dtypes)} ({reason})." for reason, dtypes in reasons.items()]
        copying = record.get("copying_operations", {})
        lines += [f"* {name}: `{what}` copies ({reason})." for what, reason in copying.items()]
    return "\n".join(lines)


def tracers() -> str:
    """What passed beyond the suite, by framework, in the words of the tests' names."""
    return "\n".join(
        folded(name, [test.replace("_", " ") for test in record["tracers"]])
        for name, record in records().items()
        if record.get("tracers")
    )


def folded(name: str, tests: list[str]) -> str:
    """A list of tests that a click opens."""
    items = "".join([f"* {test}\n" for test in tests])
    count = f"{len(tests)} test{'s' * (len(tests) != 1)}"
    return f'<details markdown="1">\n<summary>{name}: {count}</summary>\n\n{items}\n</details>'


def file(path: str) -> str:
    """A file of the repository, as a block of code."""
    return f"```py\n{(ROOT / path).read_text(encoding='utf-8')}```"


PARTS = {
    "conformance": conformance,
    "array_classes": array_classes,
    "deployments": deployments,
    "lacking": lacking,
    "reductions": reductions,
    "tracers": tracers,
}
"""The functions that make the parts of pages, by the names of the marks around them."""


def with_parts(page: Path) -> str:
    """The text of a page, with the parts between its marks made anew."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- {name} -->\n{PARTS[name]() if name in PARTS else file(name)}\n<!-- end -->"

    text = page.read_text(encoding="utf-8")
    return re.sub(r"<!-- (?P<name>\S+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    for page_with_parts in PAGES_WITH_PARTS:
        page_with_parts.write_text(with_parts(page_with_parts), encoding="utf-8")
