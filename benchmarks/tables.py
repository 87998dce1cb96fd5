"""Markdown tables from the result files, written between the markers of README.md: ``python -m benchmarks.tables``.

Every figure is a median over the turns of the newest session in its file. A block looks like

    <!-- img2img: made by python -m benchmarks.tables -->
    ...
    <!-- end of img2img -->
"""

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import peer_tables, records
from benchmarks.adapter_tables import adapters, control
from benchmarks.checkpoint_tables import checkpoints
from benchmarks.figures import Record, by_case, call, cold, loading
from benchmarks.front import summary
from benchmarks.markdown import table, task

FRONT = records.HERE.parent / "README.md"


def renew(
    results: Path = records.RESULTS, readme: Path = records.HERE / "README.md", front: Path | None = FRONT
) -> None:
    """Rewrite every block of ``readme`` that has results, and the summary in ``front``, the project's own README.

    A block without results stays as it is. Raises ValueError when the markers of one with results are missing.
    """
    newest = {name: _newest(name)(records.read(results / f"{name}.jsonl")) for name in BLOCKS}
    text = readme.read_text("utf-8")
    for name, found in newest.items():
        if found:
            block = f"{BLOCKS[name](found)}\n\n{provenance(found)}"
            text = _between(text, rf"<!-- {name}: [^>]*-->", f"<!-- end of {name} -->", block, readme)
    if aims := peer_tables.targets(newest):
        text = _between(text, "<!-- targets: [^>]*-->", "<!-- end of targets -->", aims, readme)
    readme.write_text(text, "utf-8")
    if front is not None and (first := summary(newest)):
        text = front.read_text("utf-8")
        front.write_text(_between(text, "<!-- measured -->", "<!-- end -->", first, front), "utf-8")


def _newest(name: str) -> Callable[[list[Record]], list[Record]]:
    """How the records to make a block of are chosen."""
    if name not in _IN_PIECES:
        return records.latest
    return lambda found: records.of_newest_commit(found, *_IN_PIECES[name])


def _between(text: str, begin: str, end: str, block: str, file: Path) -> str:
    """The text with ``block`` between the two markers, regular expressions."""
    place = re.search(rf"{begin}\n(.*?){end}", text, re.DOTALL)
    if place is None:
        raise ValueError(f"{file} has no place for a table: {begin}")
    return f"{text[: place.start(1)]}{block}\n{text[place.end(1) :]}"


def img2img(found: list[Record]) -> str:
    """One table of what a warm picture takes, one of starting up and space."""
    cases = by_case(found)
    turns = min(map(len, cases.values()))
    warm = [[case, *_warm_row(runs)] for case, runs in cases.items()]
    start = [[case, *_start_row(runs)] for case, runs in cases.items()]
    names = ["configuration", "picture", "range", "UNet call", "text", "encode", "decode", "outside networks", "share"]
    parts = [
        f"{task(found[0])} Medians of {turns} processes each; seconds unless it says otherwise.",
        table([*names, "PSNR to first row, dB"], warm),
        "Loading is opening, reading and compiling all networks. Cold is from the start of the process to the "
        "finished picture: launch, loading and a picture.",
        table(["configuration", "loading", "picture, cold", "peak memory, GB"], start),
    ]
    return "\n\n".join(parts)


def start(found: list[Record]) -> str:
    """Import time."""
    rows = [
        [
            f"{1000 * record['libraries_seconds']:.0f}",
            f"{1000 * record['partway_seconds']:.0f}",
            f"**{1000 * record['beyond_seconds']:.0f}**",
            f"{record['repeats']}",
        ]
        for record in found
    ]
    return table(["numpy and Pillow, ms", "partway, ms", "beyond them, ms", "repeats, alternating"], rows)


def first_picture(found: list[Record]) -> str:
    """Where the time from a process's start to its first picture goes, beside another checkout's."""
    rows = []
    for record in found:
        for name in ("this", "other"):
            if (one := record.get(name)) is not None:
                parts = [one["import"], one["load"], one["run"]]
                shares = [one["total"] - sum(parts), *parts]
                ratio = f"**{record['ratio']:.2f}**" if name == "this" and "ratio" in record else "-"
                cells = [f"{part:.2f} ({100 * part / one['total']:.0f} %)" for part in shares]
                label = record["engine"] + ("" if name == "this" else ", the other checkout")
                rows.append([label, *cells, f"{one['total']:.2f}", ratio])
    heads = ["engine", "starting and ending Python, s", "import", "load", "picture", "all, s", "of the other"]
    return table(heads, rows)


def decoder(found: list[Record]) -> str:
    """Autoencoders compiled in several ways, and what a call is spent on."""
    seconds = {(one["network"], one["way"]): one["seconds"] for one in found}
    kinds, rows = ("products", "layouts", "enlargements", "the rest"), []
    for record in found:
        network, parts = record["network"], record["parts"]
        rows.append(
            [
                f"{network}, {record['way']}",
                f"**{record['seconds']:.2f}**",
                *(f"{record['seconds'] / seconds[network, way]:.2f}" for way in ("any size", "enlargements split")),
                *(f"{100 * parts.get(kind, 0):.0f} %" for kind in kinds),
                f"{record['compiling']:.1f}",
                "equal" if record["psnr"] is None else f"{record['psnr']:.0f}",
            ]
        )
    heads = ["compiled", "a call, s", "of any size", "of enlargements split", *kinds, "compiling, s", "PSNR, dB"]
    return table(heads, rows)


def serve(found: list[Record]) -> str:
    """What a request costs beside the same call, and how soon a server answers."""
    rows = [
        [
            f"{record['model']}",
            f"{1000 * record['call_seconds']:.0f}",
            f"{1000 * record['request_seconds']:.0f}",
            f"**{1000 * record['extra_seconds']:.1f}**",
            f"{100 * record['first_preview_share']:.0f} %",
            f"{record['start_seconds']:.2f}",
        ]
        for record in found
    ]
    heads = ["model", "call in process, ms", "request, ms", "more, ms", "first preview after", "start to answer, s"]
    return table(heads, rows)


def serve_start(found: list[Record]) -> str:
    """How soon a server answers, beside another's."""
    rows = [
        [
            f"{record['model']}, {record['bytes'] / 1e9:.2f} GB",
            f"{record['start_seconds']:.2f}",
            f"{record['peer_start_seconds']:.2f}",
            f"**{record['share']:.2f}**",
            f"{record['turns']}",
        ]
        for record in found
    ]
    return table(["model", "partway, s", "stable-diffusion.cpp, s", "share", "turns"], rows)


def batch(found: list[Record]) -> str:
    """Pictures a minute of a folder, beside loops, and what killing it again and again, or a cluster, changes."""
    return table(["", "pictures a minute", "of it"], [row for record in found for row in _batch_rows(record)])


def _batch_rows(record: Record) -> list[list[str]]:
    rate = record["batch_a_minute"]
    rows = [[f"`partway batch`, {record['pictures']} rooms", f"{rate:.0f}", "**1**"]]
    for key, name in (("loop", "a loop over a warm `Pipeline`"), ("img2img", "a loop over `partway img2img`")):
        beside = record[f"{key}_a_minute"]
        rows.append([f"{name}: `batch` makes times as many", f"{beside:.0f}", f"**{rate / beside:.2f}**"])
    if record["memory"]:
        first, most = record["memory"]["first"], record["memory"]["most"]
        rows.append(["most memory after the 50th picture, of that at it", "", f"{most / first:.3f}"])
    if "kills" in record:
        same = "the same files" if record["same_files"] else "other files"
        rows.append([f"killed {record['kills']} times and resumed: {record['made_twice']} made twice, {same}", "", ""])
    if "ray_a_minute" in record:
        ray, alone = record["ray_a_minute"], record["process_a_minute"]
        same = "the same files" if record["ray_same_files"] else "other files"
        rows.append(["one process on two cores, from its first picture on", f"{alone:.0f}", ""])
        rows.append([f"Ray, two nodes of one core each, so too: {same}", f"{ray:.0f}", f"**{ray / alone:.2f}**"])
    return rows


def install(found: list[Record]) -> str:
    """Size of a runtime-only installation, by package, and of its environment with each set of extras."""
    record = next(one for one in found if not one.get("extras"))
    sizes = sorted(record["packages"].items(), key=lambda item: -item[1])
    rows = [[name, f"{size / 1e6:.1f}"] for name, size in sizes if size >= 0.5e6]
    small = [size for _, size in sizes if size < 0.5e6]
    rows += [[f"{len(small)} smaller ones", f"{sum(small) / 1e6:.1f}"]] if small else []
    rows += [
        ["**all**", f"**{record['bytes'] / 1e6:.1f}**"],
        ["of that, bytecode that pip compiles", f"{record['bytecode_bytes'] / 1e6:.1f}"],
    ]
    whole = [
        [f".[{one['extras']}]" if one.get("extras") else ".", f"{one['environment_bytes'] / 1e6:.0f}"]
        for one in found
        if "environment_bytes" in one
    ]
    parts = [table(["package", "MB"], rows)]
    if whole:
        parts += ["The whole environment, pip included, as it is counted for peers.", table(["installed", "MB"], whole)]
    return "\n\n".join(parts)


def memory(found: list[Record]) -> str:
    """Peaks, predicted and measured."""
    rows = []
    for record in found:
        predicted, measured = record["predicted_bytes"] / 1e6, record["measured_bytes"] / 1e6
        case = [record["model"], record["engine"], f"{record['size']}", record["done"]]
        rows.append([*case, f"{predicted:.0f}", f"**{measured:.0f}**", f"{100 * (predicted / measured - 1):+.0f} %"])
    names = ["model", "engine", "pixels a side", "what is done", "predicted, MB", "peak memory, MB", "error"]
    return table(names, rows)


def token_merging(found: list[Record]) -> str:
    """A block's time with and without merged tokens, what a whole call would save, and how alike pictures stay."""
    blocks = {(record["engine"], record["merging"]): record for record in found if record["what"] == "block"}
    alike = {record["merging"]: record for record in found if record["what"] == "pictures"}
    engines = list(dict.fromkeys(engine for engine, _ in blocks))
    strengths = list(dict.fromkeys(strength for record in alike.values() for strength in record["ssim_mean"]))
    head = ["tokens merged into, share"]
    for engine in engines:
        head += [f"{engine}, ms a block", "saves of a call"]
    rows = []
    for merging in dict.fromkeys(merging for _, merging in blocks):
        row = [merging or "none"]
        for record in (blocks[engine, merging] for engine in engines):
            saved, whole = record["saved_seconds"], record.get("call_seconds")
            share = "" if whole is None else f", {100 * saved / whole:.1f} %"
            row += [f"{1000 * record['seconds']:.0f}", f"{saved:.2f} s{share}" if merging else "-"]
        for strength in strengths:
            mean, least = (alike.get(merging, {}).get(name, {}).get(strength) for name in ("ssim_mean", "ssim_least"))
            row.append("-" if mean is None else f"{mean:.3f} ({least:.3f})")
        rows.append(row)
    return table([*head, *(f"SSIM at {strength} (least)" for strength in strengths)], rows)


BLOCKS: dict[str, Callable[[list[Record]], str]] = {
    "img2img": img2img,
    "peers": peer_tables.peers,
    "others": peer_tables.beside,
    "sizes": peer_tables.sizes,
    "rooms": img2img,
    "small": img2img,
    "int8": img2img,
    "few_steps": peer_tables.few_steps,
    "presets": peer_tables.presets,
    "presets_few": peer_tables.presets,
    "memory": memory,
    "checkpoints": checkpoints,
    "control": control,
    "adapters": adapters,
    "start": start,
    "first_picture": first_picture,
    "decoder": decoder,
    "serve": serve,
    "serve_start": serve_start,
    "batch": batch,
    "install": install,
    "token_merging": token_merging,
}

_IN_PIECES = {"checkpoints": ("what", "size"), "adapters": ("engine", "way"), "few_steps": ("case",)}
"""What is measured in several sessions, and by which fields its rows are told apart that stand alone."""


def provenance(found: list[Record]) -> str:
    """When, on what machine and with which versions."""
    record = max(found, key=lambda one: str(one["session"]))
    machine, commits = record["machine"], dict.fromkeys(one["commit"] for one in found)
    installed = {name: version for one in found for name, version in one.get("versions", {}).items()}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(installed.items()))
    parts = [
        f"{record['session']}, {'commits' if len(commits) > 1 else 'commit'} {', '.join(map(str, commits))}",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {' '.join(machine['flags'])}",
        f"{machine['system']}, Python {machine['python']}" + (f", {versions}" if versions else ""),
    ]
    others = [record["others_busy"] for record in found if record.get("others_busy") is not None]
    if others:
        parts.append(f"other processes kept at most {max(others):.2f} cores busy during a run")
    return f"*{'; '.join(parts)}.*"


def _warm_row(runs: list[Record]) -> list[str]:
    warm = [run["warm"] for run in runs]
    totals = [one["seconds"]["total"] for one in warm]
    psnr = runs[-1]["picture"].get("psnr", "-")
    stages = ("text_encoder", "vae_encoder", "vae_decoder")
    return [
        f"**{median(totals):.2f}**",
        f"{min(totals):.2f} .. {max(totals):.2f}",
        _seconds([call(one, "unet") if "unet" in one["calls"] else None for one in warm]),
        *(_seconds([one["seconds"].get(name) for one in warm]) for name in stages),
        _seconds([one["seconds"].get("other") for one in warm], 3),
        _share(runs),
        "equal" if psnr is None else str(psnr),
    ]


def _share(runs: list[Record]) -> str:
    """The share of the picture's time that passes outside the networks."""
    seconds = [run["warm"]["seconds"] for run in runs]
    shares = [one["other"] / one["total"] for one in seconds if "other" in one]
    return f"{100 * median(shares):.2f} %" if shares else "-"


def _start_row(runs: list[Record]) -> list[str]:
    peak = median(run["peak_bytes"] for run in runs) / 1e9
    return [_seconds([loading(run) for run in runs]), _seconds([cold(run) for run in runs]), f"{peak:.2f}"]


def _seconds(values: list[Any], digits: int = 2) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.{digits}f}" if known else "-"


if __name__ == "__main__":
    renew()
