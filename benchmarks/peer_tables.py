"""Tables of partway beside its peers: ratios, targets, time over strength, time over size."""

from benchmarks.cases import FAST, FAST_TINY, GENAI, INTEL_TINY, TARGETS, Target
from benchmarks.figures import FIGURES, Record, bend, by_case, cold, latents, middle, over_strength, peak, seconds
from benchmarks.markdown import number, table, task


def beside(found: list[Record]) -> str:
    """What a picture takes, and ratios to openvino.genai."""
    cases = by_case(found)
    turns = min(map(len, cases.values()))
    base = cases.get(GENAI, [])
    rows = [[case, *_row(runs, base)] for case, runs in cases.items()]
    names = ["configuration", "picture, s", "ratio", "picture, cold, s", "peak memory, GB", "ratio", "model, GB"]
    names += ["environment, GB", "energy, J", "PSNR, dB", "SSIM", "latents"]
    said = (
        f"{task(found[0], files=False)} Medians of {turns} processes each. Ratios are to {GENAI}; PSNR, SSIM and the "
        "relative distance of the latents are to the first row's picture."
    )
    return f"{said}\n\n{table(names, rows)}"


def peers(found: list[Record]) -> str:
    """The same, with time over strength and what the probe reads where those were measured, and plots."""
    cases = by_case(found)
    parts = [beside(found)]
    if any("layout" in run["picture"] for run in found):
        parts += ["The rooms probe's reading, beside the first row's: objects' places, and style, light and medium."]
        parts += [table(["configuration", "overlap of objects", "looks alike"], _read(cases))]
    strengths = sorted({one["strength"] for run in found for one in run.get("again", [])})
    if strengths:
        parts += [
            "Seconds of one more picture from the same source and prompt at another strength, and how far they are "
            "from a straight line over UNet calls, as a share of the longest.",
            table(["configuration", *(f"{strength:g}" for strength in strengths), "off the line"], _times(cases)),
            "![Seconds a picture over strength](results/strength.png)",
        ]
    if any("psnr" in run["picture"] for run in found):
        parts += ["![Nearness to the exact picture against time](results/quality.png)"]
    return "\n\n".join(parts)


def targets(newest: dict[str, list[Record]]) -> str:
    """Each target beside what was measured; targets of a session that is not there are left out."""
    rows = [_target(target, by_case(newest[target.result])) for target in TARGETS if newest.get(target.result)]
    return table(["target", "configuration", "wanted", "times that of", "measured", "met"], rows) if rows else ""


def presets(found: list[Record]) -> str:
    """Each preset's pictures of rooms beside the exact ones, by strength."""
    rows = []
    for case, runs in by_case(found).items():
        for run in runs:
            calls = f"{run['whole']} + {run['shallow']}" if run["shallow"] else f"{run['whole']}"
            figures = [f"{run[name]:.3f}" for name in ("ssim", "ssim_least", "layout", "style")]
            rows.append([case, f"{run['strength']:g}", calls, *figures, number(run.get("colour"))])
    names = ["preset", "strength", "UNet calls, whole + shallow", "SSIM, mean", "SSIM, least", "layout", "style"]
    names += ["mean colour, levels away"]
    said = f"{found[0]['rooms']} rooms, {found[0]['settings']['steps']} steps, SSIM to the exact preset's pictures."
    return f"{said}\n\n{table(names, rows)}"


def few_steps(found: list[Record]) -> str:
    """Pictures of few UNet calls beside openvino.genai and a stack with a tiny autoencoder, and one more of each."""
    rows = []
    for steps in sorted({run["settings"]["steps"] for run in found}, reverse=True):
        cases = by_case([run for run in found if run["settings"]["steps"] == steps])
        for case, runs in cases.items():
            figures = [f"**{number(seconds(runs))}**", number(_again(runs)), number(peak(runs))]
            for other in (GENAI, INTEL_TINY):
                beside = cases.get(other, [])
                ratios = (_ratio(seconds(runs), seconds(beside)), _ratio(peak(runs), peak(beside)))
                figures += [number(ratio, 3) if case in (FAST, FAST_TINY) else "-" for ratio in ratios]
            rows.append([case, f"{runs[0]['warm']['calls'].get('unet', 0)}", *figures])
    names = ["configuration", "UNet calls", "picture, s", "one more, s", "peak memory, GB"]
    for other in ("openvino.genai", "the tiny VAE's stack"):
        names += [f"time, of {other}", "memory, of it"]
    return f"{task(found[0])}\n\n{table(names, rows)}"


def _again(runs: list[Record]) -> float | None:
    """Seconds of one more picture of the same source and prompt."""
    return middle([one["seconds"]["total"] for run in runs for one in run.get("again", [])])


def sizes(found: list[Record]) -> str:
    """Time and memory over the picture's size, per megapixel."""
    rows = []
    for case, runs in by_case(found).items():
        areas = sorted({(run["settings"]["width"], run["settings"]["height"]) for run in runs})
        per: list[float] = []
        for width, height in areas:
            here = [run for run in runs if (run["settings"]["width"], run["settings"]["height"]) == (width, height)]
            total = seconds(here) or 0.0
            per.append(total / (width * height / 1e6))
            figures = [number(total), number(per[-1]), number(per[-1] / per[0]), number(peak(here))]
            rows.append([case, f"{width}x{height}", *figures])
    names = ["configuration", "size", "picture, s", "s a megapixel", "ratio to the smallest", "peak memory, GB"]
    return f"{task(found[0], size=False)}\n\n{table(names, rows)}"


def _row(runs: list[Record], base: list[Record]) -> list[str]:
    picture = runs[-1]["picture"]
    psnr = picture.get("psnr", "-")
    environment = runs[-1].get("environment_bytes")
    return [
        f"**{number(seconds(runs))}**",
        number(_ratio(seconds(runs), seconds(base))),
        number(middle([cold(run) for run in runs])),
        number(peak(runs)),
        number(_ratio(peak(runs), peak(base))),
        number(runs[-1]["model"]["bytes"] / 1e9),
        number(None if environment is None else environment / 1e9),
        number(middle([run["warm"].get("joules") for run in runs]), 0),
        "equal" if psnr is None else str(psnr),
        f"{picture['ssim']:.4f}" if "ssim" in picture else "-",
        number(latents(runs), 5),
    ]


def _read(cases: dict[str, list[Record]]) -> list[list[str]]:
    names = ("layout", "looks")
    return [
        [case, *(number(middle([run["picture"].get(name) for run in runs]), 3) for name in names)]
        for case, runs in cases.items()
    ]


def _times(cases: dict[str, list[Record]]) -> list[list[str]]:
    rows = []
    strengths = sorted({point[0] for runs in cases.values() for point in over_strength(runs)})
    for case, runs in cases.items():
        points = over_strength(runs)
        times = [middle([taken for at, _, taken in points if at == strength]) for strength in strengths]
        off = bend(points)
        rows.append([case, *map(number, times), "-" if off is None else f"{100 * off:.1f} %"])
    return rows


def _target(target: Target, cases: dict[str, list[Record]]) -> list[str]:
    figure = FIGURES[target.figure]
    value = figure(cases.get(target.case, []))
    if target.of is not None:
        value = _ratio(value, figure(cases.get(target.of, [])))
    far = None if value is None else (value - target.limit) * (-1 if target.least else 1)
    if far is None:
        met = "not measured"
    elif far <= 0:
        met = "yes"
    else:
        side = "below" if target.least else "above"
        met = f"no, {100 * far / target.limit:.0f} % {side}" if target.limit else "no"
        met += f": {target.why}" if target.why else ""
    limit = f"{target.limit:g} or {'more' if target.least else 'less'}"
    return [target.what, target.case, limit, target.of or "-", number(value, 3), met]


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base
