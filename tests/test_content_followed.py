"""Two content reports, one after the other: the second page says what became of the first one's lists."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import duckdb
import pandas as pd

from opslib import load
from opslib.runner import execute, plan

FIRST_END = dt.date(2026, 6, 14)


def report(project: Path, source: Path, **more: str) -> tuple[Path, dict[str, dict]]:
    record = execute.run(plan.job(project, "content_performance", {"source": str(source), "lang": "en"} | more))
    assert record["status"] == "ok", record["error"]
    folder = Path(record["folder"])
    findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    return folder, {f["id"]: f for f in findings}


def export(raw: Path, where: str, target: Path) -> Path:
    duckdb.sql(f"SELECT * FROM '{raw / 'events.parquet'}' WHERE {where}").write_parquet(str(target))
    return target


def test_the_second_page_says_who_acted_on_the_lists_of_the_first(project, raw_sample, tmp_path):
    source, night = tmp_path / "warehouse", f"TIMESTAMP '{FIRST_END}' + INTERVAL 16 HOUR"  # midnight in Shanghai
    for table in ("content", "users"):
        load(table, raw_sample / f"{table}.parquet", source)
    load("events", export(raw_sample, f"ts < {night}", tmp_path / "until.parquet"), source)
    first, said = report(project, source)
    assert not any(id.startswith("content.followed") for id in said), "there is nothing to follow up yet"
    cull = pd.read_csv(first / "lists" / "cull.csv", dtype={"content_id": str})
    assert len(cull) >= 2 and cull["week"].gt(0).all()

    stopped = cull["content_id"].iloc[::2]  # every second one is taken off
    gone = ", ".join(repr(id) for id in stopped)
    later = export(
        raw_sample, f"ts >= {night} AND coalesce(content_id, '') NOT IN ({gone})", tmp_path / "later.parquet"
    )
    load("events", later, source)
    second, said = report(project, source)

    found = said["content.followed.cull"]
    assert f"Of {len(cull)} items" in found["text"] and f"{len(stopped)} were acted on" in found["text"]
    page = (second / "report.html").read_text(encoding="utf-8")
    assert "What became of the last lists" in page and found["text"] in page.replace("&#x27;", "'")


def test_a_page_of_posts_alone_has_their_ids_and_says_once_what_needs_events(project, tmp_path):
    rows = [f"p{i:03},2026-03-{1 + i % 28:02d} 08:00:00,photo,{50_000 + i},{400 + i % 9 if i > 4 else 20},9" for i in range(60)]  # fmt: skip
    file = tmp_path / "posts.csv"
    file.write_text("\n".join(["content_id,published_at,category,reach,likes,shares", *rows]), encoding="utf-8")
    load("content", file, tmp_path / "w", tz="Asia/Shanghai")
    folder, said = report(project, tmp_path / "w")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert said["content.cull"]["value"] > 0 and "reactions" in said["content.cull"]["text"]
    assert re.search(r'alt="[^"]*p00[0-4]', page) and not re.search(r'alt="[^"]*\bnan\b', page)
    assert ">(none)<" not in page and "Needs the table events" not in page and page.count("There are no events") >= 1
    assert said["content.without_events"]["level"] == "info" and said["content.tracking"]["level"] == "info"
