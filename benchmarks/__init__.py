"""Benchmarks: the time and memory of plait, compared with other libraries and hand-written code; see README.md."""
