"""The command line: every command is one call of the library, every error one line."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from opslib import text
from opslib.errors import OpsError, near


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says how it went (0 good, 1 a report failed, 2 usage, 3 data, 75 locked)."""
    args = _parser().parse_args(argv)
    text.use("en")  # the command line speaks English, reports the language of their parameters
    try:
        return args.run(args) or 0
    except OpsError as error:
        print(f"opslib: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that cannot be written
        print(f"opslib: {error.filename or ''}: {error.strerror or error}".replace(": : ", ": "), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("opslib: stopped", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """A wrong call is one line too, with the near miss; the usage is what `--help` is for."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:  # said by the command, which knows its own options
            hint = (
                near(rest[0], self._option_string_actions)
                if rest[0].startswith("-")
                else "leave it out, or put options last"
            )
            self.error(f"{rest[0]!r} is not understood; {hint or 'leave it out'}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument (.+): invalid choice: '(.*)' \(choose from (.+)\)", message)
        if wrong:
            known = re.findall(r"[a-z0-9_]+", wrong[3])
            message = f"{wrong[1].lower()} {wrong[2]!r} is not known; {near(wrong[2], known)}"
        self.exit(2, f"opslib: {message}{' See' if message.endswith('?') else '; see'} {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="opslib", description="Product-operations workbench: raw exports in, checkable reports out.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    load = commands.add_parser("load", help="bring files into a warehouse", description=_load.__doc__)
    load.add_argument("table", help="a contract table, or a pack (.yml) that names tables, files and mappings")
    load.add_argument("files", nargs="*", type=Path, help="Parquet, CSV or JSON Lines files, .gz too")
    load.add_argument("--source", default="data/warehouse", help="folder of the warehouse (default: %(default)s)")
    load.add_argument("--format", choices=("parquet", "csv", "jsonl"), help="default: what the file's name says")
    load.add_argument("--mapping", type=Path, metavar="FILE.yml", help="where each column comes from")
    load.add_argument("--identity", type=Path, metavar="FILE", help="alias → user_id: which ids are one person")
    load.add_argument(
        "--tz",
        help="the time zone of local days (default: Asia/Shanghai); times without a zone are UTC, or as a mapping says",
    )
    load.add_argument("--currency", help="the warehouse's currency (default: CNY)")
    load.add_argument("--strict", action="store_true", help="end with exit code 3 when any row is put aside")
    load.set_defaults(run=_load)

    check = commands.add_parser("check", help="hold a warehouse against the contract", description=_check.__doc__)
    check.add_argument("--source", default="data/warehouse", help="folder or engine URL (default: %(default)s)")
    check.set_defaults(run=_check)

    run = commands.add_parser("run", help="run reports", description=_run.__doc__)
    run.add_argument("modules", nargs="*", metavar="MODULE", help="names of notebooks")
    run.add_argument("--all", action="store_true", help="every notebook")
    run.add_argument(
        "-p", dest="params", action="append", default=[], metavar="NAME=VALUE", help="a parameter, read as YAML"
    )
    run.add_argument(
        "--each", action="append", default=[], metavar="NAME[=VALUE,VALUE]",
        help="a report for every value; without values for every id of that name in the data",
    )  # fmt: skip
    run.add_argument("--force", action="store_true", help="also what is up to date")
    run.add_argument("--pdf", action="store_true", help="print every report to report.pdf too (needs Chromium)")
    run.set_defaults(run=_run)

    compare = commands.add_parser(
        "compare", help="one funnel or retention by the definitions of several tools", description=_compare.__doc__
    )
    compare.add_argument("what", choices=("funnel", "retention"))
    compare.add_argument("--source", default="data/warehouse", help="folder or engine URL (default: %(default)s)")
    compare.add_argument("--steps", default="app_open,register,activate,pay", help="funnel: events in order, by comma")
    compare.add_argument("--window-days", type=float, default=7, help="funnel: days it may take (default: 7)")
    compare.add_argument("--exclude", default="", help="funnel: events that must not come between, by comma")
    compare.add_argument("--cohort", default="", help="retention: event that starts it (default: a user's first)")
    compare.add_argument("--back", default="", help="retention: event that counts as a return (default: any)")
    compare.add_argument("--day", type=int, default=7, help="retention: day to compare (default: 7)")
    compare.add_argument("--start", default="", help="first local day of entry (default: four weeks before the last)")
    compare.add_argument("--end", default="", help="last local day of entry (default: the last whose windows are over)")
    compare.add_argument("--tools", default="", help="by comma, such as ours,mixpanel (default: all)")
    compare.add_argument("--lang", default="en", choices=("zh", "en"), help="language of the sentences")
    compare.set_defaults(run=_compare)

    sample = commands.add_parser("sample", help="make a believable product's data, with known truths in it")
    sample.add_argument(
        "folder", type=Path, nargs="?", default=Path("data/sample-raw"), help="for the raw files (default: %(default)s)"
    )
    sample.add_argument("--users", type=int, default=20_000, help="default: %(default)s; 2000000 for benchmarks")
    sample.add_argument("--weeks", type=int, default=26, help="default: %(default)s")
    sample.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes (default: %(default)s)")
    sample.add_argument("--end", default="2026-06-28", help="last local day, a Sunday (default: %(default)s)")
    sample.add_argument("--source", help="also load it into this warehouse")
    sample.set_defaults(run=_sample)

    index = commands.add_parser("index", help="rebuild outputs/index.html")
    index.add_argument("--lang", default="zh", choices=("zh", "en"))
    index.set_defaults(run=_index)

    new = commands.add_parser("new", help="start a notebook from the template", description=_new.__doc__)
    new.add_argument("name", help="lower-case letters, digits and _: referral")
    new.set_defaults(run=_new)
    return parser


def _load(args: argparse.Namespace) -> int:
    """Load files into one table: all of it or none of it, the same once or twice; bad rows are put aside, never lost."""
    from opslib import packs
    from opslib.errors import UsageError
    from opslib.load import load

    if args.table.endswith((".yml", ".yaml")):
        given = [name for name in ("files", "format", "mapping", "identity", "tz", "currency") if getattr(args, name)]
        if given:
            raise UsageError(f"load: a pack says its {given[0]} itself", f"write it into {args.table}")
        reports = packs.load(Path(args.table), args.source, progress=True, say=lambda line: print(line, flush=True))
    else:
        report = load(
            args.table,
            args.files,
            args.source,
            format=args.format,
            mapping=args.mapping,
            identity=args.identity,
            tz=args.tz,
            currency=args.currency,
            progress=True,
        )
        print(report.sentence(), flush=True)
        reports = [report]
    aside = sum(r.quarantined for r in reports)
    return 3 if any(r.unusable for r in reports) or (args.strict and aside) else 0


def _check(args: argparse.Namespace) -> int:
    """Say every way in which the tables depart from the contract, with counts and examples; exit code 3 if any does."""
    from opslib import contract, engine

    tables = engine.connect(args.source)
    problems = [
        p
        for name in contract.TABLES
        if tables.has(name) or contract.TABLES[name].required
        for p in engine.check(tables, name)
    ]
    for problem in problems:
        print(problem.sentence())
    held = [name for name in contract.TABLES if tables.has(name)]
    aside = {name: sum(p.rows for p in parts) for name, parts in tables.manifest.quarantine.items() if parts}
    rows = "".join(f"; {n:,} rows of {name} are put aside in _quarantine/{name}" for name, n in aside.items() if n)
    counted = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((len(held), "table"), (len(problems), "problem"))]
    print(f"{counted[0]} checked ({', '.join(held)}): {counted[1]}{rows}")
    return 3 if problems else 0


def _run(args: argparse.Namespace) -> int:
    """Run notebooks on a warehouse and rebuild the index: opslib run weekly_report -p source=data/mine -p lang=en."""
    from opslib import params, project, yamlfile
    from opslib.report import index
    from opslib.runner import batch, grid, plan

    root = project.root()
    names = batch.expand(root, args.modules, args.all)
    if not names:
        from opslib.errors import UsageError

        raise UsageError("run: no module named", f"known: {', '.join(plan.modules(root))}; or --all")
    overrides = params.parse_overrides(args.params)
    default = root / "params" / "default.yml"
    lang = overrides.get("lang") or ((yamlfile.read(default) or {}).get("lang") if default.exists() else None) or "zh"
    try:
        each = grid.asked(args.each)
        records = batch.run(
            root, names, overrides, each=each, force=args.force, say=lambda line: print(line, flush=True)
        )
    finally:  # whatever happened, the index shows what there is
        print(f"index: {index.build(root / 'outputs', lang)}")
    if args.pdf:
        from opslib.report import pdf

        for record in filter(lambda r: r["folder"], records):
            print(
                f"{record['module']}: {pdf.write(Path(record['folder']) / 'report.html').relative_to(root)}", flush=True
            )
    return 1 if any(r["status"] == "failed" for r in records) else 0


def _compare(args: argparse.Namespace) -> int:
    """One funnel or retention on the same data as several tools define it, each difference explained in a sentence."""
    from opslib import engine, periods
    from opslib.errors import UsageError
    from opslib.models import definitions

    text.use(args.lang)
    tables = engine.connect(args.source)
    wait = args.window_days if args.what == "funnel" else args.day + 1
    period = periods.between(definitions.closed(tables.span(), wait), args.start, args.end)
    try:
        print((_compared_funnel if args.what == "funnel" else _compared_retention)(args, tables, period.days))
    except ValueError as error:  # an argument that the metric refuses; it says which
        raise UsageError(str(error)) from None
    return 0


def _compared_funnel(args: argparse.Namespace, tables: Any, period: tuple[str, str]) -> str:
    from opslib.metrics import definitions as metrics
    from opslib.models import definitions as models
    from opslib.sentences import definitions as sentences

    steps, excluded = _listed(args.steps), _listed(args.exclude)
    tables.need_events(*steps, *excluded)
    table = metrics.funnel_definitions(
        tables.events,
        steps=steps,
        window_days=args.window_days,
        exclusions=models.excluded(excluded),
        period=period,
        tools=_listed(args.tools) or tuple(metrics.FUNNELS),
    ).to_pandas()
    return sentences.funnel_text(models.needs_entries(models.conversions(table)), models.choices(table, "users"))


def _compared_retention(args: argparse.Namespace, tables: Any, period: tuple[str, str]) -> str:
    from opslib.metrics import definitions as metrics
    from opslib.models import definitions as models
    from opslib.sentences import definitions as sentences

    start, back = args.cohort or None, args.back or None
    tables.need_events(start, back)
    table = metrics.retention_definitions(
        tables.events,
        start=start,
        back=back,
        days=args.day,
        period=period,
        until=str(tables.span()[1]),
        tools=_listed(args.tools) or tuple(metrics.RETENTIONS),
    ).to_pandas()
    returned = models.needs_cohorts(models.returning(table, args.day))
    return sentences.retention_text(returned, models.choices(table, "rate", n=args.day), args.day)


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _sample(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from opslib import packs, sample

    with tqdm(total=100, desc="sample", unit="%", delay=1, disable=None, leave=False) as bar:
        sample.make(
            args.folder, seed=args.seed, users=args.users, weeks=args.weeks, end=args.end,
            progress=lambda what, share: bar.update(100 * share - bar.n),
        )  # fmt: skip
    print(f"sample: {args.users:,} users, truths in {args.folder / 'truths.json'}")
    if args.source:
        packs.load_folder(args.folder, args.source, say=lambda line: print(line, flush=True))
    return 0


def _index(args: argparse.Namespace) -> int:
    from opslib import project
    from opslib.report import index

    print(index.build(project.root() / "outputs", args.lang))
    return 0


def _new(args: argparse.Namespace) -> int:
    """Copy the template to notebooks/NAME.ipynb and start params/NAME.yml."""
    from opslib import project
    from opslib.runner import template

    for path in template.new(project.root(), args.name):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
