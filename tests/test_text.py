"""Words and numbers as people of the language write them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib import text
from opslib.models.quality import emptied
from opslib.periods import ago
from opslib.text import Clean, say, speaking


@pytest.mark.parametrize(
    "zh, values, sentence",
    [
        ("带来 {n} 个注册", {"n": Clean("1.73 万")}, "带来 1.73 万个注册"),
        ("带来 {n} 个注册", {"n": "976"}, "带来 976 个注册"),
        ("同期有：版本 {name} 发布", {"name": "「5.2.0」"}, "同期有：版本「5.2.0」发布"),
        ("渠道 {name} 的花费", {"name": "抖音"}, "渠道抖音的花费"),
        ("渠道 {name} 的花费", {"name": "kol"}, "渠道 kol 的花费"),
        ("内容「{name}」", {"name": "一文 看懂"}, "内容「一文 看懂」"),  # what the data says stays as it is
        ("{{{n}}} 行", {"n": 3}, "{3} 行"),
        ("比例 {rate:.1%}", {"rate": 0.25}, "比例 25.0%"),
        ("缺 {n:,}", {"n": None}, "缺 –"),
    ],
)
def test_a_space_parts_chinese_from_latin_and_digits_and_never_from_chinese(zh, values, sentence):
    with speaking("zh"):
        assert say(zh=zh, en="", **values) == sentence


@given(st.text(max_size=20), st.floats(-1e9, 1e9))
def test_an_english_sentence_is_its_template_filled_in(name, amount):
    with speaking("en"):
        got = say(zh="", en="{name} costs {amount:,.2f} {{x}}", name=name, amount=amount)
    assert got == f"{text.shown(name)} costs {amount:,.2f} {{x}}"


def test_no_number_looks_more_precise_than_it_is():
    with speaking("zh"):
        assert [text.number(v) for v in (11.9996, 0, 0.001, 2.5, 12_000)] == ["12", "0", "0.00", "2.50", "1.20 万"]
        assert text.interval(11.9996, 12, "number") == "12 至 12"


def test_nothing_has_no_direction():
    with speaking("zh"):
        assert [text.points(v) for v in (0.0, -0.0001, 0.0004, -0.01)] == ["0.0 个百分点"] * 3 + ["−1.0 个百分点"]
        assert [text.percent(v, sign=True) for v in (0.0, -0.0001, 0.012)] == ["0.0%", "0.0%", "+1.2%"]
        assert [text.write(v, "points", sign=True) for v in (0.0004, 0.012)] == ["0.0 个百分点", "+1.2 个百分点"]


def test_earlier_periods_are_called_as_people_call_them():
    with speaking("zh"):
        assert [ago(1, "week"), ago(4, "week"), ago(1, "month"), ago(4, "month")] == [
            "上周",
            "4 周前",
            "上月",
            "4 个月前",
        ]
    with speaking("en"):
        assert [ago(1, "week"), ago(4, "month"), ago(2, "days")] == [
            "the week before",
            "4 months before",
            "2 periods before",
        ]


@pytest.mark.parametrize("rows, filled, gone", [(18, 0, False), (900, 0, True), (900, 60, False)])
def test_a_column_went_empty_only_where_so_few_values_are_no_chance(rows, filled, gone):
    """A week of one day has 18 rows; none of them with a campaign says nothing of a column filled in 8 %."""
    weeks = [("campaign_id", w, 900, 72) for w in range(8)] + [("campaign_id", 8, rows, filled)]
    table = emptied(pd.DataFrame(weeks, columns=["column", "start", "rows", "filled"]))
    assert table["went_empty"].tolist() == [gone]


def test_one_end_of_an_interval_is_as_exact_as_the_other():
    with speaking("zh"):
        spans = [(29.9, 10_900), (141, 190.944), (0, 2.5), (6.35, 17.71), (3, 8), (1_234.5, 2_000)]
        assert [text.interval(low, high, "money") for low, high in spans] == [
            "¥30 至 ¥1.09 万",
            "¥141.00 至 ¥190.94",
            "¥0 至 ¥2.50",
            "¥6.35 至 ¥17.71",
            "¥3 至 ¥8",
            "¥1,234 至 ¥2,000",
        ]
        assert text.interval(-3.9, 3.95, "money", sign=True) == "−¥3.90 至 +¥3.95"
        assert text.interval(3.04, 129.13, "multiple") == "3.0 至 129.1 倍"
    with speaking("en"):
        assert text.interval(3.04, 129.13, "multiple") == "3.0× to 129.1×"
        assert text.interval(10.96, 11, "number") == "10.96 to 11.00"


def test_a_tiny_chance_is_not_called_none():
    written = [text.write(value, "chance") for value in (0.0, 0.0009, 0.001, 0.025, 0.999, 0.99999, 1.0)]
    assert written == ["<0.1%", "<0.1%", "0.1%", "2.5%", "99.9%", ">99.9%", ">99.9%"]


def test_a_relative_change_carries_its_direction_at_both_ends():
    with speaking("zh"):
        assert [text.write(v, "change") for v in (0.324, -0.264, 0.0)] == ["+32.4%", "−26.4%", "0.0%"]
        assert text.interval(-0.02, 0.199, "change") == "−2.0% 至 +19.9%"


def test_a_long_list_of_names_ends_with_how_many_there_are():
    with speaking("zh"):
        assert text.names(["a", "b", "c"], most=2) == "「a」、「b」等 3 个"
        assert text.names(["a"]) == "「a」"
    with speaking("en"):
        assert text.names(["a", "b", "c"], most=2) == "“a”, “b”, 3 in all"
