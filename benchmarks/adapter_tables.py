"""The tables of `benchmarks.adapters` and `benchmarks.control`."""

from statistics import median
from typing import Any

from benchmarks.markdown import table

Record = dict[str, Any]


def adapters(found: list[Record]) -> str:
    """Swaps and calls beside calls without an adapter, and what a process that swaps takes in memory."""
    cases: dict[tuple[str, str], list[Record]] = {}
    for record in found:
        cases.setdefault((record["engine"], record["way"]), []).append(record)
    timed = [[*case, *_timed(runs)] for case, runs in cases.items() if "swaps" in runs[0]]
    heads = ["engine", "way", "a call without, s", "swap, of a call", "a call with, of one without"]
    parts = [table(heads, timed, text=2)]
    engines = [engine for engine, way in cases if way == "memory partway" and (engine, "memory none") in cases]
    if engines:
        rows = [
            [engine, *_memory(*(cases[engine, f"memory {one}"] for one in ("none", "partway")))] for engine in engines
        ]
        parts.append(
            table(["engine", "without, GB", "swapping, GB", "the adapter, GB", "with, of without and it"], rows)
        )
    few = [[case[0], *_few(runs)] for case, runs in cases.items() if "few" in runs[0]]
    if few:
        parts.append("Whole pictures at strength 0.5: 20 steps with guidance; 4 steps without, with an adapter.")
        parts.append(table(["engine", "20 steps, s", "4 steps, s", "after a swap, s", "of 20 steps"], few))
    return "\n\n".join(parts)


def _few(runs: list[Record]) -> list[str]:
    many, few, swapped = (median(one for run in runs for one in run[name]) for name in ("many", "few", "few, swapped"))
    return [f"{many:.1f}", f"{few:.1f}", f"{swapped:.1f}", f"**{few / many:.3f}**"]


def _timed(runs: list[Record]) -> list[str]:
    """Medians over all that was measured; of each run the ratios to its own calls without."""
    ratios = {
        name: [second / median(run["plain"]) for run in runs for second in run[name]] for name in ("swaps", "calls")
    }
    plain = median(second for run in runs for second in run["plain"])
    return [f"{plain:.2f}", f"**{median(ratios['swaps']):.2f}**", f"**{median(ratios['calls']):.3f}**"]


def _memory(without: list[Record], swapping: list[Record]) -> list[str]:
    least, peak = (median(run["peak_bytes"] for run in runs) / 1e9 for runs in (without, swapping))
    adapter = swapping[0]["adapter_bytes"] / 1e9
    return [f"{least:.2f}", f"{peak:.2f}", f"{adapter:.3f}", f"**{peak / (least + adapter):.3f}**"]


def control(found: list[Record]) -> str:
    """What a call of a ControlNet takes beside one of the UNet."""
    rows = []
    for record in found:
        best = [min(record["seconds"][name][1:]) for name in ("unet", "control_0")]
        rows.append([record["case"], *(f"{one:.2f}" for one in best), f"**{record['ratio']:.2f}**"])
    return table(["engine", "UNet, s", "ControlNet, s", "ratio"], rows)
