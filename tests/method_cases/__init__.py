"""Published worked examples, tied to the public functions that must reproduce them.

Each module here is named after an `area` of the cases and holds `CALLS`: pattern of case ids (`fnmatch`) → a function
of (`case["input"]`, `data`) that returns what `case["expected"]` names. `data("data/x.csv")` is the path of a larger
input.
"""
