"""Pages: what is on them, in which order and language, what they weigh, and that nothing in the data can break them."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import gzip
import html as escaping
import io
import json
import re
import time
from dataclasses import asdict
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pages
import pandas as pd
import pytest
from nbformat import v4

from opslib import contract, figures, privacy, text
from opslib.errors import UsageError
from opslib.report import Action, Finding, cards, configure, headline, html, key_table, section, tables, write_list
from opslib.text import say

EVIL = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    '=HYPERLINK("http://x","y")',
    "\u202egnihtyna \u2066x\u2069",
    "--><!--/periods--><!--periods-->",
    "a" * 10_000,
    "\ue000" + "0" + "\ue000",
    "عربي 中文 👩‍👩‍👧",
    "&lt;b&gt; &amp; \x00\x1b",
]


class Page(HTMLParser):
    """A page taken apart: tags in order, ids, and every text with the element that holds it."""

    VOID = ("meta", "img", "br", "input", "path", "polyline", "link")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, list[tuple[str, dict[str, str | None]]]]] = []
        self.feed(source)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(self.tags[-1])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if data.strip():
            self.texts.append((data.strip(), list(self.open)))

    def said(self) -> list[str]:
        """What a reader or a screen reader is told in the page's own words: texts, alternatives and labels that are not data."""
        found = [words for words, held in self.texts if not self.data(held)]
        for _tag, attrs in self.tags:
            if attrs.get("translate") != "no":
                found += [attrs[k] or "" for k in ("alt", "aria-label", "title") if k in attrs]
        return found

    def data(self, held) -> bool:
        own = self.tags[0][1].get("lang") if self.tags[0][0] == "html" else ""
        return any(t in ("style", "script") or a.get("translate") == "no" or a.get("lang", own) != own for t, a in held)


def made(*cells, lang="zh", **run) -> str:
    return html.page(pages.executed(*cells, lang=lang), pages.run_of(lang, **run))


@pytest.fixture(scope="module", params=["zh", "en"])
def full(request) -> tuple[str, str]:
    return request.param, made(*pages.FULL, lang=request.param)


# What is on it


def test_conclusions_come_first_then_numbers_sections_actions_and_method(full):
    _lang, page = full
    marks = [
        'class="verdict"',
        'class="top"',
        'class="cards',
        'class="toc"',
        "<figure",
        'id="next-actions"',
        'class="method"',
        "<footer",
    ]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    levels = re.findall(r'class="level (\w+)"', page[page.index('class="top"') : page.index('class="cards')])
    assert levels == ["act", "watch", "good", "info", "info", "info"]


def test_every_link_inside_the_page_leads_somewhere_and_no_name_is_given_twice(full):
    page = Page(full[1])
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    inside = {a["href"][1:] for t, a in page.tags if t == "a" and (a.get("href") or "").startswith("#")}
    assert inside <= set(ids)
    assert len(inside) > 10


def test_a_finding_shows_number_interval_size_and_comparison(full):
    lang, page = full
    wanted = (
        "95% 区间 −4.1 至 −2.7 个百分点 · n\u00a0=\u00a04,802"
        if lang == "zh"
        else "95% interval −4.1 to −2.7 pp · n\u00a0=\u00a04,802"
    )
    assert wanted in page
    assert f"pp · {wanted}" not in page and f"百分点 · {wanted}" not in page  # the sentence has the number itself
    assert ("全量统计，无抽样误差" if lang == "zh" else "a full count, no sampling error") in page
    assert ("对比" if lang == "zh" else "against") in page


def test_cards_show_change_its_interval_and_the_line(full):
    lang, page = full
    card = page[page.index('<li class="card">') :]
    assert "38.1%" in card and "−5.9" in card and '<svg class="spark"' in card
    assert ("较上期 −5.9 个百分点" if lang == "zh" else "−5.9 pp vs period before") in card
    assert card.count('<path d="M') >= 4  # a missing period breaks the first line in two


def test_the_fold_holds_parameters_data_definitions_versions_and_code(full):
    page = full[1][full[1].index('class="method"') :]
    for piece in (
        "window_days",
        "app_open, register, pay",
        "Asia/Shanghai",
        "12 rows of platform",
        "3.11.9",
        "stats.proportion",
        "3f9a11c2",
        "<details>",
    ):
        assert piece in page, piece
    assert "<details open" not in page


def test_figures_have_sizes_and_alternatives(full):
    images = [a for t, a in Page(full[1]).tags if t == "img"]
    assert len(images) == 8
    for image in images:
        assert image["alt"] and len(image["alt"]) > 15
        assert 300 < int(image["width"]) <= 740 and int(image["height"]) > 80


# What it weighs


def test_a_report_with_eight_figures_is_small_and_quickly_drawn(full, capsys):
    lang, page = full
    notebook = pages.executed(*pages.FULL, lang=lang)
    html.page(notebook, pages.run_of(lang))
    started = time.process_time()
    html.page(notebook, pages.run_of(lang))
    seconds = time.process_time() - started
    with capsys.disabled():
        print(f"\n{lang}: {len(page.encode()) / 1000:.0f} kB, drawn in {seconds:.3f} CPU s")
    assert len(page.encode()) < 250_000
    assert seconds < 0.3


def test_the_page_loads_nothing_and_runs_only_its_own_script(full):
    page = Page(full[1])
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", full[1], re.DOTALL)[1]
    assert full[1].count("<script") == 1
    assert (
        policy == html.csp(script)
        and policy.startswith("default-src 'none'; ")
        and "unsafe-inline'; script-src 'sha256-" in policy
    )
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("src", "href"):
            target = attrs.get(name) or "#"
            assert target.startswith(
                ("#", "data:image/", "data:application/gzip", "../../", "executed.ipynb", "lists/")
            ), target


# Two languages

ALLOWED = {
    "iOS",
    "DAU",
    "WAU",
    "MAU",
    "CSV",
    "UTC",
    "Android",
    "pp",
    "opslib",
    "run",
    "KPI",
    "NPS",
    "ROI",
    "LTV",
    "CLV",
    "ID",
    "EN",
    "vs",
    "ipynb",
    "executed",
}


def strangers(source: str, lang: str) -> set[str]:
    """Words of the other language among the page's own words."""
    page = Page(source)
    if lang == "en":
        return {w for words in page.said() for w in re.findall("[\u3400-\u9fff\uff00-\uffef\u3000-\u303f]+", words)}
    plain = (re.sub(r"v\d[\d.]*|n\s=|W\d\d", " ", words) for words in page.said())
    return {w for words in plain for w in re.findall("[A-Za-z]{2,}", words)} - ALLOWED


def test_a_page_is_in_one_language(full):
    lang, page = full
    assert not strangers(page, lang)
    assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}">' in page


def test_the_check_for_the_other_language_can_fail():
    assert strangers("<html lang='zh-CN'><p>这是 wrong 的</p></html>", "zh") == {"wrong"}
    assert strangers("<html lang='en'><img alt='图'></html>", "en") == {"图"}
    assert not strangers("<html lang='en'><td translate='no'>图</td></html>", "en")


def outputs() -> list:
    """The newest report of every module and language that stands in outputs/."""
    newest = {}
    for path in sorted((Path(__file__).parent.parent / "outputs").glob("*/*/report.html")):
        newest[path.parent.parent.name, '<html lang="zh-CN">' in path.read_text(encoding="utf-8")[:200]] = path
    skipped = pytest.param(None, marks=pytest.mark.skip(reason="no report in outputs/: run `make report`"))
    return list(newest.values()) or [skipped]


METHODS = re.findall(
    "[A-Za-z]+",
    "Asia Shanghai Europe America New York Holm Wilson Welch Newcombe delta Benjamini Hochberg Bonferroni BH CUPED SRM "
    "Beta BG NBD sBG Gamma CAC GMV IP PGC UGC RFM AUC NDCG Mantel Haenszel Kitagawa Das Gupta STL",
)


LATIN, CHINESE = "[A-Za-z]+", "[\u3400-\u9fff\uff00-\uffef\u3000-\u303f]+"


def data_names(page: str, letters: str) -> set[str]:
    """Names of the contract, and what stands as a value of the data in a table of this page or in its download."""
    held = [n for t in contract.TABLES.values() for n in (t.name, *(getattr(c, "name", c) for c in t.columns))]
    cells = re.findall(r'<td class="text[^"]*" translate="no" dir="auto">(.*?)</td>', page)
    packed = re.findall(r'href="data:application/gzip;base64,([^"]*)"', page)
    rows = [line for data in packed for line in gzip.decompress(base64.b64decode(data)).decode().splitlines()[1:]]
    return {w for words in (*held, *contract.EVENTS, *cells, *rows) for w in re.findall(letters, words)}


@pytest.mark.parametrize("path", outputs(), ids=lambda p: p.parent.parent.name if p else "none")
def test_every_modules_own_page_is_in_one_language(path):
    """Names out of the data are data wherever they stand: in quotes, in tables, in a figure's description."""
    page = path.read_text(encoding="utf-8")
    lang = "zh" if '<html lang="zh-CN">' in page[:200] else "en"
    title = re.search("<h1[^>]*>(.*?)</h1>", page)[1]  # a campaign's own name may be the title
    unquoted = re.sub("「[^「」]{1,80}」|“[^“”]{1,80}”", "", page.replace(title, ""))
    assert strangers(unquoted, lang) <= data_names(page, LATIN if lang == "zh" else CHINESE).union(METHODS)


@pytest.mark.parametrize("status", ["failed", "lacking"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_run_without_an_answer_says_why_and_what_to_do_in_one_language(status, lang):
    reason = {"failed": "ValueError: could not convert string to float: 'abc'", "lacking": "实验分组各需要 30 次转化"}[
        status
    ]
    page = made(pages.top, lang=lang, status=status, error=reason)
    assert escaping.escape(reason) in page and "opslib run funnel_diagnosis" in page
    assert ('class="alert lack"' in page) == (status == "lacking")
    assert not strangers(page, lang)


def test_a_run_that_failed_before_its_first_cell_is_titled_by_its_question():
    page = made(lang="zh", status="failed", error="the kernel died")
    assert "<h1>漏斗诊断：用户在哪一步离开？</h1>" in page
    assert "<h1>Funnel: where do users leave?</h1>" in made(lang="en", status="failed", error="the kernel died")


def test_what_was_found_before_the_failure_stays_on_the_page():
    page = made(pages.top, pages.steps, lang="en", status="failed", error="boom")
    assert "How many users each step keeps" in page and "Below is what was found before it stopped" in page


# Bad input


@pytest.mark.parametrize("evil", EVIL, ids=lambda e: e[:12].encode("unicode_escape").decode())
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_users_text_is_text_wherever_it_stands(evil, lang):
    def cell():
        headline(evil, evil, period=evil, fresh=evil)
        cards({"metric": "activity.dau", "value": 1, "format": "number", "note": evil})
        frame = pd.DataFrame(
            {"channel": [evil, "b"], "kind": ["x", evil], "users": [50, 60], "value": [[1, 2], [3, 4]]}
        )
        say_it = say(zh="渠道「{name}」", en="Channel “{name}”", name=evil)
        section(evil, Finding(evil, "act", say_it, value=1, no_interval=evil), figure=figures.bars(frame, label="channel", value="users"),
                table=frame.drop(columns="value"), note=evil, actions=[Action(evil, "product", evil)], labels={"kind": evil})  # fmt: skip
        section(
            evil,
            table=key_table(frame, group="kind", spans={evil[:200]: ["users"]}, trend=["value"]),
            labels={"kind": evil},
        )

    page = made(cell, lang=lang, parameters={"name": evil}, notes=[evil], error=evil, status="failed")
    taken = Page(page)
    assert [t for t, _ in taken.tags].count("script") == 1 and [t for t, _ in taken.tags].count("style") == 1
    assert not any("onerror" in a for _, a in taken.tags)
    assert page.count("<!--periods-->") == 1 and page.index("<!--/periods-->") > page.index("<!--periods-->")
    assert "49" not in re.sub(r"base64,[^\"]*|<style>.*?</style>", "", page, flags=re.DOTALL) or "7 * 7" not in evil
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page)
    ids = [a["id"] for _, a in taken.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_findings_may_lack_everything():
    def cell():
        for level in ("act", "watch", "good", "info"):
            section("s", Finding("a.b", level, "", value=None, low=float("nan"), high=None, n=np.nan, base=pd.NA))
        section(
            "inf",
            Finding("a.c", "info", "x", value=np.float64("inf"), low=1, high=None, n=np.int64(3), format="percent"),
        )

    page = made(cell, lang="en")
    assert page.count('class="level') == 10 and "nan" not in re.sub('base64,[^"]*', "", page).lower().replace(
        "tenant", ""
    )


def test_no_findings_no_cards_no_sections():
    page = made(lang="en")
    assert 'class="top"' not in page and 'class="cards' not in page and 'class="toc"' not in page and "<h1>" in page


def test_three_hundred_findings_are_folded_after_the_first():
    def cell():
        for n in range(300):
            section(
                f"Section {n}",
                Finding(
                    f"f.{n}",
                    "watch" if n % 7 else "act",
                    f"Finding number {n}.",
                    value=n / 300,
                    low=0,
                    high=1,
                    n=n,
                    format="percent",
                ),
            )

    page = made(cell, lang="en")
    assert "288 more findings" in page and page.count('class="level') == 600
    top = page[page.index('class="top"') : page.index("<details")]
    assert top.count("<li>") == 12 and "watch" not in top
    assert len(page) < 500_000


def test_a_long_table_shows_its_first_rows_and_carries_five_thousand():
    frame = pd.DataFrame(
        {"channel": [f"c{n}" for n in range(5_200)], "users": range(100, 5_300), "rate": np.linspace(0, 1, 5_200)}
    )
    page = made(lambda: section("long", table=frame), lang="en")
    assert page.count("<tr>") == tables.ROWS + 1
    assert "5,200 rows, the first 20 shown" in page and "the download has the first 5,000" in page
    assert len(page) < 250_000
    rows = list(csv.reader(io.StringIO(download(page))))
    assert rows[0] == ["Channel", "Users", "Rate"] and len(rows) == 5_001 and rows[1] == ["c0", "100", "0.0"]


def download(page: str, at: int = 0) -> str:
    packed = re.findall(r'class="csv" download="[^"]+\.csv\.gz" href="data:application/gzip;base64,([^"]+)"', page)[at]
    raw = gzip.decompress(base64.b64decode(packed))
    assert raw.startswith(b"\xef\xbb\xbf")
    return raw.decode("utf-8-sig")


def test_a_download_cannot_be_a_formula():
    starts = ["=1+1", "+1", "-1", "@x", "\t=1", "＝1", "plain", " =1"]
    page = made(lambda: section("t", table=pd.DataFrame({"channel": starts, "value": [-1.5] * 8})), lang="en")
    rows = list(csv.reader(io.StringIO(download(page))))[1:]
    assert [r[0] for r in rows] == ["'=1+1", "'+1", "'-1", "'@x", "'=1", "'＝1", "plain", "'=1"]
    assert {r[1] for r in rows} == {"-1.5"}


def test_a_sum_in_another_order_is_the_same_download():
    sums = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]  # `sum` compensates, from Python 3.12 on
    assert sums[0] != sums[1]
    pages = [made(lambda v=v: section("t", table=pd.DataFrame({"channel": ["a"], "amount": [v]}))) for v in sums]
    assert download(pages[0]) == download(pages[1]) and download(pages[0]).splitlines()[1] == "a,0.6"


def test_a_title_of_three_hundred_characters_is_set_smaller():
    page = made(lambda: headline("很长" * 150, "v"))
    assert '<h1 class="long">' in page and "很长" * 149 in page
    assert len(re.search("<title>(.*?)</title>", page)[1]) <= 120


def test_values_of_any_kind_find_their_way():
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2026-01-01", None]), "value": [Decimal("1.50"), None], "users": pd.array([7, None], dtype="Int64"),
            "rate": [np.float32(0.25), np.inf], "channel": pd.Categorical(["a", None]), "p": [1e-9, 0.5],
            "notable": [True, False], "kind": [b"x", ("a", 1)], "total": [1e9, -5.0],
        }
    )  # fmt: skip
    page = made(lambda: section("t", table=frame), lang="en")
    for piece in ("2026-01-01", "25.0%", "&lt; 0.001", "CN¥1.00B", "−CN¥5", '<td class="number">–</td>'):
        assert piece in page, piece
    json.dumps(html.parts(pages.executed(lambda: section("t", table=frame))))


@pytest.mark.parametrize(
    "amounts, shown",
    [
        ([5.0, 5.04], ["CN¥5.00", "CN¥5.04"]),
        ([5.0, 7.0], ["CN¥5", "CN¥7"]),
        ([512.34, 45_210.5], ["CN¥512", "CN¥45,210"]),  # cents beside thousands are noise
        ([5.04, 1_204.0], ["CN¥5.04", "CN¥1,204.00"]),  # but an amount so small is nothing without them
        ([2.5, 1.5e6, None, 0.0], ["CN¥2.50", "CN¥1.50M", "–", "CN¥0.00"]),
    ],
)
def test_amounts_of_a_column_have_one_number_of_decimals(amounts, shown):
    page = made(lambda: section("t", table=pd.DataFrame({"total": amounts})), lang="en")
    assert re.findall('<td class="number">([^<]*)</td>', page) == shown
    frame = pd.DataFrame({"channel": [str(i) for i in range(len(amounts))], "total": amounts})
    page = made(lambda: section("t", table=key_table(frame)), lang="en")
    assert re.findall('<td class="number">([^<]*)</td>', page) == shown


def test_a_narrow_column_never_breaks_a_day():
    frame = pd.DataFrame(
        {"day": ["2026-01-05"], "name": ["2026-01-05 至 2026-01-11"], "source": ["x-2026-01-05.csv"], "reason": ["<2026-01-05>"]}
    )  # fmt: skip
    page = made(lambda: section("t", table=frame))
    assert page.count("<time>2026-01-05</time>") == 3 and "<time>2026-01-11</time>" in page
    assert "x-2026-01-05.csv" in page and "time,.one,td.number{white-space:nowrap}" in page
    assert "2026-01-05" in download(page) and "<time>" not in download(page)


def test_signed_amounts_units_and_p_stand_in_one_piece():
    told = "5.0 pp；相差 5.0 个百分点（−¥3.90 至 +CN¥1,003.95，p < 0.001）；p = 0.8"
    page = made(lambda: section("t", Finding("x", "info", text.Clean(told))))
    whole = "5.0\u00a0pp；相差 5.0\u00a0个百分点"
    assert whole in page and "p\u00a0&lt;\u00a00.001" in page and "p\u00a0=\u00a00.8" in page
    assert '<span class="one">−¥3.90</span>' in page and '<span class="one">+CN¥1,003.95</span>' in page
    assert ".one,td.number{white-space:nowrap}" in page


def test_a_figure_too_wide_for_a_phone_can_be_moved_sideways(full):
    panned = re.findall(r'<figure>(<div class="pan" tabindex="0"[^>]*>)?<img [^>]*width="(\d+)"', full[1])
    assert {bool(pan) for pan, _ in panned} == {True, False}
    assert all(bool(pan) == (int(width) > 700) for pan, width in panned)


def test_what_is_lacking_is_said_in_a_sentence():
    def said(error: str, status: str = "lacking") -> str:
        page = html.page(pages.executed(lambda: None), pages.run_of("en", status=status, error=error))
        return re.search('<p translate="no">(.*?)</p>', page)[1]

    assert said("needs the table orders") == "Needs the table orders"
    assert said("plan: the file has no column a") == "plan: the file has no column a"
    assert said("orders has no rows", "failed") == "orders has no rows"


def test_a_column_without_a_label_names_the_near_miss():
    with pytest.raises(UsageError, match="did you mean 'channel'"):
        pages.executed(lambda: section("t", table=pd.DataFrame({"chanel": [1]})))


def test_the_ends_of_an_interval_stand_in_one_cell_written_as_their_number():
    frame = pd.DataFrame(
        {
            "channel": ["a"],
            "total": [1_000.0],
            "low": [900.0],
            "high": [1_100.0],
            "lift": [0.1],
            "lift_low": [0.05],
            "lift_high": [0.15],
        }
    )
    page = made(lambda: section("t", table=frame), lang="en")
    assert '<td class="number">CN¥900 to CN¥1,100</td>' in page and '<td class="number">+5.0% to +15.0%</td>' in page
    assert (
        download(page).splitlines()[0]
        == "Channel,Gross revenue,Lower bound,Upper bound,Relative lift,Lift from,Lift to"
    )


def test_money_is_in_the_currency_of_the_warehouse():
    def cell():
        section("t", table=pd.DataFrame({"total": [12.5]}))

    with text.speaking("en", "GBP"):
        notebook = pages.executed(cell, lang="en")
    assert "£12.50" in html.page(notebook, pages.run_of("en"))


# Privacy


def test_ids_are_masked_on_the_page_and_in_its_downloads():
    frame = pd.DataFrame({"user_id": ["13812345678", "u_1", "7", "abcdefgh-1234"], "value": [1, 2, 3, 4]})
    page = made(lambda: section("t", table=frame), lang="en")
    for shown in ("13***78", "***", "ab***34"):
        assert f">{shown}<" in page
    assert "13812345678" not in page and "13812345678" not in download(page)
    assert [privacy.masked(id) for id in ("abc", "abcde", "a00012")] == ["***", "a***", "a***12"]
    notebook = pages.executed(lambda: section("t", table=frame))
    assert "13812345678" not in json.dumps(notebook)


def test_a_group_of_very_few_users_is_not_broken_down():
    frame = pd.DataFrame(
        {
            "channel": ["a", "b", "c"],
            "users": [3, 4, 0],
            "entered": [400, 4, 0],
            "rate": [0.0075, 1.0, None],
            "total": [9.0, 71.0, 0.0],
        }
    )
    page = made(lambda: section("t", table=frame), lang="en")
    row = lambda name: re.search(f"<tr><td[^>]*>{name}</td>(.*?)</tr>", page)[1]  # noqa: E731
    assert "0.8%" in row("a") and "CN¥9" in row("a")  # three of four hundred: the group is four hundred
    assert "under 5 users" in row("b") and "71" not in row("b") and "100.0%" not in row("b")
    assert "under" not in row("c")
    assert "71" not in download(page) and "under 5 users" in download(page)


def test_the_rule_is_read_from_the_projects_defaults_and_can_be_set(tmp_path, monkeypatch):
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").mkdir()
    rules = tmp_path / "params" / "default.yml"
    rules.write_text("source: data\nprivacy:\n  mask_users: false\n  min_group: 12\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(privacy, "_asked", {})
    assert privacy.settings() == privacy.Privacy(mask_users=False, min_group=12)
    assert configure(min_group=3) == privacy.Privacy(mask_users=False, min_group=3)
    assert privacy.masked("13812345678") == "13812345678"
    rules.write_text("privacy: {min_grup: 3}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="did you mean 'min_group'"):
        privacy.settings()
    with pytest.raises(UsageError, match="min_group"):
        configure(min_group=-1)


# Lists


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSLIB_RUN_DIR", str(tmp_path))
    return tmp_path


def test_a_list_stands_beside_the_report_in_full_and_is_linked(run_dir):
    frame = pd.DataFrame({"user_id": ["u0000001", "=cmd|x"], "day": [dt.date(2026, 1, 2), None], "value": [-1.5, None]})
    page = made(lambda: write_list("at_risk", frame, title="有风险的用户"))
    raw = (run_dir / "lists" / "at_risk.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(raw.decode("utf-8-sig")))) == [
        ["user_id", "day", "value"],
        ["u0000001", "2026-01-02", "-1.5"],
        ["'=cmd|x", "", ""],
    ]
    assert 'href="lists/at_risk.csv"' in page and "2 行" in page and not strangers(page, "zh")


def test_a_lazy_list_is_streamed_by_its_engine(run_dir, con):
    import ibis

    rows = ibis.range(250_000).unnest().name("n").as_table()
    lazy = rows.mutate(user_id=ibis.literal("u") + rows.n.cast("string"), channel=ibis.literal("-x"))
    page = made(lambda: write_list("everyone", con.create_table("everyone", lazy, overwrite=True)), lang="en")
    with (run_dir / "lists" / "everyone.csv").open(encoding="utf-8-sig", newline="") as file:
        got = list(csv.reader(file))
    assert len(got) == 250_001 and got[1][1].startswith("u") and got[1][2] == "'-x"
    assert "250,000 rows" in page


@pytest.mark.parametrize(
    ("column", "kept"), [("user_id", True), ("device_id", True), ("content_id", False), ("campaign_id", False)]
)
def test_only_a_list_with_ids_of_people_is_to_be_kept_internal(run_dir, column, kept):
    page = made(lambda: write_list("some", pd.DataFrame({column: ["x1"]})), lang="en")
    assert ("keep it internal" in page) == kept


def test_an_empty_list_has_its_heads_and_is_told_of_without_a_link(run_dir):
    page = made(lambda: write_list("none", pd.DataFrame({"user_id": [], "value": []}), title="Nobody"), lang="en")
    assert "Nobody<span" in page and ": empty, nothing to download" in page and "none.csv" not in page
    assert (run_dir / "lists" / "none.csv").read_text(encoding="utf-8-sig").strip() == '"user_id","value"'


def test_what_a_run_leaves_does_not_show_in_which_order_its_sums_were_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSLIB_RUN_DIR", str(tmp_path))
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other

    def shown(value):
        frame = pd.DataFrame({"user_id": ["u1"] * 5, "value": [value, -value * 1e9, 0.0, np.nan, 1e-300]})
        told = Finding("x", "info", "x", value=value, low=value, high=value)
        page = made(lambda: (section("t", told, table=frame), write_list("all", frame)))
        return page, (tmp_path / "lists" / "all.csv").read_bytes()

    assert shown(one) == shown(other)
    assert b"0.6\n" in shown(one)[1] and b"-600000000\n" in shown(one)[1] and b"1e-300" in shown(one)[1]


@pytest.mark.parametrize("name", ["../x", "A", "", "a b", "x" * 90, ".hidden", "a/b"])
def test_a_list_has_a_plain_name(run_dir, name):
    with pytest.raises(UsageError, match="write_list"):
        write_list(name, pd.DataFrame())


# Key tables


def test_a_key_table_has_groups_shared_heads_and_small_lines(full):
    page = full[1]
    table = re.search(r'<table class="key">.*?</table>', page)[0]
    Page(table)
    assert table.count('class="group"') == 3 and 'colspan="2"' in table and table.count('<svg class="spark small"') == 3
    assert "style=" not in table and " id=" not in table
    with text.speaking("en"):
        frame = pd.DataFrame(
            {
                "channel": [f"c{n}" for n in range(20)],
                **{c: range(10, 30) for c in ("users", "rate", "total", "value", "share")},
            }
        )
        part = pages.executed(lambda: section("t", table=key_table(frame)), lang="en")
    assert len(html.page(part, pages.run_of("en"))) - len(made(lang="en")) < 9_000


def test_a_key_table_names_a_wrong_column():
    with pytest.raises(UsageError, match="did you mean 'users'"):
        key_table(pd.DataFrame({"users": [1]}), spans={"x": ["user"]})


@pytest.mark.parametrize("lang, asked", [("zh", "活动带来了什么？"), ("en", "What did the campaign bring?")])
def test_the_title_of_a_failed_run_is_its_question_and_not_papermills_notice(lang, asked):
    notice = (
        '<span style="color:red">An Exception was encountered at \'<a href="#papermill-error-cell">In [3]</a>\'.</span>'
    )
    cells = [v4.new_markdown_cell(notice), v4.new_markdown_cell("# 活动带来了什么？ / What did the campaign bring?")]
    assert html.question(v4.new_notebook(cells=cells), lang) == asked


@pytest.mark.parametrize(("metrics", "folded"), [(3, False), (4, True)])
def test_more_than_a_few_definitions_of_a_section_are_folded(metrics, folded):
    from opslib.report import render

    found = [asdict(text.term(name)) for name in text.terms()[:metrics]]
    words = render._definitions(found)
    assert words.count("<b>") == metrics and words.startswith("<details") == folded


def test_what_is_none_or_stands_in_the_sentence_is_not_repeated_as_evidence():
    from opslib.report import render

    def proof(words, **given):
        return render.evidence({"text": words, "value": None, "low": None, "high": None, "n": 9, "base": None, "format": "number", "no_interval": "census"} | given)  # fmt: skip

    with text.speaking("en"):
        assert proof("No hole.", value=0).startswith("a full count")
        assert proof("12 items, 120 more.", value=12).startswith("a full count")
        assert proof("120 more.", value=12).startswith("12 · ")
        assert proof("It fell by 5.4 pp.", value=-0.054, low=-0.068, high=-0.04, format="points").startswith("95%")
        assert proof("From 3.0% to 0.0%.", value=0.0, low=0.0, high=0.28, format="percent").startswith("95%")
        assert proof("+0.15 apart.", value=0.15, low=-2.74, high=3.03, format="decimal").startswith(
            "95% interval −2.74 to +3.03"
        )
        assert proof("K is 0.15.", value=0.15, low=0.1, high=0.2, format="decimal").startswith(
            "95% interval 0.10 to 0.20"
        )
