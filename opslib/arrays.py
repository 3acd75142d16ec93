"""Checked arrays from the columns of small tables, and the arithmetic that leaves blanks where nothing was observed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError, near
from opslib.text import say

Interval = Literal["wilson", "beta", "jeffreys", "agresti_coull", "normal"]


def binomial_interval(
    hits: np.ndarray, of: np.ndarray, level: float = 0.95, method: Interval = "wilson"
) -> tuple[np.ndarray, np.ndarray]:
    """The two-sided interval of hits / of, elementwise; blank where `of` is 0."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = np.full((2, len(of)), np.nan)
    some = of > 0
    if some.any():
        low[some], high[some] = proportion_confint(hits[some], of[some], alpha=1 - _level(level), method=method)
    # Exactly 0 and 1 at the ends: rounding must not leave a share of 1e-17 that a ratio would divide by.
    return np.where(some & (hits == 0), 0.0, np.clip(low, 0, 1)), np.where(
        some & (hits == of), 1.0, np.clip(high, 0, 1)
    )


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    return level


def t_quantile(level: float, df: np.ndarray) -> np.ndarray:
    """The two-sided quantile of Student's t; blank where `df` is not positive."""
    return special.stdtrit(np.where(df > 0, df, np.nan), (1 + _level(level)) / 2)


def two_sided(z: np.ndarray) -> np.ndarray:
    """The two-sided p-value of a standard normal."""
    return 2 * special.ndtr(-np.abs(z))


def divided(top: np.ndarray, bottom: np.ndarray, else_: float = np.nan) -> np.ndarray:
    """top / bottom; where bottom is 0, `else_` for a positive top and a blank for none."""
    with np.errstate(all="ignore"):
        return np.where(bottom > 0, top / bottom, np.where(top > 0, else_, np.nan))


def known(frame: pd.DataFrame, name: str) -> str:
    """`name`, if the frame has it."""
    if name not in frame.columns:
        raise ValueError(f"no column {name!r}; {near(name, frame.columns)}".rstrip("; "))
    return name


def column(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as floats; missing values are NaN."""
    return pd.to_numeric(frame[known(frame, name)], errors="raise").to_numpy(dtype=float, na_value=np.nan)


def counts(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of amounts that cannot be negative."""
    values = column(frame, name)
    if (values < 0).any():
        raise ValueError(f"{name!r} is negative in row {int(np.flatnonzero(values < 0)[0])}")
    return values


def shares(frame: pd.DataFrame, hits: str, of: str) -> tuple[np.ndarray, np.ndarray]:
    """A numerator and its denominator."""
    x, n = counts(frame, hits), counts(frame, of)
    if (x > n).any():
        i = int(np.flatnonzero(x > n)[0])
        raise ValueError(f"{hits!r} exceeds {of!r} in row {i}: {x[i]:g} of {n[i]:g}")
    return x, n


def moments(frame: pd.DataFrame, mean: str, var: str, n: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sample variance and size; the variance of fewer than two values is blank."""
    size = counts(frame, n)
    return column(frame, mean), np.where(size > 1, counts(frame, var), np.nan), size


def require(n: np.ndarray, name: str, least: int) -> None:
    """Refuse rows with fewer than `least`."""
    if least and (len(n) == 0 or np.nanmin(n) < least):
        has = f"{np.nanmin(n):g}" if len(n) else say(zh="0 行", en="no rows")
        raise TooLittleError(
            say(
                zh="每行的「{name}」至少要 {least}，现有 {has}",
                en="needs {least} of “{name}” in each row, has {has}",
                name=name,
                least=least,
                has=has,
            )
        )
