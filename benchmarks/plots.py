"""Plots of the newest session of ``results/peers.jsonl``: ``python -m benchmarks.plots``. Needs matplotlib.

``results/strength.png``: time over strength; ``results/quality.png``: PSNR, SSIM and, where the rooms probe read the
pictures, its figures against time.
"""

import math
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.figures import Record, by_case, middle, over_strength, seconds

INK, FAINT, PAPER = "#22303c", "#8896a3", "#fdfcf9"
COLOURS = ("#d1495b", "#3d5a80", "#2a9d8f", "#e09f3e", "#6d597a", "#588157")  # the first is partway's
MARKS, DASHES = "osD^vP*X", ("-", "--", "-.", ":")
QUALITY = {"psnr": "PSNR, dB", "ssim": "SSIM", "layout": "overlap of objects", "looks": "looks alike"}


def renew(results: Path = records.RESULTS) -> list[Path]:
    """Draw what there are figures for; return the pictures that were written, none without matplotlib."""
    found = records.latest(records.read(results / "peers.jsonl"))
    if not found:
        return []
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    drawn = [strength(found, results / "strength.png"), quality(found, results / "quality.png")]
    return [path for path in drawn if path is not None]


def strength(found: list[Record], out: Path) -> Path | None:
    """Seconds of a picture over strength, one line a configuration; None where no strengths were measured."""
    lines = {case: points for case, runs in by_case(found).items() if (points := over_strength(runs))}
    if not lines:
        return None
    figure, (panel,) = _panels(1, "Time over strength")
    styles = _styles(found)
    for case, points in lines.items():
        at, _, taken = zip(*points, strict=True)
        panel.plot(at, taken, **styles[case])
    panel.set_xlabel("strength")
    panel.set_ylabel("seconds a picture, same source and prompt as before")
    panel.set_xlim(0, 1)
    panel.set_ylim(bottom=0)
    return _write(figure, panel, out)


def quality(found: list[Record], out: Path) -> Path | None:
    """Nearness to the reference's picture against seconds; None where nothing was compared."""
    cases = by_case(found)
    measured = {
        name: {
            case: (seconds(runs), value)
            for case, runs in cases.items()
            if (value := middle([run["picture"].get(name) for run in runs])) is not None
        }
        for name in QUALITY
    }
    shown = {name: points for name, points in measured.items() if points}
    if not shown:
        return None
    figure, panels = _panels(len(shown), "Nearness to the exact picture against time")
    styles = _styles(found)
    for panel, (name, points) in zip(panels, shown.items(), strict=True):
        for case, (taken, value) in points.items():
            panel.plot([taken], [value], **styles[case] | {"ls": ""})
        panel.set_xlabel("seconds a picture")
        panel.set_title(QUALITY[name], loc="left", fontsize=11)
        panel.set_xlim(left=0)
    return _write(figure, max(panels, key=lambda panel: len(panel.lines)), out)


def _panels(count: int, title: str) -> tuple[Any, list[Any]]:
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": INK})
    figure, grid = plt.subplots(1, count, figsize=(max(8, 4.5 * count), 6.2), dpi=140, facecolor=PAPER, squeeze=False)
    figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold")
    for panel in grid[0]:
        panel.set_facecolor(PAPER)
        panel.grid(color="#e4e2db", lw=0.8)
        panel.tick_params(length=0, colors=INK)
        for side in panel.spines.values():
            side.set_visible(False)
    return figure, list(grid[0])


def _styles(found: list[Record]) -> dict[str, dict[str, Any]]:
    """A colour for each tool, and a mark, a dash and a label for each of its configurations."""
    of: dict[str, list[str]] = {}
    for case, runs in by_case(found).items():
        of.setdefault(runs[0]["tool"], []).append(case)
    return {
        case: {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKS[index % len(MARKS)],
            "ls": DASHES[index % len(DASHES)],
            "label": f"partway, {case}" if tool == "partway" else case,
        }
        for number, (tool, cases) in enumerate(of.items())
        for index, case in enumerate(cases)
    }


def _write(figure: Any, labelled: Any, out: Path) -> Path:
    from matplotlib import pyplot as plt

    handles, labels = labelled.get_legend_handles_labels()
    rows = math.ceil(len(labels) / 4)
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.01 + 0.045 * rows, 1, 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, facecolor=PAPER)
    plt.close(figure)
    return out


if __name__ == "__main__":
    for path in renew():
        print(path)
