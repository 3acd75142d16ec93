"""The promises of the diagnosis over a hundred generated worlds, and some of other kinds."""

from __future__ import annotations

import other_worlds
import pandas as pd
import pytest
from diagnosis_worlds import DIMENSIONS, STEPS, world

from opslib.models.diagnosis import diagnose, listed
from opslib.models.mix_views import by_dimension


def said(cells, kpi="retention", **more):
    return diagnose(cells, DIMENSIONS, steps=STEPS, kpi=kpi, **({"draws": 0} | more))


def named(row):
    kind = "mix" if row["kind"] == "mix" else "behaviour"
    return kind, row["dimension"], row["value"]


@pytest.fixture(scope="module")
def hundred():
    """A hundred worlds, with 0 to 3 causes in turn: what was planted, what was found."""
    found = []
    for seed in range(100):
        cells, planted = world(seed, causes=seed % 4)
        result = said(cells)
        found.append((planted, result, [named(r) for r in result.causes.to_dict("records")], cells))
    return found


def test_the_largest_cause_is_named_first_in_95_of_100_worlds_with_one(hundred):
    with_causes = [(planted, names) for planted, _, names, _ in hundred if planted]
    first = sum(bool(names) and names[0] == named(planted[0]) for planted, names in with_causes)
    print(f"top cause first: {first} of {len(with_causes)}")
    assert first >= 0.95 * len(with_causes)


def test_all_causes_are_found_in_85_of_100_worlds(hundred):
    worlds = [(planted, names) for planted, _, names, _ in hundred if planted]
    complete = sum({named(p) for p in planted} <= set(names) for planted, names in worlds)
    print(f"all causes found: {complete} of {len(worlds)}")
    assert complete >= 0.85 * len(worlds)


def test_no_cause_is_claimed_in_95_of_100_worlds_without_one(hundred):
    silent = [not names for planted, _, names, _ in hundred if not planted]
    silent += [said(world(1000 + seed, 0)[0]).causes.empty for seed in range(35)]
    print(f"silent: {sum(silent)} of {len(silent)}")
    assert sum(silent) >= 0.95 * len(silent)


@pytest.mark.parametrize("kind", sorted(set(other_worlds.KINDS) - {"wide"}))
def test_causes_of_other_kinds_are_found_too(kind):
    worlds = [other_worlds.world(seed, kind, causes=1) for seed in range(8)]
    worlds += [other_worlds.world(seed, kind, causes=0) for seed in range(8)]
    right = 0
    for made in worlds:
        causes = diagnose(made.cells, made.dimensions, steps=STEPS, draws=0, dispersion=made.dispersion).causes
        right += list(causes["segment"]) == [cause["segment"] for cause in made.planted]
    assert right >= 15


def test_a_step_cause_in_some_and_coming_back_in_others_are_told_by_their_segments():
    """The same platform falls at a step and in coming back: one cause, worth both."""
    cells, _ = world(1000, causes=0)
    fallen = (cells["period"] == "current") & (cells["platform"] == "ios")
    moved = cells[fallen & (cells["reached"] == 3)]
    stopped = moved.assign(reached=2, users=moved["users"] // 3, returned=moved["returned"] // 9)
    left = moved.assign(users=moved["users"] - moved["users"] // 3, returned=moved["returned"] // 3)
    cells = pd.concat([cells[~(fallen & (cells["reached"] == 3))], stopped, left])
    found = said(cells, draws=50)
    assert [named(r) for r in found.causes.to_dict("records")] == [("behaviour", "platform", "ios")]
    cause = found.causes.iloc[0]
    assert cause["low"] <= cause["contribution"] <= cause["high"] < 0
    assert cause["contribution"] == pytest.approx(found.change, rel=0.25)


def test_a_step_cause_is_told_with_its_step(hundred):
    worlds = [
        (planted[0], found) for planted, found, _, _ in hundred if len(planted) == 1 and planted[0]["kind"] == "step"
    ]
    right = [found.causes["step"].iloc[0] == cause["step"] for cause, found in worlds if len(found.causes)]
    assert len(right) >= 5 and sum(right) >= 0.8 * len(right)


def test_parts_sum_to_the_change_to_the_last_digit(hundred):
    for _, found, _, cells in hundred[::5]:
        assert found.before + found.change == pytest.approx(found.after, abs=1e-12)
        assert found.mix + found.rate == pytest.approx(found.change, abs=1e-9)
        assert listed(found)["contribution"].sum() == pytest.approx(found.change, abs=1e-9)
        assert found.effects["contribution"].sum() == pytest.approx(found.change, abs=1e-9)
        assert found.causes["contribution"].sum() + found.unexplained == pytest.approx(found.change, abs=1e-9)
        views = found.one_by_one.groupby("dimension")["contribution"].sum()
        assert views.to_list() == pytest.approx([found.change] * len(DIMENSIONS), abs=1e-9)
        for interaction in (False, True):
            rows = by_dimension(cells, DIMENSIONS, steps=STEPS, interaction=interaction)
            parts = rows["mix"] + rows["rate_effect"] + rows["interaction"]
            assert parts.to_list() == pytest.approx([found.change] * len(rows), abs=1e-9)


def test_a_conversion_is_taken_apart_into_the_same_sums():
    cells, _ = world(3, causes=2)
    found = said(cells, kpi="conversion")
    last = {s: cells[(cells.period == s) & (cells.reached == 3)]["users"].sum() for s in ("previous", "current")}
    all_of = {s: cells[(cells.period == s) & (cells.reached >= 1)]["users"].sum() for s in ("previous", "current")}
    change = last["current"] / all_of["current"] - last["previous"] / all_of["previous"]
    assert found.change == pytest.approx(change, abs=1e-12)
    assert listed(found)["contribution"].sum() == pytest.approx(change, abs=1e-9)
    assert found.effects["contribution"].sum() == pytest.approx(change, abs=1e-9)
    assert set(found.effects["factor"]) == {"mix", *STEPS}
