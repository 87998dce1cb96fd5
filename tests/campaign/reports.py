"""What a campaign counts and finds."""

import time
import traceback
from collections import Counter
from pathlib import Path

import partway

HERE = str(Path(partway.__file__).parent)


class Report:
    """Outcomes by kind, and faults: the first of each place where they arise, and how many."""

    def __init__(self, name: str):
        self.name, self.begun = name, time.perf_counter()
        self.outcomes, self.faults, self.slowest = Counter(), {}, (0.0, "")

    def outcome(self, what: str, case: str, seconds: float) -> None:
        self.outcomes[what] += 1
        self.slowest = max(self.slowest, (seconds, case))

    def fault(self, key: str, case: str, told: str) -> None:
        first, count = self.faults.get(key, (f"{case}\n    {told}", 0))
        self.faults[key] = (first, count + 1)
        self.outcomes["FAULT"] += 1

    def raised(self, error: BaseException, case: str) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(HERE)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place}, {Path(last.filename).name}:{last.lineno}"
        self.fault(f"{type(error).__name__} {place}", case, f"{type(error).__name__} at {where}: {str(error)[:300]}")

    def __str__(self) -> str:
        total, seconds = sum(self.outcomes.values()), time.perf_counter() - self.begun
        counts = ", ".join(f"{count} {what}" for what, count in self.outcomes.most_common())
        lines = [
            f"{self.name}: {total} in {seconds:.0f} s, {1000 * seconds / max(total, 1):.1f} ms each: {counts}; "
            f"the slowest {self.slowest[0]:.2f} s: {self.slowest[1]}"
        ]
        lines += [f"  {count} x {key}\n    {first}" for key, (first, count) in self.faults.items()]
        return "\n".join(lines)
