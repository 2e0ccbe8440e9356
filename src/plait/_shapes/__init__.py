"""Sizes and axes: the solver, which finds how each size is computed; the computation; coalescing; composed patterns."""
