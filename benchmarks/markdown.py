"""Markdown from figures."""

from typing import Any

NAMES = {"sd15": "Stable Diffusion 1.5's shape, random weights"}


def table(head: list[str], rows: list[list[str]], text: int = 1) -> str:
    """A table whose first columns, ``text`` of them, are text and whose others are figures."""
    align = ["---"] * text + ["---:"] * (len(head) - text)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, align, *rows))


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def task(record: dict[str, Any], *, files: bool = True, size: bool = True) -> str:
    """What was made: model and, if they are everyone's, its files and the size; steps, strength, guidance, threads."""
    settings, model = record["settings"], record["model"]
    what = NAMES.get(model["size"], model["size"])
    if files:
        what += f", {model['format'].upper()} {model['weights']} ({model['bytes'] / 1e9:.2f} GB on disk)"
    work = [f"{settings['width']}x{settings['height']}"] if size else []
    work += [
        f"{settings['steps']} steps of {settings['sampler']}",
        f"strength {settings['strength']:g} ({record['warm']['calls'].get('unet', '?')} UNet calls)",
        f"guidance {settings['guidance_scale']:g}",
        f"{settings['threads']} threads",
    ]
    return f"{what}; {', '.join(work)}."
