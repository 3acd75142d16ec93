"""Small faults planted one at a time in `opslib/metrics/`, to see whether the tests notice: `make mutants`.

A mutant is one changed place of one file: a comparison with its boundary moved, a `min` for a `max`, a filter left out. The
places are drawn by a seed. A mutant lies in a folder that the tests' own process looks into before `opslib/metrics/`; the
working tree is never touched. Only tests that reach the changed statement run, the quickest first, until one fails
(killed) or the seconds allowed are used up (survived). Which test reaches which line is asked of coverage, once for each
state of the code, kept under outputs/. A survivor whose changed line stands in tests/mutants.md is there explained.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import coverage
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

ROOT = Path(__file__).parent.parent
METRICS = ROOT / "opslib" / "metrics"
EXPLAINED = ROOT / "tests" / "mutants.md"
FEW = "5"  # examples of a property, which are enough to find out what is reached

# These ask whether it compiles, whether engines agree, who imports whom: not whether the answer is right.
OTHER_QUESTIONS = ("test_portable.py", "test_second_engine.py", "test_layers.py")

# Of cosmic-ray's operators the ones a slip of the hand makes; the others (`**` for `-`, `is` for `==`) die at once.
OPERATORS = re.compile(
    "core/(NumberReplacer|ZeroIterationForLoop|Replace(True|False|And|Or|Break|Continue)With[A-Z][a-z]+"
    "|ReplaceUnaryOperator_Delete_(Not|USub|Invert)"
    "|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|BitAnd_BitOr|BitOr_BitAnd)"
    "|ReplaceComparisonOperator_(Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt|Eq_NotEq|NotEq_Eq"
    "|Is_IsNot|IsNot_Is))"
)

PAIRS = (
    "min max, lag lead, isnull notnull, least greatest, floor ceil, left_join inner_join, semi_join anti_join, "
    "argmin argmax, any all, first last"
)
SWAPPED = {a: b for pair in PAIRS.split(", ") for a, b in (pair.split(), pair.split()[::-1])} | {
    "outer_join": "left_join",
    "nunique": "count",
}
DROPPED = ("distinct", "filter", "fill_null", "desc", "abs")


class SwapMethod(Operator):
    """`x.min()` becomes `x.max()`: what cosmic-ray, which reads arithmetic, does not know of a query."""

    def mutation_positions(self, node):
        if node.type == "trailer" and node.children[0].value == "." and node.children[1].value in SWAPPED:
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node, index):
        node.children[1].value = SWAPPED[node.children[1].value]
        return node

    @classmethod
    def examples(cls):
        return ()


class DropCall(Operator):
    """`x.filter(a)` becomes `x`; of several arguments of a filter one goes."""

    def _droppable(self, node) -> list[tuple]:
        found = []
        for i, (name, call) in enumerate(zip(children := getattr(node, "children", []), children[1:], strict=False)):
            if not (name.type == "trailer" and name.children[0].value == "." and name.children[1].value in DROPPED):
                continue
            if call.type != "trailer" or call.children[0].value != "(":
                continue
            inside = call.children[1]
            if inside.type == "arglist":
                found += [(inside, j) for j, c in enumerate(inside.children) if c.type != "operator"]
            else:
                found.append((node, i))
        return found

    def mutation_positions(self, node):
        # A list, made before anything is dropped from the node.
        return [(parent.children[i].start_pos, parent.children[i].end_pos) for parent, i in self._droppable(node)]

    def mutate(self, node, index):
        parent, i = self._droppable(node)[index]
        del parent.children[i : i + 2]  # the name and its call, or the argument and its comma
        return node

    @classmethod
    def examples(cls):
        return ()


@dataclass(frozen=True)
class Mutant:
    """One file with one place changed."""

    file: Path
    line: int
    was: str
    code: str

    @property
    def diff(self) -> str:
        name = str(self.file.relative_to(ROOT))
        lines = difflib.unified_diff(self.was.splitlines(), self.code.splitlines(), name, name, lineterm="", n=1)
        return "\n".join(list(lines)[2:])

    @cached_property
    def explained(self) -> bool:
        """Whether tests/mutants.md holds the changed line, under the heading of its file."""
        parts = re.split(r"^### `?([\w.]+)`?\n", EXPLAINED.read_text(encoding="utf-8"), flags=re.MULTILINE)
        section = dict(zip(parts[1::2], parts[2::2], strict=True)).get(self.file.name, "")
        added = [line[1:].strip() for line in self.diff.splitlines() if line.startswith("+")]
        return bool(added) and all(f"`{line}`" in section for line in added)


@cache
def operators() -> list[Operator]:
    """Ours and cosmic-ray's."""
    theirs = sorted(name for name in plugins.operator_names() if OPERATORS.fullmatch(name))
    return [SwapMethod(), DropCall(), *(plugins.get_operator(name)() for name in theirs)]


def places(file: Path) -> dict[tuple[int, int], list[tuple[Operator, int]]]:
    """Where a file can be changed: (line, column) → the operators there and the number of the occurrence."""
    source = file.read_text(encoding="utf-8")
    nodes, words = list(ast_nodes(get_ast(source))), set(_annotations(ast.parse(source)))
    found = defaultdict(list)
    for operator in operators():
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(positions):
            if start not in words:
                found[start].append((operator, occurrence))
    return found


def _annotations(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Every position inside a type: never evaluated, so nothing there can be tested."""
    for node in ast.walk(tree):
        for kind in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for part in ast.walk(kind) if kind is not None else ():
                if isinstance(part, ast.BinOp):  # the operator stands between its sides
                    yield from ((part.lineno, c) for c in range(part.col_offset, part.end_col_offset or 0))
                elif hasattr(part, "col_offset"):
                    yield part.lineno, part.col_offset


def draw(files: list[Path], number: int, seed: int) -> list[Mutant]:
    """So many places of all files, one change at each; more of them begin with the same."""
    pick = random.Random(seed)
    found = {(file, start): there for file in files for start, there in sorted(places(file).items())}
    made = []
    for file, start in pick.sample(list(found), len(found)):
        if len(made) == number:
            break
        operator, occurrence = pick.choice(found[file, start])
        was = file.read_text(encoding="utf-8")
        code = mutate_code(was, operator, occurrence)
        if code is not None and _parsed(code) not in (None, _parsed(was)):
            made.append(Mutant(file, start[0], was, code))
    return made


def _parsed(code: str) -> str | None:
    """What the code means; nothing where it is no code, or the `*` before keyword arguments was taken for a product."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    return None if any(getattr(node, "posonlyargs", ()) for node in ast.walk(tree)) else ast.dump(tree)


class Reach:
    """Which tests reach which line, and how long each takes."""

    def __init__(self, workers: int) -> None:
        self.files = [
            f
            for f in sorted(ROOT.glob("tests/test_*.py"))
            if f.name not in OTHER_QUESTIONS and re.search(r"opslib\.metrics|\bpeers\b", f.read_text(encoding="utf-8"))
        ]
        code = [*sorted(METRICS.glob("*.py")), *sorted(ROOT.glob("tests/**/*.py"))]
        key = hashlib.sha256(b"".join(f.read_bytes() for f in code)).hexdigest()[:12]
        self.data = ROOT / "outputs" / ".mutants" / f"{key}.coverage"
        self.times = self.data.with_suffix(".json")
        if not self.times.exists():
            self._measure(workers)
        self.seconds: dict[str, float] = json.loads(self.times.read_text())
        self.by_line = self._by_line()

    def _measure(self, workers: int) -> None:
        print(f"Which tests reach which line: {len(self.files)} test files run once …", flush=True)
        self.data.parent.mkdir(parents=True, exist_ok=True)
        options = ["--cov=opslib.metrics", "--cov-context=test", "--cov-report=", "--durations=0", "--durations-min=0", "-vv"]  # fmt: skip
        spread = ["-n", str(workers), "--dist", "worksteal"] if workers > 1 else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow and not browser", *options, *spread, *map(str, self.files)],
            cwd=ROOT, env=_environment() | {"COVERAGE_FILE": str(self.data), "OPSLIB_EXAMPLES": FEW}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"The tests fail without any mutant; mend them first.\n{done.stdout[-3000:]}")
        seconds: Counter[str] = Counter()
        for took, test in re.findall(r"^([\d.]+)s (?:call|setup) +(tests/.*?)\s*$", done.stdout, re.MULTILINE):
            seconds[test] += float(took)
        self.times.write_text(json.dumps(seconds))

    def _by_line(self) -> dict[str, dict[int, set[str]]]:
        data = coverage.CoverageData(str(self.data))
        data.read()
        in_file = defaultdict(set)
        for test in self.seconds:
            in_file[test.split("::")[0]].add(test)
        found: dict[str, dict[int, set[str]]] = {}
        for file in data.measured_files():
            found[Path(file).name] = lines = defaultdict(set)
            for line, contexts in data.contexts_by_lineno(file).items():
                for test, _, phase in (c.rpartition("|") for c in contexts if c):
                    # What a fixture reached, every test of the file may rest on.
                    lines[line] |= in_file[test.split("::")[0]] if phase == "setup" else {test}
        return found

    def tests(self, mutant: Mutant, budget: float) -> list[str]:
        """The tests that reach the changed statement, the quickest first, within the budget of seconds."""
        lines = self.by_line.get(mutant.file.name, {})
        first, last = _statement(ast.parse(mutant.was), mutant.line)
        reached = set().union(*(lines.get(i, set()) for i in range(first, last + 1)))
        chosen, spent = [], 0.0
        for test in sorted(reached & set(self.seconds), key=lambda t: (self.seconds[t], t)):
            if (spent := spent + self.seconds[test]) > budget and chosen:
                break
            chosen.append(test)
        return chosen


def _statement(tree: ast.Module, line: int) -> tuple[int, int]:
    """First and last line of what must run for the line to count: a statement; for a definition's head its whole body."""
    best = (1, 10**6)  # at the top of a module: whatever reaches the module
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        last = node.end_lineno or 0
        if isinstance(node, (ast.If, ast.For, ast.While, ast.With)) and line < node.body[0].lineno:
            last = node.body[0].lineno - 1 if node.body[0].lineno > node.lineno else node.lineno
        if last - node.lineno <= best[1] - best[0]:
            best = (node.lineno, last)
    return best if any(isinstance(n, ast.FunctionDef) and n.lineno <= line <= (n.end_lineno or 0) for n in tree.body) else (1, 10**6)  # fmt: skip


class Asker:
    """Asks the tests about mutants, one after the other, in a process that has the libraries loaded."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutated"],
            cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def verdict(self, mutant: Mutant, tests: list[str], seconds: float) -> str:
        """killed | survived | unreached."""
        if not tests:
            return "unreached"
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            (Path(folder) / mutant.file.name).write_text(mutant.code, encoding="utf-8")
            assert self.process.stdin and self.process.stdout
            job = {"folder": folder, "module": mutant.file.stem, "tests": tests, "seconds": seconds}
            print(json.dumps(job), file=self.process.stdin, flush=True)
            code = int(self.process.stdout.readline())
        if code > 1:
            raise SystemExit(f"pytest could not run the tests of {mutant.file.name} (exit code {code}): {tests}")
        return "survived" if code == 0 else "killed"


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def report(mutants: list[Mutant], reach: Reach, workers: int, budget: float) -> None:
    """Each survivor as it is found, and the table of files."""
    count: dict[str, Counter[str]] = defaultdict(Counter)
    tests, own = {m: reach.tests(m, budget) for m in mutants}, threading.local()
    most = {
        m: 30 + 5 * sum(reach.seconds[t] for t in tests[m]) for m in mutants
    }  # beyond that it hangs, which is noticed
    pool = ThreadPoolExecutor(workers, initializer=lambda: setattr(own, "asker", Asker()))
    try:
        waiting = {pool.submit(lambda m: own.asker.verdict(m, tests[m], most[m]), m): m for m in mutants}
        for done in as_completed(waiting):
            mutant, result = waiting[done], done.result()
            if result != "killed" and mutant.explained:
                result = "explained"
            count[mutant.file.name][result] += 1
            if result in ("survived", "unreached"):
                print(f"\n{result}: {mutant.file.relative_to(ROOT)}:{mutant.line} ({len(tests[mutant])} tests)")
                print(mutant.diff, flush=True)
    finally:  # an interrupted run tells what it knows
        pool.shutdown(wait=False, cancel_futures=True)
        _table(count)


def _table(count: dict[str, Counter[str]]) -> None:
    kinds = ("killed", "survived", "unreached", "explained")
    print(f"\n{'file':28}" + "".join(f"{kind:>11}" for kind in kinds))
    for name, row in [*sorted(count.items()), ("all", sum(count.values(), Counter()))]:
        print(f"{name:28}" + "".join(f"{row[kind]:11}" for kind in kinds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100, help="places drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="*", help="files: a pattern such as funnel* (several with commas)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--budget", type=float, default=30, help="seconds of tests for one mutant, as measured without it"
    )
    args = parser.parse_args()
    files = sorted(
        {f for pattern in args.only.split(",") for f in METRICS.glob(f"{pattern}.py") if f.name != "__init__.py"}
    )
    if not files:
        raise SystemExit(
            f"No file of opslib/metrics/ is called {args.only}: name it without .py, as in --only activity"
        )
    report(draw(files, args.number, args.seed), Reach(args.workers), args.workers, args.budget)


if __name__ == "__main__":
    main()
