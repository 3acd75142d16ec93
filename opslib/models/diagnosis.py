"""Why a rate of new users moved: the causes, what each step took, and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.models.counted import Returns
from opslib.models.decompose import causes as one_by_one
from opslib.models.decompose import mix_rate, simpson
from opslib.models.localize import Localization, locate, located
from opslib.models.step_effects import Effects, step_effects
from opslib.text import say

KPIS = ("retention", "conversion")
REST = "(rest)"
LISTED = ["dimension", "value", "kind", "contribution", "low", "high", "step", "p", "users", "gain_users"]
_SIDES = {"previous": "0", "current": "1"}


@dataclass(frozen=True)
class Diagnosis:
    """A change of a rate and what it is made of; every part is in units of that rate.

    `before` + `change` = `after`; `change` = `mix` + `rate` (over all cells of the dimensions) = the contributions of
    `causes` + `unexplained`. `n0`, `n1`: users of each period. `causes`: one row per cause, as `localize.locate`, with
    `kind` mix, rate or step, `step` (the funnel step that took most of a rate cause, empty where none stands out),
    `step_part` (its contribution), `gain_users` (users a period of this size would win back) and `n` (users of the
    segment in the current period). `one_by_one`: mix and rate of every value of every dimension, each dimension a whole view of the
    change. `reversals`: dimensions in which Simpson's paradox shows. `effects`: who came, each step, and coming back.
    """

    kpi: str
    dimensions: list[str]
    n0: float
    n1: float
    before: float
    after: float
    change: float
    low: float
    high: float
    mix: float
    rate: float
    mix_se: float
    rate_se: float
    causes: pd.DataFrame
    unexplained: float
    unexplained_low: float
    unexplained_high: float
    one_by_one: pd.DataFrame
    reversals: pd.DataFrame
    effects: pd.DataFrame = field(repr=False)

    @property
    def moved(self) -> bool:
        """Whether the change is more than chance, at 5 %."""
        return not self.low <= 0 <= self.high


def diagnose(
    cells: pd.DataFrame,
    dimensions: Sequence[str],
    *,
    steps: Sequence[str],
    kpi: str = "retention",
    dispersion: float = 1.0,
    alpha: float = 0.01,
    depth: int = 2,
    level: float = 0.95,
    draws: int = 300,
    seed: int = 0,
) -> Diagnosis:
    """Decompose the change between two periods of day-N retention, or of the conversion through `steps`.

    `cells` has one row per (period, dimensions…, reached): period "previous" or "current", `reached` the number of steps
    done (0 to the number of `steps`), users, returned; as `metrics.newcomers` counts them (see `named_cells`).

    Definition: retention is returned / users, conversion the users who reached the last step / those who reached the
    first. Causes by `localize.locate` (score tests corrected for all segments; joint fit): of conversion in each step; of
    retention in each step and in coming back among those who stopped alike, where a change is sharper than in the whole, and
    what it moved of the whole (plainly in the whole where cells are too thin for that); the step of a rate cause by
    `step_effects`. A cause's gain is its contribution undone, given that the others stay as they are.
    Error: bootstrap intervals of the contributions; normal ones of mix, rate and the change.
    Source: Kitagawa 1955; Das Gupta 1993.

    Raises
    ------
    ValueError      if `kpi` or a column is not known.
    TooLittleError  if a period has no users.
    """
    if kpi not in KPIS:
        raise ValueError(f"diagnose: kpi must be retention or conversion, got {kpi!r}")
    names = list(dimensions)
    wide, last = wide_cells(cells, names, len(steps), kpi)
    sides = {s: wide[f"s0_{s}"].sum() for s in "01"}
    if min(sides.values()) == 0:
        raise TooLittleError(_nobody(sides))
    reached = [f"s{i}" for i in range(int(last[1:]) + 1)]
    before, after = ([f"{c}_{s}" for c in reached] for s in "01")
    labels = ["entered", "returned"] if kpi == "retention" else list(steps)
    how: dict[str, Any] = {
        "depth": depth, "alpha": alpha, "dispersion": dispersion, "level": level, "draws": draws, "seed": seed
    }  # fmt: skip
    along = _along(cells, names, len(steps), wide) if kpi == "retention" else None
    if along is None or along.thin():
        found = locate(wide, names, before=before, after=after, steps=labels, **how)
    else:
        found = located(along, wide[names], ["entered", *steps, "returned"], **how)
    ends = {"before": ("s0_0", f"{last}_0"), "after": ("s0_1", f"{last}_1")}
    (n0, r0), (n1, r1) = ((wide[a].to_numpy(float), _over(wide[b], wide[a])) for a, b in ends.values())
    whole = mix_rate(n0, r0, n1, r1)
    z = special.ndtri((1 + level) / 2)
    effects = step_effects(cells, names, steps=list(steps), kpi=kpi, level=level, draws=draws, seed=seed)
    rates = [float(n @ np.nan_to_num(r) / n.sum()) for n, r in ((n0, r0), (n1, r1))]
    return Diagnosis(
        kpi=kpi, dimensions=names, n0=n0.sum(), n1=n1.sum(), before=rates[0], after=rates[1], change=found.total,
        low=found.total - z * whole.total_se, high=found.total + z * whole.total_se,
        mix=whole.mix, rate=whole.rate, mix_se=whole.mix_se, rate_se=whole.rate_se,
        causes=_told(found, effects, wide, n1.sum(), kpi),
        unexplained=found.unexplained, unexplained_low=found.unexplained_low, unexplained_high=found.unexplained_high,
        one_by_one=one_by_one(wide, names, level=level, **ends), reversals=_reversals(wide, names, **ends),
        effects=effects.table,
    )  # fmt: skip


def named_cells(cells: pd.DataFrame, dimensions: Sequence[str]) -> pd.DataFrame:
    """The cells of `metrics.newcomers` with the dimensions' own names instead of d0, d1, …"""
    return cells.rename(columns={f"d{i}": name for i, name in enumerate(dimensions)})


def listed(found: Diagnosis, *, level: float = 0.95) -> pd.DataFrame:
    """The whole decomposition as a list: the causes, largest first, then what is left of mix and rate.

    One row per part; the contributions sum to the change. Columns: dimension, value, kind (mix, rate or step), contribution,
    low, high; step, p, users, gain_users. Everybody is dimension and value "(all)", what no cause explains "(rest)".
    """
    z = special.ndtri((1 + level) / 2)
    told = found.causes.assign(users=found.causes["n"])
    told[["dimension", "value"]] = told[["dimension", "value"]].replace("", "(all)")
    mix = found.mix - told.loc[told["kind"] == "mix", "contribution"].sum()
    rate = found.change - told["contribution"].sum() - mix
    parts = [("mix", mix, found.mix_se), ("rate", rate, found.rate_se)]
    rest = [
        {"dimension": REST, "value": REST, "kind": kind, "contribution": v, "low": v - z * se, "high": v + z * se}
        for kind, v, se in parts
    ]
    blank = pd.DataFrame(rest).reindex(columns=LISTED)
    return pd.concat([told[LISTED], blank], ignore_index=True) if len(told) else blank


def views(found: Diagnosis) -> pd.DataFrame:
    """Every value of every dimension by itself: dimension, value, kind, contribution, low, high, users.

    Within one dimension the contributions sum to the change; dimensions are views of the same change. The intervals are
    not corrected for their number: causes are told by `Diagnosis.causes` only.
    """
    return found.one_by_one.assign(value=found.one_by_one["value"].fillna("").astype(str))


def wide_cells(cells: pd.DataFrame, names: list[str], k: int, kpi: str) -> tuple[pd.DataFrame, str]:
    """One row per combination of the dimensions: s0_0, s1_0, … users at each stage before, s0_1, … after; the last stage."""
    missing = [c for c in ("period", *names, "reached", "users", "returned") if c not in cells.columns]
    if missing:
        raise ValueError(f"diagnose: no column {missing[0]!r} among the cells")
    stages: dict[str, pd.Series] = {}
    for period, s in _SIDES.items():
        rows = cells[cells["period"] == period]
        if kpi == "retention":
            stages |= {f"s0_{s}": _sums(rows, names, "users"), f"s1_{s}": _sums(rows, names, "returned")}
        else:
            stages |= {f"s{i}_{s}": _sums(rows[rows["reached"] > i], names, "users") for i in range(k)}
    table = pd.DataFrame(stages).fillna(0.0).rename_axis(names).reset_index().sort_values(names, ignore_index=True)
    return table, "s1" if kpi == "retention" else f"s{k - 1}"


def _along(cells: pd.DataFrame, names: list[str], k: int, wide: pd.DataFrame) -> Returns:
    """Users by the number of steps done, and who came back, in the order of the cells of `wide`."""
    keys = pd.MultiIndex.from_frame(wide[names]) if names else pd.RangeIndex(1)
    found = {}
    for column in ("users", "returned"):
        for period in _SIDES:
            rows = cells[cells["period"] == period]
            sums = rows.groupby([*names, "reached"], dropna=False)[column].sum().unstack("reached", fill_value=0)
            found[column, period] = sums.reindex(index=keys, columns=range(k + 1)).fillna(0).to_numpy(float).T
    users, back = ((found[c, "previous"], found[c, "current"]) for c in ("users", "returned"))
    return Returns(users, back)


def _sums(rows: pd.DataFrame, names: list[str], column: str) -> pd.Series:
    return rows.groupby(names, dropna=False)[column].sum().astype(float)


def _over(top: pd.Series, bottom: pd.Series) -> np.ndarray:
    n = bottom.to_numpy(float)
    return np.divide(top.to_numpy(float), n, out=np.full(len(n), np.nan), where=n > 0)


def _nobody(sides: dict[str, float]) -> str:
    if sides["1"]:
        return say(
            zh="对比期没有新用户，无从比较；请改参数 compare_start、compare_end",
            en="no new users in the period compared with; change compare_start and compare_end",
        )
    return say(zh="本期没有新用户；请改参数 start、end", en="no new users in the period; change start and end")


def _told(found: Localization, effects: Effects, wide: pd.DataFrame, entered: float, kpi: str) -> pd.DataFrame:
    """The located causes with the step that took most, and what repairing each would bring."""
    rows = found.causes.copy()
    inside = [_inside(wide, s) for s in rows["segment"]]
    rows["n"] = [float(wide.loc[i, "s0_1"].sum()) for i in inside]
    rows["step_part"] = rows["contribution"].astype(float)
    if kpi == "retention":
        rows["kind"] = rows["kind"].replace("step", "rate")
        parts = [effects.main_step(i) if k == "rate" else ("", 0.0) for i, k in zip(inside, rows["kind"], strict=True)]
        rows["step"], rows["step_part"] = ([p[0] for p in parts], [p[1] for p in parts]) if parts else ("", 0.0)
    rows["gain_users"] = -rows["contribution"].astype(float) * entered
    return rows


def _inside(wide: pd.DataFrame, segment: dict[str, object]) -> np.ndarray:
    members = np.ones(len(wide), dtype=bool)
    for name, value in segment.items():
        members &= (wide[name] == value).to_numpy() if value is not None else wide[name].isna().to_numpy()
    return members


def _reversals(wide: pd.DataFrame, names: list[str], before: tuple[str, str], after: tuple[str, str]) -> pd.DataFrame:
    """Dimensions whose values moved against the whole: dimension, total, mix, rate, up, down, strict."""
    rows = []
    for name in names:
        sums = wide.groupby(name, dropna=False)[[*before, *after]].sum()
        (n0, r0), (n1, r1) = ((sums[a].to_numpy(float), _over(sums[b], sums[a])) for a, b in (before, after))
        seen = simpson(n0, r0, n1, r1)
        if seen.reversal:
            rows.append((name, seen.total, seen.mix, seen.rate, seen.segments_up, seen.segments_down, seen.strict))
    return pd.DataFrame(rows, columns=["dimension", "total", "mix", "rate", "up", "down", "strict"])
