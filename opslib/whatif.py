"""Widgets in JupyterLab around a plain function: the same functions as the page's, asked by hand."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opslib import columns
from opslib.errors import OpsError
from opslib.text import say

Days = tuple[dt.date, dt.date, dt.date]  # chosen first, earliest, latest


def explore(answer: Callable[..., Any], **choices: Sequence[str] | Mapping[str, str] | Days) -> Any:
    """A box of choices and a button; the button calls `answer` with what is chosen and shows what it displays.

    Parameters
    ----------
    answer : takes the choices by name; displays sections itself, or raises OpsError, which is shown as one line
    choices : a list of texts, or value → words (the first is chosen); or (day, earliest day, latest day)

    In a run by papermill there is nobody to choose: nothing is shown and None is returned, so that no state of a widget
    gets into a report.
    """
    if os.environ.get("OPSLIB_RUN_DIR"):
        return None
    import ipywidgets

    shown = {name: _widget(name, choice) for name, choice in choices.items()}
    button = ipywidgets.Button(description=say(zh="计算", en="Compute"), button_style="primary")
    out = ipywidgets.Output()

    def compute(_: Any) -> None:
        out.clear_output()
        words, button.description, button.disabled = button.description, say(zh="计算中…", en="Computing…"), True
        try:
            with out:
                try:
                    answer(**{name: widget.value for name, widget in shown.items()})
                except OpsError as error:
                    print(error)
        finally:  # whatever went wrong stands in the output; the next question can be asked
            button.description, button.disabled = words, False

    button.on_click(compute)
    return ipywidgets.VBox([*shown.values(), button, out])


def _widget(name: str, choice: Sequence[str] | Mapping[str, str] | Days) -> Any:
    import ipywidgets

    label, style = columns.label(name), {"description_width": "120px"}
    if isinstance(choice, Mapping):
        pairs = [(words, value) for value, words in choice.items()]
        return ipywidgets.Dropdown(options=pairs, value=pairs[0][1], description=label, style=style)
    if isinstance(choice[0], dt.date):
        value, low, high = choice
        return ipywidgets.DatePicker(value=value, min=low, max=high, description=label, style=style)
    options = [(columns.value_name(name, c), c) for c in choice]
    return ipywidgets.Dropdown(options=options, value=choice[0], description=label, style=style)
