"""The export's guide: its example runs as it stands, and its table has every flag."""

import re
import shutil

import guides
from partway_export.cli import parser

GUIDE = guides.GUIDES["export"]


def test_it_opens_with_an_example_that_runs(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model("sd1"), "my-model")
    guides.run(GUIDE)
    assert (tmp_path / "room.png").stat().st_size


def test_every_flag_is_in_the_table():
    flags = [option for action in parser()._actions for option in action.option_strings if option.startswith("--")]
    table = [row[0].strip("`") for row in guides.rows(GUIDE, "| flag | is |")]
    assert sorted(table) == sorted(set(flags) - {"--help"})


def test_weights_and_their_gates_are_in_the_table():
    from partway_export.verify import GATES

    rows = guides.rows(GUIDE, "| `--weights` | is | least distance from float32 |")
    assert {row[0].strip("`"): float(re.match(r"\d+", row[2])[0]) for row in rows} == GATES
