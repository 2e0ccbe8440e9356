"""The context manager `plait.share_intermediates`, which adds a store of results to the options of the context."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from plait._executor.options import enter_options, exit_options


class SharedResults:
    """The intermediate results of the einsums inside one ``with`` block, and the operands that they depend on.

    It has no hash, so that options that have it are no key of any cache: outside such blocks a call asks for nothing.

    Attributes:
        operands: by ``id`` each operand, which is kept alive so that the ``id`` is not used again, and its version.
        results: by what was contracted, the result and its version.
        is_closed: whether the block has ended; a task that started inside it may still have the store.
    """

    __slots__ = ("is_closed", "operands", "results")
    __hash__ = None  # type: ignore[assignment]  # as above

    def __init__(self) -> None:
        self.operands: dict[int, tuple[Any, int]] = {}
        self.results: dict[Any, tuple[Any, int]] = {}
        self.is_closed = False

    def __eq__(self, other: object) -> bool:
        return self is other

    def close(self) -> None:
        """Free everything."""
        self.is_closed = True
        self.operands.clear()
        self.results.clear()


class share_intermediates:  # noqa: N801  # in lower case, because it is used like a function
    """Share intermediate results among the einsums inside a ``with`` block.

    Inside the block an `einsum` of three tensors or more keeps the result of each step of its contraction path but
    the last, and uses those of earlier calls: the products of the same objects over the same axes, in any order and
    whatever the names of the axes are. Tensors are recognized as objects, so a slice that is taken anew for each call
    is another tensor. The last step of each call is computed anew, so that its result belongs to the caller.

    Operands must not be written inside the block. PyTorch counts writes, and a tensor that was written is an error;
    other frameworks, such as NumPy, cannot tell, and later results would be wrong. Tensors that a gradient, a trace or
    another transformation follows are contracted as outside the block; so are all tensors of frameworks other than
    NumPy, CuPy, PyTorch, JAX and TensorFlow, calls with a ``memory_limit`` or arguments of JAX, and tensors of
    different element types on JAX and TensorFlow.

    A block inside another shares with it. Like `options`, a block applies to the thread or asynchronous task that
    enters it, and to tasks that start with a copy of its context. All results are freed at the end of the outermost
    block.

    Raises:
        BackendError: PLT517, a call finds that one of its operands was written after the first call with it.

    Examples:
        >>> import numpy as np, plait
        >>> a, b, c = np.ones((20, 30)), np.ones((30, 40)), np.ones((40, 2))
        >>> with plait.share_intermediates():  # the product of b and c is computed once
        ...     first = plait.einsum(a, b, c, "i j, j k, k l -> i l")
        ...     second = plait.einsum(c, b, a, "y z, x y, w x -> z w")
        >>> np.array_equal(first.T, second)
        True
    """

    __slots__ = ()

    def __enter__(self) -> None:
        enter_options(
            lambda options: options if options.shared is not None else options._replace(shared=SharedResults())
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended, before = exit_options()
        if ended is not None and ended.shared is not None and (before is None or before.shared is not ended.shared):
            ended.shared.close()

    def __repr__(self) -> str:
        return "plait.share_intermediates()"
