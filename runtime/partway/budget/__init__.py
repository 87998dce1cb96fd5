"""What a run will take in memory and seconds, and how it is made to fit a limit.

It may import `partway.run` and below.
Start with `memory` (what is done to fit); `footprint` predicts bytes, `duration` seconds,
`tuned` keeps what was measured here.
"""
