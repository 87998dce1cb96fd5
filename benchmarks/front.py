"""The first table of the project's README: partway beside its peers, in seconds, memory and what has to be installed.

`benchmarks.tables` writes it. A column of seconds is one machine's, from the newest session in its result file.
"""

from benchmarks.figures import Record, by_case, peak, seconds
from benchmarks.markdown import number, table, task
from benchmarks.peers import REQUIREMENTS

SESSIONS = ("peers", "others")  # the first says the memory where both have measured it
OWN = "**partway**"
LITTLE = {"tiny": "preset `tiny`", "streamed": "and with the UNet streamed"}


def summary(newest: dict[str, list[Record]]) -> str:
    """The table, what was measured, and what a picture takes at the least; empty where nothing was measured."""
    found = [newest[name] for name in SESSIONS if newest.get(name)] or [newest.get("img2img", [])]
    if not found[0]:
        return ""
    columns = [by_case(one) for one in found]
    cases = list(dict.fromkeys(case for column in columns for case in column))
    installed = {record.get("extras", ""): record.get("environment_bytes") for record in newest.get("install", [])}
    rows = [_row(case, [column.get(case, []) for column in columns], installed) for case in cases]
    rows.sort(key=lambda row: (row[0] != OWN, [float(cell) for cell in row[2 : 2 + len(found)] if cell != "-"][-1]))
    names = ["tool", "preset or precision", *(f"seconds, {_machine(one[0])}" for one in found)]
    names += ["memory, GB", "installed, GB", "torch"]
    said = [task(found[0][0], files=False), *map(_turns, found)]
    if little := by_case(newest.get("small", [])):
        said.append(_little(little))
    return f"{table(names, rows, text=2)}\n\n{' '.join(said)}"


def _row(case: str, measured: list[list[Record]], installed: dict[str, int | None]) -> list[str]:
    """Tool, configuration, seconds on each machine, GB at the peak, GB installed, whether torch is among that."""
    runs = next(one for one in measured if one)
    tool, own = runs[0]["tool"], runs[0]["tool"] == "partway"
    name = OWN if own else case.split()[0]
    configuration = case if own else case.partition(" ")[2]
    if own:
        size = installed.get("" if runs[0]["options"].get("engine") == "onnxruntime" else "openvino")
    else:
        size = runs[0].get("environment_bytes")
    torch = any(one.startswith("torch==") for one in REQUIREMENTS.get(tool, ()))
    taken = [number(seconds(one), 1) for one in measured]
    return [name, configuration, *taken, number(peak(runs)), _gigabytes(size), "yes" if torch else "no"]


def _gigabytes(size: int | None) -> str:
    return number(None if size is None else size / 1e9)


def _machine(record: Record) -> str:
    """A processor's name in two words."""
    return " ".join(record["machine"]["cpu"].partition(" (family")[0].replace("(R)", "").split()[:2])


def _turns(found: list[Record]) -> str:
    turns = min(map(len, by_case(found).values()))
    often = f"medians of {turns} processes each" if turns > 1 else "one process each"
    return f"{_machine(found[0])}, {found[0]['machine']['cores']} cores: {often}."


def _little(cases: dict[str, list[Record]]) -> str:
    runs = next(iter(cases.values()))
    peaks = [f"{LITTLE[case]} {number(peak(one))} GB" for case, one in cases.items() if case in LITTLE]
    return f"In little memory ({runs[0]['model']['weights']} weights): {', '.join(peaks)} at the peak."
