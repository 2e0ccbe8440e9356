"""What plait costs, always as a ratio in one process: see README.md."""
