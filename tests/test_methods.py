"""Every published method example is reproduced by a public function.

The cases are in `tests/methods/*.json`, and in the folders that OPSLIB_METHOD_CASES names, if it is set. A case says
what goes in, what must come out, how closely, and who published it. Expected keys that end in `_min`, `_max` or `_le`
are bounds on the result without that ending, unless the result has a value under the very name. A case that nothing
here can run fails: only one of our own whose data may not be kept in the repository is skipped.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent / "methods"
GIVEN = [Path(p) for p in os.environ.get("OPSLIB_METHOD_CASES", "").split(os.pathsep) if p]
FOLDERS = [HERE, *GIVEN]


def cases(folders: list[Path]) -> list:
    """Every case of every folder; the same file in a second folder once, another one of the same name twice."""
    found: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.json"))):
        name = path.stem
        if name in found and json.loads(path.read_bytes()) == json.loads(found[name].read_bytes()):
            continue
        found[f"{path.parent.name}/{name}" if name in found else name] = path
    return [pytest.param(path, id=name) for name, path in sorted(found.items())]


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_that_is_named_holds_cases(folder):
    assert list(folder.glob("*.json")), f"OPSLIB_METHOD_CASES names {folder}, which has no case (*.json)"


@pytest.mark.parametrize("path", cases(FOLDERS))
def test_a_published_example_is_reproduced(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    got = plain(call_of(case)(case["input"], lambda name: data_file(name, path.parent)))
    wrong = list(mismatches(case["expected"], got, case["tolerance"]))
    assert not wrong, f"{case['id']}: {'; '.join(wrong)}\nmethod: {case['method']}\nsource: {case['source']}"


def call_of(case: Mapping[str, Any]) -> Callable[[dict, Callable], Any]:
    """The call whose pattern fits the id most closely."""
    module = f"method_cases.{case['area']}"
    assert find_spec(module), f"{case['id']} ({case['method']}): no module {module}; source: {case['source']}"
    calls = import_module(module).CALLS
    fits = sorted((p for p in calls if fnmatch(case["id"], p)), key=len)
    assert fits, f"{case['id']} ({case['method']}): {module}.CALLS has no pattern for it; source: {case['source']}"
    return calls[fits[-1]]


def data_file(name: str, beside: Path) -> Path:
    """The first `name` beside the case or in any folder of cases; inputs that state no licence are not kept here."""
    for folder in (beside, *FOLDERS):
        if (folder / name).exists():
            return folder / name
    if GIVEN:
        pytest.fail(f"{name} is in none of {', '.join(map(str, FOLDERS))}")
    pytest.skip(
        f"{name} states no licence and is not in the repository; OPSLIB_METHOD_CASES may name a folder that has it"
    )


def plain(value: Any) -> Any:
    """Dataclasses, arrays and frames as dicts, lists and numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "to_dict"):
        return plain(value.to_dict("list") if hasattr(value, "columns") else value.to_dict())
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    return [plain(v) for v in value] if isinstance(value, list | tuple | set | range) else value


def mismatches(expected: Any, got: Any, tolerance: Any, at: str = ""):
    """One sentence per leaf that is not as expected; `tolerance` is absolute, one number or one per key."""
    if got is ...:  # the case does not say enough to compute it
        return
    if isinstance(expected, dict):
        for key, value in expected.items():
            allowed = tolerance.get(key, tolerance.get("*", 0)) if isinstance(tolerance, dict) else tolerance
            yield from member(key, value, got, allowed, f"{at}.{key}".lstrip("."))
    elif isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            yield f"{at}: expected {expected}, got {got}"
        else:
            for i, (want, have) in enumerate(zip(expected, got, strict=True)):
                yield from mismatches(want, have, tolerance, f"{at}[{i}]")
    elif not close(expected, got, tolerance):
        yield f"{at}: expected {expected} ± {tolerance}, got {got}"


def member(key: str, value: Any, got: Any, tolerance: Any, at: str):
    if isinstance(got, dict) and key in got:
        yield from mismatches(value, got[key], tolerance, at)
        return
    stem, _, kind = key.rpartition("_")
    if kind not in ("min", "max", "le") or not isinstance(got, dict) or stem not in got:
        yield f"{at}: expected {value}, the result has no such value"
    elif not (got[stem] >= value - tolerance if kind == "min" else got[stem] <= value + tolerance):
        yield f"{at}: got {got[stem]}, bound {value}"


def close(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, bool | str) or expected is None or isinstance(got, bool | str) or got is None:
        return type(expected) is type(got) and expected == got
    if not isinstance(got, int | float):
        return False
    # A tolerance of 0 means the same number, whatever the order in which it was summed.
    return expected == got or math.isclose(got, expected, rel_tol=1e-12, abs_tol=tolerance)


def test_a_case_that_nothing_can_run_fails():
    case = {"id": "x_unheard_of", "method": "m", "source": "s"}
    for area in ("no_such_area", "what_if"):
        with pytest.raises(AssertionError, match="x_unheard_of"):
            call_of(case | {"area": area})


def test_cases_of_one_name_in_two_folders_both_run_when_they_differ(tmp_path):
    for folder, value in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.json").write_text(json.dumps({"input": value}), encoding="utf-8")
    found = {p.id: p.values[0] for p in cases([tmp_path / name for name in "abc"])}
    assert found == {"one": tmp_path / "a" / "one.json", "c/one": tmp_path / "c" / "one.json"}


@pytest.mark.parametrize(
    ("expected", "got", "fits"),
    [
        ({"a": 1.0}, {"a": 1.0004}, True),
        ({"a": 1.0}, {"a": 1.01}, False),
        ({"a": 1.0}, {}, False),
        ({"a": float("nan")}, {"a": float("nan")}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": None}, {"a": 0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a_min": 2}, {"a": 3}, True),
        ({"a_min": 2}, {"a": 1}, False),
        ({"a_le": 2}, {"a": 3}, False),
        ({"z_max": 2}, {"z_max": 1}, False),
    ],
)
def test_the_comparison_itself_can_fail(expected, got, fits):
    assert (not list(mismatches(expected, got, 0.001))) is fits
