"""One run: what it starts from, what it will do, and the functions that the loop calls.

It may import `partway.model` and below.
Start with `plans`; then `starts`, `beginnings` and `denoising`, in the order in which `partway.pipeline` calls them.
"""
