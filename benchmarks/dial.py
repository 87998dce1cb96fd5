"""Draws what strength means: share of noise at the start over strength, for four dials, at 4 and at 20 steps.

    python -m benchmarks.dial [OUT.png]

Computed by the functions that runs use, on Stable Diffusion 1.5's noise levels, with one schedule for all of them, so
that only the dial differs. Needs matplotlib.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import partway
from benchmarks import records
from partway.diffusion.levels import trained

STEPS = (4, 20)
SCHEDULE = "trailing"
# Halves of a thousandth: never exactly on a jump, so that a line at 0.5 has one height.
STRENGTHS = np.concatenate([[0.0], np.arange(0.00025, 1, 0.0005), [1.0]])
# dial, its name in the picture, colour, width, drawn in this order
LINES = (
    ("comfyui", "ComfyUI (always runs all steps)", "#2a9d8f", 1.7),
    ("a1111", "A1111", "#e09f3e", 1.7),
    ("diffusers", "diffusers", "#3d5a80", 2.0),
    ("continuous", "partway", "#d1495b", 3.4),
)
INK, FAINT, PAPER = "#22303c", "#8896a3", "#fdfcf9"


def share(dial: str, steps: int, strengths: NDArray[np.float64], schedule: str = SCHEDULE) -> NDArray[np.float64]:
    """Share of the start latents' variance that is noise, in [0, 1], at each strength in [0, 1]."""
    levels, spacing = trained(), partway.SCHEDULES[schedule]
    return np.array([partway.DIALS[dial](steps, float(s), spacing, levels).noise_share for s in strengths])


def draw(out: Path) -> None:
    """Write the picture, 1760 x 880 pixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK, "axes.labelcolor": INK})
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.5), dpi=160, sharey=True, facecolor=PAPER)
    figure.subplots_adjust(left=0.07, right=0.975, top=0.765, bottom=0.115, wspace=0.06)
    for panel, steps in zip(panels, STEPS, strict=True):
        _panel(panel, steps)
    panels[0].set_ylabel("noise in the start latents, share of variance")
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    _annotate(panels[0])
    figure.text(0.07, 0.94, "What strength does", fontsize=17, fontweight="bold", va="center")
    subtitle = "How much noise image-to-image starts from as the dial is turned, on Stable Diffusion 1.5's noise levels"
    figure.text(0.07, 0.88, f"{subtitle}, {SCHEDULE} schedule", color=FAINT, va="center")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="center right", bbox_to_anchor=(0.985, 0.942), ncols=4, frameon=False,
        handlelength=1.6, columnspacing=1.8,
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, facecolor=PAPER)
    plt.close(figure)


def _panel(panel: Any, steps: int) -> None:
    """The four lines at one number of steps."""
    panel.set_facecolor(PAPER)
    for order, (dial, name, colour, width) in enumerate(LINES):
        values = share(dial, steps, STRENGTHS)
        style = "default" if dial == "continuous" else "steps-mid"
        panel.plot(STRENGTHS, values, color=colour, lw=width, label=name, zorder=3 + order, drawstyle=style)
    panel.set_title(f"{steps} steps", loc="left", fontsize=12, fontweight="bold", pad=8)
    panel.set_xlabel("strength")
    panel.set_xlim(-0.01, 1.01)
    panel.set_ylim(-0.02, 1.03)
    panel.set_xticks(np.linspace(0, 1, 11))
    panel.set_xticklabels([f"{tick:.1f}" if index % 2 == 0 else "" for index, tick in enumerate(np.linspace(0, 1, 11))])
    panel.grid(color="#e4e2db", lw=0.8, zorder=0)
    panel.tick_params(length=0, colors=INK)
    for side in panel.spines.values():
        side.set_visible(False)


def _annotate(panel: Any) -> None:
    """Say in the 4-step panel what a tread of a staircase means."""
    height = float(share("diffusers", 4, np.array([0.6]))[0])
    text = "0.5, 0.6 and 0.74 are\none setting in diffusers"
    panel.text(0.52, height - 0.025, text, color=LINES[2][2], fontsize=9.5, linespacing=1.4, va="top")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else records.RESULTS / "dial.png")
