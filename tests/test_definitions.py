"""One question under several definitions: each tool's number, and what each of its choices changes."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from conftest import at, bound

from opslib import cli
from opslib.errors import TooLittleError
from opslib.metrics.definitions import FUNNELS, RETENTIONS, funnel_definitions, retention_definitions
from opslib.metrics.funnel import funnel
from opslib.metrics.retention import average_row, retention
from opslib.models import definitions as sides
from opslib.sentences import definitions as sentences
from opslib.text import speaking


def events(rows):
    """(user, event, day, hour) → events."""
    return bound(
        "events",
        [
            {"event_id": f"e{i:03d}", "user_id": u, "event": e, "ts": at(day, hour)}
            for i, (u, e, day, hour) in enumerate(rows)
        ],
    )


def own(table, key: str) -> dict:
    return table.set_index("tool")[key].to_dict()


def test_a_second_entry_converts_by_ours_and_not_by_the_first_entry_rule():
    rows = [("ann", "open", 0, 1), ("ann", "open", 9, 1), ("ann", "pay", 9, 2), ("bob", "open", 0, 1)]
    table = funnel_definitions(events(rows), steps=["open", "pay"], window_days=1).to_pandas()
    assert own(sides.conversions(table), "converted") == {
        "ours": 1, "amplitude": 1, "growthbook": 1, "mixpanel": 0, "mixpanel_totals": 1, "posthog": 1
    }  # fmt: skip


def test_a_choice_that_cannot_matter_is_left_out():
    table = funnel_definitions(events([("ann", "open", 0, 1)]), steps=["open", "pay"], window_days=None).to_pandas()
    assert set(table["rule"]) == {"", "first_entry", "attempts"}


def test_a_return_on_the_next_day_but_within_24_hours_splits_the_tools():
    rows = [("ann", "open", 0, 20), ("ann", "open", 1, 8), ("zoe", "open", 30, 1)]
    table = retention_definitions(events(rows), days=1, period=("2026-01-01", "2026-01-02")).to_pandas()
    back = own(sides.returning(table, 1), "rate")
    assert {tool: back[tool] for tool in ("ours", "sensors", "umeng", "amplitude")} == {
        "ours": 1.0, "sensors": 1.0, "umeng": 1.0, "amplitude": 0.0
    }  # fmt: skip


@pytest.fixture(scope="module")
def crowd():
    """Twelve hundred events of a hundred users in ten days, most of whom come back and some of whom pay."""
    pick = random.Random(7)
    return events(
        [
            (
                f"u{pick.randrange(100)}",
                pick.choice(["open", "open", "cart", "pay", "no"]),
                pick.randrange(10),
                pick.randrange(24),
            )
            for _ in range(1200)
        ]
    )


ASKED = {
    "steps": ["open", "cart", "pay"],
    "window_days": 2,
    "exclusions": [{"event": "no"}],
    "period": ("2026-01-02", "2026-01-07"),
}


def test_the_last_place_is_what_the_tool_s_own_arguments_return_and_the_effects_add_up_to_it(crowd):
    table = funnel_definitions(crowd, **ASKED, tools=["ours", "mixpanel", "posthog", "mixpanel_totals"]).to_pandas()
    direct = {
        "ours": {},
        "mixpanel": {"entry": "first"},
        "posthog": {"within_period": True, "exclusion_effect": "drop_user"},
        "mixpanel_totals": {"count": "attempts"},
    }
    shown = sides.conversions(table)
    for tool, arguments in direct.items():
        assert own(shown, "converted")[tool] == funnel(crowd, **ASKED, **arguments).to_pandas()["users"].iloc[-1]
    assert len(set(shown["converted"])) > 2, "data on which the tools do not differ tell nothing"
    effects = sides.choices(table, "users").groupby("tool")["effect"].sum().to_dict()
    assert {t: effects.get(t, 0) for t in direct} == own(shown, "lost")


def test_mixpanel_s_retention_is_rolling_unbounded_and_weighted_by_size_twice(crowd):
    asked = {"start": "open", "until": "2026-01-20"}
    table = retention_definitions(crowd, **asked, days=2, tools=["ours", "mixpanel"]).to_pandas()
    direct = average_row(retention(crowd, **asked, periods=2, clock="rolling_24h", on_or_after=True)).to_pandas()
    assert own(sides.returning(table, 1), "rate")["mixpanel"] == pytest.approx(direct.set_index("n")["size_squared"][1])


def test_every_choice_and_tool_has_a_name_and_a_sentence_in_both_languages():
    from opslib import columns

    rules = {c.rule for tools in (FUNNELS, RETENTIONS) for changes in tools.values() for c in changes}
    for lang in ("zh", "en"):
        with speaking(lang):
            assert all(sentences.reason(rule) and columns.value_name("rule", rule) != rule for rule in rules)
            assert all(columns.value_name("tool", tool) != tool for tool in {*FUNNELS, *RETENTIONS})


@pytest.mark.parametrize("tools", [["mixpannel"], [], "mixpanel"])
def test_an_unknown_tool_is_told_the_known_ones(tools):
    for metric in (funnel_definitions, retention_definitions):
        with pytest.raises(ValueError, match=r"tools must be .*'?mixpanel|tools must be a list"):
            metric(events([]), tools=tools)


def test_without_a_known_day_there_is_nothing_to_compare():
    table = retention_definitions(events([("ann", "open", 0, 1)]), days=7).to_pandas()
    with pytest.raises(TooLittleError, match="day N"), speaking("en"):
        sides.needs_cohorts(sides.returning(table, 7))


def test_as_many_converted_of_other_entries_are_not_called_the_same():
    rows = [("ann", "open", 0, 1), ("ann", "open", 9, 1), ("ann", "pay", 9, 2), ("bob", "open", 0, 1)]
    tools = ["ours", "amplitude", "mixpanel_totals"]
    table = funnel_definitions(events(rows), steps=["open", "pay"], window_days=1, tools=tools).to_pandas()
    with speaking("en"):
        said = [finding.text for finding in sentences.funnels(sides.conversions(table), sides.choices(table, "users"))]
    assert said == [
        "Mixpanel (totals) shows as many converted as ours (1), but of 3 tries that entered instead of 2: "
        "tries are counted, not users (0).",
        "The same as ours on this data (1 converted): Amplitude.",
    ]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (0, "4 converted by every definition; day-7 retention is 50.0% by ours, 70"),
        (-3, "4 converted by our definition, 1 by Mixpanel; day-7"),
    ],
)
def test_the_headline_tells_each_question_s_own_two_numbers(lost, told):
    converted = pd.DataFrame({"tool": ["ours", "mixpanel"], "converted": [4, 4 + lost], "lost": [0, lost]})
    back = pd.DataFrame({"tool": ["ours", "mixpanel"], "rate": [0.5, 0.7], "lost": [0.0, 0.2]})
    with speaking("en"):
        assert told in sentences.headline(converted, back, 7)


def test_compare_prints_every_tool_s_number_and_a_sentence_for_each_difference(warehouse, capsys):
    asked = ["compare", "funnel", "--steps", "app_open,add_to_cart,pay", "--source", str(warehouse)]
    assert cli.main(asked) == 0
    out = capsys.readouterr().out
    assert all(f"{tool}: " in out for tool in ("Ours", "Mixpanel", "PostHog", "Amplitude", "GrowthBook"))
    assert "only the first entry starts the clock" in out
    assert cli.main(["compare", "retention", "--cohort", "register", "--lang", "zh", "--source", str(warehouse)]) == 0
    out = capsys.readouterr().out
    assert "神策" in out and "友盟" in out and "当天没来、之后任何一天来过也算" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["funnel", "--steps", "app_open,payy"], "no event “payy” in the data; did you mean “pay”?"),
        (["funnel", "--steps", "app_open,pay", "--tools", "mixpannel"], "did you mean 'mixpanel'?"),
        (["funnel", "--steps", "app_open,pay", "--window-days", "0"], "window_days must be more than 0"),
        (["retention", "--day", "0"], "days must be a whole number from 1 to 366"),
    ],
)
def test_compare_says_in_one_line_what_cannot_be_meant(words, told, warehouse, capsys):
    assert cli.main(["compare", *words, "--source", str(warehouse)]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
