"""The campaign notebooks as they run: plan → review → next plan, a campaign in progress, one without a hold-out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from opslib import load, text
from opslib.runner import execute, plan

ID = "c04_member_day"


@pytest.fixture(scope="module")
def shop(warehouse, tmp_path_factory) -> Path:
    """The small sample with two campaigns more: one that is not over, and one without goal, hold-out or spend; they overlap."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    shutil.copytree(warehouse, folder)
    rows = [("running", "2026-06-22", "2026-07-20", "pay", 200.0), ("bare", "2026-06-01", "2026-06-25", None, None)]
    table = pd.DataFrame(rows, columns=["campaign_id", "starts_at", "ends_at", "goal_metric", "goal_value"])
    table = table.assign(name=table.campaign_id + " one", kind="promotion")
    path = folder.parent / "campaigns.parquet"
    table.assign(**{c: pd.to_datetime(table[c]) for c in ("starts_at", "ends_at")}).to_parquet(path)
    load("campaigns", [path], folder)
    return folder


def ran(project: Path, module: str, shop: Path, **how: str) -> dict:
    """A run through the runner, with its findings by id and the sections' titles."""
    record = execute.run(plan.job(project, module, {"source": str(shop), "lang": "en"} | how))
    assert record["status"] == "ok", record["error"]
    folder = Path(record["folder"])
    told = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    return record | {
        "at": folder,
        "told": {f["id"]: f for f in told},
        "page": (folder / "report.html").read_text(encoding="utf-8"),
    }


def test_a_plan_is_read_back_by_its_review_whose_template_the_next_plan_lists(project, shop):
    how = {"kind": "member_day", "goal_metric": "pay", "goal_value": "210", "budget": "900"}
    planned = ran(project, "campaign_plan", shop, campaign_id="bare", start="2026-06-01", **how)
    filled = pd.read_csv(planned["at"] / "lists" / "plan.csv").set_index("item")["value"]
    assert filled[["campaign_id", "goal_metric", "goal_value"]].to_list() == ["bare", "pay", "210.0"]
    assert "plan.templates.none" in planned["told"]

    ran(project, "campaign_plan", shop, campaign_id=ID, **how)
    review = ran(project, "campaign_retrospective", shop, campaign_id=ID)
    assert {"campaign.plan.conversions", "campaign.plan.cost"} <= set(review["told"])
    missed = review["told"]["campaign.goal"]
    assert (
        review["verdict"].startswith("Goal missed") == (missed["value"] < 1)
        and text.number(missed["n"]) in review["verdict"]
    )
    expected = float(pd.read_csv(review["at"].parents[1] / "campaign_plan" / _newest(project, "campaign_plan") / "lists" / "plan.csv")
                     .set_index("item").loc["expected_conversions", "value"])  # fmt: skip
    assert review["told"]["campaign.plan.conversions"]["base"] == pytest.approx(expected)
    lessons = pd.read_csv(review["at"] / "lists" / "template.csv")
    assert set(lessons.campaign_id) == {ID}

    following = ran(project, "campaign_plan", shop, campaign_id="next", **how)
    assert "plan.templates" in following["told"] and "plan.templates.none" not in following["told"]
    assert lessons.advice.iloc[0] in following["page"]


def test_a_campaign_without_a_goal_has_that_of_its_plan_and_says_what_it_lacks(project, shop):
    ran(
        project,
        "campaign_plan",
        shop,
        campaign_id="bare",
        kind="promotion",
        goal_metric="pay",
        goal_value="210",
        start="2026-06-01",
    )
    got = ran(project, "campaign_retrospective", shop, campaign_id="bare")
    assert "No event Pay carries the campaign" in got["page"] and "has no goal on record" not in got["page"]
    assert _newest(project, "campaign_plan") in got["told"]["campaign.source"]["text"], "the plan that lent the goal"
    assert got["told"]["campaign.plan.days"]["level"] == "watch", "seven days planned, twenty-four held"
    assert "running one" in got["told"]["campaign.overlap"]["text"]
    assert got["told"]["campaign.cost"]["value"] is None and "cost is unknown" in got["told"]["campaign.cost"]["text"]
    assert "campaign.roi" not in got["told"]
    assert "No hold-out" in got["verdict"] or "cannot be known" in got["verdict"]


def test_a_campaign_in_progress_shows_its_pace_and_nothing_that_judges_it(project, shop):
    got = ran(project, "campaign_retrospective", shop, campaign_id="running")
    assert "progress only, no verdict" in got["verdict"]
    assert set(got["told"]) <= {"campaign.source", "campaign.goal", "campaign.overlap", "too_little.was-the-goal-reached"}  # fmt: skip
    assert "bare one" in got["told"]["campaign.overlap"]["text"]
    assert not (got["at"] / "lists").exists()


def _newest(project: Path, module: str) -> str:
    return sorted(p.name for p in (project / "outputs" / module).iterdir())[-1]
