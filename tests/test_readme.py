"""The README's table of what runs names exactly what there is."""

import re
from pathlib import Path

import pytest

from partway import DIALS, SAMPLERS, SCHEDULES, cli
from partway.model.catalog import entries

TEXT = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def named(row):
    """The code names in the second column of a row of the table, and of the rows without a name that follow it."""
    rows = re.search(rf"^\| {row} \|(.*\n(?:\| \|.*\n)*)", TEXT, re.M).group(1).splitlines()
    cells = [line.removeprefix("| |").split("|")[0] for line in rows]
    return [name for cell in cells for name in re.findall(r"`([a-z0-9_]+)`", re.sub(r"\(also [^)]*\)", "", cell))]


TABLES = {"samplers": SAMPLERS, "schedules": SCHEDULES, "dials": DIALS}


@pytest.mark.parametrize("row", TABLES)
def test_every_name_is_in_the_table_once(row):
    assert sorted(named(row)) == sorted(TABLES[row])


def test_every_command_is_in_the_table(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    commands = re.findall(r"^    (\w+)", capsys.readouterr().out, re.M)
    rows = "".join(re.findall(r"^\| `partway .*?\|", TEXT, re.M))
    assert len(commands) > 10 and set(commands) <= set(re.findall(r"[a-z0-9]+", rows))


def test_models_that_the_readme_loads_are_in_the_catalogue():
    loaded = set(re.findall(r'partway\.load\("([a-z0-9-]+)"\)', TEXT))
    assert loaded and loaded <= set(entries())
