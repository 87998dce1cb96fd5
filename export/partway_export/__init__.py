"""The export stage: fetch -> trace -> optimise -> compress -> package -> verify. torch lives here only."""

from partway_export.stages import export

__all__ = ["export"]
