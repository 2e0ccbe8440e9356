"""Compatibility modules: the names of other libraries, implemented by plait."""
