"""Benchmarks: measured figures with their machine, and the commands that made them."""
