"""Measuring: what a model takes on this machine, and which configuration of it is fastest, a process each.

It may import the package below it; nothing but `partway.cli` imports it.
Start with `processes`; `measuring` runs inside each process, `tuning` chooses.
"""
