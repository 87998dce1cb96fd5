"""What a run will take in memory and seconds, and how it is made to fit a limit.

It may import `partway.run` and below.
Start with `planner`, which decides a run with all that is here: `memory` (what is done to fit), `footprint` (predicts
bytes), `duration` (predicts seconds), `tuned` (what was measured here); `presets` are named combinations.
"""
