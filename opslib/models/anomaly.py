"""What a day should have brought, and which days are out of that: bands that know weekdays, holidays and the trend."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.holidays import WORKDAY
from opslib.models.outliers import MAD_TO_SD, robust_scale
from opslib.text import say

WEEK = 7
ROUNDING = 1e-9  # of the usual value: what is smaller is no noise
Noise = Literal["poisson"] | np.ndarray | None


def bands(
    values: Any,
    *,
    calendar: pd.Series | None = None,
    threshold: float = 5.0,
    period: int = WEEK,
    seasonal: int = 35,
    trend: int | None = 31,
    noise: Noise = None,
    until: Any = None,
) -> pd.DataFrame:
    """The expected band of a daily series, looking back over all of it, and the days outside.

    One row per calendar day from the first to the last of `values` (a series indexed by day, or a list of consecutive
    days); a day without a value has blanks.

    Columns
    -------
    day       : datetime  (position, when a plain list was given)
    value     : float
    expected  : float     trend, weekday and known holidays
    low, high : float     expected ± `threshold` robust standard deviations
    z         : float     (value − expected) in robust standard deviations; blank on days that are not judged
    size      : float     value − expected
    holiday   : str       name from `calendar`; empty on ordinary days
    anomaly   : bool      |z| > threshold

    Definition: robust STL with a period of 7 days, a seasonal window of `seasonal` weeks and a trend window of `trend`
    days (None is STL's own rule, 11 days, which follows noise); the scale is 1.4826 · MAD of the remainder around its
    median. A list of hours may have another `period`. With a `calendar` (see `holidays`), a holiday is expected to do
    what the same day of the same holiday did on its other occurrences (median share of the ordinary level); without
    another occurrence it is not judged, because no level is known. A working weekend is expected to be as a weekday.
    `noise`: the least standard deviation that a day can have; "poisson" is √expected, which keeps counts near 0 from
    alarming, and low is then not below 0. Days after `until` (today, which is not over) are shown and not judged.
    Error: of 140 days of normal noise, fewer than 1 in 1,000 are outside at z > 5; heavy tails have more.
    Source: Cleveland et al. 1990, STL; Lavin & Ahmad 2015 for the check on labelled windows.

    Raises
    ------
    ValueError      if days repeat, or a window is even or too short.
    TooLittleError  with fewer than three periods of values.
    """
    table = _daily(values, calendar)
    judged = table.value.notna() & _until(table.day, until)
    if judged.sum() < 3 * period:
        raise TooLittleError(
            say(
                zh="预期区间至少要 {least} 天有数据，现有 {has} 天",
                en="an expected band needs {least} days with a value, has {has}",
                least=3 * period,
                has=int(judged.sum()),
            )
        )
    for name, window in (("seasonal", seasonal), ("trend", trend or 2 * period + 1)):
        if window < 7 or window % 2 == 0 or (name == "trend" and window <= period):
            raise ValueError(f"bands: {name} must be odd, at least 7 and longer than the period, got {window}")
    plain = judged & (table.holiday == "")
    table["expected"] = _expected(table, judged, plain, {"period": period, "seasonal": seasonal, "trend": trend})
    apart = table.value - table.expected
    apart = apart.mask(apart.abs() <= ROUNDING * table.value.abs().median(), 0.0)
    known = judged & _precedent(table)
    centre = float(np.median(apart[plain])) if plain.any() else 0.0
    scale = np.maximum(
        robust_scale((apart[plain if plain.any() else judged] - centre).to_numpy()), _least(table, noise)
    )
    return _judged(table, known, apart, centre, scale, threshold, noise)


def _judged(
    table: pd.DataFrame, known: Any, apart: pd.Series, centre: float, scale: Any, threshold: float, noise: Noise
) -> pd.DataFrame:
    scale = np.where(scale > ROUNDING * np.nanmedian(np.abs(table.value)), scale, 0.0)
    half = threshold * scale
    floor = 0.0 if isinstance(noise, str) else -np.inf
    z = np.divide(apart - centre, scale, out=np.zeros(len(table)), where=scale > 0)
    table = table.assign(low=np.maximum(table.expected + centre - half, floor), high=table.expected + centre + half)
    table = table.assign(z=np.where(known, z, np.nan), size=apart)
    table["anomaly"] = (table.z.abs() > threshold).to_numpy()
    return table[["day", "value", "expected", "low", "high", "z", "size", "holiday", "anomaly"]]


def _daily(values: Any, calendar: pd.Series | None) -> pd.DataFrame:
    """Consecutive days with their value and holiday."""
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values, dtype=float))
    if not pd.api.types.is_numeric_dtype(series.index):
        series = series.set_axis(pd.DatetimeIndex(pd.to_datetime(series.index)).normalize())
        if series.index.has_duplicates:
            raise ValueError(f"bands: the day {series.index[series.index.duplicated()][0]:%Y-%m-%d} is there twice")
        series = series.sort_index().asfreq("D")
    named = pd.Series("", index=series.index, dtype=object)
    if calendar is not None:
        named = calendar.reindex(series.index).fillna("")
    return pd.DataFrame(
        {"day": series.index, "value": series.to_numpy(dtype=float, na_value=np.nan), "holiday": named.to_numpy()}
    )


def _until(day: pd.Series, until: Any) -> np.ndarray:
    if until is None:
        return np.ones(len(day), dtype=bool)
    last = pd.Timestamp(until).normalize() if pd.api.types.is_datetime64_any_dtype(day) else until
    return (day <= last).to_numpy()


def _expected(table: pd.DataFrame, judged: pd.Series, plain: pd.Series, windows: dict[str, Any]) -> np.ndarray:
    """Trend + weekday by robust STL on ordinary days, then what holidays are known to do."""
    from statsmodels.tsa.seasonal import STL

    fitted = STL(_filled(table.value.where(plain), windows["period"]), robust=True, **windows).fit()
    season = np.asarray(fitted.seasonal)
    week = pd.Series(season).rolling(WEEK, center=True, min_periods=WEEK).median().bfill().ffill().to_numpy()
    # A working weekend is a weekday: the median of seven days is one of the five.
    usual = np.asarray(fitted.trend) + np.where(table.holiday == WORKDAY, week, season)
    return usual * _holiday_share(table, usual, judged)


def _filled(values: pd.Series, period: int) -> np.ndarray:
    """Missing days from the same weekday around them: STL needs every day."""
    by_weekday = [values.iloc[i::period].interpolate(limit_direction="both") for i in range(period)]
    return pd.concat(by_weekday).sort_index().interpolate(limit_direction="both").to_numpy()


def _occurrence(table: pd.DataFrame) -> pd.DataFrame:
    """For each day of a holiday: which run of it, and which day of the run."""
    run = (table.holiday != table.holiday.shift()).cumsum()
    return pd.DataFrame({"holiday": table.holiday, "run": run, "nth": table.groupby(run).cumcount()})


def _special(table: pd.DataFrame) -> pd.Series:
    return (table.holiday != "") & (table.holiday != WORKDAY)


def _holiday_share(table: pd.DataFrame, usual: np.ndarray, judged: pd.Series) -> np.ndarray:
    """The median share of the usual level on the other occurrences of the same day of the same holiday; else 1."""
    days, share = _occurrence(table), np.ones(len(table))
    with np.errstate(all="ignore"):
        seen = pd.Series(table.value / usual).where(judged & np.isfinite(table.value / usual))
    for i in np.flatnonzero(_special(table)):
        same = (days.holiday == days.holiday[i]) & (days.nth == days.nth[i]) & (days.run != days.run[i]) & seen.notna()
        if same.any():
            share[i] = seen[same].median()
    return share


def _precedent(table: pd.DataFrame) -> np.ndarray:
    """Ordinary days, and holidays whose day occurs in another run."""
    days = _occurrence(table)
    times = days.groupby(["holiday", "nth"]).run.transform("nunique")
    return (~_special(table) | (times > 1)).to_numpy()


def _least(table: pd.DataFrame, noise: Noise) -> np.ndarray:
    if noise is None:
        return np.zeros(len(table))
    if isinstance(noise, str):
        return np.sqrt(np.maximum(table.expected.to_numpy(), 1))
    return np.nan_to_num(np.asarray(noise, dtype=float))


def watch(
    values: Any, *, threshold: float = 5.0, weeks: int = 6, noise: Noise = None, calendar: Any = None
) -> pd.DataFrame:
    """Judge each day by the days before it only, as an alarm that runs every morning must.

    One row per calendar day, columns as `bands`; the first days, for which fewer than three earlier days of the weekday
    are known, have blanks.

    Definition: expected is the median of the last `weeks` values of the same weekday; the scale is 1.4826 times the
    median absolute error of the forecasts of the last `weeks` weeks (at least 14 of them). Holidays of `calendar` are
    neither judged nor learnt from.
    Error: as `bands`; slower trends than a season are followed with a lag of half the window.
    Source: the seasonal median forecast; checked on NAB's taxi series.

    Raises
    ------
    ValueError      if days repeat.
    TooLittleError  with fewer than three weeks of values.
    """
    table = _daily(values, calendar)
    if table.value.notna().sum() < 3 * WEEK:
        raise TooLittleError(
            say(
                zh="逐日监控至少要 {least} 天有数据，现有 {has} 天",
                en="watching needs {least} days with a value, has {has}",
                least=3 * WEEK,
                has=int(table.value.notna().sum()),
            )
        )
    ordinary = table.value.where(table.holiday == "")
    weekday = np.arange(len(table)) % WEEK
    past = ordinary.groupby(weekday).shift()
    table["expected"] = past.groupby(weekday).transform(lambda v: v.rolling(weeks, min_periods=3).median()).to_numpy()
    apart = table.value - table.expected
    errors = apart.abs().where(table.holiday == "").shift()
    scale = errors.rolling(weeks * WEEK, min_periods=2 * WEEK).median() * MAD_TO_SD
    scale = np.maximum(scale.to_numpy(), _least(table, noise))
    known = (apart.notna() & np.isfinite(scale) & (table.holiday == "")).to_numpy()
    return _judged(table, known, apart, 0.0, np.where(np.isfinite(scale), scale, 0.0), threshold, noise)
