"""Parts of a page as HTML: everything that came from data is escaped, nothing is markup by accident."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from opslib import text
from opslib.errors import capital
from opslib.report import grid, sparks
from opslib.text import Clean, say, speaking

WIDE = 700  # pixels: a figure wider than this one has more in it than a phone can show at once


def part(part: dict[str, Any]) -> str:
    """The HTML of one part, in the language it was stated in."""
    with speaking(part["lang"], part.get("currency", "")):
        return {"section": section, "cards": cards, "headline": headline, "list": a_list}[part["kind"]](part)


def headline(part: dict[str, Any]) -> str:
    meta = " · ".join(escape(p) for p in (part["period"], part["fresh"]) if p)
    long = ' class="long"' if len(part["title"]) > 60 else ""
    return f'<h1{long}>{escape(part["title"])}</h1><p class="verdict">{escape(part["verdict"])}</p>' + (
        f'<p class="fresh">{meta}</p>' if meta else ""
    )


def level_name(level: str) -> str:
    return {
        "act": say(zh="要处理", en="Act"),
        "watch": say(zh="要关注", en="Watch"),
        "good": say(zh="好消息", en="Good"),
        "info": say(zh="说明", en="Info"),
    }[level]


def say_no_interval(reason: str) -> str:
    """Why a number has no interval, in the reader's words."""
    words = {
        "census": say(zh="全量统计，无抽样误差", en="a full count, no sampling error"),
        "definition": say(zh="由定义给出", en="given by its definition"),
        "too few": say(zh="样本太少，不给区间", en="too few cases for an interval"),
    }
    return words.get(reason, reason)


def evidence(finding: dict[str, Any]) -> str:
    """Number, interval, sample size and comparison of a finding, in one line."""
    kind, bits = finding["format"], []
    none = finding["value"] == 0 and finding["low"] is None and finding["high"] is None  # the sentence says so in words
    if finding["value"] is not None and not none and not _told(text.write(finding["value"], kind), finding["text"]):
        bits.append(text.write(finding["value"], kind))
    if finding["low"] is not None or finding["high"] is not None:
        # One end below zero: these are differences, and the other end says its direction, as in the sentence.
        below = kind in ("number", "decimal", "money") and (finding["low"] or 0) < 0
        span = text.interval(finding["low"], finding["high"], kind, sign=below)
        what = finding.get("spread") or say(zh="95% 区间", en="95% interval")
        bits.append(f"{what} {span}")
    elif finding["no_interval"] and finding["value"] is not None:
        bits.append(say_no_interval(finding["no_interval"]))
    if finding["n"] is not None:
        bits.append(f"n\u00a0=\u00a0{text.number(finding['n'])}")
    if finding["base"] is not None and not _told(text.write(finding["base"], kind), finding["text"]):
        bits.append(say(zh="对比 {base}", en="against {base}", base=text.write(finding["base"], kind)))
    return " · ".join(bits)


def _told(number: str, sentence: str) -> bool:
    """Whether the sentence has the number already, with or without its direction: then it need not stand twice."""
    plain = number.lstrip("+−")
    forms = {plain, plain.replace(".0%", "%")}
    return any(re.search(rf"(?<![\d.,]){re.escape(form)}(?![.,]?\d)", sentence) for form in forms)


def finding(finding: dict[str, Any], anchor: str = "") -> str:
    words = grid.unbroken(escape(finding["text"]))
    linked = f'<a href="#{escape(anchor)}">{words}</a>' if anchor else words
    level, proof = finding["level"], evidence(finding)
    below = f'<p class="evidence">{escape(proof)}</p>' if proof else ""
    return f'<li><span class="level {level}">{level_name(level)}</span><div><p>{linked}</p>{below}</div></li>'


def findings(items: list[str], first: int = 12) -> str:
    """A list of findings; what comes after the first ones is folded."""
    if len(items) <= first + 3:
        return f'<ul class="findings">{"".join(items)}</ul>'
    more = say(zh="其余 {n} 条结论", en="{n} more findings", n=len(items) - first)
    return (
        f'<ul class="findings">{"".join(items[:first])}</ul><details class="more"><summary>{more}</summary>'
        f'<ul class="findings">{"".join(items[first:])}</ul></details>'
    )


def section(part: dict[str, Any]) -> str:
    anchor = escape(part["id"])
    out = [heading(part["title"], anchor)]
    if part["findings"]:
        out.append(findings([finding(f) for f in part["findings"]]))
    if part["figure"]:
        out.append(figure(part["figure"]))
    if part["table"] and (part["table"]["rows"] or not part["figure"]):
        out.append(grid.draw(part["table"], part["title"], part["id"]))
    out.append(_definitions(part["definitions"]))
    if part["note"]:
        out.append(grid.unbroken(f'<p class="note">{escape(part["note"])}</p>'))
    return f'<section aria-labelledby="{anchor}">{"".join(out)}</section>'


def _definitions(terms: list[dict[str, Any]], most: int = 3) -> str:
    """What the section's numbers mean; more than a few are folded."""
    words = "".join(map(definition, terms))
    if len(terms) <= most:
        return words
    head = say(zh="{n} 个指标的定义", en="Definitions of {n} metrics", n=len(terms))
    return f'<details class="more"><summary>{head}</summary>{words}</details>'


def heading(title: str, anchor: str) -> str:
    """A section's head; its own address hangs on the mark beside it."""
    words = escape(say(zh="复制本节链接：{title}", en="Copy the link to: {title}", title=title))
    return f'<div class="head"><h2 id="{anchor}">{escape(title)}</h2><a class="mark" href="#{anchor}" aria-label="{words}">#</a></div>'


def figure(pic: dict[str, Any]) -> str:
    below = f"<figcaption>{escape(pic['caption'])}</figcaption>" if pic.get("caption") else ""
    drawn = (
        f'<img src="data:{pic["mime"]};base64,{pic["data"]}" alt="{escape(pic["alt"])}" '
        f'width="{pic["width"]}" height="{pic["height"]}">'
    )
    if pic["width"] > WIDE:  # a phone would show its letters too small: there it keeps its size and is moved sideways
        words = escape(say(zh="图，可左右滑动", en="Figure, scrolls sideways"))
        drawn = f'<div class="pan" tabindex="0" role="group" aria-label="{words}">{drawn}</div>'
    return f"<figure>{drawn}{below}</figure>"


def definition(term: dict[str, Any]) -> str:
    head, colon = say(zh="定义", en="Definition"), say(zh="：", en=": ")
    source = f' <cite translate="no">{escape(term["source"])}</cite>' if term["source"] else ""
    return f'<p class="note"><b>{head}</b> {escape(term["name"])}{colon}{escape(term["definition"])}{source}</p>'


def a_list(part: dict[str, Any]) -> str:
    """A link to a list beside the report; of one that nobody is on, that it is empty."""
    name = escape(part["name"])
    title = escape(part["title"]) or say(zh="名单", en="List")
    if not part["rows"]:
        return f'<p class="list">{title}<span class="evidence">{say(zh="：空，无需下载", en=": empty, nothing to download")}</span></p>'
    held = (
        say(zh="，含完整标识，请按内部数据保管", en=" with full ids; keep it internal") if part.get("ids", True) else ""
    )
    rows = say(zh="{n} 行{held}", en="{n} rows{held}", n=f"{part['rows']:,}", held=Clean(held))
    return f'<p class="list"><a href="lists/{name}.csv" download>{title} · <span translate="no">{name}.csv</span></a> <span class="evidence">{rows}</span></p>'


def cards(part: dict[str, Any]) -> str:
    four = " four" if len(part["items"]) % 4 == 0 else ""
    return f'<ul class="cards{four}">{"".join(_card(item) for item in part["items"])}</ul>'


def _card(item: dict[str, Any]) -> str:
    term, kind = item["term"], item["format"]
    lines = [
        ("name", term["name"]),
        ("value", text.write(item["value"], kind)),
        ("change", _change(item)),
        ("evidence", _proof(item)),
    ]
    words = "".join(f'<p class="{name}">{escape(line)}</p>' for name, line in lines if line)
    return f'<li class="card">{words}{sparks.line(item.get("series") or [], kind=kind)}</li>'


def _change(item: dict[str, Any]) -> str:
    if item.get("change") is None:
        return ""
    change = text.write(item["change"], item.get("change_format") or item["format"], sign=True)
    return say(zh="较上期 {change}", en="{change} vs period before", change=change)


def _proof(item: dict[str, Any]) -> str:
    """The interval of the change, the sample size, and what else must be known."""
    bits = []
    if item.get("low") is not None or item.get("high") is not None:
        span = text.interval(item.get("low"), item.get("high"), item.get("change_format") or item["format"], sign=True)
        bits.append(say(zh="95% 区间 {span}", en="95% interval {span}", span=span))
    if item.get("n") is not None:
        bits.append(f"n\u00a0=\u00a0{text.number(item['n'])}")
    bits.append(text.shown(item.get("note") or "", 120))
    return " · ".join(filter(None, bits))


def team_name(team: str) -> str:
    return {
        "operations": say(zh="运营", en="Operations"),
        "product": say(zh="产品", en="Product"),
        "engineering": say(zh="技术", en="Engineering"),
        "marketing": say(zh="市场", en="Marketing"),
        "sales": say(zh="销售", en="Sales"),
    }[team]


def actions(items: list[dict[str, Any]]) -> str:
    """The next actions as a table: what, who, why, from where to where, until when."""
    if not items:
        return ""
    title = say(zh="下一步", en="Next actions")
    heads = {
        "title": say(zh="事项", en="What"),
        "team": say(zh="负责", en="Owner"),
        "evidence": say(zh="依据", en="Evidence"),
        "baseline": say(zh="现在", en="Now"),
        "target": say(zh="目标", en="Target"),
        "due_on": say(zh="到期", en="Due"),
    }
    told = [key for key in heads if any(item[key] not in (None, "") for item in items)]  # no column of dashes alone
    head = "".join(f'<th scope="col" class="{_mark(key)}">{heads[key]}</th>' for key in told)
    body = "".join(_action(item, told) for item in items)
    label = escape(say(zh="表格：{title}", en="Table: {title}", title=title))
    return (
        f'<section aria-labelledby="next-actions">{heading(title, "next-actions")}'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{label}">'
        f'<table class="actions"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _mark(key: str) -> str:
    return "number" if key in ("baseline", "target") else "text"


def _action(item: dict[str, Any], told: list[str]) -> str:
    words = escape(text.shown(item["title"], 300))
    cells = {
        "title": f'<a href="#{escape(item["section"])}">{words}</a>' if item.get("section") else words,
        "team": f'<span class="team">{team_name(item["team"])}</span>',
        "evidence": escape(text.shown(capital(item["evidence"]), 300)),
        "baseline": escape(text.write(item["baseline"], item["format"])),
        "target": escape(text.write(item["target"], item["format"])),
        "due_on": escape(text.day(item["due_on"]) if item["due_on"] else text.BLANK),
    }
    return grid.unbroken("<tr>" + "".join(f'<td class="{_mark(key)}">{cells[key]}</td>' for key in told) + "</tr>")
