"""Plans: solved patterns as graphs of nodes, plans of contractions for given sizes, the printed text and source code of
a plan, and the schedules of large tensors.
"""
