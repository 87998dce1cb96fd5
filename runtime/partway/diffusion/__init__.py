"""The mathematics: noise levels, schedules, samplers, strength, guidance and noise.

It imports NumPy and the ground (`partway.errors`, `partway.graphs`): no files, no engines, no pictures.
Start with `sampling`, the loop. To add a sampler, write a function in `samplers.singlestep` (it remembers nothing) or
`samplers.multistep` (it looks back) and give it a row of `samplers.SAMPLERS`; a schedule is a function and a row in
`schedules`, a meaning of strength one in `dials`. What other tools call samplers and schedules stands in `names`.
"""
