"""``partway serve``: a page to turn the dial on, and the two APIs that people's applications speak.

It may import everything but `partway.cli`, and only that imports it: ``import partway`` loads no server. The libraries
of the extra ``serve`` are imported in `server` and `bodies` alone.

Start with `wishes`, what a client asks for in partway's words, which `requests` checks. `line` lets one run at a
time, and `work` runs it. ``openai``, ``a1111`` and ``page`` translate; none of them knows the others' words.
"""
