"""The index and the links between reports, built from runs' records that may be old, many, failed or damaged."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pages
import pytest
from test_page import EVIL, Page, strangers

from opslib.report import html, index, neighbours
from opslib.report.latest import latest, proposed


def run(
    root: Path, module: str, number: int, *, week: int = 46, lang: str = "zh", evil: str = "", page: str = "", **changed
) -> Path:
    """One run's folder with its record, its findings and a page."""
    record = pages.run_of(lang, module=module, started=f"2026-11-{number % 28 + 1:02d}T06:{number % 60:02d}:00+00:00")
    record["parameters"] = record["parameters"] | {"end": f"2026-{week:02d}-01" if week < 13 else ""}
    record |= {
        "title": evil or f"报告 {module}",
        "verdict": evil or "一切如常。",
        "period": f"2026-W{week:02d}（七天）",
    }
    if lang == "en":
        record |= {"title": f"Report {module}", "verdict": "All is well.", "period": f"2026-W{week:02d} (seven days)"}
    folder = root / module / f"20261116T060211{number:03d}-3f9a11"
    folder.mkdir(parents=True)
    found = [
        {
            "id": "a",
            "level": "watch",
            "text": evil or ("需要关注" if lang == "zh" else "To be watched"),
            "metric": "",
            "value": 1,
            "low": None,
            "high": None,
            "n": 3,
            "base": None,
            "format": "number",
            "no_interval": "census",
            "section": "s",
        }
    ]
    (folder / "findings.json").write_text(json.dumps(found), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(record | changed), encoding="utf-8")
    (folder / "report.html").write_text(page or f"<nav>{''.join(html.PERIODS)}</nav>", encoding="utf-8")
    return folder


def links(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8").split(html.PERIODS[0])[1].split(html.PERIODS[1])[0]


def built(root: Path, lang: str = "zh") -> str:
    return index.build(root, lang).read_text(encoding="utf-8")


def test_it_shows_the_newest_run_of_each_module_and_source(tmp_path):
    run(tmp_path, "funnel", 1, title="旧的")
    run(tmp_path, "funnel", 2, title="新的")
    run(tmp_path, "funnel", 3, title="真实数据", source="data/real")
    page = built(tmp_path)
    heads = re.findall(r"<h3[^>]*><a[^>]*>(.*?)</a>", page)
    assert heads == ["真实数据", "新的"]
    assert page.count('class="source"') == 2 and "历史（2 次运行）" in page


def test_each_campaign_has_its_own_card(tmp_path):
    for number, name in enumerate(["c05", "c06", "c05"]):
        run(tmp_path, "campaign_retrospective", number, identity={"campaign_id": name}, verdict=f"{name} {number}")
    page = built(tmp_path)
    assert page.count('<article class="report" data-module="campaign_retrospective"') == 2
    assert "campaign_id = c05" in page and "c05 2" in page and "c06 1" in page


def test_long_ids_that_begin_alike_have_cards_of_their_own(tmp_path):
    for number, end in enumerate("ab"):
        run(tmp_path, "campaign_retrospective", number, identity={"campaign_id": "c" * 60 + end})
    page = built(tmp_path)
    assert page.count('<article class="report" data-module="campaign_retrospective"') == 2
    assert page.count(f"campaign_id = {'c' * 39}…") == 2


def test_the_latest_findings_are_those_of_each_campaign_and_of_no_report_that_repeats_others(tmp_path):
    for number, name in enumerate(["c05", "c06", "c05"]):
        run(tmp_path, "campaign_retrospective", number, identity={"campaign_id": name}, source="data/x")
    run(tmp_path, "weekly_report", 5, reads_others=True, source="data/x")
    run(tmp_path, "data_quality", 6, status="failed", error="boom", source="data/x")
    found = latest("data/x", lang="zh", outputs=tmp_path)
    assert [f.id for f in found] == ["campaign_retrospective.a"] * 2
    assert all(f.text.startswith("「") and "」：" in f.text for f in found), "whose conclusion it is stands before it"


def test_the_other_reports_next_actions_are_repeated_with_their_owner_and_target(tmp_path):
    step = {"title": "停投「kol」", "team": "marketing", "evidence": "LTV / CAC 0.4", "metric": "", "baseline": 0.4,
            "target": 1.0, "due_on": "2026-12-01", "format": "times", "section": "verdict"}  # fmt: skip
    for number in range(2):
        folder = run(tmp_path, f"module_{number}", number, source="data/x")
        (folder / "actions.json").write_text(json.dumps([step | {"title": f"{number}-{k}"} for k in range(3)]))
    run(tmp_path, "older", 5, source="data/x")  # made before actions were recorded
    steps = proposed("data/x", lang="zh", outputs=tmp_path)
    assert sorted(a.title for a in steps) == [f"「报告 module_{m}」：{m}-{n}" for m in (0, 1) for n in (0, 1)]
    assert steps[0].team == "marketing" and steps[0].target == 1.0 and steps[0].due_on == "2026-12-01"
    assert proposed("data/y", lang="zh", outputs=tmp_path) == []


def test_a_damaged_thumbnail_does_not_hide_the_index(tmp_path):
    (run(tmp_path, "data_quality", 1) / "thumb.webp").write_bytes(b"RIFF")
    assert "data_quality" in built(tmp_path)


def test_what_was_found_on_other_data_is_not_repeated(tmp_path):
    run(tmp_path, "old", 1, source="data/x", fingerprint="aaaa")
    run(tmp_path, "new", 2, source="data/x", fingerprint="bbbb+file")
    assert [f.id for f in latest("data/x", lang="zh", data="bbbb", outputs=tmp_path)] == ["new.a"]


def test_what_was_found_about_later_days_is_not_repeated_and_of_what_still_runs_as_much_as_was_seen(tmp_path):
    run(tmp_path, "march", 1, source="data/x", period="2026-03-01 至 2026-03-31")
    run(tmp_path, "june", 2, source="data/x", period="2026-06-01 至 2026-06-28")
    run(tmp_path, "plan", 3, source="data/x", period="2026-06-29 to 2026-07-05")
    run(tmp_path, "dateless", 4, source="data/x")

    def found(until):
        steps = latest("data/x", lang="zh", until=until, observed="2026-06-28", outputs=tmp_path)
        return {f.id.split(".")[0] for f in steps}

    assert found("2026-06-28") == found("") == {"march", "june", "plan", "dateless"}
    assert found("2026-06-27") == {"march", "dateless"} and found("2026-01-31") == {"dateless"}


def test_two_campaigns_with_ids_like_years_are_not_two_periods_of_one(tmp_path):
    pages_ = [
        run(
            tmp_path,
            "campaign_retrospective",
            n,
            week=40 + n,
            identity={"campaign_id": y},
            parameters={"campaign_id": y},
        )
        for n, y in enumerate(["2025", "2026"])
    ]
    built(tmp_path)
    assert not any("rel=" in links(page) for page in pages_)


def test_a_failed_run_is_shown_with_its_reason_over_the_last_good_one(tmp_path):
    run(tmp_path, "funnel", 1, title="好的")
    bad = run(tmp_path, "funnel", 2, status="failed", error="ValueError: <abc>")
    page = built(tmp_path)
    assert (
        "最近一次运行失败" in page
        and "ValueError: &lt;abc&gt;" in page
        and f'href="{bad.relative_to(tmp_path).as_posix()}/report.html"' in page
    )
    assert re.findall(r"<h3[^>]*><a[^>]*>(.*?)</a>", page) == ["好的"]


def test_a_run_that_lacks_data_says_what_it_needs(tmp_path):
    run(tmp_path, "ab", 1, status="lacking", error="需要 30 次转化，现有 11 次")
    assert "数据还不够" in built(tmp_path) and "需要 30 次转化" in built(tmp_path)


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"module": 3}', '{"status": "??"}', "\x00\x01", '{"module":"funnel","status":"ok","lang":"zh","started":"2026","parameters":[]}'],
)  # fmt: skip
def test_a_damaged_record_is_shown_as_damaged_and_hides_nothing_else(tmp_path, damage):
    run(tmp_path, "funnel", 1, title="好的")
    hurt = run(tmp_path, "funnel", 2)
    (hurt / "run.json").write_text(damage, encoding="utf-8")
    page = built(tmp_path)
    assert "记录损坏" in page and "好的" in page and hurt.name in page
    statuses = [r["status"] for r in index.runs(tmp_path)]
    assert sorted(statuses) == ["damaged", "ok"]


@pytest.mark.parametrize("name", ["run.json", "findings.json"])
def test_a_missing_file_is_a_damaged_record(tmp_path, name):
    hurt = run(tmp_path, "funnel", 1)
    (hurt / name).unlink()
    assert [r["status"] for r in index.runs(tmp_path)] == ["damaged"]
    assert "记录已损坏" in built(tmp_path)


@pytest.mark.parametrize(
    "finding", [{"level": "red"}, {"level": "act"}, {"level": "act", "format": "number", "text": 7}]
)
def test_a_damaged_finding_is_a_damaged_record(tmp_path, finding):
    (run(tmp_path, "funnel", 1) / "findings.json").write_text(json.dumps([finding]), encoding="utf-8")
    assert [r["status"] for r in index.runs(tmp_path)] == ["damaged"]


def test_no_run_at_all_says_how_to_get_one(tmp_path):
    page = built(tmp_path / "outputs")
    assert "还没有报告" in page and "<form" not in page
    Page(page)


def test_folders_that_are_no_runs_are_left_out(tmp_path):
    for name in (".aside/x", "shots/a", "_interactive/lists"):
        (tmp_path / name).mkdir(parents=True)
    assert index.runs(tmp_path) == []


def test_what_asks_for_action_comes_first(tmp_path):
    for number, (module, level) in enumerate((("a", "info"), ("b", "act"), ("c", "good"))):
        folder = run(tmp_path, module, number)
        found = json.loads((folder / "findings.json").read_text())
        (folder / "findings.json").write_text(json.dumps([found[0] | {"level": level}]), encoding="utf-8")
    run(tmp_path, "d", 9, status="failed", error="x")
    assert re.findall('data-module="(.)"', built(tmp_path)) == ["d", "b", "c", "a"]


@pytest.mark.parametrize("evil", EVIL, ids=lambda e: e[:12].encode("unicode_escape").decode())
def test_a_users_text_is_text(tmp_path, evil):
    folder = run(tmp_path, "funnel", 1, evil=evil, source=evil, period=evil, page="")
    run(tmp_path, "funnel", 2, evil=evil, source=evil, status="failed", error=evil)
    taken = Page(built(tmp_path))
    assert [t for t, _ in taken.tags].count("script") == 1 and not any("onerror" in a for _, a in taken.tags)
    Page(f"<i>{links(folder)}</i>")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_is_in_one_language_even_where_reports_are_in_the_other(tmp_path, lang):
    for number, other in enumerate(("zh", "en")):
        run(tmp_path, f"m{number}", number, lang=other)
        run(tmp_path, f"m{number}", number + 10, lang=other, status="failed", error="boom 砰")
    run(tmp_path, "m3", 20, status="lacking", error="x")
    page = built(tmp_path, lang)
    assert not strangers(page, lang)
    other = "en" if lang == "zh" else "zh-CN"
    assert f'lang="{other}"' in page


def test_five_hundred_runs_fit_and_are_quick(tmp_path, capsys):
    full = pages.executed(*pages.FULL)
    first = run(tmp_path, "m0", 0)
    html.write(full, pages.run_of(), first / "report.html")
    thumb = (first / "thumb.webp").read_bytes()
    for number in range(1, 500):
        status = "failed" if number % 10 == 0 else "ok"
        error = (
            "ValueError: could not convert string to float: 'abc' in the column amount of the table orders, line 1234"
            * 3
            if status == "failed"
            else ""
        )
        folder = run(
            tmp_path,
            f"module_{number % 13}",
            number,
            week=number % 52 + 1,
            status=status,
            error=error,
            title="很长的标题" * 20,
            verdict="一句话" * 90,
        )
        (folder / "thumb.webp").write_bytes(thumb)
    index.build(tmp_path)
    started = time.process_time()
    page = built(tmp_path)
    seconds = time.process_time() - started
    with capsys.disabled():
        print(f"\nindex of 500 runs: {len(page.encode()) / 1000:.0f} kB, {seconds:.2f} CPU s")
    assert len(page.encode()) < 200_000 and seconds < 2
    assert page.count("report.html") >= 500
    assert "data:image/webp" in page


# Links between periods


def test_each_report_leads_to_the_period_before_and_after(tmp_path):
    weeks = [run(tmp_path, "weekly", n, week=40 + n) for n in range(3)]
    index.build(tmp_path)
    assert f'rel="prev" href="../../{weeks[0].relative_to(tmp_path).as_posix()}/report.html">上一期 2026-W40' in links(
        weeks[1]
    )
    assert f'rel="next" href="../../{weeks[2].relative_to(tmp_path).as_posix()}/report.html">下一期 2026-W42' in links(
        weeks[1]
    )
    assert 'rel="prev"' not in links(weeks[0]) and 'rel="next"' not in links(weeks[2])
    for folder in weeks:
        for target in re.findall('href="([^"]+)"', links(folder)):
            assert (folder / target).resolve().is_file()


def test_a_new_run_rewrites_its_neighbours_only(tmp_path):
    weeks = [run(tmp_path, "weekly", n, week=40 + n) for n in range(4)]
    index.build(tmp_path)
    before = {f: (f / "report.html").stat().st_mtime_ns for f in weeks}
    index.build(tmp_path)
    assert {f: (f / "report.html").stat().st_mtime_ns for f in weeks} == before
    late = run(tmp_path, "weekly", 9, week=44)
    assert neighbours.link(tmp_path, index.runs(tmp_path)) == 2
    changed = [f for f in weeks if (f / "report.html").stat().st_mtime_ns != before[f]]
    assert changed == [weeks[3]] and late.name in links(weeks[3])


def test_a_newer_run_of_the_same_period_takes_its_place_and_a_failed_one_does_not(tmp_path):
    first, second = run(tmp_path, "weekly", 1, week=40), run(tmp_path, "weekly", 2, week=41)
    again = run(tmp_path, "weekly", 3, week=41)
    run(tmp_path, "weekly", 4, week=42, status="failed", error="x")
    index.build(tmp_path)
    assert again.name in links(first) and second.name not in links(first)
    assert first.name in links(second) and 'rel="next"' not in links(again)


def test_reports_of_other_parameters_or_sources_are_no_neighbours(tmp_path):
    one = run(tmp_path, "weekly", 1, week=40)
    run(tmp_path, "weekly", 2, week=41, parameters=pages.RUN["parameters"] | {"segment": "ios"})
    run(tmp_path, "weekly", 3, week=41, source="data/real")
    index.build(tmp_path)
    assert links(one) == ""


def test_the_other_language_is_one_click_away(tmp_path):
    chinese, english = run(tmp_path, "weekly", 1), run(tmp_path, "weekly", 2, lang="en")
    index.build(tmp_path)
    assert (
        f'lang="en" hreflang="en" href="../../{english.relative_to(tmp_path).as_posix()}/report.html">English'
        in links(chinese)
    )
    assert ">中文</a>" in links(english)


def test_lost_memory_or_a_page_without_marks_does_no_harm(tmp_path):
    one, two = run(tmp_path, "weekly", 1, week=40), run(tmp_path, "weekly", 2, week=41, page="<p>old page</p>")
    index.build(tmp_path)
    (tmp_path / ".links.json").write_text("{", encoding="utf-8")
    index.build(tmp_path)
    assert two.name in links(one)
    assert (two / "report.html").read_text() == "<p>old page</p>"
    (one / "report.html").unlink()
    index.build(tmp_path)


def test_a_run_that_lacked_data_does_not_take_the_place_of_a_good_one(tmp_path):
    run(tmp_path, "weekly_report", 1, title="好的")
    run(tmp_path, "weekly_report", 2, status="lacking", error="没有 2019 年的数据", title="周报？")
    page = built(tmp_path)
    assert "好的" in page and "没有 2019 年的数据" in page
    assert page.index("好的") < page.index("没有 2019 年的数据")
