"""The operations: one file each, with its rule and its lowering, and one table of them all."""
