"""Campaign effects where the truth is planted, and what must not be read from too little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.tsa.statespace.structural import UnobservedComponents

from opslib import text
from opslib.errors import TooLittleError
from opslib.models import abuse, campaign, did, experiment, prepost, referral, synthetic, uplift
from opslib.models.moments import Moments
from opslib.text import speaking


def panel(seed, *, units=60, periods=10, start=6, effect=2.0, trend=0.0, clusters=None):
    """Units with levels of their own, a common path, and an effect on the first half from `start` on."""
    rng = np.random.default_rng(seed)
    unit, time = np.divmod(np.arange(units * periods), periods)
    treated, post = unit < units // 2, time >= start
    shock = 0.0
    if clusters:
        shock = rng.normal(0, 1.5, (units // clusters + 1, periods))[unit // clusters, time]
    y = rng.normal(0, 3, units)[unit] + rng.normal(0, 1, periods).cumsum()[time] + rng.normal(0, 1, unit.size) + shock
    y += effect * (treated & post) + trend * treated * time
    frame = {"unit": unit, "time": time, "treated": treated, "post": post, "y": y}
    return pd.DataFrame(frame | {"region": unit // (clusters or 1)})


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


class TestDid:
    def test_the_planted_effect_is_inside_the_interval_as_often_as_it_says(self):
        found = [did.did(panel(seed)) for seed in range(200)]
        assert 0.90 <= coverage([(f.low, f.high) for f in found], 2.0) <= 0.99

    def test_units_in_clusters_need_the_clustered_error(self):
        tables = [panel(seed, units=120, clusters=10) for seed in range(120)]
        plain = [did.did(t) for t in tables]
        clustered = [did.did(t, cluster="region") for t in tables]
        assert coverage([(f.low, f.high) for f in plain], 2.0) < 0.85
        assert coverage([(f.low, f.high) for f in clustered], 2.0) >= 0.88

    def test_rows_of_one_unit_are_not_independent(self):
        table = panel(1)
        more = pd.concat([table, table, table])
        assert did.did(more).se == pytest.approx(did.did(table).se)

    def test_differencing_units_beats_four_samples_when_levels_differ(self):
        table = panel(2)
        cells = table.groupby(["treated", "post"]).y
        error = np.sqrt(cells.var() / cells.size())
        means = cells.mean()
        order = [(True, False), (True, True), (False, False), (False, True)]
        groups = (means[order[0]], means[order[1]]), (means[order[2]], means[order[3]])
        apart, whole = did.did_of_means(*groups, se=error[order]), did.did(table)
        assert apart.value == pytest.approx(whole.value)
        assert whole.se < apart.se

    def test_a_trend_of_its_own_shows_before_the_start(self):
        diverging = did.event_study(panel(3, trend=0.6), start=6)
        assert not diverging.post[0] and diverging.p[0] < 0.01
        parallel = pd.concat([did.event_study(panel(seed), start=6) for seed in range(40)])
        assert (parallel[~parallel.post].p < 0.05).mean() < 0.10
        assert (parallel[parallel.post].low > 0).all()

    def test_one_unit_per_group_is_too_little(self):
        with pytest.raises(TooLittleError, match="每组至少 2 个对象"):
            did.did(panel(0, units=2))

    def test_staggered_starts_are_read_against_untreated_units_only(self):
        rng = np.random.default_rng(5)
        unit, time = np.divmod(np.arange(300 * 8), 8)
        first = np.array([0, 3, 5])[unit % 3]
        age = np.where(first > 0, time - first, -1)
        grows = np.where(age >= 0, 1.0 + age, 0.0)  # an effect that grows is what two-way fixed effects get wrong
        y = rng.normal(0, 2, 300)[unit] + 0.3 * time + grows + rng.normal(0, 0.5, unit.size)
        table = pd.DataFrame({"unit": unit, "time": time, "first_treated": first, "y": y})
        got = did.staggered_did(table, draws=100)
        truth = np.average([1, 2, 3, 4, 5, 1, 2, 3])
        assert got.low <= truth <= got.high
        ages = got.by_age.set_index("age").value
        assert ages[[0, 2, 4]].to_numpy() == pytest.approx([1, 3, 5], abs=0.25)
        assert ages[[-2, -1]].abs().max() < 0.25
        for never in (np.nan, np.inf, 99):  # as other tools write it; 99 is after the last period
            same = did.staggered_did(table.assign(first_treated=table.first_treated.replace(0, never)), draws=2)
            assert same.value == pytest.approx(got.value, abs=1e-12)
        with_not_yet = did.staggered_did(table, not_yet=True, draws=2)
        assert with_not_yet.value == pytest.approx(got.value, abs=0.2)

    def test_nobody_untreated_is_too_little(self):
        table = panel(0).assign(first_treated=6)
        with pytest.raises(TooLittleError, match="尚未上线的对象"):
            did.staggered_did(table)


class TestSynthetic:
    def outcomes(self, seed=0, effect=-3.0, units=12):
        rng = np.random.default_rng(seed)
        factors = rng.normal(0, 1, (40, 3)).cumsum(axis=0)
        loads = rng.dirichlet(np.ones(3), units)
        y = 20 + factors @ loads.T + rng.normal(0, 0.1, (40, units))
        table = pd.DataFrame(y, columns=[f"u{i}" for i in range(units)])
        table["x"] = table[["u1", "u2"]].mean(axis=1) + rng.normal(0, 0.1, 40)
        table.loc[30:, "x"] += effect
        return table

    def test_the_mix_and_the_effect_are_found_and_no_placebo_is_as_extreme(self):
        got = synthetic.synthetic_control(self.outcomes(), "x", 30)
        assert got.effect == pytest.approx(-3, abs=0.3)
        assert got.weights[["u1", "u2"]].sum() > 0.6
        assert got.p == pytest.approx(1 / 13)
        assert got.relative == pytest.approx(got.effect / got.counterfactual[30:].mean())

    @given(st.integers(0, 500))
    def test_weights_are_a_mix(self, seed):
        got = synthetic.synthetic_control(self.outcomes(seed, units=5), "x", 30, placebos=False)
        assert (got.weights >= 0).all() and got.weights.sum() == pytest.approx(1)

    def test_it_is_the_minimum_over_the_simplex(self):
        from scipy.optimize import minimize

        table = self.outcomes(3, units=4)
        got = synthetic.synthetic_control(table, "x", 30, placebos=False)
        pool, target = table.loc[:29, ["u0", "u1", "u2", "u3"]].to_numpy(), table.loc[:29, "x"].to_numpy()
        sums = {"type": "eq", "fun": lambda w: w.sum() - 1}
        loss = lambda w: np.square(target - pool @ w).sum()  # noqa: E731
        want = minimize(loss, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=sums, tol=1e-12)
        assert got.weights.to_numpy() == pytest.approx(want.x, abs=1e-3)

    def test_no_effect_is_seldom_extreme(self):
        p = [synthetic.synthetic_control(self.outcomes(seed, effect=0.0), "x", 30).p for seed in range(40)]
        assert np.mean(np.array(p) <= 0.1) < 0.25

    def test_wrong_and_small_tables_are_refused(self):
        table = self.outcomes()
        with pytest.raises(ValueError, match="no unit 'xx'"):
            synthetic.synthetic_control(table, "xx", 30)
        with pytest.raises(TooLittleError, match="2 个对照对象"):
            synthetic.synthetic_control(table[["x", "u1"]], "x", 30)
        with pytest.raises(TooLittleError, match="活动后 1 期"):
            synthetic.synthetic_control(table, "x", 99)


class TestPrePost:
    def series(self, seed, before=90, after=20, effect=3.0, walk=0.02):
        rng = np.random.default_rng(seed)
        n = before + after
        x = 50 + rng.normal(0, 1, n).cumsum()
        y = 10 + 1.5 * x + rng.normal(0, 2, n) + rng.normal(0, walk, n).cumsum()
        y[before:] += effect
        return y, x

    def test_the_planted_effect_is_inside_the_interval_in_ninety_of_a_hundred_seeds(self):
        got = [prepost.counterfactual(*self.series(seed), 20) for seed in range(100)]
        assert coverage([(g.low, g.high) for g in got], 3.0) >= 0.90

    def test_the_interval_of_the_mean_is_the_exact_one(self):
        """The same model as a Gaussian process with unknown coefficients, by generalised least squares."""
        y, x = self.series(4)
        n, h = 90, 20
        got = prepost.counterfactual(y, x, h)
        centre, scale = y[:n].mean(), y[:n].std(ddof=1)
        z, u = (y - centre) / scale, (x - x[:n].mean()) / x[:n].std(ddof=1)
        model = UnobservedComponents(z[:n], "llevel", exog=u[:n], mle_regression=False)
        with model.fix_params({"sigma2.level": 1e-4}):
            noise = float(np.asarray(model.fit(disp=False).params)[0])
        steps = np.arange(n + h)
        cov = 1e-4 * np.minimum.outer(steps, steps) + noise * np.eye(n + h)
        design = np.column_stack([np.ones(n + h), u])
        inverse = np.linalg.inv(cov[:n, :n])
        known = np.linalg.inv(design[:n].T @ inverse @ design[:n])
        beta = known @ design[:n].T @ inverse @ z[:n]
        carry = cov[n:, :n] @ inverse
        mean = design[n:] @ beta + carry @ (z[:n] - design[:n] @ beta)
        left = design[n:] - carry @ design[:n]
        error = cov[n:, n:] - carry @ cov[:n, n:] + left @ known @ left.T
        assert got.predicted == pytest.approx(centre + scale * mean.mean(), rel=1e-6)
        assert got.se == pytest.approx(scale * np.sqrt(error.mean()), rel=1e-4)

    def test_the_weekly_pattern_is_followed_without_controls(self):
        rng = np.random.default_rng(0)
        week = np.array([0, 0, 0, 0, 5, 12, 9])[np.arange(84) % 7]
        y = 100 + week + rng.normal(0, 1, 84)
        y[70:] += 4
        got = prepost.counterfactual(y, None, 14, seasonal=7)
        assert got.low <= 4 <= got.high
        assert got.high - got.low < 5
        assert got.cumulative == pytest.approx(14 * got.effect)
        assert got.relative == pytest.approx(got.effect / got.predicted)

    def test_placebo_starts_tell_when_the_interval_is_too_narrow(self):
        steady = prepost.placebo_coverage(*(v[:90] for v in self.series(1, effect=0)), after=15)
        wandering = prepost.placebo_coverage(*(v[:90] for v in self.series(1, effect=0, walk=3.0)), after=15)
        assert steady.share >= 0.8 and steady.tried == 10
        assert wandering.share <= 0.6

    def test_too_few_periods_and_holes_are_refused(self):
        y, x = self.series(0)
        with pytest.raises(TooLittleError, match="期、活动后至少 1 期"):
            prepost.counterfactual(y[-24:], x[-24:], 20)
        with pytest.raises(TooLittleError, match="有一期没有数值"):
            prepost.counterfactual(np.where(np.arange(110) == 3, np.nan, y), x, 20)
        with pytest.raises(TooLittleError, match="没有任何变化"):
            prepost.counterfactual(np.ones(110), x, 20)


class TestMoney:
    def test_a_hold_out_finds_the_planted_effect_in_ninety_of_a_hundred_seeds(self):
        rng = np.random.default_rng(8)
        spend = rng.gamma(0.3, 40, (2, 200, 2000))
        spend[1] += 1.5 * rng.binomial(1, 0.5, (200, 2000))
        arms = [Moments(2000, v.mean(axis=1), v.var(axis=1, ddof=1)) for v in spend]
        got = experiment.means(*arms)
        assert np.mean((got.low <= 0.75) & (got.high >= 0.75)) >= 0.90

    def test_cost_per_extra_conversion_is_open_ended_when_the_effect_may_be_nothing(self):
        sure, vague, none = (campaign.cost_per_incremental(10, e, 1.0) for e in (5.0, 1.0, -4.0))
        assert sure.low < sure.value == 2 < sure.high
        assert vague.high is None and vague.low == pytest.approx(10 / (1 + 1.959964))
        assert (none.value, none.low, none.high) == (None, None, None)
        assert campaign.cost_per_incremental(10, -0.5, 1.0).value is None

    def test_roi_counts_the_margin_of_what_the_campaign_caused(self):
        got = campaign.roi(1000, 200, se=100, margin=0.3)
        assert got.value == pytest.approx(0.5)
        assert got.low < 0.5 < got.high

    @pytest.mark.parametrize("cost", [0, np.nan])
    def test_without_spend_there_is_no_return(self, cost):
        with pytest.raises(TooLittleError, match="成本"):
            campaign.roi(1000, cost)

    def test_a_plan_gives_the_chance_of_its_goal(self):
        rate, amount = (lambda m, s: campaign.Spread(m, s, "rate")), campaign.Spread
        got = campaign.plan(
            reach=amount(100_000, 10_000),
            participation=rate(0.2, 0.03),
            conversion=rate(0.1, 0.02),
            value=amount(60, 5),
            reward=amount(8),
            baseline=rate(0.03, 0.01),
            fixed_cost=5_000,
            margin=0.4,
            goal=("conversions", 2_000),
        )
        mean = got.table["mean"]
        assert mean["conversions"] == pytest.approx(100_000 * 0.2 * 0.1, rel=0.02)
        assert mean["incremental"] == pytest.approx(100_000 * 0.2 * 0.07, rel=0.02)
        # The reward is paid to those who would have come anyway, too.
        assert mean["cost"] == pytest.approx(mean["conversions"] * 8 + 5_000, rel=0.01)
        assert (got.table.low <= got.table["median"]).all() and (got.table["median"] <= got.table.high).all()
        assert 0.3 < got.chance < 0.6

    def test_wrong_plans_are_refused(self):
        with pytest.raises(ValueError, match="cannot have the spread"):
            campaign.Spread(0.5, 0.6, "rate").draw(np.random.default_rng(0), 3)
        with pytest.raises(TooLittleError, match="2 次同类的往期活动"):
            campaign.spread_of(pd.Series([0.2, None]))

    def test_one_more_past_campaign_narrows_the_spread(self):
        got = campaign.spread_of(pd.Series([0.1, 0.2, 0.3]), kind="rate")
        assert (got.mean, got.sd) == pytest.approx((0.2, 0.1 * np.sqrt(4 / 3)))

    def test_load_follows_the_busiest_minute(self):
        assert campaign.peak_load(60_000, requests_each=10, busiest_share=0.01, headroom=2) == pytest.approx(200)


class TestUplift:
    def world(self, n=6000, seed=0):
        rng = np.random.default_rng(seed)
        x, t = rng.normal(size=(n, 3)), rng.binomial(1, 0.5, n)
        truth = np.where(x[:, 0] > 0, 0.25, 0.0)
        return x, t, rng.binomial(1, 0.2 + truth * t), truth

    def test_a_t_learner_finds_whom_the_campaign_moves(self):
        x, t, y, truth = self.world()
        score = uplift.t_learner(x, t, y)
        assert stats.spearmanr(score, truth).statistic > 0.6
        assert uplift.uplift_score(y, t, score).qini_coefficient > 0.05
        assert uplift.uplift_at(y, t, score, share=0.3) > 0.15

    def test_a_random_score_gains_nothing(self):
        _, t, y, _ = self.world(40_000)
        got = uplift.uplift_score(y, t, np.random.default_rng(3).normal(size=y.size))
        assert got.qini_coefficient == pytest.approx(0, abs=0.01)
        assert got.auuc_coefficient == pytest.approx(0, abs=0.01)

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=4, max_size=40))
    def test_ties_enter_together_whatever_their_order(self, rows):
        y, t, s = map(np.array, zip(*rows, strict=True))
        if not 0 < t.sum() < t.size:
            return
        one, two = uplift.uplift_curve(y, t, s), uplift.uplift_curve(y[::-1], t[::-1], s[::-1])
        assert one.qini == pytest.approx(two.qini)
        assert one.uplift == pytest.approx(two.uplift)
        assert one.targeted[-1] == t.size
        assert one.uplift[-1] == pytest.approx((y[t == 1].mean() - y[t == 0].mean()) * t.size)

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=4, max_size=40))
    def test_the_best_share_does_not_depend_on_the_order_of_rows(self, rows):
        y, t, s = map(np.array, zip(*rows, strict=True))
        if not 0 < t.sum() < t.size:
            return
        for by_group in (False, True):
            one, two = (
                uplift.uplift_at(y[way], t[way], s[way], share=0.5, by_group=by_group)
                for way in (slice(None), slice(None, None, -1))
            )
            assert one == pytest.approx(two, nan_ok=True)
        assert uplift.uplift_at(y, t, s, share=1.0) == pytest.approx(y[t == 1].mean() - y[t == 0].mean())

    def test_one_group_only_is_too_little(self):
        with pytest.raises(TooLittleError, match="实验组和对照组都有用户"):
            uplift.uplift_curve([1, 0], [1, 1], [0.2, 0.1])
        with pytest.raises(ValueError, match="0 or 1"):
            uplift.uplift_curve([1, 0], [1, 2], [0.2, 0.1])


def claims(seed, *, honest=3000, rings=8):
    """Honest users (a campus, families, idlers, a flash sale) and rings of several kinds."""
    rng = np.random.default_rng(seed)
    campus, family, flash, idle = (rng.random(honest) < share for share in (0.25, 0.1, 0.15, 0.15))
    at_campus = [f"nat{i}" for i in rng.integers(0, 10, honest)]
    at_home = [f"h{i}" for i in rng.integers(0, honest, honest)]
    people = pd.DataFrame(
        {
            "user": np.arange(honest),
            "device": [f"d{i - 1 if f else i}" for i, f in enumerate(family)],
            "ip": np.where(campus, at_campus, at_home),
            "t_min": np.where(flash, 3600 + rng.exponential(10, honest), rng.uniform(0, 10_000, honest)),
            "later_events": np.where(idle, 0, rng.poisson(6, honest)),
            "label": 0,
        }
    )
    parts, last = [people], honest
    for ring in range(rings):
        n = rng.integers(12, 40)
        shared = rng.integers(2, 7)
        devices = [f"r{ring}_{i}" for i in rng.integers(0, shared, n)]
        behind = ring % 4 == 3
        ips = np.full(n, f"nat{ring % 10}") if behind else [f"rip{ring}_{i}" for i in rng.integers(0, 3, n)]
        start, regular = rng.uniform(500, 9000), ring % 4 == 2
        time = start + (np.arange(n) * 3.0 if regular else rng.uniform(0, 30, n))
        frame = {"user": last + np.arange(n), "device": devices, "ip": ips, "t_min": time}
        parts.append(pd.DataFrame(frame | {"later_events": rng.binomial(1, 0.3, n), "label": 1}))
        last += n
    return pd.concat(parts, ignore_index=True)


class TestAbuse:
    @pytest.mark.parametrize("seed", range(5))
    def test_rings_are_found_and_the_honest_left_alone(self, seed):
        table = claims(seed)
        got = abuse.abuse_scores(table).merge(table[["user", "label"]], on="user")
        listed = got.score >= abuse.LISTED
        assert got.label[listed].mean() >= 0.95
        assert listed[got.label == 1].mean() >= 0.90

    @pytest.mark.parametrize("seed", range(5))
    def test_without_rings_under_one_percent_is_listed(self, seed):
        got = abuse.abuse_scores(claims(seed, rings=0))
        assert (got.score >= abuse.LISTED).mean() < 0.01

    def ring(self, **changes):
        base = {
            "user": [f"r{i}" for i in range(6)],
            "device": ["d"] * 6,
            "ip": [f"i{i}" for i in range(6)],
            "t_min": [10.0, 11, 15, 17, 18, 24],
            "later_events": [0] * 6,
        }
        others = {
            "user": [f"u{i}" for i in range(60)],
            "device": [f"e{i}" for i in range(60)],
            "ip": [f"j{i}" for i in range(60)],
            "t_min": np.arange(60) * 100.0,
            "later_events": [6] * 60,
        }
        return pd.concat([pd.DataFrame(base | changes), pd.DataFrame(others)], ignore_index=True)

    def test_a_ring_has_its_reasons(self):
        got = abuse.abuse_scores(self.ring()).head(6)
        assert (got.score > 0.9).all() and (got.ring == 1).all() and (got.ring_size == 6).all()
        assert set(got.reasons) == {"shared_device;burst;idle"}
        with speaking("en"):
            assert abuse.explained(got.reasons[0]) == "Same device; burst of claims; idle afterwards"
        with speaking("zh"):
            assert abuse.explained(got.reasons[0]) == "与其他账号共用设备；同团伙账号集中领取；领取后几乎没有活动"

    @pytest.mark.parametrize("lang", ["zh", "en"])
    def test_all_the_reasons_together_fit_into_a_cell_of_a_table(self, lang):
        every = "shared_device;shared_ip;invited_together;burst;regular;idle;reward_only"
        with speaking(lang):
            told = abuse.explained(every)
            assert text.write(told, "text") == told

    @pytest.mark.parametrize(
        "changes",
        [
            {"device": list("abcdef")},  # burst and idle, not connected
            {"t_min": [10.0, 2000, 2900, 5500, 5700, 9000]},  # connected and idle, not together
            {"later_events": [6] * 6},  # connected and together, active
        ],
    )
    def test_two_families_of_signals_are_no_verdict(self, changes):
        got = abuse.abuse_scores(self.ring(**changes))
        assert (got.score < abuse.LISTED).all()

    def test_even_intervals_give_a_slow_bot_away(self):
        slow = self.ring(t_min=np.arange(6) * 200.0)
        got = abuse.abuse_scores(slow).head(6)
        assert (got.score > abuse.LISTED).all()
        assert got.reasons.str.contains("regular").all()

    def test_a_campus_is_a_place_and_a_star_of_invitations_is_a_link(self):
        columns = {"user": range(50), "ip": "nat", "device": range(50), "t_min": np.arange(50) * 97.0}
        crowd = pd.DataFrame(columns | {"later_events": 0})
        got = abuse.abuse_scores(pd.concat([crowd, self.ring(), self.ring().assign(user=lambda t: "b" + t.user)]))
        assert not got[got.score >= abuse.LISTED].user.isin(range(50)).any()
        star = self.ring(device=list("abcdef")).assign(inviter=["boss"] * 6 + [None] * 60)
        got = abuse.abuse_scores(star, inviter="inviter").head(6)
        assert got.reasons.str.contains("invited_together").all() and (got.score > abuse.LISTED).all()

    def test_reward_only_behaviour_stands_in_for_later_activity(self):
        table = self.ring().drop(columns="later_events").assign(rewards=[1.0] * 6 + [0.05] * 60)
        got = abuse.abuse_scores(table, later=None, rewards="rewards").head(6)
        assert got.reasons.str.contains("reward_only").all()

    def test_without_behaviour_nobody_is_judged(self):
        with pytest.raises(TooLittleError, match="只凭账号之间的关联不够"):
            abuse.abuse_scores(self.ring(), later=None)
        with pytest.raises(ValueError, match="no column"):
            abuse.abuse_scores(self.ring().drop(columns="ip"))


class TestReferral:
    def test_generations_follow_the_inviters_and_circles_have_none(self):
        inviters = {"a": None, "b": "a", "c": "b", "d": "a", "e": "gone", "x": "y", "y": "x", "z": "y", "s": "s"}
        users = pd.DataFrame(inviters.items(), columns=["user_id", "inviter_id"])
        got = referral.generations(users).set_index("user_id")
        assert got.generation.dropna().to_dict() == {"a": 0, "b": 1, "c": 2, "d": 1, "e": 0, "s": 0}
        assert got.root["c"] == "a" and got.invitees["a"] == 2
        assert got.generation[["x", "y", "z"]].isna().all()

    @given(st.lists(st.integers(-1, 30), min_size=1, max_size=31))
    def test_generations_are_what_walking_up_gives(self, parents):
        users = pd.DataFrame({"user_id": range(len(parents)), "inviter_id": parents})

        def walk(u, steps=0):
            up = parents[u]
            if steps > len(parents):
                return None
            return steps if not 0 <= up < len(parents) or up == u else walk(up, steps + 1)

        got = referral.generations(users).generation
        assert [None if pd.isna(g) else g for g in got] == [walk(u) for u in range(len(parents))]

    def test_a_tree_holds_everybody_below_its_root_and_a_circle_is_in_none(self):
        inviters = {"a": None, "b": "a", "c": "b", "d": "a", "e": None, "f": "e", "x": "y", "y": "x", "alone": None}
        users = pd.DataFrame(inviters.items(), columns=["user_id", "inviter_id"])
        assert referral.trees(users).to_dict("split")["data"] == [["a", 3, 2, 2], ["e", 1, 1, 1]]
        assert referral.trees(users.iloc[::-1]).equals(referral.trees(users))
        assert referral.trees(users[users.inviter_id.isna()]).empty

    def test_k_leaves_out_users_without_a_full_cycle_and_late_acceptances(self):
        day = pd.to_datetime("2026-01-01") + pd.to_timedelta([0, 0, 2, 3, 20, 28], unit="D")
        users = pd.DataFrame({"user_id": list("abcdef"), "inviter_id": [None, None, "a", "a", "b", "c"], "joined": day})
        got = referral.k_by_generation(users, end="2026-01-30", cycle_days=7, joined="joined").set_index("generation")
        assert got.loc[0, ["users", "accepted", "k"]].tolist() == [2, 2, 1]
        assert got.loc[1, ["users", "accepted", "k"]].tolist() == [3, 0, 0]
        assert 2 not in got.index  # f joined two days before the end
        assert got.loc[0, "low"] <= 1 <= got.loc[0, "high"]

    def test_one_user_has_no_k(self):
        with pytest.raises(TooLittleError, match="走完一个邀请周期"):
            referral.k_factor(pd.Series([3]))
