"""Paths: users who reach a node, leave there, or go on."""

from opslib.metrics.paths import path_nodes
from peers import common
from peers.paths import RULE_KEYS, rules

KEYS = RULE_KEYS


def answer(case):
    nodes = path_nodes(common.by_unit(case), **rules(case)).to_pandas()
    return {
        f"{node.position}_{node.node}": {"reached": node.reached, "dropped": node.dropped, "continued": node.continued}
        for node in nodes.itertuples()
    }
