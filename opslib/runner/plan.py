"""What to run, and whether it has been run already."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from pathlib import Path
from typing import Any

from opslib import params, privacy
from opslib.errors import UsageError, near
from opslib.text import checked, shown


@dataclass(frozen=True)
class Job:
    """One notebook with its parameters, on the data as it is now."""

    module: str
    notebook: str
    parameters: dict[str, Any]
    fingerprint: str
    code: str
    root: str
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    reads_others: bool = False
    privacy: str = ""

    @property
    def key(self) -> str:
        """Equal for two runs that must give the same report."""
        seen = [self.module, self.parameters, self.fingerprint, self.code, self.privacy]
        return hashlib.sha256(json.dumps(seen, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]

    @property
    def lang(self) -> str:
        return str(self.parameters.get("lang", "zh"))

    @property
    def outputs(self) -> Path:
        return Path(self.root) / "outputs"


def modules(root: Path) -> dict[str, Path]:
    """Module name → notebook; a name that starts with `_` is not a module."""
    return {p.stem: p for p in sorted((root / "notebooks").glob("*.ipynb")) if not p.name.startswith("_")}


def ordered(names: Sequence[str], root: Path) -> list[list[str]]:
    """The names in waves, each after those whose work it reads: a notebook's metadata says `opslib.after`, "*" for all
    others, a module or a list of modules.

    Raises
    ------
    UsageError  if there is no such module (names the near miss), or two that wait for each other.
    """
    known = modules(root)
    for name in names:
        if name not in known:
            raise UsageError(f"no module {name!r} in notebooks/", near(name, known))
    after = {name: _metadata(known[name]).get("after", []) for name in names}
    after = {n: [a] if isinstance(a, str) and a != "*" else a for n, a in after.items()}
    others = [n for n in names if after[n] != "*"]
    waits = TopologicalSorter({n: others if after[n] == "*" else set(after[n]) & set(names) for n in names})
    try:
        waits.prepare()
    except CycleError as error:
        raise UsageError(
            f"{' and '.join(sorted(set(error.args[1])))} wait for each other", "mend opslib.after"
        ) from None
    waves = []
    while waits:
        ready = waits.get_ready()
        waits.done(*ready)
        waves.append([n for n in names if n in ready])
    return waves


def _metadata(notebook: Path) -> dict[str, Any]:
    """What the notebook says of itself: `after` (the modules whose work it reads, "*" for all), `reads` (module → `list`
    of its; with `naming` only of runs that were given this parameter), `identity` (parameters that make two reports of one
    module two things: a campaign, an experiment), `makes` (those of them whose id the report gives to something new)."""
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("opslib", {})
    except (OSError, ValueError, KeyError, AttributeError):
        raise UsageError(f"{notebook.name} is not a notebook", "restore it") from None


def makes(root: Path, module: str) -> list[str]:
    """The parameters whose id names something new: a plan's campaign is in no table yet."""
    return list(_metadata(modules(root)[module]).get("makes", []))


def job(root: Path, module: str, overrides: dict[str, str], each: Iterable[str] = ()) -> Job:
    """The job of one module with the parameters of its files and of the command line.

    The names of `each` are part of what the report is of; source and language are not: the index parts reports by them anyway.

    Raises
    ------
    UsageError     if a parameter is unknown or of the wrong type.
    ContractError  if the source is not there.
    """
    known = modules(root)
    values = params.load(known[module], root / "params", overrides)
    checked(values.get("lang", "zh"))
    told = _metadata(known[module])
    fingerprint, notes, data = _source(root, values)
    reads_others = told.get("after") == "*"
    others = "+" + _others(root, values, fingerprint) if reads_others else ""
    fingerprint += _files(root, values) + others
    fingerprint += _written(root, told.get("reads", {}), values)
    parting = [*told.get("identity", []), *(name for name in each if name not in ("source", "lang"))]
    identity = {name: values[name] for name in parting if name in values}
    code = code_version(str(known[module]))
    rule = repr(privacy.of_project(root))  # a page made under another rule is another page
    return Job(
        module, str(known[module]), values, fingerprint, code, str(root), notes, data, identity, reads_others, rule
    )


def declared(root: Path, module: str, overrides: dict[str, str], *, alone: bool) -> dict[str, str]:
    """The overrides that this module takes: all of them when it runs alone, else those whose names it declares."""
    if alone:
        return overrides
    known = params.spec(modules(root)[module])
    return {name: value for name, value in overrides.items() if name in known}


def all_known(overrides: Iterable[str], taken: Mapping[str, Container[str]], root: Path) -> None:
    """Raises UsageError, naming the near miss, if an override is taken by no module."""
    for name in overrides:
        if not any(name in mine for mine in taken.values()):
            every = {p for module in taken for p in params.spec(modules(root)[module])}
            raise UsageError(f"unknown parameter {name!r}", near(name, every))


def _source(root: Path, values: dict[str, Any]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    if "source" not in values:
        return "", (), {}
    from opslib.engine import connect

    tables = connect(place(root, values))
    rows = {name: tables.manifest.rows(name) for name in tables.manifest.tables}
    aside = sum(part.rows for parts in tables.manifest.quarantine.values() for part in parts)
    loaded = max((load["at"] for load in tables.manifest.loads), default="")
    data = {
        "fingerprint": tables.fingerprint,
        "rows": rows,
        "quarantined": aside,
        "loaded": loaded,
        "tz": tables.manifest.tz,
        "currency": tables.manifest.currency,
    }
    return tables.fingerprint, tuple(tables.manifest.notes), data


def place(root: Path, values: dict[str, Any]) -> str:
    """The source as `connect` takes it: an address, or a folder, seen from the project."""
    text = str(values["source"])
    return text if "://" in text else str(root / text)


def named(module: str, identity: dict[str, Any]) -> str:
    """What a line of the terminal calls a report: its module, and what makes it a report of its own."""
    told = ", ".join(f"{name} {shown(value, 60)}" for name, value in identity.items() if value not in ("", None))
    return f"{module} ({told})" if told else module


def described(job: Job) -> Job:
    """The job with the window of its data and what breaks the contract: a question to every table, so only for a job that runs."""
    if "source" not in job.parameters or "problems" in job.data:
        return job
    root = Path(job.root)
    state = _state(place(root, job.parameters), str(job.data["fingerprint"]), job.lang, str(root / "outputs"))
    return replace(job, data=job.data | state)


@cache
def _state(source: str, fingerprint: str, lang: str, outputs: str) -> dict[str, Any]:
    """The days that the events span, and what breaks the contract, in words; asked once for all reports on the same data.

    Of a folder it is also kept for later runs: at a hundred million events the question takes a minute. An engine's
    fingerprint is its counts and last days, and does not tell every change.
    """
    if "://" in source:
        return _asked(source, lang)
    key = [fingerprint, code_version(str(resources.files("opslib") / "check.py"))]
    kept = Path(outputs) / ".checked" / (hashlib.sha256(repr([source, lang]).encode()).hexdigest()[:16] + ".json")
    with suppress(OSError, ValueError, KeyError):  # not there, or no longer readable: then it is asked again
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["key"] == key:
            return known["state"]
    state = _asked(source, lang)
    kept.parent.mkdir(parents=True, exist_ok=True)
    aside = kept.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps({"key": key, "state": state}, ensure_ascii=False), encoding="utf-8")
    aside.replace(kept)
    return state


def _asked(source: str, lang: str) -> dict[str, Any]:
    from opslib import contract
    from opslib.engine import check, connect
    from opslib.errors import OpsError
    from opslib.text import speaking

    tables = connect(source)
    with speaking(lang):
        problems = [p.sentence() for name in contract.TABLES if tables.has(name) for p in check(tables, name)]
    try:
        return {"window": [str(day) for day in tables.span()], "problems": problems}
    except OpsError:  # no events
        return {"problems": problems}


def _files(root: Path, values: dict[str, Any]) -> str:
    """The content of files of the project that parameters name: a changed list of plays is a changed report."""
    named = [root / v for v in values.values() if isinstance(v, str) and v.endswith((".yml", ".yaml", ".csv", ".json"))]
    held = [path.read_bytes() for path in named if path.is_file()]
    return "".join("+" + hashlib.sha256(content).hexdigest()[:8] for content in held)


def _others(root: Path, values: dict[str, Any], data: str) -> str:
    """What the other modules have found and proposed so far on the same data and in the same language."""
    from opslib.report.latest import latest, proposed

    asked = {"lang": values.get("lang", "zh"), "data": data, "outputs": root / "outputs"}
    seen = [repeated(values.get("source", ""), **asked) for repeated in (latest, proposed)]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:8]


def _written(root: Path, reads: dict[str, dict[str, str]], values: dict[str, Any]) -> str:
    """What the lists of other modules hold that a notebook's metadata says it reads, given its parameters."""
    held = {
        hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        for module, wanted in reads.items()
        for path in (root / "outputs" / module).glob(f"*/lists/{wanted['list']}.csv")
        if "naming" not in wanted or _given(path.parents[1], wanted["naming"], values.get(wanted["naming"]))
    }
    return "".join(f"+{one}" for one in sorted(held))


def _given(run: Path, parameter: str, own: Any) -> bool:
    """Whether a run was given the reader's own value, any where the reader has none; an unreadable record counts as if."""
    try:
        theirs = json.loads((run / "run.json").read_text(encoding="utf-8"))["parameters"].get(parameter)
        return bool(theirs) and (not own or theirs == own)
    except (OSError, ValueError, KeyError, AttributeError):
        return True


@cache
def code_version(notebook: str) -> str:
    """A fingerprint of the library and of one notebook: a report is out of date when either changes."""
    seen = hashlib.sha256()
    package = Path(str(resources.files("opslib")))
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.yml"), *package.glob("templates/**/*")]):
        if path.is_file() and "__pycache__" not in path.parts:
            seen.update(path.relative_to(package).as_posix().encode())
            seen.update(path.read_bytes())
    seen.update(Path(notebook).read_bytes())
    return seen.hexdigest()[:10]


@cache
def commit(root: str) -> str:
    """The commit that the code stands at, or an empty text outside a git checkout."""
    try:
        found = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def done(job: Job) -> Path | None:
    """The newest run that already gives this job's report."""
    for record in sorted((job.outputs / job.module).glob("*/run.json"), reverse=True):
        try:
            run = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if run.get("key") == job.key and run.get("status") != "failed" and (record.parent / "report.html").exists():
            return record.parent
    return None
