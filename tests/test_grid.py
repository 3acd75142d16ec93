"""One notebook for many values of a parameter, and the published campaigns of completejourney as such a grid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loading import write

from opslib import connect, packs, params
from opslib.errors import UsageError
from opslib.report import index
from opslib.runner import batch, grid

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


def test_every_campaign_of_the_data_is_a_cell_and_two_lists_are_all_their_pairs(shopping):
    asked = {"source": str(shopping)}
    found = grid.cells(ROOT, "campaign_retrospective", asked, {"campaign_id": None})
    assert sorted(json.loads(cell["campaign_id"]) for cell in found) == sorted(map(str, range(1, 28)))
    assert {cell["source"] for cell in found} == {str(shopping)}
    pairs = grid.cells(ROOT, "campaign_retrospective", asked, {"campaign_id": ["8", "13"], "lang": ["zh", "en"]})
    assert len({(c["campaign_id"], c["lang"]) for c in pairs}) == 4


def test_the_ids_are_those_of_the_data_that_each_report_is_about(shopping, warehouse):
    both = {"campaign_id": None, "source": [str(shopping), str(warehouse)]}
    found = {
        (json.loads(c["source"]), json.loads(c["campaign_id"]))
        for c in grid.cells(ROOT, "campaign_retrospective", {}, both)
    }
    assert (str(shopping), "27") in found and (str(warehouse), "27") not in found
    assert {source for source, _ in found} == {str(shopping), str(warehouse)}


def test_named_ids_are_ids_whatever_yaml_would_take_them_for(shopping):
    cells = grid.cells(ROOT, "campaign_retrospective", {"source": str(shopping)}, {"campaign_id": ["null", "1.50"]})
    given = [
        params.load(ROOT / "notebooks/campaign_retrospective.ipynb", ROOT / "params", c)["campaign_id"] for c in cells
    ]
    assert given == ["null", "1.50"]


def test_values_given_one_by_one_are_all_taken():
    assert grid.asked(["campaign_id=8", "campaign_id=13"]) == {"campaign_id": ["8", "13"]}
    with pytest.raises(UsageError, match="with values and without"):
        grid.asked(["campaign_id=8", "campaign_id"])


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
        ({"away_days": [str(n) for n in range(501)]}, "asks for 501 reports"),
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
        assert f"{homes:,} users were touched, {hits} of them" in rate["text"]
    page = index.build(project / "outputs", "en").read_text(encoding="utf-8")
    assert all(
        Path(r["folder"]).name in page and f"campaign_id = {i}" in page
        for r, i in zip(records, PUBLISHED, strict=False)
    )
