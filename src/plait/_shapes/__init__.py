"""The solver: which size follows from which dimension, the evaluation of sizes, and the composition of patterns."""
