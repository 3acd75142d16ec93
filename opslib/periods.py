"""The reporting period: the last week or month that is over, or any run of days, and the ones before it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from opslib.errors import TooLittleError, UsageError
from opslib.text import like, say

GRAINS = ("week", "month")


@dataclass(frozen=True)
class Reporting:
    """A calendar week (from Monday) or month, or any run of "days"; both days included."""

    grain: str
    start: dt.date
    end: dt.date

    def back(self, steps: int) -> Reporting:
        """The period that lies so many periods earlier; for days, so many times its own length."""
        if self.grain == "days":
            length = (self.end - self.start + dt.timedelta(days=1)) * steps
            return Reporting("days", self.start - length, self.end - length)
        start, end = self.start, self.end
        for _ in range(steps):
            end = start - dt.timedelta(days=1)
            start = _start(end, self.grain)
        return Reporting(self.grain, start, end)

    @property
    def days(self) -> tuple[str, str]:
        """First and last day as ISO texts, as metrics take a period."""
        return str(self.start), str(self.end)

    @property
    def open_until(self) -> dt.date:
        """The last day of the period after it: what is found until then is news of this one."""
        if self.grain == "days":
            return self.end + (self.end - self.start) + dt.timedelta(days=1)
        return _next(_next(self.start, self.grain), self.grain) - dt.timedelta(days=1)

    @property
    def name(self) -> str:
        """2026-W46, 2026-11, or 2026-11-01–2026-11-14."""
        if self.grain == "week":
            year, week, _ = self.start.isocalendar()
            return f"{year}-W{week:02d}"
        return f"{self.start:%Y-%m}" if self.grain == "month" else f"{self.start}–{self.end}"

    def label(self) -> str:
        """The period as a reader sees it."""
        if self.grain == "days":
            return say(zh="{start} 至 {end}", en="{start} to {end}", start=str(self.start), end=str(self.end))
        return say(
            zh="{name}（{start} 至 {end}）",
            en="{name} ({start} to {end})",
            name=self.name,
            start=str(self.start),
            end=str(self.end),
        )


def ago(steps: int, grain: str) -> str:
    """So many periods earlier, as people of the language call it: 上周, 4 周前; the week before, 4 weeks before."""
    words = {
        "week": (say(zh="上周", en="the week before"), say(zh="{n} 周前", en="{n} weeks before", n=steps)),
        "month": (say(zh="上月", en="the month before"), say(zh="{n} 个月前", en="{n} months before", n=steps)),
    }
    others = (say(zh="上一期", en="the period before"), say(zh="{n} 期之前", en="{n} periods before", n=steps))
    return words.get(grain, others)[steps > 1]


def reporting(span: tuple[dt.date, dt.date], grain: str = "week", end: str = "") -> Reporting:
    """The last complete period of the data, or the one that ends on `end` or last before it.

    Parameters
    ----------
    span : first and last local day of the data
    grain : week or month
    end : ISO day; empty for the last day of the data

    Raises
    ------
    UsageError      if the grain or the day is not one.
    TooLittleError  if no complete period lies in the data; names the days that are there.
    """
    if grain not in GRAINS:
        raise UsageError(
            say(
                zh="参数 grain 只能是 week（周）或 month（月），现在是「{grain}」",
                en="grain must be week or month, got “{grain}”",
                grain=str(grain),
            ),
            like(grain, GRAINS),
        )
    first, last = span
    asked = iso_day(end, "end") if end else last
    start = _start(asked, grain)
    if _next(start, grain) - dt.timedelta(days=1) > asked:
        start = _start(start - dt.timedelta(days=1), grain)
    found = Reporting(grain, start, _next(start, grain) - dt.timedelta(days=1))
    if found.start < first or found.end > last:
        raise _no_data(found, first, last, "end")
    return found


def between(span: tuple[dt.date, dt.date], start: str = "", end: str = "", *, days: int = 28) -> Reporting:
    """The run of days from `start` to `end`; what is empty is filled from the end of the data, `days` long.

    Raises
    ------
    UsageError      if a day is not one, or the period ends before it starts.
    TooLittleError  if no day of it lies in the data; names the days that are there.
    """
    first, last = span
    final = iso_day(end, "end") if end else last
    begin = iso_day(start, "start") if start else final - dt.timedelta(days=days - 1)
    if begin > final:
        raise UsageError(
            say(
                zh="时段的最后一天不能早于第一天，现在是 {begin} 至 {final}",
                en="the period must end on or after its first day, got {begin} to {final}",
                begin=str(begin),
                final=str(final),
            ),
            say(zh="请改参数 start 或 end", en="change start or end"),
        )
    found = Reporting("days", begin, final)
    if begin > last or final < first:
        raise _no_data(found, first, last, say(zh="start、end", en="start or end"))
    # The days before the first and after the last one observed have not been seen: they are left out, not counted as quiet.
    return Reporting("days", max(begin, first), min(final, last))


def half(span: tuple[dt.date, dt.date], end: str, days: int) -> int:
    """So many days, or as many as leave the same number before them where the data is younger; at least one."""
    last = min(span[1], iso_day(end, "end")) if end else span[1]
    return max(1, min(days, ((last - span[0]).days + 1) // 2))


def compared(current: Reporting, span: tuple[dt.date, dt.date], start: str = "", end: str = "") -> Reporting:
    """The run of days that a run of days is compared with: as asked, else as many days right before.

    Raises
    ------
    UsageError      if a day is not one, or the period ends before it starts.
    TooLittleError  if no day of it lies in the data.
    """
    final = iso_day(end, "compare_end") if end else current.start - dt.timedelta(days=1)
    length = (current.end - current.start).days + 1
    return between(span, start, str(final), days=length)


def iso_day(text: str, name: str) -> dt.date:
    """The day that a parameter of this name gives as an ISO text.

    Raises
    ------
    UsageError  if it is none.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            say(
                zh="参数 {name} 要写成 2026-01-31 这样的日期，现在是「{text}」",
                en="{name} must be a day like 2026-01-31, got “{text}”",
                name=name,
                text=str(text),
            )
        ) from None


def _no_data(found: Reporting, first: dt.date, last: dt.date, change: str) -> TooLittleError:
    return TooLittleError(
        say(
            zh="{start} 至 {end} 没有完整数据；现有数据为 {first} 至 {last}，请改参数 {change}",
            en="no complete data from {start} to {end}; the data runs from {first} to {last}, change {change}",
            start=str(found.start), end=str(found.end), first=str(first), last=str(last), change=change,
        )
    )  # fmt: skip


def _start(day: dt.date, grain: str) -> dt.date:
    if grain == "week":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1)


def _next(start: dt.date, grain: str) -> dt.date:
    if grain == "week":
        return start + dt.timedelta(days=7)
    return (start + dt.timedelta(days=32)).replace(day=1)
