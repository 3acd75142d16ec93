"""The command line and the README's commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from opslib import cli

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")


def commands(name: str) -> list[str]:
    """Every command line that a document shows, in blocks or in the text."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = [
        line.split("#")[0].strip() for block in re.findall(r"```\n(.*?)```", text, re.S) for line in block.splitlines()
    ]
    inline = [span.replace("\n", " ") for span in re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", text)]
    return [c for c in blocks + inline if c.startswith(("make ", ".venv/bin/opslib ", "opslib "))]


@pytest.mark.parametrize("name", READMES)
def test_every_make_target_that_the_documents_name_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = [shlex.split(c)[1] for c in commands(name) if c.startswith("make ")]
    assert named and set(named) <= targets


@pytest.mark.parametrize("name", READMES)
def test_every_opslib_command_that_the_documents_show_is_understood(name):
    parser = cli._parser()
    for command in commands(name):
        if "opslib" in command.split()[0]:
            parser.parse_args(shlex.split(command)[1:])


def test_the_readme_lists_every_module():
    for name in READMES[:2]:
        text = (ROOT / name).read_text(encoding="utf-8")
        for notebook in (ROOT / "notebooks").glob("[!_]*.ipynb"):
            assert f"`{notebook.stem}`" in text, f"{name} does not name {notebook.stem}"


def test_help_answers_without_the_heavy_libraries():
    code = "import sys; from opslib.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(sorted(set(sys.modules) & {'pandas', 'ibis', 'numpy', 'duckdb', 'papermill', 'matplotlib'}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "argv, code, words",
    [
        (["run", "weekly_reprot"], 2, "did you mean 'weekly_report'?"),
        (["run", "weekly_report", "-p", "langg=zh"], 2, "did you mean 'lang'?"),
        (
            ["run", "weekly_report", "-p", "history=many"],
            2,
            "'history' must be int (1 to 120: earlier periods drawn in the figures), got 'many'",
        ),
        (["run", "weekly_report", "-p", "lang"], 2, "-p takes name=value"),
        (["run"], 2, "no module named"),
        (["load", "evnts", "x.csv"], 2, "did you mean 'events'?"),
        (["load", "events", "nowhere.csv"], 3, "nowhere.csv does not exist"),
        (["check", "--source", "nowhere"], 3, "nowhere holds no warehouse"),
    ],
)
def test_a_mistake_ends_in_one_line_and_its_exit_code(argv, code, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("notebooks", "params"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert cli.main(argv) == code
    err = capsys.readouterr().err
    assert words in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "argv, said",
    [
        (["lod"], "opslib: command 'lod' is not known; did you mean 'load'? See opslib --help"),
        (
            ["check", "--sorce", "x"],
            "opslib: '--sorce' is not understood; did you mean '--source'? See opslib check --help",
        ),
        (["load"], "opslib: the following arguments are required: table, files; see opslib load --help"),
    ],
)
def test_words_that_the_parser_refuses_are_one_line_too(argv, said, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert (stop.value.code, capsys.readouterr().err.strip()) == (2, said)


def test_make_help_lists_every_target_that_people_call():
    found = subprocess.run(["make", "help"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    for name in ("report", "report-real", "test", "lab", "bench", "lint", "new", "clean"):
        assert re.search(rf"make {name}\s", found)


def test_a_new_module_starts_from_the_template_and_runs(tmp_path, monkeypatch, capsys):
    from opslib.params import spec

    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "_template.ipynb").write_text(
        (ROOT / "notebooks" / "_template.ipynb").read_text(encoding="utf-8")
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "referral"]) == 0
    assert {"source", "lang"} <= set(spec(tmp_path / "notebooks" / "referral.ipynb"))
    assert cli.main(["new", "referral"]) == 2 and cli.main(["new", "../up"]) == 2
    assert "{{name}}" not in (tmp_path / "notebooks" / "referral.ipynb").read_text(encoding="utf-8")
