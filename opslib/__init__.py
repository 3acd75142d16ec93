"""The product-operations workbench: parameterized notebooks on a thin library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opslib.load import LoadReport, load

if TYPE_CHECKING:
    from opslib.engine import Tables, connect

__version__ = "0.1.0"
__all__ = ["LoadReport", "Tables", "connect", "load"]


def __getattr__(name: str) -> Any:
    # ibis takes a second to import; `opslib --help` must not pay for it.
    if name in ("Tables", "connect"):
        from opslib import engine

        return getattr(engine, name)
    raise AttributeError(f"module 'opslib' has no attribute {name!r}")
