"""The workbench answers what its users' other tools answer, on the same events.

Cases are read from `tests/peer_cases/` and from the folder that the environment variable OPSLIB_PEER_CASES names. How a
kind is asked of the public functions stands in `tests/peers/<kind>.py`.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
from peers.common import decimals

HERE = Path(__file__).parent
FOLDERS = [HERE / "peer_cases", *([Path(extra)] if (extra := os.environ.get("OPSLIB_PEER_CASES")) else [])]

# Wherever these keys stand in an expectation, they list every group there is.
COMPLETE_KEYS = {"histogram", "segments"}


def read_cases() -> list[tuple[str, dict]]:
    files = [file for folder in FOLDERS for file in sorted(folder.glob("*.json"))]
    return [(f"{file.stem}-{case['name']}", case) for file in files for case in json.loads(file.read_text("utf-8"))]


def modules() -> dict[str, ModuleType]:
    """Kind → the module that answers it."""
    names = sorted(file.stem for file in (HERE / "peers").glob("*.py") if file.stem not in ("__init__", "common"))
    found = {name: importlib.import_module(f"peers.{name}") for name in names}
    further = {kind: module for module in found.values() for kind in getattr(module, "KINDS", ())}
    return further | found


CASES, MODULES = read_cases(), modules()


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[id for id, _ in CASES])
def test_our_answer_is_the_peer_s(case):
    module = MODULES.get(case["kind"])
    assert module, f"no tests/peers/{case['kind']}.py, so no public call answers this kind"
    unknown = set(case["query"]) - set(module.KEYS)
    assert not unknown, f"{module.__name__} does not understand the query keys {sorted(unknown)}"
    answer = module.answer(case)
    wrong = differences(case["expected"], answer, complete=getattr(module, "COMPLETE", False))
    assert not wrong, f"{case['note']}\n" + "\n".join(wrong)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.parent.name)
def test_every_folder_named_holds_cases(folder):
    assert sorted(folder.glob("*.json")), f"no cases in {folder}"


def differences(expected, got, *, complete: bool = False, where: str = "answer") -> list[str]:
    """Where `got` is not what `expected` says; only the keys of `expected` count, unless it is complete."""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return [f"{where}: expected {expected}, got {got}"]
        extra = set(got) - set(expected) if complete else set()
        found = [f"{where}: has {sorted(extra, key=str)}, which the peer has not"] if extra else []
        for key, value in expected.items():
            if key not in got:
                found.append(f"{where}: lacks {key!r}, expected {value}")
            else:
                found += differences(value, got[key], complete=key in COMPLETE_KEYS, where=f"{where}[{key!r}]")
        return found
    if isinstance(expected, list):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return [f"{where}: expected {expected}, got {got}"]
        pairs = enumerate(zip(expected, got, strict=True))
        return [line for i, (e, g) in pairs for line in differences(e, g, where=f"{where}[{i}]")]
    return [] if same(expected, got) else [f"{where}: expected {expected!r}, got {got!r}"]


def same(expected, got) -> bool:
    """A published number is as exact as it is printed; everything else is equal or not."""
    if isinstance(expected, bool | str | None) or isinstance(got, bool | str | None):
        return expected == got and isinstance(expected, bool) == isinstance(got, bool)
    half_unit = 0.5 * 10.0**-printed if (printed := decimals(expected)) else 0.0
    return abs(expected - got) <= half_unit + 1e-9 * max(1.0, abs(expected))
