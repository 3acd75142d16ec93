"""Pages in a real Chromium: accessible, silent on the network, right without scripts, on a phone, in the dark and on paper."""

from __future__ import annotations

import csv
import gzip
import os
import re
from pathlib import Path

import pages
import pandas as pd
import pytest
import shots
from test_index import run
from test_page import EVIL

from opslib.report import Finding, html, index, pdf, section

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shots.chromium(), reason="no Chromium: install it or name it in the variable CHROMIUM"),
]
SCHEMES = ["light", "dark"]


@pytest.fixture(scope="module")
def browser():
    with shots.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder of runs: full reports in both languages and two periods, one failed, one lacking data, one damaged, and the index."""
    root = tmp_path_factory.mktemp("outputs")
    notebooks = {lang: pages.executed(*pages.FULL, lang=lang) for lang in ("zh", "en")}
    for number, (lang, week) in enumerate((("zh", 45), ("en", 45), ("zh", 46), ("en", 46))):
        folder = run(root, "funnel_diagnosis", number, week=week, lang=lang)
        html.write(notebooks[lang], pages.run_of(lang), folder / "report.html")
    for module, status in (("ab_readout", "lacking"), ("channel_roi", "failed")):
        folder = run(root, module, 7, status=status, error="ValueError: x", title="", verdict="")
        html.write(
            pages.executed(pages.top, pages.steps),
            pages.run_of(module=module, status=status, error="ValueError: x"),
            folder / "report.html",
        )
    (run(root, "damaged", 8) / "run.json").write_text("{", encoding="utf-8")
    for lang in ("en", "zh"):
        index.build(root, lang).rename(root / f"index-{lang}.html")
    index.build(root)
    return root


def report(site: Path, lang: str) -> Path:
    return sorted(site.glob("funnel_diagnosis/*/report.html"))[2 if lang == "zh" else 3]


def everything(site: Path) -> dict[str, Path]:
    found = {f"index-{lang}": site / f"index-{lang}.html" for lang in ("zh", "en")}
    found |= {f"report-{lang}": report(site, lang) for lang in ("zh", "en")}
    return found | {m: next(site.glob(f"{m}/*/report.html")) for m in ("ab_readout", "channel_roi")}


def opened(browser, path: Path, *, width: int = 1280, scheme: str = "light", scripts: bool = True):
    """The page in a context of its own, with every request and every complaint noted."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=scripts,
        accept_downloads=True,
    )
    page = context.new_page()
    page.requests, page.complaints = [], []
    page.on("request", lambda r: page.requests.append(r.url))
    page.on("console", lambda m: page.complaints.append(m.text))
    page.on("pageerror", lambda e: page.complaints.append(str(e)))
    page.goto(path.as_uri())
    return page


def faults(page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    found = Axe().run(page).response["violations"]
    return [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]} × {len(v['nodes'])}" for v in found]


def test_the_check_for_violations_can_fail(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<html><body><img src='x'><p style='color:#eee'>pale</p></body></html>", encoding="utf-8"
    )
    page = opened(browser, tmp_path / "bad.html")
    assert {f.split(" ")[0] for f in faults(page)} >= {
        "image-alt",
        "color-contrast",
        "html-has-lang",
        "document-title",
        "region",
    }
    page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_violation_of_any_level(browser, site, scheme):
    for name, path in everything(site).items():
        page = opened(browser, path, scheme=scheme)
        assert not faults(page), name
        page.context.close()


def test_no_violation_on_a_phone(browser, site):
    for name, path in everything(site).items():
        page = opened(browser, path, width=390)
        assert not faults(page), name
        page.context.close()


def outputs() -> list[tuple[str, Path]]:
    return shots.pages(shots.ROOT / "outputs") if (shots.ROOT / "outputs").is_dir() else []


@pytest.mark.parametrize(
    ("name", "path"),
    outputs()
    or [pytest.param("none", None, marks=pytest.mark.skip(reason="no report in outputs/: run `make report`"))],
)
def test_every_modules_own_page_is_accessible_silent_small_and_fits(browser, name, path):
    figures = path.read_text(encoding="utf-8").count("<figure>")
    assert path.stat().st_size < min(400_000, 250_000 + 30_000 * max(0, figures - 8))
    for scheme in SCHEMES:
        page = opened(browser, path, scheme=scheme)
        assert not faults(page)
        assert page.requests == [path.as_uri()] and not page.complaints
        page.context.close()
    page = opened(browser, path, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def test_nothing_is_requested_and_nothing_complains(browser, site):
    for name, path in everything(site).items():
        page = opened(browser, path)
        page.wait_for_timeout(300)
        kept = [url for url in page.requests if not url.startswith("data:")]
        assert kept == [path.as_uri()], name
        assert not page.complaints, name
        page.context.close()


def test_no_page_is_wider_than_the_phone(browser, site):
    for width in (320, 390):
        for name, path in everything(site).items():
            page = opened(browser, path, width=width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            page.context.close()


def test_a_wide_figure_keeps_its_size_on_a_phone_and_is_moved_sideways(browser, site):
    sizes = "[...document.querySelectorAll('.pan')].map((box) => [box.clientWidth, box.scrollWidth])"
    for width, moves in ((390, True), (1280, False)):
        page = opened(browser, report(site, "zh"), width=width)
        found = page.evaluate(sizes)
        assert found and all((whole > seen + 1) == moves for seen, whole in found)
        page.context.close()


def test_the_first_paint_is_soon_and_nothing_moves(browser, site, capsys):
    """Paint times are printed, not asserted: the machine may be busy. Layout shift is asserted."""
    for name, path in everything(site).items():
        page = opened(browser, path)
        paint, shift = page.evaluate(
            """() => new Promise((done) => {
                let moved = 0;
                new PerformanceObserver((list) => list.getEntries().forEach((e) => (moved += e.value))).observe({type: "layout-shift", buffered: true});
                setTimeout(() => done([performance.getEntriesByName("first-contentful-paint")[0]?.startTime, moved]), 400);
            })"""
        )
        with capsys.disabled():
            print(f"\n{name}: first contentful paint {paint:.0f} ms, layout shift {shift:.4f}", end="")
        assert shift == 0, name
        page.context.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_without_scripts_everything_can_be_read_and_the_table_still_be_had(browser, site, lang):
    page = opened(browser, report(site, lang), scripts=False)
    assert page.locator("h1").inner_text() and page.locator("main section h2").count() > 10
    assert page.locator("th button").count() == 0
    with page.expect_download() as waiting:
        page.locator("a.csv").first.click()
    raw = gzip.decompress(Path(waiting.value.path()).read_bytes())
    assert raw.startswith(b"\xef\xbb\xbf") and waiting.value.suggested_filename.endswith(".csv.gz")
    page.context.close()
    listing = opened(browser, site / "index.html", scripts=False)
    assert listing.locator("article").count() == 4 and not listing.locator("form").is_visible()
    listing.context.close()


def test_a_table_sorts_by_its_numbers_and_back(browser, site):
    page = opened(browser, report(site, "zh"))
    table = page.locator("table", has_text="打开应用").first
    column = lambda: table.locator("tbody td:nth-child(2)").all_inner_texts()  # noqa: E731
    assert column() == ["15.23 万", "9.12 万", "4.01 万", "3.10 万", "2,110"]
    table.locator("th button").nth(1).click()
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"
    table.locator("th button").nth(1).click()
    assert column() == ["2,110", "3.10 万", "4.01 万", "9.12 万", "15.23 万"]
    table.locator("th button").nth(3).click()
    rates = table.locator("tbody td:nth-child(4)").all_inner_texts()
    assert rates == ["77.3%", "59.9%", "44.0%", "6.8%", "–"]  # what is missing stays last
    page.context.close()


def test_a_download_is_plain_csv_when_scripts_run(browser, site):
    page = opened(browser, report(site, "en"))
    with page.expect_download() as waiting:
        page.locator("a.csv").nth(1).click()
    assert waiting.value.suggested_filename == "funnel-pay.csv"
    text = Path(waiting.value.path()).read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(text.splitlines()))
    assert rows[0][:2] == ["Event", "Users"] and rows[1][:2] == ["app_open", "152300"]
    assert not page.complaints
    page.context.close()


def test_the_mark_beside_a_head_copies_its_address(browser, site):
    page = opened(browser, report(site, "zh"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("a.mark").first.click()
    page.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
    assert page.locator("[role=status]").inner_text() == "已复制链接"
    assert page.url.endswith("#retention-android")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.context.close()


def test_periods_and_languages_are_linked_both_ways(browser, site):
    page = opened(browser, report(site, "zh"))
    here = page.url
    page.locator("a[rel=prev]").click()
    assert "report.html" in page.url and page.url != here
    page.locator("a[rel=next]").click()
    assert page.url == here
    page.locator("a[hreflang=en]").click()
    assert page.locator("html").get_attribute("lang") == "en"
    page.locator("nav a", has_text="Workbench").click()
    assert page.locator("article").count() == 4
    page.locator("article[data-module=funnel_diagnosis] h3 a").click()
    assert page.locator("main").count() == 1
    page.context.close()


def test_the_index_filters_by_module_period_level_and_words(browser, site):
    page = opened(browser, site / "index-zh.html")
    seen = lambda: [a.get_attribute("data-module") for a in page.locator("article").all() if a.is_visible()]  # noqa: E731
    assert len(seen()) == 4
    page.select_option("[name=module]", "ab_readout")
    assert seen() == ["ab_readout"]
    page.select_option("[name=module]", "")
    page.select_option("[name=period]", "2026-W45")
    assert seen() == ["funnel_diagnosis"]
    assert all("W45" in t for t in page.locator(".runs li:visible").all_inner_texts())
    page.select_option("[name=period]", "")
    page.select_option("[name=level]", "act")
    assert seen() == []
    assert page.locator(".none").is_visible()
    page.select_option("[name=level]", "")
    page.fill("[name=words]", "FUNNEL 需要")
    assert seen() == ["funnel_diagnosis"]
    page.context.close()


def test_hostile_texts_stay_texts_in_the_browser_and_the_page_holds(browser, tmp_path):
    def cell():
        for n, evil in enumerate(EVIL):
            frame = pd.DataFrame({"channel": [evil, "b", "c"], "users": [10, 20, 30]})
            section(evil, Finding(f"e.{n}", "act", evil), table=frame, note=evil)

    path = tmp_path / "report.html"
    html.write(pages.executed(cell), pages.run_of(parameters={"x": EVIL}, status="failed", error=" ".join(EVIL)), path)
    for width in (390, 1280):
        page = opened(browser, path, width=width)
        assert not page.complaints and page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('script, style').length") == 2
        assert not faults(page)
        page.context.close()


def test_print_shows_everything_in_ink_on_paper(browser, site):
    page = opened(browser, report(site, "zh"), scheme="dark", width=680)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('figure img')).filter") == "none"
    assert not page.locator(".toc").is_visible() and not page.locator("a.csv").first.is_visible()
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth + 1).length"
    )
    assert cut == 0
    page.context.close()


def test_a_wide_table_prints_its_numbers_in_one_piece(browser, tmp_path):
    names = ["events", "users", "orders", "touches", "spend", "content", "campaigns", "experiments", "exposures"]
    texts = {"name": ["daily_stats.parquet"], "reason": ["2026-11-29 00:25"]}
    wide = pd.DataFrame(texts | {name: [1_978_825] for name in names})
    page = tmp_path / "report.html"
    named = {"labels": {name: name for name in wide}, "formats": dict.fromkeys(names, "count")}
    notebook = pages.executed(lambda: section("t", table=wide, **named))
    html.write(notebook, pages.run_of("zh"), page)
    shown = opened(browser, page, width=680)
    shown.emulate_media(media="print")
    lines = """[...document.querySelectorAll('td.number')].map((cell) => {
        const words = document.createRange(); words.selectNodeContents(cell);
        return new Set([...words.getClientRects()].map((r) => r.top)).size;
    })"""
    assert shown.evaluate(lines) == [1] * 9
    shown.context.close()


def test_a_report_prints_to_pdf_with_its_tables_whole(site):
    made = pdf.write(report(site, "zh"))
    raw = made.read_bytes()
    assert raw.startswith(b"%PDF") and 3 <= len(re.findall(rb"/Type\s*/Page\b", raw)) <= 20


def test_pdf_without_a_browser_says_what_to_do(tmp_path, monkeypatch):
    from opslib.errors import OpsError

    monkeypatch.setitem(os.environ, "CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(OpsError, match="CHROMIUM"):
        pdf.browser()
