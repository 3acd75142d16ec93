"""The rules of the house, read from the syntax trees: floors, one place for each outside library, and notebooks without logic."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "opslib"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# A module imports only from lower floors, or from its own group.
FLOORS = [
    {"errors", "text", "yamlfile", "project", "credentials", "quoting"},
    {"contract", "periods", "arrays", "columns", "reasons"},
    {"warehouse", "privacy", "progress", "check"},
    {"metrics", "stats", "models", "engine", "duck", "sample"},
    {"figures", "load", "importers", "settle", "store", "rollup", "identity", "packs", "ledger"},
    {"report", "params"},
    {"sentences"},
    {"whatif"},
    {"cli", "runner"},
]
# Neighbours on a floor do not know each other, except the parts of one job.
GROUPS = [
    {"load", "importers", "settle", "store", "rollup", "identity", "progress", "packs"},
    {"errors", "text", "yamlfile", "project", "credentials"},
    {"cli", "runner"},
    {"engine", "duck"},
]
# Where an outside library may be imported; when its API changes, these files change and no other.
PLACES = {
    "pingouin": {"stats"},
    "seaborn": {"figures"},
    "matplotlib": {"figures"},
    "papermill": {"runner"},
    "nbconvert": {"report"},
    "ipywidgets": {"whatif"},
    "ibis": {"contract", "check", "engine", "duck", "metrics", "load", "importers"},
    "duckdb": {"engine", "load", "settle", "store", "identity", "progress", "importers", "sample"},
}


def sources() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def part(path: Path) -> str:
    """`metrics` for opslib/metrics/funnel.py, `text` for opslib/text.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next((at for at, names in enumerate(FLOORS) if name in names), -1)


def imports(path: Path) -> list[tuple[str, int]]:
    """(dotted name, line) of everything that a file imports when it runs; what only a type checker sees does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "opslib":
                found += [(f"opslib.{alias.name}", node.lineno) for alias in node.names]
            else:
                found.append((node.module, node.lineno))
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path):
    here = part(path)
    assert floor(here) >= 0, f"{here} stands on no floor: add it to FLOORS"
    for name, line in imports(path):
        if not name.startswith("opslib."):
            continue
        there = name.split(".")[1]
        if there in ("LoadReport", "__version__", "load") and here != "load":
            there = "load"
        together = here == there or any({here, there} <= group for group in GROUPS)
        assert together or floor(there) < floor(here), f"{path.name}:{line}: {here} may not import {there}"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_an_outside_library_is_imported_in_its_one_place(path):
    for name, line in imports(path):
        allowed = PLACES.get(name.split(".")[0])
        assert allowed is None or part(path) in allowed, f"{path.name}:{line}: {name} belongs in {sorted(allowed)}"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_holds_one_idea(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    most = 400 if path.name == "contract.py" else 340  # the contract is one long table
    assert lines <= most, f"{path.name} has {lines} lines: two ideas live in it"


def test_metrics_never_execute():
    """They return expressions; only a report turns one into numbers."""
    for path in sources():
        if part(path) == "metrics":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
                assert called not in ("execute", "to_pandas", "to_pyarrow", "raw_sql", "sql"), (
                    f"{path.name}:{node.lineno}: {called}"
                )


# Notebooks


def cells(path: Path) -> list[dict]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c | {"source": "".join(c["source"])} for c in found]


def code(path: Path) -> list[str]:
    return [c["source"] for c in cells(path) if c["cell_type"] == "code"]


QUERIES = {
    "group_by",
    "groupby",
    "join",
    "merge",
    "agg",
    "aggregate",
    "sql",
    "query",
    "pivot",
    "pivot_table",
    "raw_sql",
    "apply",
}


def faults(source: str) -> list[str]:
    """What a notebook cell may not hold, each with the place where it belongs."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            found.append("a definition: it belongs in opslib")
        if isinstance(node, ast.For | ast.While | ast.comprehension):
            found.append("a loop: it belongs in opslib")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in QUERIES:
            owner = ast.unparse(node.func.value)
            if not owner.startswith(("'", '"')):  # ", ".join(…) is no query
                found.append(f"a query ({node.func.attr}): it belongs in opslib/metrics")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            for keyword in node.keywords:
                if keyword.arg in ("zh", "en") and isinstance(keyword.value, ast.Constant):
                    bare = re.sub(r"\{[^}]*\}", "", str(keyword.value.value))
                    if re.search(r"\d", bare.replace("95%", "")) and not re.search(
                        r"第 ?\d|[Dd]ay-?\d|D\d|[Tt]op \d|前 \d", bare
                    ):
                        found.append(f"a number typed into a sentence ({bare!r}): compute it")
    if re.search(r"(?i)password|secret|token\s*=|://[^\s/]+:[^\s$@]+@", source):
        found.append("what looks like a credential: it belongs in the environment")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def test_holds_no_logic(self, path):
        for source in code(path):
            assert faults(source) == []

    def test_has_short_cells_without_outputs(self, path):
        for cell in cells(path):
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None, "committed with outputs"
                assert len(cell["source"].splitlines()) <= 16 or "parameters" in cell["metadata"].get("tags", []), cell[
                    "source"
                ]

    def test_asks_its_question_first_and_declares_its_parameters(self, path):
        from opslib.params import spec

        first = cells(path)[0]
        assert first["cell_type"] == "markdown" and " / " in first["source"], "the question, in one line per language"
        declared = spec(path)
        assert {"source", "lang"} <= set(declared)
        assert all(p.doc for p in declared.values()), "every parameter says what it means"


@pytest.mark.parametrize(
    "source, fault",
    [
        ("def f(): pass", "definition"),
        ("for x in y: print(x)", "loop"),
        ("t.group_by('day')", "query"),
        ("say(zh='共 12 人', en='12 users')", "number"),
        ("url = 'postgres://me:hunter2@db/x'", "credential"),
    ],
)
def test_the_notebook_rules_catch_what_they_forbid(source, fault):
    assert any(fault in found for found in faults(source))


def test_both_languages_of_a_sentence_take_the_same_values():
    """`say(zh=…, en=…)` everywhere in the project: the same placeholders on both sides, full-width punctuation in Chinese."""
    trees = [(p, ast.parse(p.read_text(encoding="utf-8"))) for p in sources()]
    trees += [(p, ast.parse(source)) for p in NOTEBOOKS for source in code(p)]
    seen = 0
    for path, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "say":
                words = {k.arg: k.value for k in node.keywords}
                if {"zh", "en"} <= set(words) and all(isinstance(words[k], ast.Constant) for k in ("zh", "en")):
                    zh, en = str(words["zh"].value), str(words["en"].value)
                    names = [set(re.findall(r"\{(\w+)", text)) for text in (zh, en)]
                    assert names[0] == names[1], f"{path.name}:{node.lineno}: {names}"
                    assert None in words or names[0] <= set(words), (
                        f"{path.name}:{node.lineno}: {names[0] - set(words)}"
                    )
                    assert not re.search(r"[\u4e00-\u9fff][,;:?!()]", zh), (
                        f"{path.name}:{node.lineno}: half-width punctuation in {zh!r}"
                    )
                    assert not re.search(r"[\u4e00-\u9fff]", en), (
                        f"{path.name}:{node.lineno}: Chinese in the English sentence"
                    )
                    seen += 1
    assert seen > 20


def unsaid(tree: ast.Module) -> list[int]:
    """Lines that make a TooLittleError of anything but `say(…)`, a name that holds one, or a function here that returns one."""

    def is_said(node: ast.expr | None) -> bool:
        if isinstance(node, ast.IfExp):
            return is_said(node.body) and is_said(node.orelse)
        if isinstance(node, ast.Name):
            return is_all_said(held.get(node.id, []))
        called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        return called == "say" or is_all_said(returned.get(called, []))

    def is_all_said(values: list[ast.expr | None]) -> bool:
        return bool(values) and all(isinstance(v, ast.Call) and is_said(v) for v in values)

    held: dict[str, list[ast.expr | None]] = {}
    returned: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                held.setdefault(ast.unparse(target), []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            returned[node.name] = [r.value for r in ast.walk(node) if isinstance(r, ast.Return)]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id == "TooLittleError":
            found.append(node.lineno)  # the class alone says nothing
        made = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", ""))
        if made == "TooLittleError" and not is_said(node.args[0] if node.args else None):
            found.append(node.lineno)
    return found


def test_what_data_cannot_carry_is_said_in_the_readers_language():
    """A TooLittleError stands on the page, as a finding or as the reason of a run: never a bare English text."""
    for path in sources():
        lines = unsaid(ast.parse(path.read_text(encoding="utf-8")))
        where = ", ".join(f"{path.relative_to(ROOT)}:{line}" for line in lines)
        assert not lines, f"{where}: write TooLittleError(say(zh=…, en=…))"


@pytest.mark.parametrize(
    "source, lines",
    [
        ("raise TooLittleError('needs orders')", [1]),
        ("raise TooLittleError(f'needs {n}')", [1]),
        ("raise TooLittleError", [1]),
        ("raise TooLittleError()", [1]),
        ("why = 'no'\nraise errors.TooLittleError(why)", [2]),
        ("why = say(zh='', en='')\nwhy = 'no'\nraise TooLittleError(why)", [3]),
        ("def why():\n    return 'no'\nraise TooLittleError(why())", [3]),
        ("raise TooLittleError(say(zh='', en='') if n else 'no')", [1]),
        ("def no():\n    return TooLittleError('no')\nraise no()", [2]),
        ("raise TooLittleError(say(zh='', en=''))", []),
        ("raise TooLittleError(text.say(zh='', en=''), 'hint')", []),
        ("why = say(zh='', en='')\nraise TooLittleError(why)", []),
        ("def why():\n    return say(zh='', en='')\nraise TooLittleError(why())", []),
    ],
)
def test_the_rule_of_too_little_finds_what_is_not_said(source, lines):
    assert unsaid(ast.parse(source)) == lines


def test_every_term_and_column_has_both_languages():
    from opslib import text

    for id in text.terms():
        for lang in text.LANGUAGES:
            with text.speaking(lang):
                term = text.term(id)
                assert term.name and term.unit and term.definition and term.source, id


def test_the_environment_file_is_the_lock_and_the_lock_holds_every_dependency():
    import tomllib

    from environment import pins, text

    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == text(), "make lock writes it anew"
    locked = {_plain(re.split(r"==", pin)[0]) for pin in pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for line in wanted:
        name = _plain(re.split(r"[\[<>=]", line)[0])
        assert name in locked, f"{name} is not in requirements.lock: make lock"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip().lower())
