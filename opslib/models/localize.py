"""The smallest segments that explain most of a change, tested against all the segments that could have been named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, special

from opslib.errors import TooLittleError
from opslib.models.candidates import by_chance, candidates, families
from opslib.models.contributions import contributions
from opslib.models.counted import Counts, Returns
from opslib.models.scores import Counted, Design, Model, fit, models
from opslib.text import say

MOST_CAUSES = 8  # of one kind
STARTS = 8  # beginnings of the search
LEAST_VARIANCE = 2.0  # of a score: that of eight events in two equal periods; fewer can be no cause, and are not normal
COLUMNS = ["kind", "step", "segment", "dimension", "value", "contribution", "low", "high", "p", "users"]
COLUMNS += ["before", "after"]


@dataclass(frozen=True)
class Localization:
    """total = the causes' contributions + unexplained.

    `causes` has one row per cause, largest first: kind (mix or step), step (name of the step; empty for mix), segment
    (dimension → value; empty is everybody), dimension and value (the same as text, joined by " × "), contribution, low,
    high, p (corrected for all segments and steps looked at), users (both periods), before, after (the segment's share
    of entries, or its rate).
    """

    total: float
    unexplained: float
    unexplained_low: float
    unexplained_high: float
    causes: pd.DataFrame

    @property
    def unexplained_share(self) -> float:
        """Of the total; may exceed 1 or be negative when causes oppose each other; blank when nothing moved."""
        return self.unexplained / self.total if self.total else float("nan")


def locate(
    cells: pd.DataFrame,
    dimensions: Sequence[str],
    *,
    before: Sequence[str] = ("n0", "hits0"),
    after: Sequence[str] = ("n1", "hits1"),
    steps: Sequence[str] = ("entered", "returned"),
    depth: int = 2,
    alpha: float = 0.01,
    dispersion: float = 1.0,
    level: float = 0.95,
    draws: int = 300,
    seed: int = 0,
) -> Localization:
    """Name the segments in which a step's rate, or the share of users, changed between two periods.

    `cells` has one row per combination of the dimensions, with the users who reached each of `steps` before and after
    (two steps are a plain rate).

    Definition: all segments of up to `depth` conditions are candidates, and everybody. Within a kind (each step; mix)
    the segment with the largest score gain is taken, the rest is tested again given what was taken, and so on while the
    corrected p is below `alpha`; then what has become superfluous is dropped. A wider segment is preferred unless the
    narrower one gains more than its greater choice would by chance. A rate is compared within cells (Mantel-Haenszel),
    so that mix cannot pass for behaviour. A shift of shares is a cause only if it moved the overall rate by more than
    the rate's own standard error. Contributions: the fitted effect of each cause, given the others, in units of
    the overall conversion (Das Gupta weights).
    Error: percentiles of a parametric bootstrap of the cells given the causes found; the choice of the segment is not
    in it, so intervals of weak causes are too narrow. `dispersion` > 1 widens the tests of the shares, where counts
    vary more from period to period than single users' independent visits would.
    Source: score tests, Mantel & Haenszel 1959; the correction by the effective number of tests from simulated maxima.

    Raises
    ------
    ValueError      if a column is missing or a step has more users than the one before.
    TooLittleError  if a period has no entries.
    """
    table = _table(cells, dimensions, before, after, steps)
    counts = Counts(*(table[list(side)].to_numpy(float).T for side in (before, after)))
    if counts.before[0].sum() == 0 or counts.after[0].sum() == 0:
        raise TooLittleError(
            say(zh="定位原因要求前后两期都有人进入", en="locating causes needs entries in both periods")
        )
    return located(
        counts, table[list(dimensions)], steps, depth=depth, alpha=alpha, dispersion=dispersion, level=level, draws=draws, seed=seed,
    )  # fmt: skip


def located(
    counts: Counted,
    values: pd.DataFrame,
    steps: Sequence[str],
    *,
    depth: int,
    alpha: float,
    dispersion: float,
    level: float,
    draws: int,
    seed: int,
) -> Localization:
    """As `locate`, of cells already counted whose dimensions have these values; `steps` names the kinds after mix."""
    segments, members = candidates(values, depth)
    mix, *steps_on = models(counts, dispersion)
    searches = [Search(members, mix, fixed=(0,))]
    searches += [Search(counts.rows(k, members), step) for k, step in enumerate(steps_on, start=1)]
    rng = np.random.default_rng(seed)
    tests = sum(search.effective_tests(rng) for search in searches)
    penalty = by_chance(segments)
    kin = families(segments)
    chosen = [search.retold(search.select(penalty, tests, alpha), kin, tests, alpha) for search in searches]
    causes = [search.members[:, c].toarray() for search, c in zip(searches, chosen, strict=True)]
    found = contributions(counts, causes, draws, rng, level)
    p = [search.adjusted_p(taken, tests) for search, taken in zip(searches, chosen, strict=True)]
    rows = []
    for parts in _together(chosen, one=isinstance(counts, Returns)):
        kind, i = parts[0]
        effect = sum(found.effects[k][j] for k, j in parts)
        if kind == 0 and abs(effect) < counts.change_se():
            continue  # the shares moved, the rate did not care
        segment = chosen[kind][i]
        row = _described(segments[segment], kind, steps, counts, members[:, [segment]].toarray()[:, 0] > 0)
        low, high = found.interval(parts)
        rows.append(row | {"contribution": effect, "p": min(p[k][j] for k, j in parts), "low": low, "high": high})
    told = pd.DataFrame(rows, columns=COLUMNS)
    told = told.sort_values("contribution", key=lambda c: -c.astype(float).abs(), kind="stable", ignore_index=True)
    return _closed(counts, told, found.level)


def _together(chosen: Sequence[Sequence[int]], *, one: bool) -> list[list[tuple[int, int]]]:
    """The causes by kind and place; where the rates on the way are `one` behaviour, those of a segment in one."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for kind, taken in enumerate(chosen):
        for i, segment in enumerate(taken):
            found.setdefault((min(kind, 1) if one else kind, segment), []).append((kind, i))
    return list(found.values())


def _closed(counts: Counted, causes: pd.DataFrame, level: float) -> Localization:
    total = counts.change()
    rest = total - float(causes.contribution.astype(float).sum())
    half = special.ndtri((1 + level) / 2) * counts.change_se()
    return Localization(total, rest, rest - half, rest + half, causes)


def _table(
    cells: pd.DataFrame, dimensions: Sequence[str], before: Sequence[str], after: Sequence[str], steps: Sequence[str]
) -> pd.DataFrame:
    missing = [c for c in (*dimensions, *before, *after) if c not in cells.columns]
    if missing:
        raise ValueError(f"locate: no column {missing[0]!r} among the cells")
    if not len(before) == len(after) == len(steps) >= 2:
        raise ValueError(f"locate: {len(steps)} steps need as many columns before and after, at least 2")
    for side in (before, after):
        values = cells[list(side)].to_numpy(float)
        if not (values >= 0).all() or (np.diff(values, axis=1) > 0).any():
            raise ValueError(f"locate: a count is negative or missing, or a step has more users than before: {side}")
    return cells.groupby(list(dimensions), dropna=False, sort=False)[[*before, *after]].sum().reset_index()


def _described(
    segment: Mapping[str, Any], kind: int, steps: Sequence[str], counts: Counted, inside: np.ndarray
) -> dict[str, Any]:
    rates = counts.rates_of(kind, inside)
    before, after = (side[inside].sum() for side in counts.entries())
    return {
        "kind": "step" if kind else "mix",
        "step": steps[kind] if kind else "",
        "segment": dict(segment),
        "dimension": " × ".join(segment),
        "value": " × ".join(str(v) for v in segment.values()),
        "users": before + after,
        "before": rates[0],
        "after": rates[1],
    }


@dataclass(frozen=True)
class Search:
    """Score tests of one kind over all candidates, by their column in `members` (cells × candidates)."""

    members: sparse.csc_array
    model: Model
    fixed: tuple[int, ...] = ()  # in the model without being a cause

    def z(self, given: Sequence[int], noise: np.ndarray | None = None) -> np.ndarray:
        """Each candidate's z given the segments already in the model, or of `noise` (cells × draws)."""
        x, s = self.members, self.members[:, [*self.fixed, *given]].toarray()
        design = Design.of(s)
        score, information, variance = self.model.at(design.at(fit(self.model, design)))
        score = score[:, None] if noise is None else noise * np.sqrt(variance)[:, None]
        heavy, spread = information[:, None] * s, variance[:, None] * s
        b = (x.T @ heavy) @ np.linalg.pinv(s.T @ heavy)
        u, v = x.T @ score - b @ (s.T @ score), x.T @ variance
        left = v - 2 * ((x.T @ spread) * b).sum(axis=1) + ((b @ (s.T @ spread)) * b).sum(axis=1)
        enough = left > np.maximum(1e-3 * v, LEAST_VARIANCE)
        z = u / np.sqrt(np.where(enough, left, np.inf))[:, None]
        return z[:, 0] if noise is None else z

    def effective_tests(self, rng: np.random.Generator, draws: int = 200) -> float:
        """So many independent tests would have the same median of their largest |z|."""
        largest = np.abs(self.z([], rng.standard_normal((self.members.shape[0], draws)))).max(axis=0)
        return float(np.log(0.5) / np.log1p(-2 * special.ndtr(-max(np.median(largest), 0.1))))

    def select(self, penalty: np.ndarray, tests: float, alpha: float) -> list[int]:
        """The shortest list of causes that leaves nothing significant, from several beginnings.

        A wide segment taken first may need exceptions that a better beginning does without.
        """
        found = self._forward([], penalty, tests, alpha)
        if len(found) <= 2:
            return found
        gain = self._gain([], penalty, tests, alpha)
        starts = [int(c) for c in np.argsort(-gain)[:STARTS] if np.isfinite(gain[c]) and c != found[0]]
        lists = [found, *(self._forward([start], penalty, tests, alpha) for start in starts)]
        return min(lists, key=self._untidiness)

    def _untidiness(self, chosen: list[int]) -> tuple[int, int]:
        signs = [np.sign(self.z([c for c in chosen if c != own])[own]) for own in chosen]
        return len(chosen), int(len(chosen) - abs(sum(signs)))

    def _forward(self, chosen: list[int], penalty: np.ndarray, tests: float, alpha: float) -> list[int]:
        """Take the best segment while one is significant, and drop what the others have made superfluous."""
        while len(chosen) < MOST_CAUSES:
            gain = self._gain(chosen, penalty, tests, alpha)
            best = self._best(gain)
            if not np.isfinite(gain[best]):
                break
            chosen = [*chosen, best]
            while (p := self.adjusted_p(chosen, tests)).max() >= alpha:
                if chosen.pop(int(np.argmax(p))) == best:
                    return chosen
        return chosen

    def _best(self, gain: np.ndarray) -> int:
        """The segment that gains most; of equal ones that of the fewest users, not the one that rounding favours."""
        top = float(gain.max())
        if not np.isfinite(top):
            return 0
        equal = np.flatnonzero(gain >= top - 1e-6 * abs(top))
        users = self.members.T @ (self.model.n0 + self.model.n1)  # type: ignore[attr-defined]
        return int(equal[np.argmin(users[equal])])

    def _gain(self, given: list[int], penalty: np.ndarray, tests: float, alpha: float) -> np.ndarray:
        z = self.z(given)
        gain = np.where(_corrected(z, tests) < alpha, z**2 - penalty, -np.inf)
        gain[[*self.fixed, *given]] = -np.inf
        return gain

    def retold(self, chosen: list[int], kin: Sequence[tuple[int, list[int]]], tests: float, alpha: float) -> list[int]:
        """“All of these, but that part otherwise” as one or two parts, where these explain it at least as well."""
        for whole, parts in kin:
            apart = set(parts) & set(chosen)
            if whole not in chosen or not apart:
                continue
            rest = [c for c in chosen if c != whole and c not in apart]
            family = [whole, *parts]
            most = min(len(apart) + 1, len(parts) - 1)
            told = [[*rest, *some] for k in range(1, most + 1) for some in combinations(parts, k)]
            told = [new for some in told if (new := self._needed(some, parts, tests, alpha))]
            left = [float(np.abs(self.z(new)[family]).max()) for new in told]
            now = float(np.abs(self.z(chosen)[family]).max())
            if not left or _corrected(np.array([min(left)]), tests)[0] < alpha:
                continue
            otherwise = self.z(rest)[whole] * self.z([*rest, whole])[list(apart)] < 0  # and not further the same way
            if min(left) <= now or otherwise.all():
                chosen = told[int(np.argmin(left))]
        return chosen

    def _needed(self, told: list[int], parts: Sequence[int], tests: float, alpha: float) -> list[int]:
        """The list without what the parts have made superfluous; empty where one of the parts is."""
        while (p := self.adjusted_p(told, tests)).max() >= alpha:
            if told[int(np.argmax(p))] in parts:
                return []
            told = [c for i, c in enumerate(told) if i != int(np.argmax(p))]
        return told

    def adjusted_p(self, chosen: Sequence[int], tests: float) -> np.ndarray:
        """Corrected p of each chosen segment given the others."""
        z = [self.z([c for c in chosen if c != own])[own] for own in chosen]
        return _corrected(np.array(z), tests)


def _corrected(z: np.ndarray, tests: float) -> np.ndarray:
    """The chance that the largest of `tests` |z| is at least this one."""
    return -np.expm1(tests * np.log1p(-np.minimum(2 * special.ndtr(-np.abs(z)), 1 - 1e-16)))
