"""Schedules of large tensors: the calls of a framework by which one is reduced or copied fastest.

A reduction or a copy is a nest of loops over memory (`loop_nest`). One call of the framework can run these loops, or
several calls with the same result (`reductions`, `two_pass`, `copies`), in another order and in blocks that fit the
cache. What each way costs is estimated from sizes, strides and the framework's costs, and the cheapest is chosen.
"""
