"""Lifecycle states and chains: identities that always hold, and published chains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models.lifecycle import (
    absorbing,
    expected_states,
    growth_accounting,
    mean_first_passage,
    quick_ratio,
    states,
    stationary,
    transition_matrix,
)

panels = st.integers(1, 6).flatmap(
    lambda periods: st.lists(st.lists(st.booleans(), min_size=periods, max_size=periods), min_size=1, max_size=12)
)


def oracle(days):
    """The definition, read aloud."""
    named = []
    for t, now in enumerate(days):
        past = days[:t]
        if now:
            named.append("new" if not any(past) else "retained" if past[-1] else "resurrected")
        else:
            named.append(None if not any(past) else "churned" if past[-1] else "dormant")
    return named


@given(panels)
def test_states_are_their_definition(panel):
    assert states(panel).tolist() == [oracle(days) for days in panel]


@given(panels)
def test_the_growth_identity_holds_in_every_period(panel):
    table = growth_accounting(panel)
    assert (table.active == np.array(panel).sum(axis=0)).all()
    before = table.active.shift(fill_value=0)
    assert (table.active == before + table.new + table.resurrected - table.churned).all()
    assert (before == table.retained + table.churned).all()


def test_the_quick_ratio_of_no_loss_is_infinite_and_of_no_move_blank():
    assert quick_ratio(3, 1, 2) == 2 and quick_ratio(1, 0, 0) == np.inf and np.isnan(quick_ratio(0, 0, 0))


def test_a_panel_that_is_a_list_is_refused():
    with pytest.raises(ValueError):
        states([True, False])


def test_drunkards_walk_grinstead_and_snell_example_11_13():
    p = np.array([[1, 0, 0, 0, 0], [0.5, 0, 0.5, 0, 0], [0, 0.5, 0, 0.5, 0], [0, 0, 0.5, 0, 0.5], [0, 0, 0, 0, 1]])
    found = absorbing(p)
    assert found.fundamental == pytest.approx(np.array([[1.5, 1, 0.5], [1, 2, 1], [0.5, 1, 1.5]]))
    assert found.steps == pytest.approx([3, 4, 3])
    assert found.ends == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    assert (found.transient, found.absorbing) == ([1, 2, 3], [0, 4])


chains = st.lists(st.lists(st.integers(1, 50), min_size=4, max_size=4), min_size=4, max_size=4)


@given(chains)
def test_the_stationary_shares_stay_and_passage_times_solve_their_equation(counts):
    p = transition_matrix(counts)
    w = stationary(p)
    assert w @ p == pytest.approx(w) and w.sum() == pytest.approx(1)
    m = mean_first_passage(p)
    # One step, then the passage from wherever it led; coming back to oneself takes 1 / w.
    assert m == pytest.approx(1 + p @ m - np.diag(1 / w), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "matrix", "says"),
    [
        (stationary, [[1, 0], [0, 1]], "never meet"),
        (stationary, [[0.5, 0.4], [0, 1]], "sum to 1"),
        (absorbing, [[0.5, 0.5], [0.5, 0.5]], "nobody leaves"),
        (absorbing, [[0, 1, 0], [1, 0, 0], [0, 0, 1]], "nobody leaves"),
        (transition_matrix, [[1, 2]], "square"),
        (transition_matrix, [[1, -2], [1, 1]], "negative"),
    ],
)
def test_a_matrix_that_is_no_chain_is_refused(call, matrix, says):
    with pytest.raises(ValueError, match=says):
        call(matrix)


def test_a_chain_that_ends_stays_at_its_end():
    assert stationary([[0.5, 0.5], [0, 1]]) == pytest.approx([0, 1])
    assert np.isnan(transition_matrix([[0, 0], [1, 1]])[0]).all()


def test_the_forecast_covers_what_then_happens():
    rng = np.random.default_rng(1)
    truth = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.05, 0.05, 0.9]])
    covered = total = 0
    for seed in range(150):
        counts = np.array([rng.multinomial(n, row) for n, row in zip([300, 200, 500], truth, strict=True)])
        now = counts.sum(axis=0)
        users = now
        for _ in range(4):
            users = sum(rng.multinomial(n, row) for n, row in zip(users, truth, strict=True)) + rng.poisson([20, 0, 0])
        table = expected_states(counts, now, 4, inflow=[20, 0, 0], draws=200, seed=seed)
        covered += ((table.low <= users) & (users <= table.high)).sum()
        total += 3
        assert table.expected.sum() == pytest.approx(now.sum() + 80)
    assert 0.91 <= covered / total <= 0.98


def test_all_users_in_one_state_and_states_never_left():
    table = expected_states([[90, 10], [0, 0]], [100, 0], 1, names=["active", "gone"], draws=100)
    assert list(table.state) == ["active", "gone"] and table.expected[0] == pytest.approx(100 * 90.5 / 101)
    with pytest.raises(TooLittleError, match="离开状态「gone」"):
        expected_states([[90, 10], [0, 0]], [100, 5], 1, names=["active", "gone"])
    with pytest.raises(ValueError, match="periods"):
        expected_states([[1]], [1], 0)
