"""One run: what it starts from, what it will do, and the functions that the loop calls.

It may import `partway.model` and below.
Start with `planned`, all that is decided of a run. It is made of `starts` and `outline`, which makes a `plans.Plan`;
then `partway.pipeline` calls `beginnings`, `denoising` and `endings`. `hints` makes what guides it.
"""
