"""Every notebook runs with its own parameters on the sample, in both languages, and becomes a page that stands alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opslib.errors import UsageError
from opslib.runner import execute, plan

ROOT = Path(__file__).parent.parent
MODULES = [p.stem for p in sorted((ROOT / "notebooks").glob("[!_]*.ipynb"))]


def run(project: Path, module: str, **overrides: str) -> dict:
    return execute.run(plan.job(project, module, {k: str(v) for k, v in overrides.items()}))


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("module", MODULES)
def test_a_module_runs_on_the_sample_and_states_findings_in_the_language(module, lang, project, warehouse):
    record = run(project, module, source=warehouse, lang=lang)
    assert record["status"] == "ok", record["error"]
    folder = Path(record["folder"])
    findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert findings and record["verdict"]
    for finding in findings:
        said = re.sub("“[^”]*”", "", finding["text"])  # titles and categories keep their own language, in quotes
        assert bool(re.search(r"[\u4e00-\u9fff]", said)) == (lang == "zh"), finding["text"]
        if finding["value"] is not None:
            assert finding["low"] is not None or finding["high"] is not None or finding["no_interval"], finding
    page = (folder / "report.html").read_text(encoding="utf-8")
    check_page(page)
    for finding in findings:
        assert f'id="{finding["section"]}"' in page


def check_page(page: str) -> None:
    assert len(page.encode()) <= 400_000
    assert "default-src 'none'" in page
    loads = re.findall(r"""(?:src|href|action|data)=["']?((?:https?:)?//[^"'\s>]+)""", page)
    assert loads == [], "the page must load nothing"
    assert all(re.search(r'alt="[^"]{10,}"', tag) for tag in re.findall(r"<img[^>]*>", page)), (
        "every figure says what it shows"
    )


@pytest.mark.parametrize("module", MODULES)
def test_a_module_runs_on_real_shopping_or_says_what_it_lacks(module, project, tmp_path_factory, real_warehouse):
    record = run(project, module, source=real_warehouse)
    assert record["status"] in ("ok", "lacking"), record["error"]
    page = (Path(record["folder"]) / "report.html").read_text(encoding="utf-8")
    check_page(page)
    assert record["title"], "a run that lacks data is known by what its notebook asks"
    if record["status"] == "lacking":
        assert "opslib load" in page


@pytest.fixture(scope="session")
def young_warehouse(raw_sample, tmp_path_factory):
    """The first ten days of the small sample: what a team has that began to record a week ago."""
    import ibis

    from opslib import contract, packs

    raw, folder, con = tmp_path_factory.mktemp("young_raw"), tmp_path_factory.mktemp("young"), ibis.duckdb.connect()
    for path in raw_sample.glob("*.parquet"):
        rows, clock = con.read_parquet(path), contract.TABLES[path.stem].clock if path.stem in contract.TABLES else None
        kept = rows.filter(rows[clock] < ibis.timestamp("2026-01-08")) if clock in rows.columns else rows
        kept.to_parquet(raw / path.name)
    packs.load_folder(raw, folder)
    return folder


@pytest.mark.parametrize("module", MODULES)
def test_a_product_ten_days_old_gets_a_page_that_may_lack_tables_but_does_not_break(module, project, young_warehouse):
    record = run(project, module, source=young_warehouse)
    assert record["status"] in ("ok", "lacking"), record["error"]
    young = ("weekly_report", "data_quality", "funnel_diagnosis", "user_profile", "content_performance", "channel_roi")
    assert record["status"] == "ok" or module not in young, record["error"]


@pytest.fixture(scope="session")
def real_warehouse(tmp_path_factory):
    from opslib import packs

    folder = tmp_path_factory.mktemp("real")
    packs.load(ROOT / "data/samples/completejourney/pack.yml", folder)
    return folder


# A run that goes wrong


NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "params",
            "metadata": {"tags": ["parameters"]},
            "source": 'lang: str = "zh"  # zh or en\nhow: str = "well"  # what happens',
            "execution_count": None,
            "outputs": [],
        },
        {
            "cell_type": "code",
            "id": "work",
            "metadata": {},
            "source": (
                "import os, signal, sys\n"
                "from opslib.errors import TooLittleError, OpsError\n"
                "from opslib.report import Finding, section\n"
                "section('<script>alert(1)</script>', Finding('a.b', 'info', 'before {{7*7}} </style>'))\n"
                "if how == 'raise': raise KeyError('gone')\n"
                "if how == 'ops': raise OpsError('the table is empty', 'load it')\n"
                "if how == 'lack': raise TooLittleError('needs orders')\n"
                "if how == 'exit': sys.exit(0)\n"
                "if how == 'kill': os.kill(os.getpid(), signal.SIGKILL)"
            ),
            "execution_count": None,
            "outputs": [],
        },
        {
            "cell_type": "code",
            "id": "last",
            "metadata": {},
            "source": "section('after', Finding('c.d', 'good', 'after'))",
            "execution_count": None,
            "outputs": [],
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def own_project(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks" / "story.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "how, status, reason",
    [
        ("raise", "failed", "KeyError"),
        ("ops", "failed", "the table is empty; load it"),
        ("lack", "lacking", "needs orders"),
        ("exit", "failed", "提前停止，最后"),
        ("kill", "failed", "kernel died"),
    ],
)
def test_a_run_that_stops_half_way_has_its_own_status_and_a_page_with_what_it_found(own_project, how, status, reason):
    record = run(own_project, "story", how=how)
    assert record["status"] == status and reason in record["error"]
    page = (Path(record["folder"]) / "report.html").read_text(encoding="utf-8")
    assert reason in page
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert (
        "{{7*7}}" in page
        and "49"
        not in re.sub(r"<style>.*?</style>|<script.*?</script>|<footer.*|<dl>.*?</dl>", "", page, flags=re.S).split(
            "before"
        )[1][:20]
    )
    assert not list((own_project / "outputs" / ".aside").glob("*"))


def test_a_failed_run_leaves_the_good_report_and_the_index_shows_both(own_project, capsys, monkeypatch):
    from opslib.cli import main

    monkeypatch.chdir(own_project)
    assert main(["run", "story"]) == 0
    good = next((own_project / "outputs" / "story").glob("*/report.html"))
    before = good.read_bytes()
    assert main(["run", "story", "-p", "how=raise"]) == 1
    assert good.read_bytes() == before
    index = (own_project / "outputs" / "index.html").read_text(encoding="utf-8")
    assert "KeyError" in index and good.parent.name in index
    assert main(["run", "story"]) == 0
    assert "up to date" in capsys.readouterr().out


def test_a_report_is_made_again_when_its_parameters_or_its_notebook_change(own_project, capsys, monkeypatch):
    from opslib.cli import main

    monkeypatch.chdir(own_project)
    plan.code_version.cache_clear()
    main(["run", "story"])
    main(["run", "story", "-p", "lang=en"])
    path = own_project / "notebooks" / "story.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("'after'", "'later'"), encoding="utf-8")
    plan.code_version.cache_clear()
    capsys.readouterr()
    main(["run", "story"])
    assert "up to date" not in capsys.readouterr().out
    assert len(list((own_project / "outputs" / "story").glob("*/report.html"))) == 3


def test_a_report_is_made_again_when_the_rule_on_privacy_changes(own_project):
    before = plan.job(own_project, "story", {}).key
    assert plan.job(own_project, "story", {}).key == before
    (own_project / "params" / "default.yml").write_text("privacy: {min_group: 9}\n", encoding="utf-8")
    assert plan.job(own_project, "story", {}).key != before


def test_a_batch_ends_without_a_word_from_its_kernels(own_project):
    """A kernel that is stopped at its end is no error to report."""
    command = [sys.executable, "-m", "opslib.cli", "run", "story"]
    done = subprocess.run(command, cwd=own_project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("home, root", [("/", "/home/bob/x"), ("/home/ann", "/home/ann/bench"), ("/root", "/")])
def test_a_report_carries_no_folder_of_this_machine_and_loses_nothing_else(home, root, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    kept = '"application/vnd.opslib.part+json": "iVBOR/xx/home/annex", "/"'
    assert execute.without_paths(kept, root) == kept
    text = execute.without_paths(f'{kept} {root}/a.ipynb "/home/ann/b.csv"', root)
    assert text.startswith(kept)
    if home == "/home/ann":
        assert text.endswith('./a.ipynb "~/b.csv"')


def test_a_batch_refuses_a_wrong_parameter_before_anything_runs(own_project, capsys, monkeypatch):
    from opslib.cli import main

    monkeypatch.chdir(own_project)
    other = json.loads((own_project / "notebooks" / "story.ipynb").read_text(encoding="utf-8"))
    other["metadata"]["opslib"] = {"after": "*"}
    other["cells"][0]["source"] += '\ngrain: str = "week"  # week or month'
    (own_project / "notebooks" / "last.ipynb").write_text(json.dumps(other), encoding="utf-8")
    assert main(["run", "--all", "-p", "grain=[5]"]) == 2
    assert not list((own_project / "outputs").glob("*/*/report.html"))
    assert (own_project / "outputs" / "index.html").exists()


def test_a_batch_leaves_the_folder_of_a_run_that_is_still_at_work(own_project):
    from opslib.runner import batch

    aside = own_project / "outputs" / ".aside"
    alive, dead = aside / f"story-x-{os.getpid()}", aside / "story-x-999999999"
    alive.mkdir(parents=True)
    dead.mkdir()
    batch.run(own_project, ["story"], {}, say=lambda line: None)
    assert alive.exists() and not dead.exists()


def test_a_run_that_the_runner_itself_cannot_finish_does_not_take_the_others_with_it(own_project, monkeypatch):
    from opslib.runner import batch

    def full(job):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("opslib.runner.execute.run", full)
    said: list[str] = []
    records = batch.run(own_project, ["story"], {}, say=said.append)
    assert records[0]["status"] == "failed" and "No space left" in said[0]


def test_a_run_records_its_queries_its_window_and_what_breaks_the_contract(project, warehouse):
    record = run(project, "data_quality", source=warehouse)
    told = json.loads((Path(record["folder"]) / "run.json").read_text(encoding="utf-8"))
    assert len(told["data"]["window"]) == 2 and told["data"]["problems"] == []
    assert "SELECT" in told["queries"][0] and (Path(record["folder"]) / "queries.sql").exists()
    assert "SELECT" in (Path(record["folder"]) / "report.html").read_text(encoding="utf-8")


def test_what_breaks_the_contract_is_asked_once_for_the_same_data_also_by_later_runs(warehouse, tmp_path, monkeypatch):
    asked, really = [], plan._asked
    monkeypatch.setattr(plan, "_asked", lambda *given: asked.append(given) or really(*given))

    def state(fingerprint: str) -> dict:
        plan._state.cache_clear()  # a later run is another process
        return plan._state(str(warehouse), fingerprint, "zh", str(tmp_path))

    assert state("a") == state("a") and len(asked) == 1
    state("b")
    assert len(asked) == 2, "other data is asked again"
    next((tmp_path / ".checked").iterdir()).write_text("{", encoding="utf-8")
    assert state("b")["problems"] == [] and len(asked) == 3, "an unreadable note is no answer"


def _named(root: Path, name: str, **told: object) -> None:
    notebook = NOTEBOOK | {"metadata": NOTEBOOK["metadata"] | {"opslib": told}}
    (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def test_a_module_runs_after_those_whose_work_it_reads(own_project):
    _named(own_project, "last", after="*")
    _named(own_project, "b", after=["story", "elsewhere"])
    _named(own_project, "c", after=["b"])
    every = ["last", "c", "b", "story"]
    assert plan.ordered(every, own_project) == [["story"], ["b"], ["c"], ["last"]]
    assert plan.ordered(["c", "story"], own_project) == [["c", "story"]]
    _named(own_project, "story", after=["c"])
    with pytest.raises(UsageError, match="b and c and story wait for each other"):
        plan.ordered(every, own_project)


def test_a_second_batch_of_modules_that_read_each_other_renders_nothing(project, warehouse):
    """The plan reads the retrospective's template, the retrospective the plan of its campaign."""
    from opslib.runner import batch

    names, source = ["campaign_plan", "campaign_retrospective"], {"source": str(warehouse), "lang": "en"}
    first = batch.run(project, names, source, say=lambda line: None)
    assert {record["status"] for record in first} <= {"ok", "lacking", "skipped"}
    again = batch.run(project, names, source, say=lambda line: None)
    assert [record["status"] for record in again] == ["skipped", "skipped"]
