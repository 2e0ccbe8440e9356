"""`Call`: a call of plait on tensors of the framework under test, with checks of its result and their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from numpy.typing import NDArray

import plait
from plait.testing._arrays import describe_difference
from plait.testing._diagnosis import describe_wrong_functions
from plait.testing._framework import Framework


class Call:
    """A call of one of plait's functions on tensors of a framework.

    Attributes:
        tensors: the tensors that the function is called with.
    """

    def __init__(
        self,
        framework: Framework,
        operation: str,
        pattern: str,
        arrays: Sequence[NDArray[Any]],
        sizes: Mapping[str, int] | None = None,
        reduction: str | None = None,
    ) -> None:
        self.framework = framework
        self.operation = operation
        self.pattern = pattern
        self.arrays = arrays
        self.sizes = dict(sizes or {})
        self.reduction = reduction
        self.tensors = [framework.make(array) for array in arrays]

    def run(self, function: Callable[[], Any] | None = None) -> Any:
        """Make the call, or call ``function`` instead of it, and return the result.

        A `PlaitError` propagates; an error of the framework, PLT513 too, fails the test with `message`.
        """
        __tracebackhide__ = True
        try:
            return self.run_on_tensors(*self.tensors) if function is None else function()
        except Exception as error:
            reason: BaseException = error
            if isinstance(error, plait.PlaitError):
                if error.code != "PLT513" or error.__cause__ is None:
                    raise
                reason = error.__cause__  # an error of the framework, which plait passes on
            raise AssertionError(self.message(f"it raises {type(reason).__name__}: {reason}")) from reason

    def run_on_tensors(self, *tensors: Any) -> Any:
        """Make the call with other tensors, and return the result."""
        reduction = () if self.reduction is None else (self.reduction,)
        return getattr(plait, self.operation)(*tensors, self.pattern, *reduction, **self.sizes)

    def __str__(self) -> str:
        reduction = [] if self.reduction is None else [repr(self.reduction)]
        sizes = [f"{name}={size}" for name, size in self.sizes.items()]
        pattern = [repr(self.pattern)] if self.pattern else []
        arguments = [*self._tensor_names(), *pattern, *reduction, *sizes]
        return f"plait.{self.operation}({', '.join(arguments)})"

    def _tensor_names(self) -> list[str]:
        return ["x"] if len(self.arrays) == 1 else [f"x{number}" for number in range(len(self.arrays))]

    def check_result(self, result: Any, expected: NDArray[Any]) -> None:
        """Fail unless the result has exactly these elements."""
        __tracebackhide__ = True
        if problem := describe_difference(plait.asnumpy(result), expected):
            self.fail(problem)

    def check_result_is_close(self, result: Any, expected: NDArray[Any], dtype: str = "float64") -> None:
        """Fail unless the result has these elements, up to rounding in a dtype."""
        __tracebackhide__ = True
        if problem := describe_difference(plait.asnumpy(result), expected, dtype):
            self.fail(problem)

    def check_gradient(self, gradient: NDArray[Any], expected: NDArray[Any]) -> None:
        """Fail unless the gradient with respect to the tensor is this one, up to rounding."""
        __tracebackhide__ = True
        if problem := describe_difference(gradient, expected, "float64"):
            self.fail(f"the gradient is wrong: {problem}")

    def check_type(self, result: Any) -> None:
        """Fail unless the result is a tensor of the framework."""
        __tracebackhide__ = True
        types = self.framework.result_types(self.tensors[0])
        if type(result) not in types:
            expected = " or ".join(f"{cls.__module__}.{cls.__qualname__}" for cls in types)
            cls = type(result)
            self.fail(f"the result is of type {cls.__module__}.{cls.__qualname__}, and should be of {expected}")

    def check_dtype(self, actual: Any, expected: Any) -> None:
        """Fail unless the dtype of the result is the expected one."""
        __tracebackhide__ = True
        if actual != expected:
            self.fail(f"the dtype of the result is {actual}, and should be {expected}")

    def fail(self, problem: str) -> NoReturn:
        """Fail the test with `message`."""
        __tracebackhide__ = True
        raise AssertionError(self.message(problem))

    def message(self, problem: str) -> str:
        """Return the message of a failure: the call, the problem, the plan, and the wrong functions of the backend."""
        lines = [f"{self} is wrong on {self.framework}"]
        lines += [
            f"  {name}: shape {array.shape}, {array.dtype}"
            for name, array in zip(self._tensor_names(), self.arrays, strict=True)
        ]
        lines += [f"  {problem}", *self._describe_plan(), *describe_wrong_functions(self.framework, self.reduction)]
        return "\n".join(lines)

    def _describe_plan(self) -> list[str]:
        """Return the steps that `plait.explain` prints for the call, as lines; an empty list if it raises an error."""
        reduction = {} if self.reduction is None else {"reduction": self.reduction}
        try:
            explained = plait.explain(self.pattern, *self.tensors, **self.sizes, **reduction)
        except Exception:  # the plan is only an addition to a message about another mistake
            return []
        return ["  the plan:", *[f"  {line}" for line in str(explained).splitlines()[1:]]]
