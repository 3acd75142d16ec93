"""Parameters: the notebook's cell is the schema, YAML only overrides, and everything is checked before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib import params, yamlfile
from opslib.errors import UsageError

CELL = """
source: str = "data/"  # folder of contract tables
start: str = "2026-01-01"  # first local day
steps: list[str] = ["open", "pay"]  # in order
window_days: int = 7  # days from entry to the last step
share: float = 1  # of all users
strict: bool = False
where: dict[str, str] = {}
limit: int | None = None
rows: list[dict[str, int]] = [
    {"a": 1},
]  # several lines
"""


def notebook(folder: Path, cell: str = CELL, tags: tuple[str, ...] = ("parameters",), name: str = "funnel") -> Path:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": cell.splitlines(keepends=True)},
    ]
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return path


@pytest.fixture
def book(tmp_path) -> Path:
    return notebook(tmp_path)


# The schema


def test_the_cell_says_name_type_default_and_meaning(book):
    found = params.spec(book)
    assert list(found) == ["source", "start", "steps", "window_days", "share", "strict", "where", "limit", "rows"]
    assert (found["window_days"].type_name, found["window_days"].default) == ("int", 7)
    assert found["window_days"].doc == "days from entry to the last step"
    assert (
        found["steps"].type_name == "list[str]" and found["rows"].doc == "several lines" and found["strict"].doc == ""
    )


@pytest.mark.parametrize(
    "cell, words",
    [
        ("window_days = 7", "line 1 of the parameters cell is not 'name: type = default  # meaning'"),
        ("window_days: int", "line 1 of the parameters cell is not"),
        ("\nimport os", "line 2 of the parameters cell is not"),
        ("x: set = 1", "the type of 'x' is set; use str, int, float, bool"),
        ("x: __import__('os') = 1", "the type of 'x' is __import__('os')"),
        ("x: int = len('a')", "line 1 of the parameters cell: len('a') is not a plain value"),
        ("x: int = (", "line 1 of the parameters cell is not Python"),
        ("x: int = '7'", "the default of 'x' must be int, got '7'"),
    ],
)
def test_a_cell_that_is_no_schema_is_refused(tmp_path, cell, words):
    with pytest.raises(UsageError) as error:
        params.spec(notebook(tmp_path, cell))
    assert words in str(error.value) and str(error.value).startswith("funnel: ")


def test_what_is_no_notebook_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no cell tagged 'parameters'"):
        params.spec(notebook(tmp_path, tags=()))
    for text in ("", "{}", "[]", "not json"):
        (tmp_path / "broken.ipynb").write_text(text)
        with pytest.raises(UsageError, match="is not a notebook"):
            params.spec(tmp_path / "broken.ipynb")
    with pytest.raises(UsageError, match="is not a notebook"):
        params.spec(tmp_path / "nothing.ipynb")


# Layers


def test_later_layers_win(book, tmp_path):
    files = tmp_path / "params"
    files.mkdir()
    (files / "default.yml").write_text("source: shared\nstart: 2026-02-01\ncurrency: EUR\n")
    (files / "funnel.yml").write_text("start: 2026-03-01\nwindow_days: 14\n")
    found = params.load(book, files, {"window_days": "30"})
    assert (found["source"], found["start"], found["window_days"], found["share"]) == ("shared", "2026-03-01", 30, 1)
    assert "currency" not in found  # the shared file may hold what another notebook declares


def test_an_unknown_name_is_refused_with_its_near_miss_and_its_place(book, tmp_path):
    with pytest.raises(UsageError, match=r"^funnel: unknown parameter 'window_day'; did you mean 'window_days'\?$"):
        params.load(book, None, {"window_day": "5"})
    (tmp_path / "funnel.yml").write_text("windowdays: 5\n")
    with pytest.raises(
        UsageError, match=r"unknown parameter 'windowdays' in .*funnel\.yml; did you mean 'window_days'\?"
    ):
        params.load(book, tmp_path)


@pytest.mark.parametrize("text", ["- 1", "words", "7"])
def test_a_file_that_holds_no_names_is_refused(book, tmp_path, text):
    (tmp_path / "funnel.yml").write_text(text)
    with pytest.raises(UsageError, match="must hold 'name: value' lines"):
        params.load(book, tmp_path)


def test_an_empty_file_changes_nothing(book, tmp_path):
    (tmp_path / "funnel.yml").write_text("# nothing yet\n")
    assert params.load(book, tmp_path) == params.load(book)


def test_a_numeric_id_in_a_file_is_its_text(book, tmp_path):
    (tmp_path / "funnel.yml").write_text("source: 8\n")
    assert params.load(book, tmp_path)["source"] == "8"


# Values


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("source", "no", "no"),  # YAML 1.1 would read False
        ("source", "12:30", "12:30"),  # … and 750
        ("source", "'010'", "010"),
        ("source", "010", "010"),  # an id is a text, whatever YAML takes it for
        ("source", "8", "8"),
        ("source", "", ""),
        ("source", "数据/仓库", "数据/仓库"),
        ("window_days", "010", 10),  # … and 8
        ("start", "2026-01-05", "2026-01-05"),
        ("steps", "[open, no, 2026-01-05]", ["open", "no", "2026-01-05"]),
        ("share", "1", 1.0),
        ("share", "1e-3", 0.001),
        ("strict", "true", True),
        ("limit", "null", None),
        ("limit", "5", 5),
        ("where", "{channel: seo}", {"channel": "seo"}),
        ("rows", "[{a: 1}, {}]", [{"a": 1}, {}]),
    ],
)
def test_values_are_read_as_people_mean_them(book, name, text, value):
    found = params.load(book, None, {name: text})[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("window_days", "'5'", "'window_days' must be int (days from entry to the last step), got '5'"),
        ("window_days", "5.0", "must be int"),
        ("window_days", "true", "must be int"),
        ("window_days", "null", "must be int"),
        ("strict", "yes", "'strict' must be bool, got 'yes'"),
        ("strict", "1", "must be bool"),
        ("source", "5.0", "'source' must be str (folder of contract tables), got 5.0"),
        ("source", "true", "must be str"),
        ("steps", "open", "must be list[str]"),
        ("steps", "[open, 5]", "must be list[str]"),
        ("share", "half", "must be float"),
        ("where", "{channel: 5}", "must be dict[str, str]"),
        ("rows", "[{a: x}]", "must be list[dict[str, int]]"),
        ("limit", "x", "must be int | None"),
        ("source", "2026-02-30", "-p source: a value that cannot be (day is out of range for month)"),
        ("steps", "&a [*a]", "-p steps: a value that cannot be (Circular reference detected)"),
        ("steps", "[open", "-p steps line 1: not YAML"),
        ("where", "{a: b, a: c}", "-p where line 1: not YAML"),
        ("source", "!!python/object:os.system x", "not YAML"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_meaning(book, name, text, words):
    with pytest.raises(UsageError) as error:
        params.load(book, None, {name: text})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_meaning_that_begins_with_choices_allows_only_them_and_the_near_miss_is_named(tmp_path):
    book = notebook(tmp_path, 'grain: str = "week"  # week | month: weeks begin on Monday')
    assert params.load(book, None, {"grain": "month"}) == {"grain": "month"}
    with pytest.raises(UsageError, match="'grain' must be week or month, got 'weekk'; did you mean 'week'"):
        params.load(book, None, {"grain": "weekk"})
    assert params.spec(notebook(tmp_path, 'end: str = ""  # last day | none'))["end"].choices == [], (
        "only words of their own"
    )


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        ("x: int = 7  # 1 to 366: days", ["1", "366"], ["0", "367", "-1"]),
        ("x: float = 0.5  # 0 to 1: a share", ["0", "1"], ["-0.1", "1.5", ".nan", ".inf"]),
        ("x: float = 1.0  # above 0: days", ["0.1", "1e9"], ["0", "-1", ".inf"]),
        ("x: float = 1.0  # at least -1.5: change", ["-1.5", "2"], ["-1.6", "-.inf"]),
        ("x: float = 1.0  # any number", ["-3"], [".inf", ".nan"]),
        ("x: list[int] = [1, 7]  # 1 to 366: days", ["[1]", "[7, 30]"], ["[]", "[0]", "[1, 400]"]),
        ("x: list[int] = []  # any days", ["[]", "[-1]"], []),
    ],
)
def test_a_meaning_that_begins_with_bounds_is_held_and_said(tmp_path, line, good, bad):
    book = notebook(tmp_path, line)
    for text in good:
        params.load(book, None, {"x": text})
    for text in bad:
        with pytest.raises(
            UsageError, match=r"'x' must be (1 to 366|0 to 1|above 0|at least -1\.5|a finite number), got "
        ):
            params.load(book, None, {"x": text})


@pytest.mark.parametrize(
    "text",
    [
        "postgres://reader:hunter2@host/db",
        "postgres://reader:hun/ter2@host/db",
        "clickhouse://host/db?password=hunter2",
        "duckdb://md:db?motherduck_token=hunter2",
        "databricks://h?http_path=x&access_token=hunter2",
        "mysql://u:hunter2 two@h/db",
        "snowflake://u@h/db?private_key=hunter2",
        "snowflake://host/db?user=a&TOKEN=hunter2",
    ],
)
def test_a_password_is_refused_and_not_repeated(tmp_path, text):
    book = notebook(tmp_path, 'source: str = ""\nmany: list[str] = []\ndeep: dict[str, list] = {}')
    for name, value in (("source", text), ("many", f"['{text}']"), ("deep", f"{{a: ['{text}']}}")):
        with pytest.raises(UsageError, match="holds a password; name an environment variable instead") as error:
            params.load(book, None, {name: value})
        assert "ter2" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://reader:${PGPASSWORD}@host/db",
        "postgres://host:5432/db",
        "data/a:b@c",
        "clickhouse://host/db?token=${TOKEN}",
    ],
)
def test_a_url_without_a_password_passes(book, text):
    assert params.load(book, None, {"source": f"'{text}'"})["source"] == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_value_fits_one_of_the_plain_types_at_most(value):
    """True is no int, a text is no list, null is nothing but null."""
    kinds = [kind for kind in (str, int, bool, list, dict, type(None)) if params._is(value, kind)]
    assert kinds == [type(value)]


def test_overrides_are_name_equals_value():
    assert params.parse_overrides(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for bad in ("a", "=1"):
        with pytest.raises(UsageError, match="-p takes name=value"):
            params.parse_overrides([bad])


# YAML files


def test_a_yaml_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        yamlfile.read(tmp_path / "no.yml")
    with pytest.raises(UsageError, match="cannot be read"):
        yamlfile.read(tmp_path)
    (tmp_path / "twice.yml").write_text("a: 1\na: 2\n")
    with pytest.raises(UsageError, match=r"twice\.yml line 2: not YAML"):
        yamlfile.read(tmp_path / "twice.yml")
    (tmp_path / "bom.yml").write_bytes("\ufeffa: 数".encode())
    assert yamlfile.read(tmp_path / "bom.yml") == {"a": "数"}
