"""The table and the dial's plot from evaluate's figures: python -m models.rooms.report FOLDER."""

import argparse
import json
from pathlib import Path
from typing import Any


def table(results: dict[str, dict[str, Any]]) -> str:
    """One Markdown row a package."""
    head = "| package | steps, guidance | rooms, pictures | VAE dB | style | light | medium | layout 0.45 | style 0.45 "
    head += "| style 0.8 | seconds: onnxruntime, OpenVINO |"
    lines = [head, "|---|" + "---:|" * 10]
    for name, r in results.items():
        dial, text = r["dial"], r["text_to_image"]
        given = r["settings"]
        cells = [f"{given['steps']}, {given['guidance_scale']:g}", f"{given['rooms']}, {given['pictures']}"]
        cells += [f"{r['vae']['psnr']:.1f}", *(f"{text[k]:.3f}" for k in ("style", "light", "medium"))]
        cells += [f"{dial['0.45']['layout']:.3f}", f"{dial['0.45']['style']:.3f}", f"{dial['0.8']['style']:.3f}"]
        cells += [", ".join(f"{taken:.2f}" for taken in r.get("seconds", {}).values()) or "-"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def drawn(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the plot shows, by a label in words: of packages with the same steps and guidance the one of most rooms."""
    shown: dict[str, dict[str, Any]] = {}
    for r in sorted(results.values(), key=lambda r: -r["settings"]["rooms"]):
        steps, guidance = r["settings"]["steps"], r["settings"]["guidance_scale"]
        shown.setdefault(f"{steps} steps, {f'guidance {guidance:g}' if guidance > 1 else 'no guidance'}", r)
    return dict(sorted(shown.items(), key=lambda one: -one[1]["settings"]["steps"]))


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Layout agreement and style change over strength, with standard errors."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, r, dash in zip(drawn(results), drawn(results).values(), ("-", "--", ":"), strict=False):
        strengths = sorted(r["dial"], key=float)
        for key, colour, label in (("layout", "C0", "layout kept"), ("style", "C3", "style of the prompt seen")):
            values = [r["dial"][s][key] for s in strengths]
            errors = [r["dial"][s][f"{key}_error"] for s in strengths]
            axes.errorbar(
                [float(s) for s in strengths], values, errors, color=colour, ls=dash, label=f"{label} ({name})"
            )
    axes.set(xlabel="strength", ylabel="share", ylim=(0, 1.05), title="One room, another style's prompt")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Writes table.md and dial.png beside the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    found = {p.stem: json.loads(p.read_text()) for p in sorted(args.folder.glob("*.json"))}
    results = {name: r for name, r in found.items() if "dial" in r}
    if not results:
        raise SystemExit(f"no figures in {args.folder}: run python -m models.rooms.evaluate first")
    (args.folder / "table.md").write_text(table(results))
    plot(results, args.folder / "dial.png")
    print(table(results))


if __name__ == "__main__":
    main()
