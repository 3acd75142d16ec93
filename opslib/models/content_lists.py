"""What to stop showing and what to show more: each item against the average of its category in the same places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models import post_counts
from opslib.models.content import KEEP
from opslib.models.content_groups import REACTIONS
from opslib.models.indices import above, gamma_prior, indices
from opslib.text import say

OUTCOMES = ("completes", "opens", "reactions")
LEAST_GAIN = 0.01  # of what average items bring in an item's place: less is no reason to act


@dataclass(frozen=True)
class Rules:
    """When an item is culled or boosted.

    `cull_below`, `boost_above`: true index below, or above, which it must be; `sure`: with this chance;
    `boost_times`: how many times as often a boosted item would be shown.
    """

    cull_below: float = 0.5
    boost_above: float = 1.8
    sure: float = 0.95
    boost_times: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.cull_below < self.boost_above or not 0.5 <= self.sure < 1 or self.boost_times <= 1:
            raise ValueError(f"lists: 0 < cull below < boost above, sure from 0.5, times over 1; got {self}")


def clean(items: pd.DataFrame) -> pd.DataFrame:
    """Items whose responses have a denominator: shown at all, and opened no more often than shown.

    Items without impressions have no rate, and more opens than impressions means that impressions are missing.

    Raises
    ------
    TooLittleError  if no item is left.
    """
    shown = items["impressions"] > 0
    told = ~(items["opens"] > items["impressions"]) & ~(items["completes"] > items["impressions"])
    told |= ~items["exposed"] if "exposed" in items else False
    kept = items[shown & told].reset_index(drop=True)
    if kept.empty:
        raise TooLittleError(
            say(
                zh="内容的比率需要曝光数：{n} 条内容中 {shown} 条有曝光",
                en="rates of items need impressions: {n} items, {shown} of them with impressions",
                n=len(items),
                shown=int(shown.sum()),
            )
        )
    return kept


def posts(numbers: pd.DataFrame, days: int = 7) -> pd.DataFrame:
    """Items that carry their own counts (`metrics.content.content_numbers`), as items for `clean` and `judged`.

    Columns added: `last_week`, the impressions of a mean week of the period, which is `days` long; `exposed`, False where nobody was told how often items were shown. Then every item stands for one
    exposure, and items can be compared, but neither culled nor boosted: an item that was shown more has more reactions.
    """
    known = numbers["impressions"].notna().any()
    shown = numbers["impressions"] if known else pd.Series(1.0, numbers.index)
    shown = shown.fillna(0.0)
    return numbers.assign(impressions=shown, exposed=known, last_week=shown * 7 / days)


def outcome(items: pd.DataFrame) -> str:
    """What success is here: reading to the end; where nobody tracks that, opening; where not that either, reacting.

    Raises
    ------
    TooLittleError  if items have none of the three.
    """
    for name in OUTCOMES[:2]:
        if (items[name] > 0).any():
            return name
    if any((items[name] > 0).any() for name in REACTIONS.values() if name in items):
        return "reactions"
    raise TooLittleError(
        say(
            zh="没有读完、打开或互动，内容之间无从比较",
            en="items without completions, opens or reactions cannot be told apart",
        )
    )


def judged(items: pd.DataFrame, rules: Rules | None = None, *, by: str = "category") -> pd.DataFrame:
    """Every item's index against its category, the decision, the chance that it is wrong, and what acting on it brings.

    `items`: one row per item as of `metrics.content.content_items`, after `clean`. Rows come back in order of their ids, so
    that their order decides nothing.

    Columns added
    -------------
    hits, expected  : float  responses, and those of the average item of the category in the same places and ages; of a
                     post, with as much reach
    raw, index, low, high : float   see `models.indices.indices`
    decision        : str    cull, boost, or keep testing
    wrong           : float  chance that the decision is wrong; blank while testing
    week            : float  impressions of the last seven days; of the period where weeks are not known
    gain, gain_low, gain_high : float   responses more each week if its impressions went to average items (cull), or if
                     it took `boost_times` as many from average items (boost); of the same audience where weeks are not
                     known; blank while testing
    power, learnt, dispersion, told : float, bool, float, str   of posts only: `models.post_counts`; whether the power was
                     learnt from them

    Definition: culled if the true index is below `cull_below` with chance `sure` and the item is still shown; boosted if
    it is above `boost_above` with that chance; neither where that would lose. Exposure decides nothing by itself:
    a small item keeps testing.
    Error: `wrong`; its mean over a list is the share of errors to expect. Gains rest on the index's interval and hold if
    the next readers are like those so far; posts' responses grow with reach to the power found.
    Source: posterior tail probability of the gamma-Poisson model, counts of posts divided by their dispersion; terms.yml,
    `content.index`.

    Raises
    ------
    TooLittleError  if items have no response, or fewer than two have exposure.
    """
    rules = rules or Rules()
    rows = items.sort_values("content_id", ignore_index=True)
    table = _posts(rows, by) if "exposed" in rows else _items(rows, by)
    spread = table.get("dispersion", 1.0)
    hits, expected = table["hits"] / spread, table["expected"] / spread
    prior = gamma_prior(hits, expected)
    found = indices(hits, expected, prior)
    low, high = 1 - above(hits, expected, prior, rules.cull_below), above(hits, expected, prior, rules.boost_above)
    return _gains(_decided(table.join(found), low, high, rules), rules)


def _items(items: pd.DataFrame, by: str) -> pd.DataFrame:
    hits = _responses(items).sum(axis=1)
    worth = items["worth"] if "worth" in items else items["impressions"].astype(float)
    sums = (
        pd.DataFrame({"by": items[by], "hits": hits, "worth": worth}).groupby("by")[["hits", "worth"]].transform("sum")
    )
    return items.assign(hits=hits, expected=(worth * sums["hits"] / sums["worth"]).fillna(0.0))


def _posts(items: pd.DataFrame, by: str) -> pd.DataFrame:
    kinds, reach = _responses(items), items["impressions"].astype(float)
    expected, power = post_counts.usual(kinds.sum(axis=1), reach, items[by])
    noise = post_counts.noise(kinds, expected, reach, items[by])
    own = {"power": power, "learnt": post_counts.varied(reach), "dispersion": noise.dispersion, "told": noise.told}
    return items.assign(hits=kinds.sum(axis=1), expected=expected, **own)


def _responses(items: pd.DataFrame) -> pd.DataFrame:
    """The kinds of response that are counted as success, each a column."""
    name = outcome(items)
    names = [c for c in REACTIONS.values() if c in items] if name == "reactions" else [name]
    return items[names].fillna(0).astype(float)


def _decided(table: pd.DataFrame, low: np.ndarray, high: np.ndarray, rules: Rules) -> pd.DataFrame:
    """`low`, `high`: the chances of the true index to be below the one line, and above the other."""
    week = table["last_week"] if "last_week" in table else table["impressions"]
    cull, boost = (low > rules.sure) & (week > 0), (high > rules.sure) & (table["impressions"] > 0)
    if "exposed" in table:
        cull, boost = cull & table["exposed"], boost & table["exposed"]
    decision = np.where(cull, "cull", np.where(boost, "boost", KEEP))
    wrong = np.where(cull, 1 - low, np.where(boost, 1 - high, np.nan))
    return table.assign(decision=decision.astype(object), wrong=wrong, week=week.astype(float))


def _gains(table: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """What decisions bring; those that may lose, or gain next to nothing, keep testing.

    Impressions that average items get, or give up, are their last ones, worth the power of reach times their mean.
    """
    usual = table["week"] * table["expected"] / table["impressions"]  # of average items on the same places
    cull, boost = table["decision"] == "cull", table["decision"] == "boost"
    power, times = table.get("power", 1.0), rules.boost_times

    def gain(index: pd.Series, other: pd.Series) -> pd.Series:
        more = usual * ((times**power - 1) * other - power * (times - 1))
        return (usual * (power - index)).where(cull, more.where(boost))

    gains = {
        "gain": gain(table["index"], table["index"]),
        "gain_low": gain(table["high"], table["low"]),
        "gain_high": gain(table["low"], table["high"]),
    }
    # Nothing that may lose; and of what was shown, nothing that gains next to nothing. A gem that nobody was shown last week stays.
    worth = (gains["gain_low"] >= 0) & ((gains["gain"] > LEAST_GAIN * usual) | ~(table["week"] > 0))
    told = {name: values.where(worth) for name, values in gains.items()}
    return table.assign(decision=table["decision"].where(worth, KEEP), wrong=table["wrong"].where(worth), **told)


def listed(table: pd.DataFrame, decision: str, evidence: list[str]) -> pd.DataFrame:
    """The list of one decision, largest gain first, as it is written beside the report.

    One row per item.

    Columns
    -------
    content_id, title, source, category, author_id, evidence : str
    expected_gain, gain_low, gain_high : float   responses more each week
    chance_wrong : float
    impressions, hits, expected, index, index_low, index_high, week : float   what the evidence says in words
    """
    rows = chosen(table, decision)
    named = {"gain": "expected_gain", "wrong": "chance_wrong", "low": "index_low", "high": "index_high"}
    columns = ["content_id", "title", "source", "category", "author_id", "evidence", "expected_gain", "gain_low"]
    columns += ["gain_high", "chance_wrong", "impressions", "hits", "expected", "index", "index_low", "index_high"]
    columns += ["week"]
    return rows.assign(evidence=evidence).rename(columns=named)[columns]


def chosen(table: pd.DataFrame, decision: str) -> pd.DataFrame:
    """The items of one decision, largest gain first."""
    rows = table[table["decision"] == decision]
    return rows.sort_values(["gain", "content_id"], ascending=[False, True]).reset_index(drop=True)


def leading(table: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """The items with the best lower bound of the index, best first: rows of `judged`; impressions nobody told are blank."""
    rows = table.nlargest(most, "low").reset_index(drop=True)
    return rows.assign(impressions=rows["impressions"].where(rows["exposed"])) if "exposed" in rows else rows


def followed(table: pd.DataFrame, cull: pd.DataFrame | None, boost: pd.DataFrame | None) -> pd.DataFrame:
    """What became of the items of the last lists.

    One row per item that an earlier report listed.

    Columns
    -------
    content_id, title, category : str   blank where it has not been shown since
    listed_as   : str    cull or boost, then
    week_before, week : float  impressions a week, then and now; 0 where it is no longer shown
    index_before, index, low, high : float   then, and with what has been seen since; blank where not shown
    became      : str    followed (shown at most half as often, or at least half as often again), not_followed, or settled
                  (no longer on its list without that)

    Definition: compared are the impressions of the seven days before each report.
    Error: the interval of the index.
    Source: lists/cull.csv and lists/boost.csv of the last good run.
    """
    lists = [t.assign(listed_as=name) for name, t in (("cull", cull), ("boost", boost)) if t is not None and len(t)]
    if not lists:
        raise TooLittleError(
            say(
                zh="此前没有更早时段的报告留下名单，下次报告将在此跟进",
                en="no report of an earlier period has left a list; the next one follows up here",
            )
        )
    then = pd.concat(lists)[["content_id", "listed_as", "week", "index"]]
    then = then.rename(columns={"week": "week_before", "index": "index_before"})
    then["content_id"] = then["content_id"].astype(str)
    now = table[["content_id", "title", "category", "week", "index", "low", "high", "decision"]]
    both = then.merge(now.assign(content_id=now["content_id"].astype(str)), on="content_id", how="left")
    both["week"] = both["week"].fillna(0.0)
    done = np.where(
        both["listed_as"] == "cull", both["week"] <= both["week_before"] / 2, both["week"] >= 1.5 * both["week_before"]
    )
    became = np.where(done, "followed", np.where(both["decision"] == both["listed_as"], "not_followed", "settled"))
    order = [
        "content_id",
        "title",
        "category",
        "listed_as",
        "week_before",
        "week",
        "index_before",
        "index",
        "low",
        "high",
    ]
    return both.assign(became=became)[[*order, "became"]]


def troubles(counted: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """What spoils rates: one row per trouble that happens, with n, of and an example.

    `counted`: as of `metrics.content.content_unknown`; `items`: before `clean`.
    """
    found = counted.rename(columns={"issue": "trouble"})[["trouble", "n", "of", "example"]]
    parts = [found] if len(found) else []
    more = items[(items["impressions"] > 0) & (items["opens"] > items["impressions"])]
    single = items[items["placements"] == 1] if "placements" in items else items.iloc[:0]
    unseen = items[~(items["impressions"] > 0) | ~items["exposed"]] if "exposed" in items else items.iloc[:0]
    for name, rows in (("more_opens", more), ("one_placement", single), ("no_exposure", unseen)):
        if len(rows):
            parts.append(
                pd.DataFrame([{"trouble": name, "n": len(rows), "of": len(items), "example": rows["content_id"].min()}])
            )
    return pd.concat(parts, ignore_index=True) if parts else found
