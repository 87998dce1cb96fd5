"""Embeddings (textual inversions) as the command line names them."""

import argparse
import os
from pathlib import Path

from partway.adapters.folders import Pair


def parsed(text: str) -> Pair:
    """FILE or FILE:NAME; without a name it is the file's own."""
    file, colon, name = text.rpartition(":")
    if text and (not colon or os.path.exists(text) or "/" in name or "\\" in name):
        return Path(text).stem, text
    if not file or not name:
        raise argparse.ArgumentTypeError(f"a file is needed, with or without a name behind a colon, not {text!r}")
    return name, file
