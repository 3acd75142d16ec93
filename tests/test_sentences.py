"""Sentences say what their table says."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pandas as pd
import pytest

from opslib import contract, reasons
from opslib.errors import TooLittleError, UsageError
from opslib.importers import rules
from opslib.models import abtest, campaign
from opslib.models.churn import fit_churn
from opslib.models.scorecard import Kpi, scorecard
from opslib.periods import Reporting
from opslib.sentences import quality, weekly
from opslib.settle import CONFLICT
from opslib.text import speaking

WEEKS = [dt.date(2026, 1, 5) + dt.timedelta(weeks=i) for i in range(8)]
NOW = Reporting("week", WEEKS[-1], WEEKS[-1] + dt.timedelta(days=6))


def card(last: float, metric: str = "activity.wau") -> pd.DataFrame:
    frame = pd.DataFrame({"start": WEEKS, "users": [10_000, 10_050, 9_980, 10_020, 10_010, 9_990, 10_000, last]})
    return scorecard([Kpi(metric, frame, count="users")], at=NOW)


def test_a_notable_fall_is_something_to_act_on_with_its_number_and_interval():
    with speaking("en"):
        found = weekly.changes(card(8_000))[0]
    assert found.level == "act" and "8,000" in found.text and "−20.0%" in found.text
    assert found.value == pytest.approx(-0.2) and found.low < found.value < found.high < 0


def test_a_notable_rise_is_good_news_and_no_change_is_said_so():
    with speaking("zh"):
        assert weekly.changes(card(12_000))[0].level == "good"
        quiet = weekly.changes(card(10_010))
    assert [f.level for f in quiet] == ["info"] and "波动之内" in quiet[0].text


def test_the_verdict_is_the_gravest_finding_against_any_period():
    with speaking("en"):
        assert "8,000" in weekly.verdict(card(8_000))
        assert "usual movement" in weekly.verdict(card(10_010))


def test_a_fall_asks_somebody_to_look_into_it_by_a_day_and_a_rise_nobody():
    with speaking("en"):
        actions = weekly.actions(card(8_000), due=dt.date(2026, 3, 1))
        assert [(a.team, a.due_on) for a in actions] == [("operations", "2026-03-08")]
        assert weekly.actions(card(12_000), due=dt.date(2026, 3, 1)) == []


def test_the_figure_of_changes_names_what_they_are_against_and_leaves_out_a_handful():
    few = pd.concat([card(10_010), card(10_010, "acquisition.new_users").assign(value=3, base=1)])
    with speaking("en"):
        assert weekly.movement(few)["kpi"].tolist() == ["Weekly active users (WAU)"]
        assert weekly.step_back(few) == "Change against the week before"
    with speaking("zh"):
        assert weekly.step_back(few) == "较上周的变化"


def test_refunds_that_the_data_does_not_tell_are_not_none():
    paid = pd.DataFrame({"start": [WEEKS[-1]], "orders": [3], "total": [60.0], "refunded": [None]})
    with speaking("en"):
        silent, told = weekly.refunds(paid, WEEKS[-1]), weekly.refunds(paid.assign(refunded=0.0), WEEKS[-1])
    assert silent.metric == "revenue.gross" and "does not tell refunds" in silent.text and "0.0%" not in silent.text
    assert told.metric == "revenue.net" and "(0.0%) was refunded" in told.text


def test_more_lost_than_won_is_to_be_watched():
    accounts = pd.DataFrame({"new": [10], "resurrected": [5], "dormant": [30]})
    with speaking("en"):
        found = weekly.quick_ratio(accounts)
    assert found is not None and found.level == "watch" and found.value == pytest.approx(0.5)


def test_nobody_lost_gives_no_ratio_rather_than_infinity():
    with speaking("en"):
        found = weekly.quick_ratio(pd.DataFrame({"new": [10], "resurrected": [0], "dormant": [0]}))
    assert found is not None and found.value != found.value


def frames(**changed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    made = {
        "overview": pd.DataFrame(
            {"table": ["events", "daily"], "rows": [93, 40], "problems": [0, 0], "problem": ["", ""]}
        ),
        "loads": pd.DataFrame({"read": [100], "new": [100], "late": [0]}),
        "aside": pd.DataFrame({"rows": [], "source": [], "line": [], "reason": []}),
        "daily": pd.DataFrame({"day": WEEKS, "rows": [10] * 8, "kind": [""] * 8}),
        "filled": pd.DataFrame({"column": ["ip"], "before": [1.0], "now": [1.0], "rows": [10], "went_empty": [False]}),
        "twice": pd.DataFrame({"event": [], "rows": [], "extra": [], "on_minute": []}),
    }
    return made | changed


def test_clean_data_can_be_used_and_says_how_many_checks_passed():
    with speaking("en"):
        found = quality.findings(**frames())
        assert quality.verdict(found) == "The data can be used: all 6 checks passed."
        assert quality.actions(found) == []


@pytest.mark.parametrize(
    "name, frame, words",
    [
        (
            "daily",
            pd.DataFrame({"day": WEEKS[:2], "rows": [10, 0], "kind": ["", "hole"]}),
            "1 day without a single event; the latest is 2026-01-12",
        ),
        (
            "daily",
            pd.DataFrame({"day": WEEKS[:3], "rows": [10, 0, 1], "kind": ["", "hole", "thin"]}),
            "2 unusual days: 1 day without a single event, 1 day with far fewer events than usual; the latest is 2026-01-19",
        ),
        (
            "aside",
            pd.DataFrame({"rows": [7], "source": ["a.csv"], "line": [3], "reason": ["user_id is missing"]}),
            "7 rows are in the quarantine, the commonest reason as in “a.csv” line 3: user_id is missing",
        ),
        (
            "filled",
            pd.DataFrame({"column": ["ip"], "before": [0.9], "now": [0.0], "rows": [10], "went_empty": [True]}),
            "ip is filled in 0.0%",
        ),
        ("loads", pd.DataFrame({"read": [100], "new": [100], "late": [20]}), "20 of them late"),
    ],
)
def test_each_way_to_be_wrong_is_a_finding_with_a_next_step_for_engineering(name, frame, words):
    with speaking("en"):
        found = quality.findings(**frames(**{name: frame}))
        assert words in quality.verdict(found)
        assert [a.team for a in quality.actions(found)] == ["engineering"]


@pytest.mark.parametrize("on_minute, level", [(80, "info"), (2, "watch")])
def test_a_clock_that_knows_only_minutes_cannot_tell_a_repeat_from_a_second_act(on_minute, level):
    twice = pd.DataFrame({"event": ["view"], "rows": [80], "extra": [30], "on_minute": [on_minute]})
    with speaking("en"):
        found = quality.findings(**frames(twice=twice))["repeats"][0]
    assert found.level == level and found.value == 30


def test_rows_put_aside_are_counted_against_rows_held_however_often_a_file_was_loaded():
    aside = pd.DataFrame({"rows": [7], "source": ["a.csv"], "line": [3], "reason": ["user_id is missing"]})
    found = quality.findings(
        **frames(aside=aside, loads=pd.DataFrame({"read": [100] * 3, "new": [93, 0, 0], "late": 0}))
    )
    assert found["quarantine"][0].n == 100 and found["quarantine"][0].value == 7


@pytest.mark.parametrize(
    "reason, words",
    [
        ("user_id is missing", "缺少 user_id"),
        ("ts is not a time, got soon; amount is below 0, got -3", "ts 不是时间，实为 soon；amount 低于 0，实为 -3"),
        (
            "ts is more than 24 h ahead of the clock, got 2031-01-01 00:00:00",
            "ts 比加载时刻晚 24 小时以上，实为 2031-01-01 00:00:00",
        ),
        ("line is longer than 100 MB", "line is longer than 100 MB"),
    ],
)
def test_the_reasons_of_the_quarantine_are_said_in_chinese(reason, words):
    with speaking("zh"):
        assert reasons.said(reason) == words
    with speaking("en"):
        assert reasons.said(reason) == reason


def test_every_reason_of_the_rules_has_its_chinese_words():
    """Read from the rules themselves, so that a new rule cannot be forgotten."""
    faults = []
    for table in contract.TABLES.values():
        given = {c.name: rules.Given(c.name, "VARCHAR") for c in table.columns}
        faults += rules.faults(table, given, dt.datetime(2026, 1, 1))
    said = {text for _, sql in faults for text in re.findall(r"'([a-z_]+ [^']*?)(?:, got )?'", sql)} | {CONFLICT}
    assert len(said) > 20
    with speaking("zh"):
        for reason in said:
            assert re.search("[\u4e00-\u9fff]", reasons.said(reason)), reason


def experiment_that_there_is_not(id: str) -> str:
    rows = pd.DataFrame({"experiment_id": ["new", "old"], "starts_at": pd.to_datetime(["2026-02-01", "2026-01-01"])})
    with pytest.raises(UsageError) as error:
        abtest.chosen(rows, id, "", observed=dt.date(2026, 3, 1))
    return str(error.value)


def test_an_error_is_one_sentence_in_the_readers_language_near_miss_included():
    with speaking("zh"):
        assert experiment_that_there_is_not("nev") == "没有编号为「nev」的实验；是不是「new」？"
        assert experiment_that_there_is_not("zzz") == "没有编号为「zzz」的实验；现有：「new」、「old」"
    with speaking("en"):
        assert experiment_that_there_is_not("nev") == "no experiment “nev”; did you mean “new”?"
        assert experiment_that_there_is_not("zzz") == "no experiment “zzz”; known: “new”, “old”"


@pytest.mark.parametrize(
    "lang, words",
    [
        ("zh", "流失模型要求流失和留下的用户各满 30 人；100 人中流失 7 人"),
        ("en", "a churn model needs 30 who left and 30 who stayed: 7 of 100 left"),
    ],
)
def test_what_the_data_cannot_carry_says_how_much_it_needs_and_how_much_there_is(lang, words):
    left, past = np.arange(100) < 7, pd.DataFrame({"visits": np.arange(100)})
    with speaking(lang), pytest.raises(TooLittleError) as error:
        fit_churn(past, left, past, left)
    assert str(error.value) == words


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_number_that_is_not_known_is_a_dash_in_the_error(lang):
    with speaking(lang), pytest.raises(TooLittleError, match="–"):
        campaign.roi(effect=float("nan"), se=1.0, cost=10.0)
