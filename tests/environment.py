"""environment.yml for conda users: the lock's pins without its hashes, because pip refuses an editable package beside hashes.

`python -m tests.environment` writes it anew; `make lock` does that.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = """\
# conda env create -f environment.yml: the packages of requirements.lock and opslib itself. Written by `make lock`.
name: opslib
channels:
  - conda-forge
dependencies:
  - python =3.13
  - pip
  - pip:
      - -e .
"""


def pins(lock: str) -> list[str]:
    """`name==version ; marker` of every package in a lock."""
    return [line.removesuffix(" \\").strip() for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)]


def text() -> str:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return HEAD + "".join(f'      - "{pin}"\n' for pin in pins(lock))


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(text(), encoding="utf-8")
