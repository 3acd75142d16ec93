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
    """These columns, without those that tell nothing of any row: posts may have no title, and no impressions.

    Where no row has a title the id stands for it, and first.
    """
    told = [name for name in names if rows.empty or rows[name].notna().any()]
    if "title" in names and "title" not in told:
        told.sort(key=lambda name: name != "content_id")
    return rows[told]


def leading_title(table: pd.DataFrame) -> str:
    """What the leaders are called: without exposure there is no list that they stand beside."""
    if unexposed(table):
        return say(zh="谁排在前", en="Who leads")
    return say(zh="名单之外谁排在前", en="Who leads beside the list")


def leading_note(table: pd.DataFrame) -> str:
    """How the leaders beside the list are ranked."""
    if not unexposed(table):
        return say(
            zh="不含已建议加大曝光的内容。按指数下限排序，不按原始比率：曝光很少的内容不会领先。",
            en="Without the items to be pushed. Ranked by the lower bound of the index, never by a raw rate: an item with little exposure cannot lead.",
        )
    words = say(
        zh="没有曝光数：指数是每条内容的互动 ÷ 同类目平均，展示多的自然排在前。",
        en="Nobody told impressions: the index is an item's reactions over its category's average, and what was shown more leads.",
    )
    return _joined(words, _spread(table))


def lists_note(rules: Rules, table: pd.DataFrame, *, again: bool = False) -> str:
    """How the lists are made, and what they do not say; `again`: what both lists share stands on the page already.

    `table`: as of `models.content_lists.judged`. Nothing where nobody tells exposure, because nothing is listed.
    """
    if unexposed(table):
        return ""
    rule = say(
        zh="判定：真实指数低于 {low}（停止）或高于 {high}（加大）的概率超过 {sure}；不够把握的继续测试。收益假定新读者与已有读者相同，未扣除重复展示的厌倦。",
        en="Rule: the true index is below {low} (stop) or above {high} (push) with a chance over {sure}; what is less sure keeps testing. Gains assume that new readers are like those so far, and no weariness of seeing an item again.",
        low=text.write(rules.cull_below, "times"),
        high=text.write(rules.boost_above, "times"),
        sure=text.percent(rules.sure, 0),
    )
    return rule if again or "exposed" not in table else _joined(rule, *_posts(table))


def _joined(*sentences: str) -> str:
    return say(zh="", en=" ").join(sentences)


def _posts(table: pd.DataFrame) -> list[str]:
    """What items that carry their own counts are compared with, and what of their spread is chance."""
    grows = (
        say(
            zh="触达翻倍，回应约为 {twice}，收益也按此递减",
            en="twice the reach goes with {twice} the responses, and gains follow that",
            twice=text.write(2 ** table["power"].iloc[0], "times"),
        )
        if table["learnt"].iloc[0]
        else say(
            zh="假定回应与触达成正比（内容太少或触达相近，无从估计）",
            en="responses are taken to grow as reach does, which too few items, or reach too much alike, cannot tell",
        )
    )
    alike = say(
        zh="这些内容只有总数，与类目相同、触达同样多的平均内容比较：{grows}。",
        en="These items tell totals only, and are compared with the average item of the category with as much reach: {grows}.",
        grows=text.Clean(grows),
    )
    left = say(
        zh="投放、关注者、当天与运气会让一条内容的各种回应一起涨落，只凭一个总数无法与吸引力区分，判错概率不含这部分：曝光靠投放买来的内容指数会偏低，处理前先核对。",
        en="Bought reach, followers, the day and luck move all responses of an item together, which one total cannot tell from appeal; the chance of being wrong leaves that out. An item with bought reach looks worse than it is: check before acting.",
    )
    return [alike, _spread(table), left]


def _spread(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    return say(
        zh="回应可能成批而来：次数的方差按独立计数的 {factor} 倍计算（{told}）。",
        en="Responses may come in bunches: counts are taken to vary {factor} times as much as independent ones ({told}).",
        factor=text.number(first["dispersion"], 1),
        told=text.Clean(_told(first["told"])),
    )


def _told(how: str) -> str:
    return {
        "kinds": say(zh="看同一内容的几种互动有多不一致", en="by how the kinds of response of one item disagree"),
        "reach": say(
            zh="看差异随触达缩小得多快，另加一个标准误",
            en="by how fast the spread falls with reach, plus one standard error",
        ),
        "nothing": say(
            zh="几种互动与触达都无从估计，全部差异都算作偶然",
            en="neither the kinds of response nor reach tells it: the whole spread counts as chance",
        ),
    }[how]
