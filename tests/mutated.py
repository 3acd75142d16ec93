"""A process that holds the heavy libraries and forks once for each mutant, which saves most of the time of asking it.

Reads jobs as lines of JSON: `folder` with the changed file, its `module`, the `tests`, the `seconds` of CPU they may take.
Answers each with pytest's exit code: 0 passed, 1 failed (or could not be imported), below 0 the time was up.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys

import ibis.backends.duckdb  # noqa: F401  (imported for the forks; nothing here may start a thread)
import pandas  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import sklearn.mixture  # noqa: F401
import statsmodels.api  # noqa: F401


def ask(folder: str, module: str, tests: list[str], seconds: float) -> int:
    """pytest's answer, with the module in `folder` in the place of the one of its name in opslib/metrics/."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    import opslib.metrics

    opslib.metrics.__path__[:0] = [folder]
    try:
        importlib.import_module(f"opslib.metrics.{module}")
    except Exception:
        return 1
    return pytest.main(["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow and not browser", *tests])


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            os._exit(ask(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
