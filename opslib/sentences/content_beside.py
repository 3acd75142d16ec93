"""What stands beside the content report's lists: their pictures, the columns that tell something, and notes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import text
from opslib.models.content_lists import Rules
from opslib.sentences.content import titled, unexposed
from opslib.text import say


def picture(rows: pd.DataFrame, draw: Any, **how: Any) -> Any:
    """The figure of the first rows of a list; none of an empty one. An item without a title goes by its id."""
    first = rows.head(8)
    return draw(first.assign(title=[titled(row) for row in first.to_dict("records")]), **how) if len(rows) else None


def telling(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """These columns, without those that tell nothing of any row: posts may have no title, and no impressions."""
    return rows[[name for name in names if rows.empty or rows[name].notna().any()]]


def leading_note(table: pd.DataFrame) -> str:
    """How the leaders beside the list are ranked."""
    words = say(
        zh="不含已建议加大曝光的内容。按指数下限排序，不按原始比率：曝光很少的内容不会领先。",
        en="Without the items to be pushed. Ranked by the lower bound of the index, never by a raw rate: an item with little exposure cannot lead.",
    )
    if not unexposed(table):
        return words
    return say(
        zh="没有曝光数：指数是每条内容的互动 ÷ 同类目平均，展示多的自然排在前。",
        en="Nobody told impressions: the index is an item's reactions over its category's average, and what was shown more leads.",
    )


def lists_note(rules: Rules, *, by_post: bool = False) -> str:
    """How the lists are made, and what they do not say; `by_post`: items carry their own counts."""
    words = _rule(rules)
    if not by_post:
        return words
    more = say(
        zh="这些内容只有总数：没有扣除位置、投放与关注者的影响，曝光靠投放买来的内容指数会偏低，处理前先核对。",
        en="These items tell totals only: places, paid reach and followers are not taken out, and an item with bought reach looks worse than it is; check before acting.",
    )
    return say(zh="{rule}{more}", en="{rule} {more}", rule=text.Clean(words), more=text.Clean(more))


def _rule(rules: Rules) -> str:
    return say(
        zh="判定：真实指数低于 {low}（停止）或高于 {high}（加大）的概率超过 {sure}；不够把握的继续测试。收益假定新读者与已有读者相同，未扣除重复展示的厌倦。",
        en="Rule: the true index is below {low} (stop) or above {high} (push) with a chance over {sure}; what is less sure keeps testing. Gains assume that new readers are like those so far, and no weariness of seeing an item again.",
        low=text.write(rules.cull_below, "times"),
        high=text.write(rules.boost_above, "times"),
        sure=text.percent(rules.sure, 0),
    )
