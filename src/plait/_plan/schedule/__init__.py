"""Schedules of large tensors: the calls of a framework by which a reduction or a copy is fastest.

A reduction or a copy is a loop nest over memory (`loop_nest`). One call of the framework can run it, or several calls
with the same result (`reductions`, `two_pass`, `copies`), in another order and in blocks that fit into the cache. The
cost of each schedule is estimated from sizes, strides and the framework's costs, and the cheapest is chosen.
"""
