"""Findings in, one self-contained page out; the page never knows what it shows."""

from opslib.privacy import configure
from opslib.report.earlier import earlier, earlier_lists
from opslib.report.finding import Action, Finding, attempt, cards, headline, section
from opslib.report.latest import latest, proposed
from opslib.report.lists import write_list
from opslib.report.tables import key_table
from opslib.report.written import written

__all__ = [
    "Action",
    "Finding",
    "attempt",
    "cards",
    "configure",
    "earlier",
    "earlier_lists",
    "headline",
    "key_table",
    "latest",
    "proposed",
    "section",
    "write_list",
    "written",
]
