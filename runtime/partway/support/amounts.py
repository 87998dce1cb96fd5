"""Amounts of memory and time as people write them."""

import re

from partway.errors import InputError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def amount(name: str, value: int | str) -> int:
    """Bytes, from a number of them or text like "1500MB", "1.5 GB" or "2GiB"; raises `InputError` naming ``name``."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?B)?", value.strip().upper())
        size = int(float(found[1]) * _UNITS.get(found[2] or "", 0)) if found else 0
    else:
        size = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if size < 1:
        raise InputError(f"{name} must be a number of bytes or text like 1500MB or 2GiB, not {value!r}")
    return size


def shown(size: int) -> str:
    """Bytes as "1.23 GB" or "456 MB"."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def shown_time(seconds: float) -> str:
    """Seconds, of which about two figures are known, as "267 s" or "1.6 s"."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
