"""How each kind of peer case is asked of the workbench: one small module a kind, found by its file name.

A module has `KEYS` (every query key it understands) and `answer(case) -> dict | list`, in the shape of the case's
`expected`. It may also have

- `KINDS`: further kinds that it answers, besides the one it is named after;
- `COMPLETE = True`: `expected` lists every group there is, so an extra key in the answer is wrong.
"""
