"""An executed notebook as one self-contained page, conclusions first.

The page loads nothing: its Content-Security-Policy forbids every request and every script but its own, known by its hash.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import Counter
from functools import cache
from hashlib import sha256
from html import escape
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

from opslib.errors import capital
from opslib.report import method, render
from opslib.report.finding import LEVELS, MIME
from opslib.text import say, shown, speaking

# The links to the reports of the periods before and after stand between these marks; `periods.link` fills them in.
PERIODS = ("<!--periods-->", "<!--/periods-->")
TOC_FROM = 3  # sections


def csp(script: str) -> str:
    """The page's policy: nothing from anywhere, no script but this one."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    allowed = f"img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def parts(notebook: Any) -> list[dict[str, Any]]:
    """Every part that the executed notebook states, in its order; two sections never share an address."""
    outputs = (o for cell in notebook.cells if cell.cell_type == "code" for o in cell.get("outputs", []))
    stated = [dict(o["data"][MIME]) for o in outputs if MIME in o.get("data", {})]
    seen: Counter[str] = Counter()
    for part in stated:
        if part["kind"] == "section":
            seen[part["id"]] += 1
            if seen[part["id"]] > 1:
                part["id"] = f"{part['id']}-{seen[part['id']]}"
    return stated


def findings(notebook: Any) -> list[dict[str, Any]]:
    """Every finding with the anchor of its section, worst level first, otherwise in the notebook's order."""
    found = [f | {"section": p["id"]} for p in parts(notebook) if p["kind"] == "section" for f in p["findings"]]
    return sorted(found, key=lambda f: LEVELS.index(f["level"]))


def actions(notebook: Any) -> list[dict[str, Any]]:
    """Every next action with the anchor of its section, in the notebook's order."""
    return [a | {"section": p["id"]} for p in parts(notebook) if p["kind"] == "section" for a in p["actions"]]


def page(notebook: Any, run: dict[str, Any]) -> str:
    """The page of an executed notebook.

    Parameters
    ----------
    notebook : the executed notebook (nbformat 4)
    run : what the runner knows: module, lang, parameters, status, error, started, seconds, fingerprint, code, notes, data
    """
    from nbformat.v4 import new_notebook

    with speaking(run["lang"], (run.get("data") or {}).get("currency", "")):
        html, _ = _exporter().from_notebook_node(new_notebook(), resources={"page": _model(notebook, run)})
    return html


@cache
def _exporter() -> Any:
    """nbconvert's exporter with the template of this package; made once, because making it is most of its time."""
    from nbconvert.exporters.templateexporter import (
        TemplateExporter,  # HTMLExporter would parse and rewrite the whole page
    )

    class ReportExporter(TemplateExporter):
        export_from_notebook = "opslib report"

        def _file_extension_default(self) -> str:
            return ".html"

        def _template_name_default(self) -> str:
            return "report"

        def _extra_template_basedirs_default(self) -> list[str]:
            return [str(resources.files("opslib").joinpath("templates"))]

    return ReportExporter()


def _model(notebook: Any, run: dict[str, Any]) -> dict[str, Any]:
    stated = parts(notebook)
    head = next((p for p in stated if p["kind"] == "headline"), None)
    title = titled(head or {}, notebook, run["lang"]) or run["module"]
    sections = [p for p in stated if p["kind"] == "section"]
    steps = actions(notebook)
    terms = [t for p in sections for t in p["definitions"]]
    terms += [item["term"] for p in stated if p["kind"] == "cards" for item in p["items"]]
    script = asset("page.js")
    return {
        "lang": run["lang"],
        "csp": csp(script),
        "css": asset("page.css"),
        "js": script,
        "title": shown(title, 120),
        "skip": say(zh="跳到正文", en="Skip to the report"),
        "where": say(zh="位置", en="Where you are"),
        "copied": say(zh="已复制链接", en="Link copied"),
        "crumbs": _crumbs(run),
        "periods": f'<span class="periods">{"".join(PERIODS)}</span>',
        "headline": render.part(head) if head else f"<h1>{escape(shown(title, 300))}</h1>",
        "error": _trouble(run, bool(sections)),
        "findings": _top(findings(notebook)),
        "cards": _cards([p for p in stated if p["kind"] == "cards"]),
        "toc": _contents(sections, bool(steps)),
        "sections": "".join(render.part(p) for p in stated if p["kind"] in ("section", "list")),
        "actions": render.actions(steps),
        "method": method.fold(notebook, run, terms),
        "footer": _footer(run),
    }


@cache
def asset(name: str) -> str:
    """A style sheet or script of the page, without the spaces at line starts."""
    text = resources.files("opslib").joinpath("templates", name).read_text(encoding="utf-8")
    return re.sub(r"(?m)^(\s+|// .*)", "", text).strip()


def titled(head: dict[str, Any], notebook: Any, lang: str) -> str:
    """The title of a report's head; of a run that lacks data or failed before it has one, what its notebook asks."""
    return head.get("title", "") or question(notebook, lang)


def question(notebook: Any, lang: str) -> str:
    """What the notebook asks, from its first heading: `# 问题？ / Question?`, the half in the language."""
    texts = (c.source.strip() for c in notebook.cells if c.cell_type == "markdown")
    first = next((t for t in texts if t.startswith("#")), "").splitlines()  # papermill puts a notice above a failed run
    halves = [h.strip() for h in first[0].lstrip("# ").split(" / ")] if first else []
    chinese = [h for h in halves if re.search("[\u4e00-\u9fff]", h)]
    wanted = chinese if lang == "zh" else [h for h in halves if h not in chinese]
    return wanted[0] if wanted else ""


def _crumbs(run: dict[str, Any]) -> str:
    home = say(zh="运营工作台", en="Workbench")
    module = escape(run["module"])
    return f'<span><a href="../../index.html">{home}</a> › <span translate="no">{module}</span></span>'


def _top(found: list[dict[str, Any]]) -> str:
    """Every finding, worst first, linked to its section; what several parts lack is said once."""
    if not found:
        return ""
    title = say(zh="结论", en="Findings")
    lacking = {f["text"]: f for f in reversed(found) if f["id"].startswith("too_little.")}
    kept = [f for f in found if lacking.get(f["text"], f) is f]
    items = [render.finding(f, f["section"]) for f in kept]
    return f'<section class="top" aria-label="{title}"><h2 class="hide">{title}</h2>{render.findings(items)}</section>'


def _cards(stated: list[dict[str, Any]]) -> str:
    if not stated:
        return ""
    title = say(zh="核心数字", en="Headline numbers")
    return f'<section aria-label="{title}"><h2 class="hide">{title}</h2>{"".join(map(render.part, stated))}</section>'


def _contents(sections: list[dict[str, Any]], steps: bool) -> str:
    if len(sections) < TOC_FROM:
        return ""
    title = say(zh="目录", en="Contents")
    places = [(p["id"], shown(p["title"], 60)) for p in sections]
    places += [("next-actions", say(zh="下一步", en="Next actions"))] if steps else []
    places += [("method", say(zh="这些数是怎么算的", en="How this was computed"))]
    items = "".join(f'<li><a href="#{escape(at)}">{escape(words)}</a></li>' for at, words in places)
    return f'<nav class="toc" aria-label="{title}"><b>{title}</b><ol>{items}</ol></nav>'


def _trouble(run: dict[str, Any], partly: bool) -> str:
    """What went wrong or what is lacking, and what to do."""
    if run["status"] == "ok":
        return ""
    lacking = run["status"] == "lacking"
    head = (
        say(zh="数据还不够，没有得出结论", en="Not enough data for a conclusion")
        if lacking
        else say(zh="这次运行没有完成", en="This run did not finish")
    )
    hint = (
        say(zh="补齐数据后重新运行：", en="Load what is missing and run again: ")
        if lacking
        else say(zh="修复后重新运行：", en="Mend it and run again: ")
    )
    rest = say(zh="下面是出错之前已得到的部分。", en="Below is what was found before it stopped.") if partly else ""
    again = f"opslib run {run['module']}" + (f" -p source={run['source']}" if run.get("source") else "")
    error = shown(run["error"], 600)
    if lacking and re.match("[a-z]+ ", error):  # a sentence, not the name of a parameter
        error = capital(error)
    return (
        f'<section class="alert{" lack" if lacking else ""}" aria-label="{head}"><h2>{head}</h2>'
        f'<p translate="no">{escape(error)}</p>'
        f'<p>{rest} {hint}<code translate="no">{escape(again)}</code></p></section>'
    )


def _footer(run: dict[str, Any]) -> str:
    bits = [
        f'<span translate="no">{escape(run["module"])}</span>',
        say(zh="运行于 {at}（UTC）", en="run {at} (UTC)", at=run["started"][:16].replace("T", " ")),
        say(zh="数据指纹", en="data") + _code(run["fingerprint"]),
        say(zh="代码", en="code") + _code(run["code"], run.get("commit")),
        say(zh="耗时 {seconds:.1f} 秒", en="{seconds:.1f} s", seconds=run["seconds"]),
        f'<a href="executed.ipynb">{say(zh="执行过的笔记本", en="executed notebook")}</a>',
    ]
    return " · ".join(bits)


def _code(*marks: str | None) -> str:
    return f' <span translate="no">{escape(" ".join(filter(None, marks))) or "–"}</span>'


def write(notebook: Any, run: dict[str, Any], target: Path) -> None:
    """Write the page, and beside it a thumbnail of its first figure for the index."""
    target.write_text(page(notebook, run), encoding="utf-8")
    first = next((p["figure"] for p in parts(notebook) if p["kind"] == "section" and p["figure"]), None)
    if first:
        target.with_name("thumb.webp").write_bytes(thumbnail(b64decode(first["data"])))


def thumbnail(image: bytes, width: int = 264) -> bytes:
    """A picture small enough for a list of many."""
    from PIL import Image

    full = Image.open(BytesIO(image)).convert("RGB")
    small = full.resize((width, max(1, round(full.height * width / full.width))), Image.Resampling.LANCZOS)
    small = small.quantize(16, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")
    held = BytesIO()
    small.save(held, "WEBP", lossless=True, method=2, quality=80)
    return held.getvalue()
