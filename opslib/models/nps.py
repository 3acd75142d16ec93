"""Net promoter score and satisfaction: one number from three shares, with the interval that three shares have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Nps:
    """Promoters minus detractors in points (−100..100), its standard error and two intervals.

    `low`, `high` (adjusted Wald) are the ones to show; the plain Wald interval is too narrow for few answers.
    """

    nps: float
    se: float
    low: float
    high: float
    wald: tuple[float, float]
    n: int


def nps(promoters: int, passives: int, detractors: int, *, level: float = 0.95) -> Nps:
    """The score of one group of answers: promoters gave 9 or 10, passives 7 or 8, detractors 0 to 6.

    Definition: an answer outside 0..10, or none, belongs to nobody; leave it out before counting.
    Error: variance p + d − (p − d)², because promoters and detractors exclude each other. The adjusted Wald interval
    adds ¾ promoter, ¾ detractor and 3 answers in all; intervals end at ±100.
    Source: Reichheld 2003; Rocks 2016, The American Statistician 70, 365-372; Bonett & Price 2012.

    Raises
    ------
    ValueError      if a count is negative.
    TooLittleError  without answers.
    """
    _checked(promoters, passives, detractors)
    score, se, n = _score(promoters, passives, detractors)
    middle, wider, _ = _score(promoters + 0.75, passives + 1.5, detractors + 0.75)
    z = special.ndtri((1 + level) / 2)
    low, high = np.clip([middle - z * wider, middle + z * wider], -100, 100)
    return Nps(score, se, float(low), float(high), (score - z * se, score + z * se), int(n))


def _checked(promoters: float, passives: float, detractors: float) -> None:
    if min(promoters, passives, detractors) < 0:
        raise ValueError(f"nps: a count is negative in {(promoters, passives, detractors)}")
    if promoters + passives + detractors == 0:
        raise TooLittleError(
            say(
                zh="计算净推荐值（NPS）至少要 1 份回答，现有 0 份",
                en="a net promoter score needs at least one answer, has 0",
            )
        )


def _score(promoters: float, passives: float, detractors: float) -> tuple[float, float, float]:
    n = promoters + passives + detractors
    p, d = promoters / n, detractors / n
    return 100 * (p - d), 100 * float(np.sqrt((p + d - (p - d) ** 2) / n)), n


def nps_of(scores: object, *, level: float = 0.95) -> Nps:
    """The net promoter score of answers 0..10; missing answers are left out.

    Raises
    ------
    ValueError      if an answer is no whole number from 0 to 10.
    TooLittleError  without answers.
    """
    given = np.asarray(scores, dtype=float)
    given = given[~np.isnan(given)]
    if not np.isin(given, np.arange(11)).all():
        raise ValueError(
            "nps_of: answers are whole numbers from 0 to 10; a code for “no answer” must be left out before"
        )
    return nps(int((given >= 9).sum()), int(((given == 7) | (given == 8)).sum()), int((given <= 6).sum()), level=level)


@dataclass(frozen=True)
class NpsDifference:
    """Second score minus first, in points."""

    diff: float
    low: float
    high: float
    z: float
    p: float


def nps_difference(first: tuple[int, int, int], second: tuple[int, int, int], *, level: float = 0.95) -> NpsDifference:
    """Whether two independent groups of answers differ; each is (promoters, passives, detractors).

    Error: normal, with the sum of the two variances; z and p are blank when neither group varies.
    Source: as `nps`.

    Raises
    ------
    ValueError, TooLittleError  as `nps`.
    """
    for group in (first, second):
        _checked(*group)
    (a, se_a, _), (b, se_b, _) = _score(*first), _score(*second)
    se = float(np.hypot(se_a, se_b))
    half = special.ndtri((1 + level) / 2) * se
    z = (b - a) / se if se > 0 else float("nan")
    return NpsDifference(b - a, b - a - half, b - a + half, z, float(2 * special.ndtr(-abs(z))))


@dataclass(frozen=True)
class Csat:
    """The share of satisfied answers with its Wilson interval."""

    rate: float
    low: float
    high: float
    n: int


def csat(satisfied: int, answers: int, *, level: float = 0.95) -> Csat:
    """Customer satisfaction: the two best answers (4 or 5 of 5) among all.

    Error: Wilson's score interval.
    Source: Newcombe 1998, method 3.

    Raises
    ------
    ValueError      if the satisfied exceed the answers.
    TooLittleError  without answers.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= satisfied <= answers:
        raise ValueError(f"csat: 0 ≤ satisfied ≤ answers, got {satisfied} of {answers}")
    if answers == 0:
        raise TooLittleError(
            say(zh="计算满意度至少要 1 份回答，现有 0 份", en="satisfaction needs at least one answer, has 0")
        )
    low, high = proportion_confint(satisfied, answers, alpha=1 - level, method="wilson")
    return Csat(satisfied / answers, float(low), float(high), int(answers))
