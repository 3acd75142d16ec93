"""The index page: for each source and module the newest run, its history by period, and what failed."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from opslib.report import html, render
from opslib.report.finding import LEVELS
from opslib.report.grid import unbroken
from opslib.report.neighbours import label, period, subject
from opslib.text import say, shown, some

Run = dict[str, Any]
THUMBS = 56_000  # bytes of pictures in all; what comes later goes without
HISTORY = 650  # runs listed in all, shared among the modules


def page(found: list[Run], outputs: Path, lang: str) -> str:
    """The index of these runs (newest first)."""
    title = say(zh="运营工作台", en="Product-operations workbench")
    script = html.asset("index.js")
    cards = _cards(found, lang)
    empty = say(zh="没有符合条件的报告。", en="No report matches.")
    if not cards:
        empty = say(zh="还没有报告：运行 opslib run --all。", en="No report yet: run opslib run --all.")
    return (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.csp(script)}"><meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{html.asset('page.css')}{html.asset('index.css')}</style><script>{script}</script></head>"
        f'<body><a class="skip" href="#main">{say(zh="跳到报告", en="Skip to the reports")}</a>'
        f'<header><h1>{title}</h1><p class="fresh">{_summary(found, cards)}</p>{_filters(found) if cards else ""}</header>'
        f'<main id="main" tabindex="-1">{_groups(cards, outputs, lang)}<p class="none{"" if cards else " on"}">{empty}</p></main></body></html>'
    )


def _cards(found: list[Run], lang: str) -> dict[str, dict[str, list[Run]]]:
    """source → subject (module, campaign, experiment) → its runs, those in the index' language first, then newest first."""
    known: dict[str, str] = {}
    for run in found:
        if run["status"] != "damaged":
            known.setdefault(run["module"], run["source"])
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in found:
        source = known.get(run["module"], "") if run["status"] == "damaged" else run["source"]
        groups.setdefault(source, {}).setdefault(subject(run), []).append(run)
    for modules in groups.values():
        for name, mine in modules.items():
            modules[name] = sorted(mine, key=lambda r: r["lang"] not in ("", lang))
    return {s: dict(sorted(groups[s].items(), key=lambda item: (_gravity(item[1]), item[0]))) for s in sorted(groups)}


def _gravity(runs: list[Run]) -> int:
    """What failed comes first, then what asks for action, and so on."""
    if runs[0]["status"] in ("failed", "damaged"):
        return -1
    return min((LEVELS.index(f["level"]) for f in runs[0]["findings"]), default=len(LEVELS))


def _summary(found: list[Run], cards: dict[str, dict[str, list[Run]]]) -> str:
    modules = sum(map(len, cards.values()))
    failed = sum(run["status"] in ("failed", "damaged") for run in found)
    words = say(zh="{m} 份报告 · {n} 次运行", en="{m} reports · {n} runs", m=modules, n=len(found))
    if failed:
        words += say(zh=" · {k} 次失败", en=" · {k} failed", k=failed)
    if found:
        words += say(
            zh=" · 最近一次 {at}（UTC）", en=" · latest {at} (UTC)", at=found[0]["started"][:16].replace("T", " ")
        )
    return words


def _filters(found: list[Run]) -> str:
    """The form that the script brings to life; hidden without it."""
    every = say(zh="全部", en="All")
    periods = sorted({period(run) for run in found if run["status"] != "damaged"}, reverse=True)[:120]
    modules = sorted({run["module"] for run in found})
    levels = [(level, render.level_name(level)) for level in LEVELS]

    def choice(name: str, words: str, options: list[tuple[str, str]], plain: bool = False) -> str:
        mark = "" if plain else ' translate="no"'
        items = "".join(f'<option value="{escape(v)}"{mark}>{escape(w)}</option>' for v, w in options)
        return f'<label>{words} <select name="{name}"><option value="">{every}</option>{items}</select></label>'

    return (
        '<form class="filters" role="search">'
        + choice("module", say(zh="模块", en="Module"), [(m, m) for m in modules])
        + choice("period", say(zh="周期", en="Period"), [(p, p) for p in periods])
        + choice("level", say(zh="级别", en="Level"), levels, plain=True)
        + f'<label>{say(zh="文字", en="Words")} <input type="search" name="words"></label></form>'
    )


def _groups(cards: dict[str, dict[str, list[Run]]], outputs: Path, lang: str) -> str:
    count = sum(map(len, cards.values()))
    room = {"thumbs": THUMBS, "history": max(6, HISTORY // count) if count else 0}
    out = []
    for source, modules in cards.items():
        head = say(zh="来源", en="Source")
        name = f'<span translate="no">{escape(shown(source, 120))}</span>' if source else say(zh="未知", en="unknown")
        body = "".join(_card(label(runs[0]), runs, outputs, room, lang) for runs in modules.values())
        out.append(f'<div class="group"><h2 class="source">{head} {name}</h2>{body}</div>')
    return "".join(out)


def _card(name: str, runs: list[Run], outputs: Path, room: dict[str, int], lang: str) -> str:
    """One module: its newest good run, before it what has failed, or lacked data, since."""
    newest = runs[0]
    good = next((r for status in ("ok", "lacking") for r in runs if r["status"] == status), None)
    face = good or newest
    levels = " ".join(sorted({f["level"] for f in face["findings"]}))
    body = [_thumb(good, outputs, room) if good else "", _head(face, name, lang)]
    if newest["status"] != "ok":
        body.append(_alert(newest))
    if face is good and good is not None:
        body.append(
            f'<p class="verdict"{_tongue(good, lang)}>{unbroken(escape(shown(good["verdict"], 300)))}</p>'
            if good["verdict"]
            else ""
        )
        body.append(_first(good, lang))
    body.append(_history(runs, room["history"]))
    return f'<article class="report" data-module="{escape(newest["module"])}" data-levels="{levels}">{"".join(body)}</article>'


def _tongue(run: Run, lang: str) -> str:
    """Marks what is written in the other language."""
    if run["lang"] in ("", lang):
        return ""
    return f' lang="{"zh-CN" if run["lang"] == "zh" else "en"}"'


def _head(run: Run, name: str, lang: str) -> str:
    title = escape(shown(run["title"] or name, 120))
    mark = _tongue(run, lang) if run["title"] else ' translate="no"'
    meta = [
        f'<span translate="no">{escape(name)}</span>',
        escape(shown(run["period"], 80)),
        run["started"][:16].replace("T", " "),
    ]
    return (
        f'<h3{mark}><a href="{escape(run["folder"])}/report.html">{title}</a></h3>'
        f'<p class="meta"{_tongue(run, lang)}>{unbroken(" · ".join(filter(None, meta)))}</p>'
    )


def _alert(run: Run) -> str:
    """The newest run did not give a report: why, and a link to what there is."""
    words = {
        "failed": say(zh="最近一次运行失败", en="The newest run failed"),
        "lacking": say(zh="数据还不够", en="Not enough data"),
        "damaged": say(zh="最近一次运行的记录已损坏", en="The newest run's record is damaged"),
    }[run["status"]]
    lack = " lack" if run["status"] == "lacking" else ""
    return (
        f'<div class="alert{lack}"><p><a href="{escape(run["folder"])}/report.html">{words}</a>'
        f'{say(zh="：", en=": ")}<span translate="no">{escape(shown(run["error"], 220))}</span></p></div>'
    )


def _first(run: Run, lang: str, most: int = 3) -> str:
    items = []
    for found in run["findings"][:most]:
        link = f"{escape(run['folder'])}/report.html#{escape(found.get('section', ''))}"
        words = f'<p{_tongue(run, lang)}><a href="{link}">{unbroken(escape(shown(found["text"], 200)))}</a></p>'
        items.append(f'<li><span class="level {found["level"]}">{render.level_name(found["level"])}</span>{words}</li>')
    return f'<ul class="findings">{"".join(items)}</ul>' if items else ""


def _thumb(run: Run, outputs: Path, room: dict[str, int]) -> str:
    try:
        data = b64encode((outputs / run["folder"] / "thumb.webp").read_bytes()).decode()
        height = _height(outputs / run["folder"] / "thumb.webp")
    except OSError:  # also what Pillow says of a picture that is none
        return ""
    if len(data) > room["thumbs"]:
        return ""
    room["thumbs"] -= len(data)
    return f'<img class="thumb" alt="" width="176" height="{height}" src="data:image/webp;base64,{data}">'


def _height(image: Path, width: int = 176) -> int:
    from PIL import Image

    with Image.open(image) as opened:
        return round(width * opened.height / opened.width)


def _history(runs: list[Run], most: int) -> str:
    """Every run by period, newest first; a failed one with its reason."""
    if len(runs) < 2 and runs[0]["status"] == "ok":
        return f'<ul class="runs" hidden>{_past(runs[0], Counter())}</ul>'
    seen: Counter[tuple[str, str]] = Counter()
    items = "".join(
        _past(run, seen) for run in sorted(runs, key=lambda r: (period(r), r["started"]), reverse=True)[:most]
    )
    words = say(zh="历史（{n} 次运行）", en="History ({n})", n=some(len(runs), "run"))
    left = len(runs) - most
    more = (
        f"<p>{say(zh='更早的 {n} 次运行在 outputs/ 中', en='{n} earlier runs are in outputs/', n=left)}</p>"
        if left > 0
        else ""
    )
    return f'<details><summary>{words}</summary><ul class="runs">{items}</ul>{more}</details>'


def _past(run: Run, seen: Counter[tuple[str, str]]) -> str:
    """One run: its period; the second of a period with its time, a failed one with its reason."""
    name = period(run)
    seen[name, run["lang"]] += 1
    again = seen[name, run["lang"]] > 1
    words = (
        name + (f" {run['started'][5:16].replace('T', ' ')}" if again else "") + (" EN" if run["lang"] == "en" else "")
    )
    link = f'<a href="{escape(run["folder"])}/report.html">{escape(words)}</a>'
    mark = f' data-p="{escape(name)}"' if words != name or run["status"] != "ok" else ""
    if run["status"] == "ok":
        return f"<li{mark}>{link}</li>"
    why = {
        "failed": say(zh="失败", en="failed"),
        "damaged": say(zh="记录损坏", en="damaged"),
        "lacking": say(zh="数据不足", en="lacks data"),
    }[run["status"]]
    level = "watch" if run["status"] == "lacking" else "act"
    reason = escape(shown(run["error"], 90))
    return f'<li class="bad"{mark}>{link} <span class="level {level}">{why}</span> <span translate="no">{reason}</span></li>'
