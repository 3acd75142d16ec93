"""Campaigns and experiments: error rates of the readout, planted effects and rings, ten million users, 27 real campaigns.

How long, on one core: error rates 4 minutes, planted effects 5, rings half a one, the readout 6 for its data (once, 2 GB),
one alone and two as a page, the 27 campaigns two.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from opslib import engine, packs
from opslib.errors import TooLittleError
from opslib.metrics.campaign import risk_signals
from opslib.metrics.experiment import outcome_sums
from opslib.models import ablooks, abtest, retrospective
from tests import bench
from tests.benches import experiment
from tests.promise import FOLDER, ROOT, Measured, cost, project, within
from tests.promises import _samples

TESTS, DAYS, A_DAY, EXPOSED = 2_000, 14, {"rate": 200, "money": 100}, 10_000_000
Draw = Callable[[np.random.Generator], tuple[pd.DataFrame, pd.DataFrame]]


def promise_type_one_error() -> Iterator[Measured]:
    """2,000 tests without an effect: how often the readout's fixed and its always-valid reading see one."""
    for what, metric, draw in (("rates", "pay", _rates), ("money", abtest.REVENUE, _money)):
        at_end, looked, anew = _alarms(metric, draw)
        yield within(f"{what}, alarms of the fixed reading at the end", at_end, least=0.04, most=0.06, unit="%")
        yield within(f"{what}, of the always-valid one over {DAYS} daily looks", looked, most=0.05, unit="%")
        yield within(f"{what}, of it in pages run anew every second day", anew, most=0.05, unit="%")


def _alarms(metric: str, draw: Draw) -> tuple[float, float, float]:
    """Shares of alarms at the end, at any look of the last page, and at the newest look of any day's own page.

    A page is tightest at the users of its own last day, so the pages run anew, every second day, are a test of their own.
    """
    test = abtest.Test("t", "t", "a", {"a": 0.5, "b": 0.5}, metric, dt.date(2026, 1, 1), dt.date(2026, 2, 1), False)
    rng, found = np.random.default_rng(11), np.zeros(3)
    for _ in range(TESTS):
        daily, whole = draw(rng)
        fixed = abtest.comparisons(whole, test)
        pages = [ablooks.looks(daily[daily.start < days], test) for days in range(2, DAYS + 1, 2)]
        newest = pd.concat([page.tail(1) for page in pages])
        found += [bool(fixed.p.iloc[0] < 0.05), _left_zero(pages[-1]), _left_zero(newest)]
    at_end, looked, anew = found.tolist()
    return at_end / TESTS, looked / TESTS, anew / TESTS


def _left_zero(looks: pd.DataFrame) -> bool:
    return bool(((looks.low > 0) | (looks.high < 0)).any())


def _rates(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One in five does it, in both arms: the sums by day of exposure, and those of everybody."""
    n, hits = A_DAY["rate"], rng.binomial(A_DAY["rate"], 0.2, (2, DAYS))
    daily = [_sums("pay", v, n, start=d, hits=hits[i, d]) for i, v in enumerate("ab") for d in range(DAYS)]
    whole = [_sums("pay", v, n * DAYS, hits=hits[i].sum()) for i, v in enumerate("ab")]
    return pd.DataFrame(daily), pd.DataFrame(whole)


def _money(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three in ten pay, a little or a lot."""
    n = A_DAY["money"]
    paid = rng.lognormal(2, 1, (2, DAYS, n)) * (rng.random((2, DAYS, n)) < 0.3)
    daily = [_sums("revenue", v, n, start=d, paid=paid[i, d]) for i, v in enumerate("ab") for d in range(DAYS)]
    whole = [_sums("revenue", v, n * DAYS, paid=paid[i].ravel()) for i, v in enumerate("ab")]
    return pd.DataFrame(daily), pd.DataFrame(whole)


def _sums(metric: str, variant: str, n: int, *, hits: int = 0, paid: np.ndarray | None = None, **more: Any) -> dict:
    """A row as `outcome_sums` gives it, of users without a past."""
    money = {"hits": hits, "mean": 0.0, "var": 0.0, "top": 1.0}
    if paid is not None:
        money = {"hits": (paid > 0).sum(), "mean": paid.mean(), "var": paid.var(ddof=1), "top": paid.max()}
    past = {"pre_hits": 0, "both_hits": 0, "pre_mean": 0.0, "pre_var": 0.0, "cov": 0.0}
    return {"metric": metric, "variant": variant, "n": n} | money | past | more


def promise_planted_effect() -> Iterator[Measured]:
    """What a campaign really brought, in 100 samples of 20,000 users, against the interval that its hold-out gives."""
    inside = {"buyers": 0, "revenue": 0}
    for seed in range(1, 101):
        with _samples.made(seed, 20_000) as (folder, truths):
            told = truths["campaigns"]["holdout"]
            read = _incremental(folder, told["campaign_id"])
        for name in inside:
            at = getattr(read, name, None)  # a hold-out that cannot be read has not found it
            inside[name] += at is not None and at.low <= told[f"extra_{name}"] <= at.high
    for name, seeds in inside.items():
        yield within(f"extra {name} inside their 95 % interval", seeds, least=90, unit=" of 100 seeds")


def _incremental(folder: Path, campaign_id: str) -> retrospective.Extra | None:
    """As notebooks/campaign_retrospective.ipynb has it."""
    with _samples.tables(folder, "exposures", "events", "orders", "users", "campaigns", "experiments") as t:
        observed = pd.Timestamp(t.ask(t.events.day.max())).date()
        tests = t.ask(t.experiments)
        this = retrospective.chosen(t.ask(t.campaigns), campaign_id, observed=observed)
        test = abtest.chosen(tests[tests.experiment_id == this.holdout], "", "pay", observed=observed)
        asked = {"experiment_id": test.id, "metrics": ["pay"], "window_days": this.days, "until": str(observed)}
        sums = t.ask(outcome_sums(t.exposures, t.events, t.orders, t.users, **asked))
    try:
        return retrospective.incremental(sums, test, this.rewards)
    except TooLittleError:
        return None


def promise_cheating_rings() -> Iterator[Measured]:
    """The planted rings on the review list, and honest users on it where there is no ring; six samples of 20,000 users."""
    for seed in (7, 1, 2, 3, 4, 5):
        with _samples.made(seed, 20_000) as (folder, truths):
            members = {m for ring in truths["campaigns"]["rings"] for m in ring["members"]}
            listed, claimed = _listed(folder, "c03_invite")
            free = [_listed(folder, "c03_invite", without=members)]
            free += [_listed(folder, campaign) for campaign in ("c02_spring_cards", "c05_check_in")]
        hits, of = len(listed & members), f"seed {seed}, {len(members)} in rings of {claimed:,} who claimed"
        yield within(f"{of}: precision", hits / max(1, len(listed)), least=0.95, unit="%")
        yield within(f"{of}: recall", hits / len(members), least=0.9, unit="%")
        worst = max(len(own) / max(1, n) for own, n in free)
        among = "/".join(f"{n:,}" for _, n in free)
        what = f"seed {seed}, no ring among {among} who claimed: listed at most"
        yield Measured(what, "< 1.00%", f"{worst:.2%}", worst < 0.01)


def _listed(folder: Path, campaign: str, without: Collection[str] = ()) -> tuple[set[str], int]:
    """Accounts up for review, and how many accounts claimed a reward."""
    with _samples.tables(folder, "events", "users", without=without) as t:
        claims = t.ask(risk_signals(t.events, t.users, campaign_id=campaign))
    return set(retrospective.suspects(claims).user_id), claims.user_id.nunique()


def promise_readout_cost() -> Iterator[Measured]:
    """All that ab_readout computes, on ten million users in two variants and ten metrics, in a process of its own; nothing set."""
    words = ("tests.benches.experiment", str(4 * EXPOSED))
    cost(*words)  # the data alone
    taken = cost(*words, "readout")
    yield within("CPU", taken.cpu, most=60, unit=" s")
    yield within("largest process", taken.peak, most=2, unit=" GiB")


def promise_readout_page() -> Iterator[Measured]:
    """The same as a page by `opslib run`, which first holds all tables against the contract: nothing is promised of that."""
    data = bench.Data(4 * EXPOSED, bench.FOLDER)
    cost("tests.benches.experiment", str(data.events))
    others = [name for name in experiment.EVENTS if name != "pay"]
    with project() as folder:
        words = ["-p", f"source={experiment.warehouse(data)}", "-p", f"others={json.dumps(others)}"]
        taken = cost("opslib.cli", "run", "ab_readout", *words, folder=folder)
        ((run, facts),) = _told(folder, "ab_readout")
    users = max(f.get("n") or 0 for f in facts)
    yield within("users of the largest finding", users, least=0.99 * EXPOSED)
    yield Measured("the page", "nothing", f"{run['status']}, {taken.cpu:.0f} CPU s, {taken.peak:.2f} GiB", True)


def promise_real_campaigns() -> Iterator[Measured]:
    """The 27 campaigns of The Complete Journey as a grid of retrospectives, with their published redemption rates."""
    published, root = ROOT / "data/samples/completejourney", FOLDER / "completejourney"
    packs.load(published / "pack.yml", root)
    with project() as folder:
        words = ["campaign_retrospective", "--each", "campaign_id", "-p", f"source={root}", "-p", "lang=en"]
        taken = cost("opslib.cli", "run", *words, folder=folder)
        told = _told(folder, "campaign_retrospective")
    fine = [run for run, _ in told if run["status"] == "ok"]
    yield within(f"retrospectives made, in {taken.cpu:.0f} CPU s", len(fine), least=27, most=27)
    running, counts = _running(root), _published(published)
    facts = {run["parameters"]["campaign_id"]: {f["id"]: f for f in own} for run, own in told}
    right = [id for id, own in facts.items() if id not in running and _as_published(own, *counts[id])]
    what = f"pages of those that are over ({len(running)} still run) with the published redemption"
    over = len(counts) - len(running)
    yield within(what, len(right), least=over, unit=f" of {over}")


def _running(root: Path) -> set[str]:
    """Campaigns that end after the last day of the data."""
    tables = engine.connect(root)
    campaigns, observed = tables.campaigns.to_pandas(), tables.span()[1]
    return {id for id in campaigns.campaign_id if retrospective.chosen(campaigns, id, observed=observed).running}


def _as_published(facts: dict[str, dict], sent: int, redeemed: int) -> bool:
    """Whether a page's findings tell so many of so many, or that nobody answered where nobody did."""
    rate = facts.get("campaign.response.redeem_coupon")
    if rate is None:
        return redeemed == 0 and "campaign.response.zero" in facts
    return (rate["n"], round(rate["value"] * rate["n"])) == (sent, redeemed)


def _told(folder: Path, module: str) -> list[tuple[dict, list[dict]]]:
    """Each run's record and findings."""
    runs = (path.parent for path in sorted((folder / "outputs" / module).glob("*/run.json")))
    return [
        tuple(json.loads((run / f"{name}.json").read_text("utf-8")) for name in ("run", "findings")) for run in runs
    ]


def _published(folder: Path) -> dict[str, tuple[int, int]]:
    """Households that a campaign was sent to, and those of them that redeemed a coupon of it, by campaign."""
    sent, redeemed = (pd.read_csv(folder / f"{name}.csv", dtype=str) for name in ("campaigns", "coupon_redemptions"))
    hits = sent.merge(redeemed[["campaign_id", "household_id"]].drop_duplicates())
    return {id: (rows.household_id.nunique(), hits[hits.campaign_id == id].household_id.nunique())
            for id, rows in sent.groupby("campaign_id")}  # fmt: skip
