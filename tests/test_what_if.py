"""What-if models: best splits against brute force, planted responses found, intervals that cover."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models import bootstrap, budget, projection, response
from opslib.models.budget import HillResponse, LogResponse, allocate, valued

amount = st.floats(0.5, 100)
logs = st.builds(LogResponse, amount, amount)
hills = st.builds(HillResponse, amount, amount, st.floats(0.5, 4))


def brute_force(curves, total, steps=40):
    """The best of all splits in 40 steps."""
    splits = (s for s in product(range(steps + 1), repeat=len(curves)) if sum(s) == steps)
    return max(sum(c.at(k * total / steps) for c, k in zip(curves, s, strict=True)) for s in splits)


class TestBudget:
    @given(st.lists(hills | logs, min_size=2, max_size=3), st.floats(5, 200))
    def test_no_split_is_better(self, curves, total):
        got = allocate(curves, total)
        assert got.spend.sum() == pytest.approx(total)
        assert (got.spend >= 0).all()
        assert got.total >= brute_force(curves, total) * (1 - 1e-6)

    @given(st.lists(logs, min_size=2, max_size=6), st.floats(1, 500))
    def test_the_next_unit_brings_the_same_in_every_channel_that_gets_any(self, curves, total):
        got = allocate(curves, total)
        funded = got.spend > 1e-9 * total
        assert got.marginal[funded] == pytest.approx(got.shadow, rel=1e-6)
        assert (got.marginal[~funded] <= got.shadow * (1 + 1e-6)).all()

    def test_an_s_shaped_response_is_not_split_equally(self):
        curves = [HillResponse(1.0, 60, 4), HillResponse(1.0, 60, 4)]
        got = allocate(curves, 60)
        assert sorted(got.spend.round(3)) == [0, 60]
        assert got.total > 4 * valued(curves, [30, 30]).total

    def test_money_follows_the_marginal_and_not_the_average_return(self):
        curves = [LogResponse(10, 1), LogResponse(100, 200)]
        now = valued(curves, [50, 50])
        assert now.average[0] > now.average[1] and now.marginal[0] < now.marginal[1]
        assert allocate(curves, 100).spend[1] > 50

    def test_limits_hold_and_leave_money_over(self):
        got = allocate([LogResponse(100, 10), LogResponse(60, 20)], 100, upper=[30, 40])
        assert (got.spend.tolist(), got.unspent, got.shadow) == ([30, 40], 30, 0)
        low = allocate([LogResponse(100, 10), LogResponse(1, 20)], 100, lower=[0, 25])
        assert low.spend.tolist() == pytest.approx([75, 25])
        hill = allocate([HillResponse(100, 10), HillResponse(90, 20)], 60, upper=[20, 30])
        assert hill.spend.tolist() == pytest.approx([20, 30])

    @pytest.mark.parametrize("bad", [{"lower": [80, 40]}, {"lower": [5, 5], "upper": [1, 9]}, {"lower": [-1, 0]}])
    def test_impossible_limits_are_refused(self, bad):
        with pytest.raises(ValueError, match="lower <= upper"):
            allocate([LogResponse(1, 1), LogResponse(1, 1)], 100, **bad)

    def test_no_money_is_no_split(self):
        got = allocate([HillResponse(1, 1), LogResponse(1, 1)], 0)
        assert got.total == 0 and np.isnan(got.average).all()

    def test_uncertain_curves_give_an_interval_and_a_cost_of_being_wrong(self):
        rng = np.random.default_rng(0)
        curves = [HillResponse(100, 50), HillResponse(40, 50)]
        draws = [[HillResponse(c.top * rng.lognormal(0, 0.3), c.half) for c in curves] for _ in range(60)]
        got = budget.allocation_risk(curves, draws, [30, 70])
        assert got.gain > 0 and got.gain_low <= got.gain_high
        assert got.regret > 0
        assert (got.channels.low <= got.channels.high).all()
        sure = budget.allocation_risk(curves, [curves] * 3, [30, 70])
        assert sure.regret == pytest.approx(0, abs=1e-6) and sure.chance_better == 1


def spending(seed=0, weeks=200, noise=4.0):
    """Two channels that work and one that does not, with season and trend."""
    rng = np.random.default_rng(seed)
    on = rng.random((weeks, 3)) < 0.6
    spend = pd.DataFrame(on * rng.gamma(3, 10, (weeks, 3)), columns=["ads", "video", "print"])
    t = np.arange(weeks)
    works = 60 * response.saturated(response.carried(spend.ads, 0.3), 30)
    works += 40 * response.saturated(response.carried(spend.video, 0.7), 15)
    y = 200 + 0.1 * t + 15 * np.sin(2 * np.pi * t / 52.18) + works + rng.normal(0, noise, weeks)
    return y, spend


class TestResponse:
    def test_planted_channels_are_found_and_the_idle_one_brings_next_to_nothing(self):
        y, spend = spending()
        got = response.fit_response(y, spend).channels
        truth = {
            "ads": 60 * response.saturated(response.carried(spend.ads, 0.3), 30).sum(),
            "video": 40 * response.saturated(response.carried(spend.video, 0.7), 15).sum(),
        }
        assert got.contribution[["ads", "video"]].to_numpy() == pytest.approx(list(truth.values()), rel=0.2)
        assert got.contribution["print"] < 0.1 * truth["video"]
        assert got.decay["ads"] == pytest.approx(0.3, abs=0.2) and got.decay["video"] == pytest.approx(0.7, abs=0.2)

    def test_intervals_hold_the_planted_contribution(self):
        held = []
        for seed in range(12):
            y, spend = spending(seed, noise=6.0)
            fit = response.fit_response(y, spend)
            ends = [d.channels.contribution["ads"] for d in response.response_draws(fit, spend, draws=30, seed=seed)]
            truth = 60 * response.saturated(response.carried(spend.ads, 0.3), 30).sum()
            held.append(np.quantile(ends, 0.02) <= truth <= np.quantile(ends, 0.98))
        assert np.mean(held) >= 0.75

    def test_the_hold_out_beats_the_season_before(self):
        y, spend = spending(3)
        got = response.hold_out_error(y, spend, last=30)
        assert got.naive_rule == "season before"
        assert got.model < 0.6 * got.naive
        assert response.hold_out_error(y, spend, last=30, season=None).naive_rule == "last value"

    def test_the_model_follows_a_control_that_spend_does_not_move(self):
        y, spend = spending(4)
        weather = pd.DataFrame({"weather": np.random.default_rng(1).normal(0, 1, len(y))})
        y = y + 20 * weather.weather.to_numpy()
        blind, seeing = response.fit_response(y, spend), response.fit_response(y, spend, controls=weather)
        assert seeing.r2 > blind.r2 + 0.1
        assert seeing.channels.contribution["print"] < 300

    def test_constant_spend_is_carried_as_it_is_and_its_curve_is_the_model_s(self):
        assert response.carried(np.full(60, 7.0), 0.8)[-1] == pytest.approx(7, rel=1e-4)
        y, spend = spending()
        fit = response.fit_response(y, spend)
        curve, row = fit.curves[0], fit.channels.loc["ads"]
        assert curve.at(row.half) == pytest.approx(row.top / 2)
        assert curve.marginal(spend.ads.mean()) == pytest.approx(row.marginal)

    def test_a_channel_without_spend_a_short_series_and_holes_are_refused(self):
        y, spend = spending()
        with pytest.raises(TooLittleError, match="「radio」有花费的期数不足 5 期"):
            response.fit_response(y, spend.assign(radio=0.0))
        with pytest.raises(TooLittleError, match="现有 20 期"):
            response.fit_response(y[:20], spend[:20])
        with pytest.raises(ValueError, match="every period"):
            response.fit_response(np.where(np.arange(200) == 3, np.nan, y), spend)
        with pytest.raises(ValueError, match="every period"):
            response.fit_response(y, -spend)


class TestProjection:
    @given(st.lists(st.floats(0, 1e4), min_size=1, max_size=20), st.lists(st.floats(0, 1), max_size=20))
    def test_every_user_is_counted_on_every_day_of_life(self, new, later):
        curve = [1.0, *later]
        want = [sum(new[t - k] * curve[k] for k in range(min(t + 1, len(curve)))) for t in range(len(new))]
        assert projection.project_dau(new, curve).tolist() == pytest.approx(want, abs=1e-6)

    def test_a_lever_moves_retention_from_day_one_and_not_the_new_users_themselves(self):
        assert projection.lifted([1, 0.5, 0.2], 0.1).tolist() == pytest.approx([1, 0.55, 0.22])
        one = projection.project_dau([100], [1, 0.5], lever=0.5)
        assert one.tolist() == [100]

    def test_retention_above_one_is_refused(self):
        with pytest.raises(ValueError, match=r"takes it to 1\.080"):
            projection.lifetime([1, 0.9], lever=0.2)

    def test_existing_users_need_their_own_survival(self):
        with pytest.raises(ValueError, match="survival within 0 and 1 for 3 days"):
            projection.project_dau([1, 1, 1], [1, 0.5], existing=10, existing_survival=[1, 0.9])

    @given(st.floats(0, 0.3), st.floats(1, 100), st.floats(0.01, 0.3), st.floats(0.5, 30))
    def test_no_reward_earns_more_and_beyond_break_even_money_is_lost(self, base, margin, extra, half):
        plan = projection.Reward(1000, base, margin, extra, half)
        grid = plan.profit(np.linspace(0, margin, 2001))
        assert plan.profit(plan.best()) >= grid.max() - 1e-9 * abs(grid).max()
        edge = plan.break_even()
        assert plan.profit(edge) == pytest.approx(0, abs=1e-6 * 1000 * margin)
        assert plan.profit(edge + 0.01 * margin) < 0

    def test_a_tornado_puts_the_strongest_lever_first(self):
        got = projection.tornado(lambda a, b: 10 * a + b, {"a": 1, "b": 1}, {"b": (0, 3), "a": (0.9, 1.4)})
        assert got.lever.tolist() == ["a", "b"]
        assert got.iloc[0][["low", "high", "swing"]].tolist() == pytest.approx([10, 15, 5])
        with pytest.raises(ValueError, match="no lever c"):
            projection.tornado(lambda a: a, {"a": 1}, {"c": (0, 1)})


class TestBootstrap:
    def test_users_and_not_events_are_resampled(self):
        covered = {"users": 0, "events": 0}
        worlds = 80
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            user = np.repeat(np.arange(60), rng.integers(1, 20, 60))
            value = rng.normal(0, 1, 60)[user] + rng.normal(0, 1, user.size)
            for how, who in (("users", user), ("events", None)):
                got = bootstrap.bootstrap(np.mean, value, users=who, draws=200, seed=seed)
                covered[how] += got.low <= 0 <= got.high
        assert covered["users"] / worlds >= 0.88
        assert covered["events"] / worlds <= 0.75

    def test_rows_of_a_user_stay_together_in_every_column(self):
        user, x = np.array(list("abbccc")), np.arange(6.0)
        got = bootstrap.bootstrap(lambda a, b: float(np.abs(a - b).sum()), x, x, users=user, draws=50)
        assert (got.draws == 0).all()

    def test_the_mean_s_jackknife_is_its_textbook_error(self):
        x = np.random.default_rng(0).gamma(1, 2, 50)
        got = bootstrap.jackknife(np.mean, x)
        assert got.se == pytest.approx(x.std(ddof=1) / np.sqrt(50))
        assert got.bias == pytest.approx(0, abs=1e-10)

    def test_bca_agrees_with_scipy(self):
        from scipy import stats

        x = np.random.default_rng(1).lognormal(0, 1, 40)
        got = bootstrap.bootstrap(np.mean, x, draws=4000, method="bca")
        want = stats.bootstrap((x,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(2))
        interval = want.confidence_interval
        assert (got.low, got.high) == pytest.approx((interval.low, interval.high), rel=0.03)

    def test_one_user_has_no_interval(self):
        with pytest.raises(TooLittleError, match="2 名用户"):
            bootstrap.bootstrap(np.mean, [1.0, 2.0, 3.0], users=["a", "a", "a"])
        with pytest.raises(ValueError, match="one value per row"):
            bootstrap.jackknife(np.mean, [1.0, 2.0], users=["a"])
