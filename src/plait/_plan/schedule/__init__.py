"""How a large tensor is reduced or copied: the calls that its memory makes cheapest.

A reduction or a copy is a nest of loops over memory (`loops`). The same loops can be carried out by one call of the
framework or by several that come to the same (`reductions`, `centres`, `copies`), in an order and in blocks that its
memory likes. What each way costs is estimated from sizes, strides and what a framework charges (`costs`), and the
cheapest is taken.
"""
