"""Patterns that are read once, and what they come to one after the other."""

from weft.compiled.calls import CALLS as CALLS
from weft.compiled.composed import Composed as Composed
from weft.compiled.pattern import Pattern as Pattern
from weft.compiled.pattern import compile as compile
