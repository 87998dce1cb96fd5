"""The project's Markdown pages as tests read them: their examples, tables and links."""

import re
import shlex
from pathlib import Path

from partway.cli import main

ROOT = Path(__file__).parents[1]
GUIDES = {name: ROOT / name / "README.md" for name in ("runtime", "export", "models", "benchmarks")}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *GUIDES.values(),
    ROOT / "runtime/partway/serve/README.md",
    *(ROOT / name / "README.md" for name in ("models/rooms", "models/partway_rooms", "findings")),
]


def text(page: Path) -> str:
    return page.read_text("utf-8")


def example(page: Path) -> tuple[str, str]:
    """The language and the lines of the first fenced block of a page."""
    found = re.search(r"^```(\w+)\n(.*?)^```", text(page), re.M | re.S)
    assert found, page
    return found[1], found[2]


def run(page: Path) -> None:
    """Run a page's first block as it stands, in the current folder; of bash, only lines of partway."""
    language, block = example(page)
    if language == "python":
        exec(compile(block, str(page), "exec"), {})
        return
    for line in block.splitlines():
        command, *arguments = shlex.split(line)
        assert (command, main(arguments)) == ("partway", 0), line


def rows(page: Path, head: str) -> list[list[str]]:
    """The cells of the table that begins with this line, row by row."""
    table = text(page).partition(f"\n{head}\n")[2].splitlines()[1:]
    found = []
    for line in table:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> list[tuple[Path, str]]:
    """The files of this repository that a page leads to, and the anchors in them."""
    found = re.findall(r"\]\(([^)\s]+)\)", text(page))
    return [
        ((page.parent / path).resolve() if path else page, anchor)
        for path, _, anchor in (link.partition("#") for link in found if "://" not in link)
    ]
