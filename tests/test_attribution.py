"""Attribution models against their definitions read aloud: loops, sets and dense matrices."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models.attribution import RULES, compared, decay_weights, position_weights, rule_credit
from opslib.models.markov import markov
from opslib.models.shapley import shapley, shapley_values

path = st.lists(st.sampled_from(["ads", "seo", "mail", "direct"]), min_size=1, max_size=6)
tables = st.lists(st.tuples(path, st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


def rule_oracle(paths, amount, model):
    """Every path shares out its amount, one touch at a time."""
    credit = defaultdict(float)
    for touches, total in zip(paths, amount, strict=True):
        n = len(touches)
        for i, channel in enumerate(touches):
            if model == "last_non_direct":
                real = [j for j, c in enumerate(touches) if c != "direct"] or [n - 1]
                share = float(i == real[-1])
            elif model == "participation":
                share = float(channel not in touches[:i])
            else:
                share = position_weights(n, model)[i]
            credit[channel] += share * total
    return dict(credit)


def markov_oracle(table, order):
    """The same chain with a dictionary of transitions and a dense inverse."""
    moves = defaultdict(lambda: defaultdict(float))
    for touches, won, lost in table:
        states = [tuple(touches[max(0, i + 1 - order) : i + 1]) for i in range(len(touches))]
        for a, b in zip(["start", *states], states, strict=False):
            moves[a][b] += won + lost
        moves[states[-1]]["won"] += won
        moves[states[-1]]["lost"] += lost
    names = ["start", *sorted(k for k in moves if k != "start")]

    def rate(gone):
        kept = [s for s in names if s == "start" or gone not in s]
        q, r = np.zeros((len(kept), len(kept))), np.zeros(len(kept))
        for i, a in enumerate(kept):
            out = sum(moves[a].values())
            for b, n in moves[a].items():
                if out and b in kept:
                    q[i, kept.index(b)] = n / out
            r[i] = moves[a]["won"] / out if out else 0
        return np.linalg.solve(np.eye(len(kept)) - q, r)[0]

    base = rate(None)
    return base, {c: 1 - rate(c) / base for c in set(chain.from_iterable(t for t, _, _ in table))}


def shapley_oracle(paths, amount):
    """v(S) for every set of channels, then the average marginal contribution."""
    channels = sorted(set(chain.from_iterable(paths)))
    teams = chain.from_iterable(combinations(channels, k) for k in range(len(channels) + 1))
    worth = {frozenset(s): sum(a for p, a in zip(paths, amount, strict=True) if set(p) <= set(s)) for s in teams}
    return shapley_values(worth).to_dict()


@given(tables, st.sampled_from([m for m in RULES if m not in ("time_decay", "custom")]))
def test_a_rule_is_its_definition_and_gives_away_every_conversion_once(table, model):
    paths, amount = [t for t, _, _ in table], [won for _, won, _ in table]
    got = rule_credit(paths, amount, model=model)
    assert got.by_channel.to_dict() == pytest.approx(rule_oracle(paths, amount, model))
    if model != "participation":
        assert got.by_channel.sum() == pytest.approx(sum(amount))


@given(tables, st.integers(1, 3))
def test_removal_effects_are_those_of_the_dense_chain_at_any_order(table, order):
    paths, won, lost = zip(*table, strict=True)
    if not sum(won):
        with pytest.raises(TooLittleError, match="没有一条带触点的路径"):
            markov(paths, won, lost, order=order)
        return
    got = markov(paths, won, lost, order=order)
    base, removal = markov_oracle(table, order)
    assert got.base == pytest.approx(base)
    assert got.removal.to_dict() == pytest.approx(removal, abs=1e-9)
    assert got.by_channel.sum() == pytest.approx(sum(won))
    assert got.base == pytest.approx(sum(won) / (sum(won) + sum(lost)))


@given(tables)
def test_the_short_formula_is_the_shapley_value_of_the_sum_game(table):
    paths, amount = [t for t, _, _ in table], [won for _, won, _ in table]
    assert shapley(paths, amount).by_channel.to_dict() == pytest.approx(shapley_oracle(paths, amount), abs=1e-9)


@given(st.integers(1, 12), st.sampled_from(["first", "last", "linear", "u", "j", "inverse_j"]))
def test_weights_sum_to_one(n, model):
    for two_touch in ("split_middle", "renormalise"):
        weights = position_weights(n, model, two_touch=two_touch)
        assert weights.size == n
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()


def test_custom_weights_are_scaled_and_two_touches_read_by_the_rule_named():
    assert position_weights(3, "custom", weights=[5, 20, 75]) == pytest.approx([0.05, 0.2, 0.75])
    assert position_weights(2, "custom", weights=[5, 20, 75]) == pytest.approx([0.15, 0.85])
    assert position_weights(2, "custom", weights=[1, 8, 3], two_touch="renormalise") == pytest.approx([0.25, 0.75])
    assert position_weights(2, "custom", weights=[0, 1, 0], two_touch="renormalise") == pytest.approx([0.5, 0.5])


def test_conversions_without_a_touch_stay_unattributed():
    got = rule_credit(["ads > seo", "", [], None, np.nan], [3, 4, 5, 6, 7], model="last")
    assert (got.by_channel.to_dict(), got.unattributed, got.total) == ({"ads": 0, "seo": 3}, 22, 25)
    assert shapley(["ads", ""], [1, 2]).unattributed == 2
    assert markov(["ads", ""], [1, 2], [1, 0]).unattributed == 2


def test_a_direct_only_conversion_is_not_dropped_by_last_non_direct():
    got = rule_credit(["ads > direct", "direct"], [3, 4], model="last_non_direct")
    assert got.by_channel.to_dict() == {"ads": 3, "direct": 4}


def test_removing_a_channel_sends_its_journeys_nowhere_and_not_to_the_next_touch():
    got = markov(["ads > seo"], [10], [10])
    assert got.removal.to_dict() == {"ads": 1, "seo": 1}


def test_journeys_without_conversion_change_the_removal_effects():
    paths, won, lost = ["ads", "seo", "ads > seo"], [10, 10, 10], [0, 90, 0]
    assert markov(paths, won).base == 1
    assert markov(paths, won, lost).removal["ads"] != pytest.approx(markov(paths, won).removal["ads"])


def test_value_shares_out_the_value():
    got = markov(["ads", "seo"], [1, 1], [1, 1], value=[100, 50])
    assert got.by_channel.sum() == pytest.approx(150)


def test_age_decides_in_time_decay_even_when_all_touches_are_old():
    assert decay_weights([2000, 1993]) == pytest.approx([1 / 3, 2 / 3])
    for ages in ([[2000, 1993]], np.array([[2000, 1993]])):
        got = rule_credit(["ads > seo"], [3], model="time_decay", ages=ages)
        assert got.by_channel.to_dict() == pytest.approx({"ads": 1, "seo": 2})


def test_models_side_by_side_show_what_the_choice_alone_can_change():
    got = compared(["ads > seo", "seo"], [6, 2], [4, 8])
    assert got.loc["ads", ["first", "last", "linear"]].tolist() == [6, 0, 3]
    assert (got.low <= got.high).all()
    assert got.loc["ads", "spread"] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rule_credit(["a"], model="linaer"), "did you mean 'linear'"),
        (lambda: rule_credit(["a"], [-1]), ">= 0"),
        (lambda: rule_credit(["a"], [1, 2]), "each of 1 paths"),
        (lambda: rule_credit(["a > b"], model="time_decay", ages=[[1]]), "each of 2 touches"),
        (lambda: rule_credit(["a"], model="custom", weights=[1, 2]), "three numbers"),
        (lambda: position_weights(2, "u", two_touch="halve"), "two_touch"),
        (lambda: markov(["a"], order=0), "order"),
        (lambda: shapley_values({frozenset("a"): 1, frozenset("b"): 1}), "4 coalitions"),
    ],
)
def test_wrong_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_path_at_all_is_an_empty_table():
    got = rule_credit([], [])
    assert got.by_channel.empty and got.total == 0
