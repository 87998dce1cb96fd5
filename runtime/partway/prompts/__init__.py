"""Prompts as the web UIs write them: pure text, from characters to weighted tokens in chunks of a fixed length.

It imports the standard library and the ground alone, so that a rule of a syntax can be read, and tested, by itself.
Start at ``syntaxes.py``, the table. A syntax is a file: ``a1111.py`` with ``editing.py`` (what changes from step to
step), ``comfyui.py``, ``compel.py``. Each gives `partway.prompts.pieces`, which ``chunks.py`` turns into tokens by that
tool's own rules. What the weights do to a text's embedding is arithmetic: `partway.model.emphasis`.
Malformed syntax is text, never an error.
"""
