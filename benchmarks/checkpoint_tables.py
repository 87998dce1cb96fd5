"""The tables of `benchmarks.checkpoints`."""

from statistics import median
from typing import Any

from benchmarks.markdown import number, table

Record = dict[str, Any]
_SIZES = {"sd15": "Stable Diffusion 1.5's size", "sdxl": "SDXL's size"}


def checkpoints(found: list[Record]) -> str:
    """Pictures, UNet calls, exports and ONNX Runtime's levels, each for the sizes that were measured."""
    parts: list[str] = []
    for size in dict.fromkeys(record["size"] for record in found):
        mine = [record for record in found if record["size"] == size]
        by_what = {what: _by_case(mine, what) for what in ("picture", "calls", "export", "level")}
        for what, cases in by_what.items():
            if cases:
                parts += [f"{_SIZES.get(size, size)}, {_TITLES[what](mine)}", _TABLES[what](cases)]
    return "\n\n".join(parts)


def _by_case(found: list[Record], what: str) -> dict[str, list[Record]]:
    cases: dict[str, list[Record]] = {}
    for record in found:
        if record["what"] == what:
            cases.setdefault(record["case"], []).append(record)
    return cases


def _task(found: list[Record]) -> str:
    settings = next(record["settings"] for record in found if record["what"] == "picture")
    return (
        f"a file of random weights in fp16: {settings['width']}x{settings['height']}, {settings['steps']} steps, "
        f"strength {settings['strength']:g}, guidance {settings['guidance_scale']:g}, {settings['threads']} threads; "
        "from the start of the process to the finished picture. Medians."
    )


def _pictures(cases: dict[str, list[Record]]) -> str:
    rows = []
    for name, runs in cases.items():
        cold = [run["cold_seconds"] for run in runs]
        calls = [run["first"]["seconds"].get("unet", 0) / max(run["first"]["calls"].get("unet", 0), 1) for run in runs]
        figures = [f"**{median(cold):.1f}**", f"{min(cold):.1f} .. {max(cold):.1f}", number(median(calls) or None)]
        rows.append([name, *figures, f"**{median(run['peak_bytes'] for run in runs) / 1e9:.2f}**"])
    return table(["tool", "seconds", "range", "of that, a UNet call", "peak memory, GB"], rows)


def _calls(cases: dict[str, list[Record]]) -> str:
    rows = []
    for name, runs in cases.items():
        least = [min(second for run in runs for second in run[kind]["seconds"]) for kind in ("file", "package")]
        rows.append([name, *(f"{one:.2f}" for one in least), f"**{least[0] / least[1]:.3f}**"])
    return table(["engine", "file, s", "export, s", "ratio"], rows)


def _exports(cases: dict[str, list[Record]]) -> str:
    rows = [
        [
            name,
            f"{median(run['seconds'] for run in runs):.0f}",
            f"{median(run['peak_bytes'] for run in runs) / 1e9:.1f}",
        ]
        for name, runs in cases.items()
    ]
    return table(["format", "seconds", "peak memory, GB"], rows)


def _levels(cases: dict[str, list[Record]]) -> str:
    rows = []
    for name, runs in cases.items():
        figures = [[run["load_seconds"], run["call_seconds"]] for run in runs]
        memory = [[run["load_peak_bytes"] / 1e9, run["peak_bytes"] / 1e9] for run in runs]
        columns = [median(column) for column in (*zip(*figures, strict=True), *zip(*memory, strict=True))]
        rows.append([name, *(f"{column:.2f}" for column in columns)])
    return table(["level", "loading, s", "a call, s", "peak while loading, GB", "peak, GB"], rows)


_TITLES = {
    "picture": _task,
    "calls": lambda found: (
        "a call of the UNet as it is built over the file and as it was exported, taking turns; least."
    ),
    "export": lambda found: "`partway export` to fp16, the process as a whole.",
    "level": lambda found: "ONNX Runtime's optimisation levels over the file, a process each.",
}
_TABLES = {"picture": _pictures, "calls": _calls, "export": _exports, "level": _levels}
