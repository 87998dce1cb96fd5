"""Lines for people, of texts that may be anything: without control characters, and no longer than a line should be."""

LONGEST = 1000  # characters


def one_line(text: str) -> str:
    """Return a text as one line that a terminal only shows: no character of it does anything, and none is too many."""
    line = " ".join(text.split())
    if len(line) > LONGEST:  # what it is about comes first, and what to do last
        line = f"{line[: LONGEST // 2]}...{line[-LONGEST // 2 :]}"
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)


def shortened(text: str, longest: int = 60) -> str:
    """Return a text quoted, or its beginning and how long it is."""
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}... ({len(text)} characters)"
