"""The mathematics: noise levels, schedules, samplers, strength, guidance and noise.

It imports NumPy and the ground (`partway.errors`, `partway.graphs`): no files, no engines, no pictures.
Start with `sampling`, the loop; then `levels`, `schedules`, `samplers` and `dials`, a table of small functions each.
"""
