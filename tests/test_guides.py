"""The README and the guides: their examples run as they stand, and their tables name exactly what there is."""

import re
from dataclasses import fields
from inspect import signature

import pytest

import guides
import partway
from partway import DIALS, SAMPLERS, SCHEDULES, EngineOptions, Settings, cli
from partway.model.catalog import entries

FRONT = guides.text(guides.ROOT / "README.md")
RUNTIME = guides.text(guides.GUIDES["runtime"])


def named(row):
    """The code names in the second column of a row of the table, and of the rows without a name that follow it."""
    rows = re.search(rf"^\| {row} \|(.*\n(?:\| \|.*\n)*)", FRONT, re.M).group(1).splitlines()
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
    rows = "".join(re.findall(r"^\| `partway .*?\|", RUNTIME, re.M))
    assert len(commands) > 10 and set(commands) <= set(re.findall(r"[a-z0-9]+", rows))


def test_models_that_the_guides_load_are_in_the_catalogue():
    loaded = set(re.findall(r'partway\.load\("([a-z0-9-]+)"[,)]', RUNTIME)) - {"my-package"}  # of the user's own
    assert loaded and loaded <= set(entries())


def test_the_front_page_is_a_page():
    assert len(FRONT.splitlines()) <= 120


@pytest.mark.parametrize("name", ["runtime", "models", "benchmarks"])
def test_a_guide_opens_with_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guides.run(guides.GUIDES[name])


def test_every_setting_and_its_default_is_in_the_table():
    rows = guides.rows(guides.GUIDES["runtime"], "| setting | default | is |")
    assert {row[0]: row[1] for row in rows} == {f"`{one.name}`": f"`{one.default!r}`" for one in fields(Settings)}


def test_every_option_of_load_and_its_default_is_in_the_table():
    rows = guides.rows(guides.GUIDES["runtime"], "| option | default | is |")
    own = {one.name: one.default for one in fields(EngineOptions)} | {
        "preset": None,
        "engine": "auto",
        "vae": None,
        "prediction": None,
        "loras": (),
    }
    assert {row[0]: row[1] for row in rows} == {f"`{name}`": f"`{value!r}`" for name, value in own.items()}
    assert set(own) == set(signature(partway.load).parameters) - {"model", "revision"}


def test_every_public_name_is_in_the_table():
    rows = guides.rows(guides.GUIDES["runtime"], "| name | is |")
    assert set(partway.__all__) <= set(re.findall(r"`(\w+)`", " ".join(cell for row in rows for cell in row)))


def test_the_catalogue_is_in_its_table():
    head = "| name | is | to run it | GB | licence | its settings |"
    found = {row[0].strip("`"): row[1:] for row in guides.rows(guides.GUIDES["models"], head)}
    assert list(found) == list(entries())
    for name, entry in entries().items():
        way = "built in" if entry.built_in else "ready" if entry.package else "export"
        size = "" if entry.gigabytes is None else str(entry.gigabytes)
        settings = ", ".join(f"{key} {value}" for key, value in entry.defaults.items())
        assert found[name] == [entry.title, way, size, entry.licence or "", settings], name


@pytest.mark.parametrize("page", guides.PAGES, ids=lambda page: str(page.relative_to(guides.ROOT)))
def test_links_lead_somewhere(page):
    for file, anchor in guides.links(page):
        assert file.exists(), file
        assert not anchor or anchor in guides.anchors(file), (file, anchor)


@pytest.mark.parametrize("page", guides.PAGES, ids=lambda page: str(page.relative_to(guides.ROOT)))
def test_nobody_is_sent_to_an_index_for_partway(page):
    assert not re.search(r"pip install\b[^\n`&]*[ '\"]partway\b", guides.text(page))


def test_places_to_add_things_are_there():
    text = guides.text(guides.ROOT / "CONTRIBUTING.md")
    roots = [guides.ROOT / part for part in ("", "runtime/partway", "tests", "runtime/partway/diffusion/samplers")]
    for place in re.findall(r"`([\w./]+(?:\.py|\.toml|/))`", text):
        assert any((root / place).exists() for root in roots), place
    sources = [file.read_text("utf-8") for root in roots[1:3] for file in root.rglob("*.py")]
    for name in re.findall(r"`(_?[A-Z]+|[A-Z][a-z]\w+|_\w+|test_\w+)`", text):
        assert any(re.search(rf"^(def |class )?{name}\b", source, re.M) for source in sources), name
