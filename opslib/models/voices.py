"""What groups of users say: closed answers that set a group apart, and their own words."""

from __future__ import annotations

import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

CLOSED = 8  # different answers up to which a question is closed


def answers(survey: pd.DataFrame, groups: pd.Series, *, until: str = "", least: int = 20) -> pd.DataFrame:
    """For each group and closed question the answer that it gives more often than the others, by most.

    One row per (group, question).

    Columns
    -------
    group    : object  as in `groups` (indexed by user_id)
    question, answer : str
    hits, of : int     users of the group who gave it, and who answered the question
    base_hits, base_of : int  the same of all other groups

    Definition: a user's last answer to a question counts, of several at once the last by name. A question is closed when it has 2 to 8 different answers that
    are not all numbers; free texts say nothing here (see `quotes`). Groups with fewer than `least` answers are left out.
    Error: `stats.difference` on the columns; the answer was chosen for being the largest, so the interval flatters it.

    Raises
    ------
    TooLittleError  if no closed question was answered by users of the groups.
    """
    rows = _by(survey, until).dropna(subset=["user_id", "answer"]).sort_values(["ts", "answer"])
    rows = rows.drop_duplicates(["user_id", "question"], keep="last")
    rows = rows.assign(group=rows["user_id"].map(groups)).dropna(subset="group")
    found = []
    for question, part in rows.groupby("question"):
        kinds = part["answer"].nunique()
        numbers = pd.to_numeric(part["answer"], errors="coerce").notna().all()
        if 2 <= kinds <= CLOSED and not numbers:
            found += _telling(str(question), part, least)
    if not found:
        raise TooLittleError(
            say(
                zh="问卷里没有足够多人回答的选择题；自由文本不能当作比例",
                en="no closed question was answered by enough users of these groups; free texts are no answers",
            )
        )
    return pd.DataFrame(found)


def _by(table: pd.DataFrame, until: str) -> pd.DataFrame:
    """What had been said by the end of a day: a report on the past knows nothing later."""
    return table[pd.to_datetime(table["day"]) <= pd.Timestamp(until)] if until else table


def _telling(question: str, part: pd.DataFrame, least: int) -> list[dict[str, object]]:
    counts = pd.crosstab(part["group"], part["answer"])
    own, all_answers = counts.sum(axis=1), counts.sum()
    rows = []
    for group, hits in counts.iterrows():
        others = int(own.sum() - own[group])
        if own[group] < least or others < least:
            continue
        answer = (hits / own[group] - (all_answers - hits) / others).idxmax()
        rows.append(
            {
                "group": group,
                "question": question,
                "answer": str(answer),
                "hits": int(hits[answer]),
                "of": int(own[group]),
                "base_hits": int(all_answers[answer] - hits[answer]),
                "base_of": others,
            }
        )
    return rows


def quotes(
    feedback: pd.DataFrame,
    groups: pd.Series,
    *,
    until: str = "",
    sources: tuple[str, ...] = ("interview",),
    each: int = 2,
) -> pd.DataFrame:
    """The newest words of each group's users: group, day, source, text; at most `each` of a group, no text twice."""
    rows = _by(feedback, until)
    rows = rows[rows["source"].isin(sources)].dropna(subset=["user_id", "text"])
    rows = rows.assign(group=rows["user_id"].map(groups)).dropna(subset="group")
    rows = rows.sort_values(["ts", "user_id", "text"], ascending=[False, True, True]).drop_duplicates(["group", "text"])
    return rows.groupby("group").head(each).sort_values("group", kind="stable")[["group", "day", "source", "text"]]
