"""Axes and sizes: the solver, which finds how each size is computed; the evaluation of sizes; groups of adjacent axes;
and the composition of two patterns into one.
"""
