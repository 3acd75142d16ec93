"""Planted causes are found and named, nothing is claimed where nothing was planted, and the parts sum to the change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models.localize import locate

SHARES = {
    "channel": {"seo": 0.3, "ads": 0.2, "push": 0.1, "word": 0.25, "creator": 0.15},
    "platform": {"ios": 0.4, "android": 0.45, "web": 0.15},
    "version": {"v1": 0.2, "v2": 0.5, "v3": 0.3},
}
DIMENSIONS = list(SHARES)


def grid():
    frame = pd.MultiIndex.from_product(list(SHARES.values()), names=DIMENSIONS).to_frame(index=False)
    share = np.prod([frame[d].map(SHARES[d]).to_numpy(float) for d in DIMENSIONS], axis=0)
    return frame, share


def drawn(rng, frame, share, rates, users):
    """Users of each cell at each step, columns s0, s1, …"""
    reached = [rng.multinomial(users, share)]
    for rate in rates:
        reached.append(rng.binomial(reached[-1], rate))
    return reached


def world(seed, causes, users=20_000, steps=2):
    """Cells of two periods and the causes planted between them, as (kind, step, segment)."""
    rng = np.random.default_rng(seed)
    frame, share = grid()
    share = share * np.exp(rng.normal(0, 0.2, len(share)))
    share /= share.sum()
    tilt = sum(frame[d].map({v: rng.normal(0, 0.35) for v in SHARES[d]}).to_numpy(float) for d in DIMENSIONS)
    rates = [1 / (1 + np.exp(-0.4 - tilt - rng.normal(0, 0.05, len(share)))) for _ in range(steps)]
    later_share, later = share, [r.copy() for r in rates]
    planted = []
    while len(planted) < causes:
        mix = rng.random() < 0.4 and not any(kind == "mix" for kind, *_ in planted)
        names = rng.choice(DIMENSIONS, 1 if mix or rng.random() < 0.7 else 2, replace=False)
        segment = {str(d): str(rng.choice(list(SHARES[d]))) for d in sorted(names)}
        inside = np.logical_and.reduce([frame[d] == v for d, v in segment.items()])
        if not 0.05 <= share[inside].sum() <= 0.5 or any(segment.items() & other.items() for *_, other in planted):
            continue
        if mix:
            conversion = np.prod(rates, axis=0)
            if abs(np.average(conversion[inside], weights=share[inside]) - conversion @ share) < 0.06:
                continue  # a shift that the rate does not feel is no cause
            later_share = np.where(inside, 2 * share, share)
            later_share = later_share / later_share.sum()
            planted.append(("mix", "", segment))
        else:
            step = int(rng.integers(steps))
            later[step][inside] *= rng.choice([0.7, 0.75, 0.8])
            planted.append(("step", f"s{step + 1}", segment))
    before, after = drawn(rng, frame, share, rates, users), drawn(rng, frame, later_share, later, users)
    columns = {f"{when}{i}": n for when, side in (("b", before), ("a", after)) for i, n in enumerate(side)}
    return frame.assign(**columns), planted


def asked(cells, steps=2, **more):
    names = range(steps + 1)
    columns = {"before": [f"b{i}" for i in names], "after": [f"a{i}" for i in names], "steps": [f"s{i}" for i in names]}
    return locate(cells, DIMENSIONS, **columns, **({"draws": 0} | more))


def named(found):
    return [(row.kind, row.step, row.segment) for row in found.causes.itertuples()]


def score(worlds, causes, **more):
    top = everything = silent = 0
    for seed in range(worlds):
        cells, planted = world(1000 * causes + seed, causes, **more)
        found = named(asked(cells, more.get("steps", 2)))
        top += bool(found) and found[0] in planted
        everything += all(cause in found for cause in planted)
        silent += not found
    return top / worlds, everything / worlds, silent / worlds


def test_planted_causes_are_named():
    for causes in (1, 2, 3):
        top, everything, _ = score(20, causes)
        assert top >= 0.95 and everything >= 0.85


def test_nothing_is_claimed_where_nothing_was_planted():
    assert score(40, 0)[2] >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "worlds"), [(1, 40), (2, 100)])
def test_the_promise_over_a_hundred_worlds_of_each_kind(steps, worlds):
    users = 20_000 * steps  # later steps have fewer users
    got = [score(worlds, causes, steps=steps, users=users) for causes in range(4)]
    assert got[0][2] >= 0.95
    assert all(top >= 0.95 for top, _, _ in got[1:]), got
    assert all(everything >= 0.85 for _, everything, _ in got[1:]), got


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_causes_and_the_rest_sum_to_the_change(seed, causes):
    cells, _ = world(seed, causes, users=4000)
    found = asked(cells)
    change = cells.a2.sum() / cells.a0.sum() - cells.b2.sum() / cells.b0.sum()
    assert found.total == pytest.approx(change, abs=1e-12)
    assert found.causes.contribution.sum() + found.unexplained == pytest.approx(change, abs=1e-9)


def test_the_interval_of_a_contribution_covers_the_truth():
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame, share = grid()
        ads = (frame.channel == "ads").to_numpy()
        rates = [np.full(len(share), 0.5), np.full(len(share), 0.4)]
        later = [np.where(ads, 0.35, 0.5), rates[1]]
        columns = {}
        for when, side in (("b", rates), ("a", later)):
            columns |= {f"{when}{i}": n for i, n in enumerate(drawn(rng, frame, share, side, 8000))}
        cause = asked(frame.assign(**columns), draws=100).causes.iloc[0]
        covered += cause.low <= 0.2 * -0.15 * 0.4 <= cause.high
    assert covered >= 34


def test_everybody_is_the_segment_when_everybody_fell():
    rng = np.random.default_rng(5)
    frame, share = grid()
    before, after = (drawn(rng, frame, share, [np.full(len(share), r)], 20_000) for r in (0.5, 0.42))
    found = asked(frame.assign(b0=before[0], b1=before[1], a0=after[0], a1=after[1]), steps=1)
    assert named(found) == [("step", "s1", {})] and found.causes.dimension[0] == ""
    assert abs(found.unexplained_share) < 0.2


def test_all_values_but_one_are_named_themselves_when_they_are_few():
    rng = np.random.default_rng(6)
    frame, share = grid()
    fell = np.where(frame.platform == "web", 0.5, 0.4)
    before, after = (drawn(rng, frame, share, [r], 30_000) for r in (np.full(len(share), 0.5), fell))
    found = asked(frame.assign(b0=before[0], b1=before[1], a0=after[0], a1=after[1]), steps=1)
    assert {str(s) for _, _, s in named(found)} == {"{'platform': 'ios'}", "{'platform': 'android'}"}


def cells_of_falls(falls, users=20_000):
    """Expected counts of a world in which the rate of some segments fell to a share of itself, without noise."""
    frame, share = grid()
    rate = np.full(len(share), 0.4)
    for segment, factor in falls:
        inside = np.all([frame[d] == v for d, v in segment.items()], axis=0)
        rate = np.where(inside, rate * factor, rate)
    n = np.rint(users * share)
    return frame.assign(n0=n, hits0=np.rint(0.4 * n), n1=n, hits1=np.rint(rate * n))


@pytest.mark.parametrize(
    "falls",
    [
        [({"platform": "ios"}, 0.5), ({"platform": "android"}, 0.7)],
        [({"platform": "web"}, 1.4), ({"platform": "android"}, 1.3)],
        [({"channel": "seo", "platform": "ios"}, 0.4), ({"channel": "seo", "platform": "android"}, 0.45)],
    ],
)
def test_two_of_three_parts_that_fell_are_named_and_not_the_whole_with_an_exception(falls):
    found = locate(cells_of_falls(falls), DIMENSIONS, draws=0)
    assert {tuple(sorted(s.items())) for s in found.causes["segment"]} == {tuple(sorted(s.items())) for s, _ in falls}


def test_a_whole_that_fell_with_one_part_further_down_stays_a_whole():
    found = locate(cells_of_falls([({}, 0.7), ({"platform": "ios"}, 0.6)]), DIMENSIONS, draws=0)
    assert list(found.causes["segment"]) == [{}, {"platform": "ios"}]


def test_a_new_version_is_who_came_and_a_missing_value_is_a_value():
    cells = pd.DataFrame({"version": ["v1", None, "v2"], "n0": [9000, 1000, 0], "hits0": [4500, 500, 0]})
    cells["n1"], cells["hits1"] = [6000, 1000, 3000], [3000, 500, 600]
    found = locate(cells, ["version"], depth=1)
    assert named(found) == [("mix", "", {"version": "v2"})]
    assert found.causes.contribution[0] == pytest.approx(-0.3 * 0.3, abs=0.005) == found.total
    cells.loc[1, "hits1"] = 200
    assert ("step", "returned", {"version": None}) in named(locate(cells, ["version"], depth=1))


def test_a_shift_of_shares_that_the_rate_does_not_feel_is_no_cause():
    cells = pd.DataFrame({"channel": ["a", "b"], "n0": [5000, 5000], "hits0": [2000, 2000]})
    cells["n1"], cells["hits1"] = [8000, 2000], [3200, 800]
    assert named(locate(cells, ["channel"])) == []


def test_days_that_vary_more_than_chance_need_a_larger_shift():
    cells = pd.DataFrame({"channel": ["a", "b"], "n0": [5000, 5000], "hits0": [4000, 1000]})
    cells["n1"], cells["hits1"] = [4500, 5500], [3600, 1100]
    assert named(locate(cells, ["channel"])) and not named(locate(cells, ["channel"], dispersion=9))


def test_a_dimension_of_ten_thousand_values_does_not_hide_the_cause():
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"city": [f"c{i}" for i in range(10_000)], "channel": rng.choice(list("abc"), 10_000)})
    frame["n0"], frame["n1"] = rng.poisson(8, (2, 10_000))
    frame["hits0"] = rng.binomial(frame.n0, 0.3)
    frame["hits1"] = rng.binomial(frame.n1, np.where(frame.channel == "a", 0.24, 0.3))
    assert named(locate(frame, ["city", "channel"], draws=20)) == [("step", "returned", {"channel": "a"})]


def test_rates_of_zero_and_one_and_a_single_group_are_no_problem():
    cells = pd.DataFrame({"channel": ["a", "b"], "n0": [400, 400], "hits0": [400, 0], "n1": [400, 400]})
    found = locate(cells.assign(hits1=[400, 0]), ["channel"])
    assert named(found) == [] and found.total == 0 and np.isnan(found.unexplained_share)
    gone = locate(cells.assign(hits1=[0, 0]), ["channel"])
    assert len(named(gone)) == 1 and gone.causes.contribution[0] == pytest.approx(-0.5, abs=0.01) == gone.total
    alone = locate(pd.DataFrame({"all": ["x"], "n0": [900], "hits0": [500], "n1": [900], "hits1": [300]}), ["all"])
    assert named(alone) == [("step", "returned", {})]


def test_a_handful_of_users_is_no_cause_and_no_cause_moves_more_than_there_is():
    """In a city that fell to nearly nothing, two users of one channel of whom one came back are not news."""
    cells = pd.DataFrame({"city": ["t"] * 5 + ["r"] * 5, "channel": list("abcde") * 2})
    cells["n0"] = cells["n1"] = [400, 400, 400, 400, 6, 2000, 2000, 2000, 2000, 60]
    cells["hits0"] = [200, 200, 200, 200, 1, 1000, 1000, 1000, 1000, 30]
    found = locate(cells.assign(hits1=[8, 8, 8, 8, 3, 1000, 1000, 1000, 1000, 30]), ["city", "channel"])
    assert list(found.causes["segment"]) == [{"city": "t"}]
    vast = locate(cells.assign(hits1=[8, 8, 8, 400, 3, 1000, 1000, 1000, 1000, 30]), ["city", "channel"])
    share = cells.loc[cells["city"] == "t", "n0"].sum() / cells["n0"].sum()
    assert len(vast.causes) > 1 and vast.causes["contribution"].abs().max() <= share


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n0": [0, 0], "hits0": [0, 0]}, TooLittleError, "前后两期"),
        ({"hits0": [50, 5]}, ValueError, "more users"),
        ({"n1": [np.nan, 5]}, ValueError, "negative or missing"),
        ({"channel": None}, ValueError, "no column 'channel'"),
    ],
)
def test_cells_that_cannot_be_searched_say_why(change, error, says):
    cells = {"channel": ["a", "b"], "n0": [10, 10], "hits0": [5, 5], "n1": [10, 10], "hits1": [5, 5]} | change
    frame = pd.DataFrame({k: v for k, v in cells.items() if v is not None})
    with pytest.raises(error, match=says):
        locate(frame, ["channel"])
