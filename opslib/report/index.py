"""The gallery: the newest run of each module with its first findings, built from the runs' own files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from opslib.report import gallery, neighbours
from opslib.report.finding import FORMATS, LEVELS
from opslib.text import LANGUAGES, speaking

Run = dict[str, Any]
_TEXTS = ("module", "status", "error", "source", "started", "title", "verdict", "period")
_STATUS = ("ok", "lacking", "failed")
# What older records may lack, because it was added since.
_LACKING: Run = {
    "title": "",
    "verdict": "",
    "period": "",
    "error": "",
    "source": "",
    "parameters": {},
    "identity": {},
    "reads_others": False,
    "seconds": 0.0,
}


def runs(outputs: Path) -> list[Run]:
    """Every run's record with its findings and its folder, newest first.

    A record that cannot be read has status "damaged", and its error says why; nothing is left out.
    """
    found = []
    for folder in outputs.glob("*/*/"):
        module = folder.parent.name
        if module.startswith((".", "_")) or not ((folder / "run.json").exists() or (folder / "report.html").exists()):
            continue
        found.append(_run(folder) | {"folder": folder.relative_to(outputs).as_posix()})
    return sorted(found, key=lambda r: (r["started"], r["folder"]), reverse=True)


def _run(folder: Path) -> Run:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        record["findings"] = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        return _checked(record)
    except (OSError, ValueError, TypeError, KeyError) as error:
        return _LACKING | {
            "module": folder.parent.name,
            "status": "damaged",
            "error": f"{type(error).__name__}: {error}"[:200],
            "started": _started(folder.name),
            "lang": "",
            "findings": [],
        }


def _checked(record: Run) -> Run:
    """The record, if it has what the index reads."""
    record = _LACKING | record
    for name in _TEXTS:
        if not isinstance(record[name], str):
            raise TypeError(f"{name} is not a text")
    if record["status"] not in _STATUS or record["lang"] not in LANGUAGES:
        raise ValueError("status or lang cannot be read")
    if not isinstance(record["parameters"], dict) or not isinstance(record["identity"], dict):
        raise ValueError("parameters or identity cannot be read")
    for finding in record["findings"]:
        if finding["level"] not in LEVELS or finding["format"] not in FORMATS or not isinstance(finding["text"], str):
            raise ValueError("a finding cannot be read")
    return record


def _started(name: str) -> str:
    """A folder's name begins with the moment of its run: 20261116T060211123-3f9a11."""
    return f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[9:11]}:{name[11:13]}:00" if name[:8].isdigit() else ""


def build(outputs: Path, lang: str = "zh") -> Path:
    """Write `index.html` from the runs in `outputs`, bring the reports' links up to date, and return the index' path."""
    outputs.mkdir(parents=True, exist_ok=True)
    found = runs(outputs)
    neighbours.link(outputs, found)
    with speaking(lang):
        page = gallery.page(found, outputs, lang)
    target = outputs / "index.html"
    aside = outputs / f".index.{os.getpid()}"  # two runs may end at once
    aside.write_text(page, encoding="utf-8")
    aside.replace(target)
    return target
