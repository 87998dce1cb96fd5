"""Pictures: read and written whole, masked, extended, matched in colour, shown as previews and sheets.

It may import `partway.diffusion`, `partway.support` and the ground.
Start with `images`, which reads them; `metadata` writes the files, and holds the table of formats to write; `holding`
says what those cannot hold, and `meaning` what a mask means.
"""
