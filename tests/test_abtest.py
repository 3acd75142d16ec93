"""The A/B readout: what users did around their exposure, the planted experiments of the sample, and data that cannot carry a verdict."""

from __future__ import annotations

import datetime as dt
import math

import ibis
import numpy as np
import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError, UsageError
from opslib.metrics.experiment import arms, outcome_sums, ratio_sums
from opslib.models import abguards, ablooks, absegments, abtest, readout, sequential
from opslib.models.experiment import means, proportions, sample_ratio
from opslib.sentences import experiment as statements
from opslib.sentences import experiment_effects
from opslib.text import speaking


def exposed(user: str, variant: str, day: int, hour: int = 12, test: str = "x") -> dict:
    return {"experiment_id": test, "user_id": user, "variant": variant, "ts": at(day, hour)}


def did(user: str, day: int, hour: int = 12, event: str = "pay") -> dict:
    return {"event_id": f"{user}{event}{day}-{hour}", "user_id": user, "event": event, "ts": at(day, hour)}


def paid(user: str, day: int, amount: float) -> dict:
    return {"order_id": f"{user}{day}", "user_id": user, "paid_at": at(day), "amount": amount}


def sums(con, exposures, events, orders=(), users=(), **how) -> pd.DataFrame:
    tables = [
        bound("exposures", exposures),
        bound("events", events),
        bound("orders", list(orders)),
        bound("users", list(users)),
    ]
    how = {"experiment_id": "x", "metrics": ["pay"], "until": "2026-03-01"} | how
    return con.execute(outcome_sums(*tables, **how)).set_index(["metric", "variant"])


# ── the metric ──────────────────────────────────────────────────────────────


def test_the_moment_of_exposure_counts_and_the_end_of_the_window_does_not(con):
    rows = [did("ann", 10), did("bob", 17), did("cy", 10, 11)]
    got = sums(con, [exposed(u, "a", 10) for u in ("ann", "bob", "cy")], rows, window_days=7)
    assert got.loc[("pay", "a"), ["n", "hits", "pre_hits"]].to_list() == [3, 1, 1]


def test_a_user_of_two_variants_and_one_whose_window_is_open_are_left_out(con):
    rows = [exposed("ann", "a", 1), exposed("ann", "b", 2), exposed("bob", "a", 1), exposed("cy", "a", 26)]
    got = sums(con, rows, [did("bob", 2)], window_days=7, until="2026-01-31")
    assert got.loc[("pay", "a"), "n"] == 1 and ("pay", "b") not in got.index


def test_the_first_exposure_starts_the_clock(con):
    got = sums(con, [exposed("ann", "a", 1), exposed("ann", "a", 9)], [did("ann", 5)], window_days=7)
    assert got.loc[("pay", "a"), "hits"] == 1 and got.loc[("pay", "a"), "pre_hits"] == 0


def test_money_is_the_orders_of_the_window_with_zero_for_those_who_paid_nothing(con):
    got = sums(
        con,
        [exposed("ann", "a", 10), exposed("bob", "a", 10)],
        [did("ann", 11)],
        [paid("ann", 11, 30.0), paid("ann", 5, 7.0)],
        window_days=7,
    )
    row = got.loc[("revenue", "a")]
    assert (row["mean"], row["var"], row.pre_mean, row.top) == (15.0, 450.0, 3.5, 30.0)


def test_users_of_two_variants_are_counted_in_both_and_named(con):
    rows = [exposed("ann", "a", 1), exposed("ann", "b", 2), exposed("bob", "a", 1), exposed("bob", "z", 1, test="y")]
    got = con.execute(arms(bound("exposures", rows))).set_index(["experiment_id", "variant"])
    assert got[["users", "crossed"]].T.to_dict("list") == {("x", "a"): [2, 1], ("x", "b"): [1, 1], ("y", "z"): [1, 0]}


moments = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=25)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.integers(5, 25)), min_size=1, max_size=6),
    moments,
    st.integers(0, 8),
)
def test_outcome_sums_is_its_definition(con, seen, acts, window):
    got = sums(
        con,
        [exposed(u, v, d) for u, v, d in seen],
        [did(u, d) for u, d in set(acts)],
        window_days=window,
        pre_days=5,
        until="2026-01-25",
    )
    want: dict[str, list[tuple[int, int]]] = {}
    for user in {u for u, _, _ in seen}:
        since, variants = min(d for u, _, d in seen if u == user), {v for u, v, _ in seen if u == user}
        if len(variants) > 1 or since + window > 24:
            continue
        days = [d for u, d in set(acts) if u == user]
        after = sum(d >= since and (not window or d < since + window) for d in days)
        want.setdefault(variants.pop(), []).append((after, sum(since - 5 <= d < since for d in days)))
    for variant in "xy":
        rows = want.get(variant, [])
        if not rows:
            assert ("pay", variant) not in got.index
            continue
        a, b = np.array(rows, float).T
        row = got.loc[("pay", variant)]
        assert (row.n, row.hits, row.pre_hits, row.both_hits) == (
            len(a),
            (a > 0).sum(),
            (b > 0).sum(),
            ((a > 0) & (b > 0)).sum(),
        )
        assert math.isclose(row["mean"], a.mean()) and math.isclose(row.pre_mean, b.mean())
        if len(a) > 1:
            assert math.isclose(row["var"], a.var(ddof=1), abs_tol=1e-9) and math.isclose(
                row["cov"], np.cov(a, b)[0, 1], abs_tol=1e-9
            )


def test_a_step_with_conditions_counts_beside_the_name_that_it_shares_events_with(con):
    steps = ["pay", {"event": ["pay", "read"]}, "pay", None]
    rows = [did("ann", 11), did("ann", 12, event="read"), did("bob", 11, event="open")]
    got = con.execute(
        outcome_sums(
            bound("exposures", [exposed(u, "a", 10) for u in ("ann", "bob")]), bound("events", rows), bound("orders", []),
            bound("users", []), experiment_id="x", metrics=steps, window_days=7, until="2026-03-01",
        )
    )  # fmt: skip
    assert got.metric.to_list() == ["pay", "pay|read", "pay", "*", "revenue"]
    assert got.hits.to_list() == [1, 1, 1, 2, 0] and got["mean"].to_list() == [0.5, 1.0, 0.5, 1.5, 0.0]


def test_users_without_a_segment_are_a_segment_and_those_who_did_nothing_count_in_theirs(con):
    people = [{"user_id": u, "registered_at": at(1), "platform": p} for u, p in (("ann", "ios"), ("bob", "ios"), ("cy", ""))]  # fmt: skip
    rows = [exposed(u, "a", 10) for u in ("ann", "bob", "cy", "dan", "eve")]
    got = sums(con, rows, [did("ann", 11), did("dan", 11)], users=people, by="platform", window_days=7)
    part = got.loc["pay"].fillna({"segment": "none"}).set_index("segment")
    assert part[["n", "hits", "mean", "var"]].round(3).T.to_dict("list") == {
        "ios": [2, 1, 0.5, 0.5], "": [1, 0, 0.0, pytest.approx(np.nan, nan_ok=True)], "none": [2, 1, 0.5, 0.5],
    }  # fmt: skip


def test_moments_of_large_values_keep_their_digits(con):
    """A variance by sums of squares would have lost them all: METHODS.md, 0.6."""
    rng = np.random.default_rng(3)
    amounts = 1e8 + rng.normal(0, 1, 200)
    orders = [paid(f"u{i}", 11, float(a)) for i, a in enumerate(amounts)]
    got = sums(con, [exposed(f"u{i}", "a", 10) for i in range(200)], [did("u1", 11)], orders, window_days=7)
    assert got.loc[("revenue", "a"), "var"] == pytest.approx(amounts.var(ddof=1), rel=1e-6)


# ── the models ──────────────────────────────────────────────────────────────


def a_test(**more) -> abtest.Test:
    day = dt.date(2026, 1, 1)
    return abtest.Test(
        **{
            "id": "x",
            "name": "x",
            "control": "a",
            "split": {"a": 0.5, "b": 0.5},
            "metric": "pay",
            "first": day,
            "last": day,
            "running": False,
        }
        | more
    )


def counted(arms: dict[str, tuple[int, int]], metric: str = "pay", **more) -> pd.DataFrame:
    rows = [{"metric": metric, "variant": v, "n": n, "hits": h, "pre_hits": 0, "both_hits": 0, "mean": h / n, "var": 0.2, "pre_mean": 0.0,
             "pre_var": 0.0, "cov": 0.0, "top": 1.0} | more for v, (n, h) in arms.items()]  # fmt: skip
    return pd.DataFrame(rows)


def sized(**users: int) -> pd.DataFrame:
    table = pd.DataFrame({"variant": list(users), "users": list(users.values()), "crossed": 0})
    return table.assign(share=table.users / table.users.sum(), promised=1 / len(table))


def test_a_variant_that_the_split_does_not_name_is_a_broken_split():
    check, _ = abtest.split_check(sized(a=500, b=500, c=3), a_test())
    assert not check.ok
    assert abtest.split_check(sized(a=500, b=500), a_test())[0].ok


def test_a_promised_arm_without_users_is_a_broken_split():
    assert not abtest.split_check(sized(a=500, b=500), a_test(split={"a": 1, "b": 1, "c": 1}))[0].ok


def test_an_experiment_without_its_control_has_no_reading():
    with pytest.raises(TooLittleError):
        abtest.split_check(sized(b=500, c=500), a_test())


def test_a_broken_split_stops_whatever_the_effect():
    found = abtest.comparisons(counted({"a": (1000, 100), "b": (1000, 300)}), a_test())
    assert abtest.verdict(found, a_test(), split_ok=False) == ("stop", "")
    assert abtest.verdict(found, a_test(), split_ok=True) == ("ship", "b")


def test_a_running_test_gets_no_verdict():
    found = abtest.comparisons(counted({"a": (1000, 100), "b": (1000, 300)}), a_test(running=True))
    assert abtest.verdict(found, a_test(running=True), split_ok=True)[0] == "running"


def test_a_variant_of_three_users_is_not_judged():
    found = abtest.comparisons(counted({"a": (1000, 100), "b": (3, 3)}), a_test())
    assert not found.enough.any() and found.p.isna().all()
    assert abtest.verdict(found, a_test(), split_ok=True)[0] == "few"


@pytest.mark.parametrize(("metric", "words"), [("pay", "没有人做过"), (abtest.REVENUE, "没有人支付")])
def test_zero_conversions_are_no_verdict_and_said_so(metric, words):
    test, rows = a_test(metric=metric), counted({"a": (1000, 0), "b": (1000, 0)}, metric, mean=0.0, var=0.0, top=0.0)
    what = abtest.verdict(abtest.comparisons(rows, test), test, split_ok=True)
    assert what == ("nobody", "") and words in statements.decision(what, test)
    assert "曝光后 7 天内" in statements.decision(what, test, window_days=7)


def test_money_carried_by_one_user_is_not_judged():
    rows = counted({"a": (1000, 10), "b": (1000, 10)}, abtest.REVENUE, mean=1.0, var=400.0, top=900.0)
    found = abtest.comparisons(rows, a_test(metric=abtest.REVENUE))
    assert not found.enough.any() and found.whale.iloc[0] == pytest.approx(0.45)
    what = abtest.verdict(found, a_test(metric=abtest.REVENUE), split_ok=True)
    assert what == ("whale", "") and "个别用户" in statements.decision(what, a_test(metric=abtest.REVENUE))


def test_a_whale_in_an_arm_that_cannot_spare_a_user_is_too_few_users():
    test = a_test(metric=abtest.REVENUE)
    for n, what in ((29, "few"), (30, "few"), (31, "whale")):
        rows = counted({"a": (100, 1), "b": (n, 1)}, abtest.REVENUE, mean=1.0, var=25.0, top=29.0)
        assert abtest.verdict(abtest.comparisons(rows, test), test, split_ok=True)[0] == what


def test_a_second_whale_leaves_the_rest_unjudged_too():
    from opslib.sentences import experiment_guards as guards

    rng = np.random.default_rng(5)
    small, test = rng.gamma(1, 5, (2, 500)), a_test(metric=abtest.REVENUE)
    for more, judged in (([90_000.0], True), ([90_000.0, 80_000.0], False)):
        values = {"a": np.append(small[0], 5.0), "b": np.append(small[1], more)}
        rows = pd.DataFrame(
            [
                {"metric": "revenue", "variant": v, "n": len(x), "hits": len(x), "mean": x.mean(), "var": x.var(ddof=1), "top": x.max()}
                for v, x in values.items()
            ]
        )  # fmt: skip
        again = abguards.without_top(rows, test)
        told = guards.without_top(abtest.comparisons(rows, test), again)[0]
        assert again.enough.iloc[0] == judged == again.low.notna().iloc[0]
        assert told.level == "watch" and ("仍可能" in told.text) != judged


def test_no_treatment_with_a_whole_window_is_too_little_and_a_missing_one_is_named():
    with pytest.raises(TooLittleError, match="实验组"):
        abtest.comparisons(counted({"a": (1000, 100)}), a_test())
    rows = counted({"a": (1000, 100), "b": (1000, 120)})
    _, table = abtest.split_check(sized(a=1000, b=1000, c=1000), a_test(split={"a": 1, "b": 1, "c": 1}))
    told = statements.hygiene(table, rows, abtest.comparisons(rows, a_test()), a_test(), 7)
    assert [f.text.split(" ")[0] for f in told if f.id == "experiment.missing"] == ["c"]
    found = abtest.comparisons(rows, a_test())
    assert abtest.verdict(found[found.metric == "other"], a_test(), split_ok=True)[0] == "few"


def test_comparisons_that_were_not_judged_are_not_counted_as_unmoved():
    from opslib.sentences import experiment_effects as told

    rows = [counted({"a": (1000, 100), "b": (1000, 101)}, m) for m in ("pay", "read")]
    rows.append(counted({"a": (1000, 0), "b": (1000, 0)}, abtest.REVENUE, mean=0.0, var=0.0, top=0.0))
    found = abtest.comparisons(pd.concat(rows, ignore_index=True), a_test())
    assert "其余 1 项" in told.others(found, a_test(), [], 0.01)[0].text
    assert "不足以判断" in told.others(found[found.metric != "read"], a_test(), [], 0.01)[0].text
    parts = pd.DataFrame({"segment": ["s", "t"], "p": [0.5, np.nan], "p_adjusted": [0.5, np.nan]})
    assert told.segments(parts, "platform").text.startswith("1 个")
    assert "不足以判断" in told.segments(parts[1:], "platform").text


def test_beside_a_whale_stands_the_reading_without_it():
    from opslib.sentences import experiment_guards as guards

    rows = counted({"a": (1000, 10), "b": (1000, 10)}, abtest.REVENUE, mean=1.0, var=810.0, top=900.0)
    test = a_test(metric=abtest.REVENUE)
    told = guards.without_top(abtest.comparisons(rows, test), abguards.without_top(rows, test))[0]
    assert told.level == "watch" and "不作判断" in told.text and told.low < 0 < told.high


@pytest.mark.parametrize(("diff", "written"), [(0.75, "+$0.75 apart (+$0.50 to +$1.00)"), (-0.75, "−$0.75 apart (−$1.00 to −$0.50)"), (0.001, "user $0.00 apart")])  # fmt: skip
def test_money_without_its_largest_users_has_its_direction(diff, written):
    from opslib.sentences import experiment_guards as guards

    row = {"metric": abtest.REVENUE, "variant": "b", "diff": diff, "low": diff - 0.25, "high": diff + 0.25, "whale": 0.0, "n": 9, "n_control": 9}  # fmt: skip
    with speaking("en", "USD"):
        assert written in guards.without_top(pd.DataFrame([row]), pd.DataFrame([row]))[0].text


def test_a_guardrail_that_may_fall_holds_a_winner_back():
    rows = pd.concat(
        [counted({"a": (1000, 100), "b": (1000, 300)}), counted({"a": (1000, 500), "b": (1000, 450)}, "read")]
    )
    found = abtest.comparisons(rows.reset_index(drop=True), a_test())
    assert abtest.verdict(found, a_test(), split_ok=True, guardrails=["read"]) == ("reject", "b")


def test_a_guardrail_that_nobody_did_guards_nothing_and_is_said_to():
    from opslib.sentences import experiment_effects as told

    rows = pd.concat([counted({"a": (1000, 100), "b": (1000, 300)}), counted({"a": (1000, 0), "b": (1000, 0)}, "read")])
    found = abtest.comparisons(rows, a_test())
    what = abtest.verdict(found, a_test(), split_ok=True, guardrails=["read"])
    assert what == ("ship", "b") and abtest.guarding(found, a_test(), ["read"]).empty
    assert "没有可观察的护栏" in statements.decision(what, a_test(), guarded=False)
    none, guard = told.others(found, a_test(), ["read"], 0.03)
    assert "不足以判断" in none.text and guard.level == "watch" and "起不到护栏的作用" in guard.text


@pytest.mark.parametrize(("treated", "what"), [(9.9, "ship"), (9.0, "reject")])
def test_money_as_a_guardrail_may_fall_by_a_share_of_the_control_s(treated, what):
    from opslib.sentences import experiment_effects as told

    money = [counted({v: (100_000, 5_000)}, abtest.REVENUE, mean=m, var=400.0, top=99.0) for v, m in (("a", 10.0), ("b", treated))]  # fmt: skip
    found = abtest.comparisons(pd.concat([counted({"a": (100_000, 100), "b": (100_000, 300)}), *money]), a_test())
    assert abtest.verdict(found, a_test(), split_ok=True, guardrails=["revenue"], margin=0.03)[0] == what
    guard = told.others(found, a_test(), ["revenue"], 0.03)[-1]
    assert guard.level == ("info" if what == "ship" else "watch") and "−3.0%" in guard.text


def test_several_variants_are_judged_on_corrected_p():
    arms = {"a": (1000, 100)} | dict.fromkeys("b", (1000, 128)) | dict.fromkeys("cde", (1000, 100))
    found = abtest.comparisons(counted(arms), a_test())
    assert found.p.min() < 0.05 and abtest.verdict(found, a_test(), split_ok=True)[0] == "undecided"


def test_what_is_shipped_is_said_to_be_good_however_many_other_metrics_are_read():
    """The primary metric is corrected for its own variants (Holm), all others among themselves (Benjamini-Hochberg)."""
    arms = {"a": (1000, 100), "b": (1000, 132)}
    rows = [counted(arms)] + [counted(dict.fromkeys("ab", (1000, 100)), metric=f"other_{k}") for k in range(9)]
    found = abtest.comparisons(pd.concat(rows), a_test())
    primary, rest = found[found.metric == "pay"], found[found.metric != "pay"]
    assert 0.01 < primary.p.iloc[0] == primary.p_adjusted.iloc[0] < 0.05
    assert abtest.verdict(found, a_test(), split_ok=True) == ("ship", "b")
    assert [f.level for f in experiment_effects.effects(found, a_test())] == ["good"]
    assert rest.p_adjusted.to_numpy() == pytest.approx(readout.corrected(rest.p, "bh"))


def test_a_chance_is_never_called_certain_and_a_small_loss_not_none():
    table = pd.DataFrame({"variant": ["a", "b"], "n": [900, 900], "chance": [1e-9, 1 - 1e-9], "loss": [0.09, 1e-7]})
    with speaking("en"):
        said = experiment_effects.chance(table, a_test()).text
    assert said == "“b” is most likely the best, with a chance of >99.9%; shipping it is expected to lose under 0.1 pp."


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        ("undecided", "watch"),
        ("few", "watch"),
        ("running", "watch"),
        ("whale", "watch"),
        ("ship", "info"),
        ("harm", "info"),
    ],
)
def test_too_few_users_are_a_worry_only_where_the_test_did_not_decide(verdict, level):
    few = ablooks.Reach(detectable=0.04, wanted=0.02, power=0.3, needed=7000, n=1800)
    assert experiment_effects.power(few, a_test(), 0.1, verdict).level == level


def test_merged_days_have_the_moments_of_all_users():
    rng = np.random.default_rng(1)
    days = [rng.gamma(1, 5, n) for n in (40, 3, 17)]
    rows = pd.DataFrame(
        {
            "start": range(3),
            "n": [len(d) for d in days],
            "hits": 1,
            "mean": [d.mean() for d in days],
            "var": [d.var(ddof=1) for d in days],
        }
    )
    got = ablooks._so_far(rows, money=True).iloc[-1]
    every = np.concatenate(days)
    assert got["mean"] == pytest.approx(every.mean()) and got["var"] == pytest.approx(every.var(ddof=1))


def test_cuped_on_counts_is_cuped_on_the_users():
    """The same adjusted difference as from one row per user, and a smaller variance where the past tells."""
    rng = np.random.default_rng(2)
    arms, rows = {}, []
    for v in "ab":
        x = rng.random(4000) < 0.3
        y = np.where(rng.random(4000) < 0.8, x, rng.random(4000) < 0.3)
        arms[v] = (x.astype(float), y.astype(float))
        rows.append(
            {"metric": "pay", "variant": v, "n": 4000, "hits": y.sum(), "pre_hits": x.sum(), "both_hits": (x & y).sum()}
        )
    got = abtest.adjusted(pd.DataFrame(rows), a_test()).iloc[0]
    theta = sum(np.cov(x, y)[0, 1] for x, y in arms.values()) / sum(x.var(ddof=1) for x, _ in arms.values())
    a, b = (y - theta * x for x, y in arms.values())
    assert got["diff"] == pytest.approx(b.mean() - a.mean())
    assert 0.5 < got.reduction < 0.8 and got.low < 0 < got.high


def test_a_past_that_does_not_vary_is_not_adjusted_by():
    assert abtest.adjusted(counted({"a": (1000, 100), "b": (1000, 120)}), a_test()).empty


def test_the_newest_experiment_is_read_and_a_wrong_id_is_named():
    rows = pd.DataFrame({"experiment_id": ["old", "new"], "name": None, "control": "a", "split": '{"a": 1, "b": 1}', "metric": "pay",
                         "starts_at": pd.to_datetime(["2026-01-01", "2026-02-01"]), "starts_day": pd.to_datetime(["2026-01-01", "2026-02-01"]),
                         "ends_at": pd.NaT, "ends_day": pd.NaT})  # fmt: skip
    assert abtest.chosen(rows, "", "", observed=dt.date(2026, 3, 1)).id == "new"
    assert abtest.chosen(rows, "old", "click", observed=dt.date(2026, 3, 1)).metric == "click"
    with pytest.raises(UsageError, match="没有编号为「nev」的实验；是不是「new」"):
        abtest.chosen(rows, "nev", "", observed=dt.date(2026, 3, 1))
    with pytest.raises(TooLittleError):
        abtest.chosen(rows.iloc[:0], "", "", observed=dt.date(2026, 3, 1))


@pytest.mark.slow
def test_peeking_every_day_raises_few_false_alarms_in_the_sequential_reading():
    """300 A/A tests looked at on 14 days: at most 5 % (two standard errors allowed) ever leave zero."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        hits = rng.binomial(100, 0.2, (2, 14))
        daily = pd.DataFrame([{"metric": "pay", "variant": v, "start": d, "n": 100, "hits": hits[i, d], "mean": 0.0, "var": 0.0}
                              for i, v in enumerate("ab") for d in range(14)])  # fmt: skip
        looks = ablooks.looks(daily, a_test())
        alarms += bool(((looks.low > 0) | (looks.high < 0)).any())
    assert alarms <= 300 * 0.05 + 2 * math.sqrt(300 * 0.05 * 0.95)


def test_of_two_thousand_tests_without_effect_one_in_twenty_alarms_at_the_end_and_fewer_ever_do_when_read_daily():
    """The readout run again every day, so that each day's is tightest at its own users: the always-valid promise as people use it."""
    days, tests, rng = 28, 2_000, np.random.default_rng(5)
    hits, users = rng.binomial(300, 0.2, (2, tests, days)).cumsum(axis=2), 300 * np.arange(1, days + 1)
    fixed = proportions((hits[0], hits[1]), (users, users), exact=False)
    rate = hits / users
    error = np.sqrt((rate * (1 - rate) / users).sum(axis=0))
    ever = np.zeros(tests, bool)
    for day in range(days):
        effect = rate[1, :, day] - rate[0, :, day]
        look = sequential.confidence_sequence(effect, error[:, day], 2 * users[day], tuning=2 * users[day])
        ever |= (look.low > 0) | (look.high < 0)
    assert 0.04 <= (fixed.p[:, -1] < 0.05).mean() <= 0.06
    assert ever.mean() <= 0.05
    assert (fixed.p < 0.05).any(axis=1).mean() > 0.2, "who peeks at the fixed reading is fooled, so the test has teeth"


# ── the sample's planted experiments ────────────────────────────────────────


@pytest.fixture(scope="module")
def planted(sampled):
    """The raw sample as contract tables, with their local days."""
    con = ibis.duckdb.connect()

    def read(name: str, clock: str, day: str):
        rows = con.read_parquet(str(sampled.folder / f"{name}.parquet"), table_name=name)
        return rows.mutate(**{day: (rows[clock] + ibis.interval(hours=8)).date()})

    tables = [
        read("exposures", "ts", "day"),
        read("events", "ts", "day"),
        read("orders", "paid_at", "paid_day"),
        read("users", "registered_at", "registered_day"),
    ]

    def readout(id: str, metric: str):
        told = sampled.truths["experiments"][id]
        how = {"experiment_id": id, "metrics": [metric], "window_days": 7, "until": sampled.truths["end"]}
        test = a_test(id=id, control=told["control"], split=told["split"], metric=metric)
        every = con.execute(arms(tables[0]))
        check, _ = abtest.split_check(every[every.experiment_id == id], test)
        return told, test, check, lambda **more: con.execute(outcome_sums(*tables, **how, **more))

    return readout


def test_the_planted_onboarding_effect_is_inside_the_interval_and_ships(planted):
    told, test, check, read = planted("exp_onboarding", "activate")
    found = abtest.comparisons(read(), test)
    row = found[found.metric == "activate"].iloc[0]
    assert check.ok and row.low < told["effect"] < row.high and row.low > 0
    assert abtest.verdict(found, test, split_ok=check.ok) == ("ship", "one_step")


def test_copies_without_an_effect_are_undecided(planted):
    _, test, check, read = planted("exp_copy", "click")
    found = abtest.comparisons(read(), test)
    assert check.ok and (found[found.metric == "click"].p_adjusted > 0.05).all()
    assert abtest.verdict(found, test, split_ok=check.ok)[0] == "undecided"


def test_a_larger_reward_brings_more_participants(planted):
    told, test, check, read = planted("exp_reward", "join_campaign")
    row = abtest.comparisons(read(), test).iloc[0]
    assert check.ok and row.lift_low < told["join_ratio"] - 1 < row.lift_high and row.low > 0


def test_the_broken_split_is_found_and_placed_on_the_platform_that_lost_users(planted):
    told, test, check, read = planted("exp_pay_button", "checkout")
    assert not check.ok
    assert absegments.split_by_segment(read(), test).empty, "without segments there is no row"
    where = absegments.split_by_segment(read(by="platform"), test)
    assert list(where[where.p < 0.001].segment) == [told["lost_platform"]]
    assert abtest.verdict(abtest.comparisons(read(), test), test, split_ok=check.ok)[0] == "stop"


def test_the_hold_out_finds_the_campaign_s_lift(planted, sampled):
    _, test, check, read = planted("holdout_c04_member_day", "pay")
    row = abtest.comparisons(read(), test).iloc[0]
    assert check.ok and row.low < sampled.truths["campaigns"]["holdout"]["realised"] < row.high and row.low > 0


# ── sentences ───────────────────────────────────────────────────────────────


def test_a_broken_split_is_said_first_and_says_what_to_do():
    check = sample_ratio([1925, 1631])
    table = sized(a=1925, b=1631)
    assert statements.split(check, table).level == "act"
    step = statements.actions(("stop", ""), a_test(), statements.on_split(check, table), due=dt.date(2026, 1, 1))[0]
    assert step.team == "engineering" and "p < 0.001" in step.evidence
    assert (step.baseline, step.target, step.format) == (table.share.iloc[0], 0.5, "percent")
    assert "停" in statements.decision(("stop", ""), a_test())


def test_a_split_broken_somewhere_is_placed_with_users_shares_and_p():
    where = pd.DataFrame({"segment": ["android", "ios"], "n": [1264, 1406], "share": [0.646, 0.484], "promised": 0.5, "p": [1e-24, 0.88]})  # fmt: skip
    with speaking("en"):
        told = statements.broken_where(where, sample_ratio([1925, 1631]), "platform")
        assert told.text.startswith(
            "It is broken in Android (1,264 users, 64.6% in the control against 50.0% promised, p < 0.001)"
        )
        assert told.n == 1264 and "iOS" not in told.text
        alike = statements.broken_where(where.assign(p=0.5), sample_ratio([1925, 1631]), "platform")
    assert alike.level == "info" and alike.n == 1264 + 1406
    assert statements.broken_where(where, sample_ratio([1000, 1000]), "platform") is None


@pytest.mark.parametrize(("what", "now", "then"), [("ship", 0.1, 0.2), ("harm", 0.2, 0.1), ("reject", None, None)])
def test_a_next_step_on_a_variant_rests_on_its_effect(what, now, then):
    found = pd.DataFrame([{"metric": "pay", "variant": "b", "control": 0.1, "treatment": 0.2, "diff": 0.1, "low": 0.05, "high": 0.15}])  # fmt: skip
    with speaking("en"):
        proof = statements.on_effect((what, "b"), found, a_test())
        step = statements.actions((what, "b"), a_test(), proof, due=dt.date(2026, 1, 1))[0]
    assert "+10.0 pp (+5.0 to +15.0 pp)" in step.evidence and (step.baseline, step.target) == (now, then)
    assert statements.on_effect((what, "c"), found, a_test()) == {}


# ── ratios, large spenders, unequal windows ─────────────────────────────────


def test_a_ratio_has_the_error_of_its_users_not_of_its_events(con):
    """By hand: ann 2 of 4, bob 0 of 1, cy none; the delta-method variance is that of the users' residuals y − r x over mean(x)²."""
    rows = (
        [did("ann", 1, h, "click") for h in (13, 14)]
        + [did("ann", 1, h, "impression") for h in (13, 14, 15, 16)]
        + [did("bob", 1, 13, "impression")]
    )
    shown = [exposed(u, "a", 1) for u in ("ann", "bob", "cy")]
    got = con.execute(
        ratio_sums(
            bound("exposures", shown),
            bound("events", rows),
            bound("users", []),
            experiment_id="x",
            over=("click", "impression"),
            until="2026-03-01",
        )
    ).iloc[0]
    assert (got.n, got["mean"], got.per_mean) == (3, pytest.approx(2 / 3), pytest.approx(5 / 3))
    y, x = np.array([2.0, 0, 0]), np.array([4.0, 1, 0])
    r = y.sum() / x.sum()
    want = np.var(y - r * x, ddof=1) / x.mean() ** 2
    found = abguards.ratio(pd.DataFrame([got, got]).assign(variant=["a", "b"], n=50), a_test())
    assert found.iloc[0].control == pytest.approx(0.4)
    assert found.iloc[0].se == pytest.approx(math.sqrt(2 * want / 50))


def test_the_ratio_keeps_its_error_rate_where_users_differ():
    """2,000 A/A tests whose users have their own rates and sizes: 4 to 6 % are false alarms; per event it would be far more."""
    rng = np.random.default_rng(11)
    arms_, naive = [], []
    for _ in "ab":
        x = 1 + rng.poisson(rng.gamma(0.5, 20, (2_000, 400)))
        y = rng.binomial(x, rng.beta(1, 3, (2_000, 400)))
        mean, per = y.mean(axis=1), x.mean(axis=1)
        cov = ((y - mean[:, None]) * (x - per[:, None])).sum(axis=1) / 399
        arms_.append(abguards.ratio_moments(400, mean, y.var(axis=1, ddof=1), per, x.var(axis=1, ddof=1), cov))
        naive.append(mean / per * (1 - mean / per) / (400 * per))
    found = means(*arms_)
    assert 0.04 <= (found.p < 0.05).mean() <= 0.06
    assert (np.abs(found.value) > 1.96 * np.sqrt(naive[0] + naive[1])).mean() > 0.2


def test_money_without_its_largest_user_is_exactly_that():
    rng = np.random.default_rng(2)
    values = {"a": rng.gamma(0.5, 20, 60), "b": np.append(rng.gamma(0.5, 20, 59), 4_000.0)}
    rows = [
        {"metric": "revenue", "variant": v, "n": len(x), "mean": x.mean(), "var": x.var(ddof=1), "top": x.max()}
        for v, x in values.items()
    ]
    got = abguards.without_top(pd.DataFrame(rows), a_test()).iloc[0]
    left = {v: np.sort(x)[:-1] for v, x in values.items()}
    assert got["diff"] == pytest.approx(left["b"].mean() - left["a"].mean())
    assert got.se == pytest.approx(math.sqrt(sum(x.var(ddof=1) / len(x) for x in left.values())))


def test_arms_exposed_apart_and_watched_to_the_end_are_no_comparison():
    from opslib.sentences import experiment_guards as guards

    def daily(**days: list[int]) -> pd.DataFrame:
        rows = [{"metric": "pay", "variant": v, "start": pd.Timestamp("2026-01-01") + pd.Timedelta(days=d), "n": n}
                for v, counts in days.items() for d, n in enumerate(counts)]  # fmt: skip
        return pd.DataFrame(rows)

    late, alike = daily(a=[1000], b=[0] * 8 + [1000]), daily(a=[1000], b=[1000])
    assert guards.windows(late, a_test(), 0).level == "act" and "8.0" in guards.windows(late, a_test(), 0).text
    found = abtest.comparisons(counted({"a": (1000, 100), "b": (1000, 300)}), a_test())
    what = abtest.verdict(found, a_test(), split_ok=True, even=abguards.even(late, a_test(), 0))
    assert what == ("uneven", "") and "window_days" in statements.decision(what, a_test())
    assert guards.windows(late, a_test(), 7) is None and guards.windows(alike, a_test(), 0) is None
    ramp = daily(a=[90, 70, 50, 30, 10], b=[10, 30, 50, 70, 90])  # first and last exposed on the same days
    assert abguards.apart(ramp, a_test()) == pytest.approx(1.6) and not abguards.even(ramp, a_test(), 0)
    one_late = daily(a=[40], b=[39] + [0] * 49 + [1])
    assert abguards.even(one_late, a_test(), 0)
    tiny = daily(a=[1000], b=[0, 0, 0, 0, 3])
    assert abguards.even(tiny, a_test(), 0)


def test_an_effect_over_unequal_windows_is_neither_good_nor_bad_and_read_no_further():
    from opslib.sentences import experiment_effects as told

    found = abtest.comparisons(counted({"a": (1000, 100), "b": (1000, 300)}), a_test())
    assert [told.effects(found, a_test(), even=e)[0].level for e in (True, False)] == ["good", "info"]
    abguards.need_judged(found, a_test(), True)
    with pytest.raises(TooLittleError, match="window_days"):
        abguards.need_judged(found, a_test(), False)
    small = abtest.comparisons(counted({"a": (1000, 100), "b": (3, 3)}), a_test())
    assert abtest.verdict(small, a_test(), split_ok=True, even=False)[0] == "few"


def test_a_split_slightly_off_is_warned_of_and_still_read():
    check = sample_ratio([44_700, 45_489])
    assert check.ok and statements.split(check, sized(a=44_700, b=45_489)).level == "watch"
