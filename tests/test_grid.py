"""One notebook for many values of a parameter, and the published campaigns of completejourney as such a grid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loading import write

from opslib import connect, packs, params, yamlfile
from opslib.errors import TooLittleError, UsageError
from opslib.report import index
from opslib.runner import batch, grid, plan

ROOT = Path(__file__).parent.parent
PUBLISHED = {"8": (158, 1076), "13": (196, 1077), "18": (214, 1133)}  # households that redeemed, of those targeted


@pytest.fixture(scope="module")
def shopping(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shopping")
    packs.load(ROOT / "data/samples/completejourney/pack.yml", folder)
    return folder


def test_names_stand_with_their_values_or_for_all_there_are():
    assert grid.asked(["campaign_id=8, 13,8", "experiment_id"]) == {"campaign_id": ["8", "13"], "experiment_id": None}
    for wrong in ("campaign_id=", "=8", ""):
        with pytest.raises(UsageError, match="--each takes"):
            grid.asked([wrong])


def test_a_name_given_twice_has_all_its_values_and_not_some_and_all():
    assert grid.asked(["campaign_id=8", "campaign_id=13,8"]) == {"campaign_id": ["8", "13"]}
    assert grid.asked(["campaign_id", "campaign_id"]) == {"campaign_id": None}
    for wrong in (["campaign_id", "campaign_id=8"], ["campaign_id=8", "campaign_id"]):
        with pytest.raises(UsageError, match="with values and without"):
            grid.asked(wrong)


def campaigns(folder: Path, *ids: str) -> str:
    """A warehouse that holds these campaigns and nothing else."""
    rows = [{"campaign_id": i, "name": "x", "kind": "promotion", "starts_at": "2026-01-01T00:00:00", "ends_at": "2026-01-08T00:00:00"} for i in ids]  # fmt: skip
    packs.load_folder(write(folder / "raw" / "campaigns.parquet", rows).parent, folder / "w")
    return str(folder / "w")


def test_the_ids_of_a_bare_name_are_those_of_the_cells_own_source(tmp_path, quick_disk):
    places = []
    for name in "ab":
        (tmp_path / name / "raw").mkdir(parents=True)
        places.append(campaigns(tmp_path / name, f"{name}1", f"{name}2"))
    found = grid.cells(ROOT, "campaign_retrospective", {}, {"campaign_id": None, "source": places})
    pairs = [(Path(json.loads(c["source"])).parent.name, json.loads(c["campaign_id"])) for c in found]
    assert pairs == [("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2")]


def small(folder: Path, name: str, parameters: str, **told) -> Path:
    """A project of one notebook that only declares parameters."""
    (folder / "notebooks").mkdir(exist_ok=True)
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": parameters, "outputs": []}
    held = {"cells": [cell], "metadata": {"opslib": told}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps(held), encoding="utf-8")
    return folder


def test_a_module_without_a_source_has_no_ids_to_ask_for(tmp_path):
    with pytest.raises(UsageError, match="sourceless reads no source"):
        grid.cells(small(tmp_path, "sourceless", 'campaign_id: str = ""'), "sourceless", {}, {"campaign_id": None})


@pytest.mark.parametrize("name", ["null", "1.50", "1e3", "007", "a\x85b", "a\x7fb", "a\u2028b", "😀", '"', "[", "中"])
def test_a_named_id_is_the_id_as_written(name):
    notebook = ROOT / "notebooks/campaign_retrospective.ipynb"
    (cell,) = grid.cells(ROOT, notebook.stem, {}, {"campaign_id": [name, name]})
    assert params.load(notebook, None, cell)["campaign_id"] == name


def test_what_is_not_yaml_is_said_on_one_line():
    for text in ("a\x07b", "[1", "'"):
        with pytest.raises(UsageError) as error:
            yamlfile.value(text, "-p x")
        assert "\n" not in str(error.value)


def test_a_report_that_makes_a_new_id_is_not_made_for_those_there_are(shopping):
    asked = {"source": str(shopping)}
    assert grid.cells(ROOT, "campaign_plan", asked, {"campaign_id": None}) == [asked]
    assert len(grid.cells(ROOT, "campaign_plan", asked, {"campaign_id": ["new", "newer"]})) == 2


def test_a_parameter_of_the_grid_makes_reports_of_their_own(shopping):
    row = {"source": str(shopping), "away_days": "7"}
    assert plan.job(ROOT, "campaign_retrospective", row, ["away_days", "source"]).identity == {
        "campaign_id": "",
        "away_days": 7,
    }


def test_the_terminal_names_a_report_on_one_line():
    assert plan.named("m", {"campaign_id": "a\n\x1b[31mb"}) == "m (campaign_id a [31mb)"


def test_of_several_modules_those_that_need_no_campaign_go_on(tmp_path, quick_disk, monkeypatch):
    (tmp_path / "raw").mkdir()
    rows = [{"user_id": "u1", "registered_at": "2026-01-01T00:00:00"}]
    packs.load_folder(write(tmp_path / "raw" / "users.parquet", rows).parent, tmp_path / "w")
    for name, text in (("one", 'source: str = ""'), ("two", 'source: str = ""\ncampaign_id: str = ""')):
        small(tmp_path, name, text)
    ran: list[str] = []
    monkeypatch.setattr(batch, "_all", lambda jobs: ran.extend(j.module for j in jobs) or [])
    said: list[str] = []
    how = {"source": str(tmp_path / "w")}
    records = batch.run(tmp_path, ["one", "two"], how, each={"campaign_id": None}, say=said.append)
    assert ran == ["one"] and [(r["module"], r["status"]) for r in records] == [("two", "lacking")]
    assert said[0].startswith("two: lacks data: ")
    with pytest.raises(TooLittleError):
        batch.run(tmp_path, ["two"], how, each={"campaign_id": None}, say=said.append)


def test_a_report_is_out_of_date_by_the_plan_of_its_own_campaign_only(tmp_path):
    def seen(own: str) -> str:
        return plan._written(tmp_path, {"planned": {"list": "plan", "naming": "campaign_id"}}, {"campaign_id": own})

    before = {own: seen(own) for own in ("a", "b", "")}
    lists = tmp_path / "outputs/planned/1/lists"
    lists.mkdir(parents=True)
    (lists / "plan.csv").write_text("x", encoding="utf-8")
    (lists.parent / "run.json").write_text(json.dumps({"parameters": {"campaign_id": "a"}}), encoding="utf-8")
    assert {own: seen(own) != before[own] for own in before} == {"a": True, "b": False, "": True}


def test_one_module_to_wait_for_may_stand_as_plain_text(tmp_path):
    for name, told in (("a", {"after": "story"}), ("story", {})):
        small(tmp_path, name, "n: int = 1", **told)
    assert plan.ordered(["a", "story"], tmp_path) == [["story"], ["a"]]


def test_every_campaign_of_the_data_is_a_cell_and_two_lists_are_all_their_pairs(shopping):
    asked = {"source": str(shopping)}
    found = grid.cells(ROOT, "campaign_retrospective", asked, {"campaign_id": None})
    assert sorted(json.loads(cell["campaign_id"]) for cell in found) == sorted(map(str, range(1, 28)))
    assert {cell["source"] for cell in found} == {str(shopping)}
    pairs = grid.cells(ROOT, "campaign_retrospective", asked, {"campaign_id": ["8", "13"], "lang": ["zh", "en"]})
    assert len({(c["campaign_id"], c["lang"]) for c in pairs}) == 4


def test_a_module_without_the_parameter_has_its_one_report(shopping):
    assert grid.cells(ROOT, "data_quality", {"source": str(shopping)}, {"campaign_id": None}) == [
        {"source": str(shopping)}
    ]


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ({"campain_id": None}, "did you mean 'campaign_id'"),
        ({"away_days": None}, "no table has 'away_days' as its key"),
        ({"source": ["a"]}, "given by -p and by --each"),
        ({"away_days": [str(n) for n in range(501)]}, "asks for more than 500 reports"),
        ({"away_days": ["7", "seven"]}, "'away_days' must be int"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_runs(each, words, project, shopping):
    with pytest.raises(UsageError) as error:
        batch.run(project, ["campaign_retrospective"], {"source": str(shopping)}, each=each, say=lambda line: None)
    assert words in f"{error.value} {error.value.hint}"


def test_an_id_that_looks_like_a_number_or_nothing_is_an_id(tmp_path, quick_disk):
    rows = [{"campaign_id": i, "name": "x", "kind": "promotion", "starts_at": "2026-01-01T00:00:00", "ends_at": "2026-01-08T00:00:00"} for i in ("007", "null", "1.50")]  # fmt: skip
    packs.load_folder(write(tmp_path / "campaigns.parquet", rows).parent, tmp_path / "w")
    assert connect(tmp_path / "w").ids("campaign_id", most=9) == ["007", "1.50", "null"]


def test_each_published_campaign_has_its_page_with_the_published_redemption(project, shopping):
    """The Complete Journey: 158 of 1,076, 196 of 1,077 and 214 of 1,133 targeted households redeemed a coupon."""
    said: list[str] = []
    how = {"source": str(shopping), "lang": "en"}
    records = batch.run(
        project, ["campaign_retrospective"], how, each={"campaign_id": list(PUBLISHED)}, say=said.append
    )
    assert {r["status"] for r in records} == {"ok"} and all(
        any(f"(campaign_id {i})" in s for s in said) for i in PUBLISHED
    )
    for record in records:
        told = json.loads((Path(record["folder"]) / "findings.json").read_text(encoding="utf-8"))
        rate = next(f for f in told if f["id"] == "campaign.response.redeem_coupon")
        hits, homes = PUBLISHED[record["parameters"]["campaign_id"]]
        assert (rate["n"], rate["value"]) == (homes, pytest.approx(hits / homes))
        assert f"{homes:,} users touched, {hits} did" in rate["text"]
    page = index.build(project / "outputs", "en").read_text(encoding="utf-8")
    assert {r["parameters"]["campaign_id"] for r in records} == set(PUBLISHED)
    assert all(
        Path(r["folder"]).name in page and f"campaign_id = {r['parameters']['campaign_id']}" in page for r in records
    )
    again = batch.run(project, ["campaign_retrospective"], how, each={"campaign_id": ["8"]}, say=said.append)
    assert again[0]["status"] == "skipped" and again[0]["identity"] == {"campaign_id": "8"}
