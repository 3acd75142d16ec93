"""An experiment within segments: where a broken split is broken, and whether the effect is the same everywhere."""

from __future__ import annotations

import pandas as pd

from opslib.errors import TooLittleError
from opslib.models import readout
from opslib.models.abtest import LEAST, Test, comparisons
from opslib.models.experiment import sample_ratio
from opslib.text import say


def split_by_segment(sums: pd.DataFrame, test: Test) -> pd.DataFrame:
    """Where a broken split is broken: the sizes of the arms within each segment.

    One row per segment, the least likely first: `segment`, `n`, `share` (of the control), `promised`, `p` (Bonferroni).
    `sums` is `outcome_sums(by=…)`; without segments there is no row.
    """
    if "segment" not in sums:
        sums = sums.assign(segment=None)
    counts = sums[sums.metric == sums.metric.iloc[0]].pivot_table(
        index="segment", columns="variant", values="n", fill_value=0, aggfunc="sum"
    )
    share = pd.Series(test.split or dict.fromkeys(counts.columns, 1.0)).reindex(counts.columns).dropna()
    rows = []
    for segment, row in counts[share.index].iterrows():
        if row.sum() >= LEAST and len(row) > 1:
            p = sample_ratio(row.to_list(), share.to_list()).p
            rows.append((segment, int(row.sum()), row[test.control] / row.sum(), share[test.control] / share.sum(), p))
    out = pd.DataFrame(rows, columns=["segment", "n", "share", "promised", "p"])
    return out.assign(p=(out.p * len(out)).clip(upper=1)).sort_values("p", ignore_index=True)


def segmented(sums: pd.DataFrame, test: Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """The primary effect within each segment, with p corrected over all segments and variants (Benjamini–Hochberg).

    One row per (segment, variant): as `comparisons`. Segments are for the next hypothesis, not for the verdict.
    """
    primary = sums[(sums.metric == test.metric) & sums.segment.notna()]
    parts = [
        comparisons(part, test, alpha=alpha).assign(segment=name)
        for name, part in primary.groupby("segment")
        if test.control in set(part.variant) and part.variant.nunique() > 1
    ]
    if not parts:
        raise TooLittleError(say(zh="没有可比的分群", en="no segment has both arms"))
    out = pd.concat(parts, ignore_index=True)
    return out.assign(p_adjusted=readout.corrected(out.p, "bh"))
