"""Set-off is what networkx finds as the optimum: the cheapest circulation, where each unit set off saves 1.

Usage: setoff.py CASES.json, a list of {"debts": [[debtor, creditor, amount], ...], "set_off": total}.
"""

import json
import sys

import networkx


def largest(debts):
    graph = networkx.DiGraph()
    for debtor, creditor, amount in debts:
        graph.add_edge(debtor, creditor, capacity=amount, weight=-1)
    cost, _ = networkx.network_simplex(graph)
    return -cost


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    total = 0
    for number, case in enumerate(cases):
        best = largest(case["debts"])
        if best != case["set_off"]:
            sys.exit(f"setoff.py: case {number}: {case['set_off']} set off, but the most is {best}")
        total += best
    print(f"setoff.py: {len(cases)} graphs, {total} set off in all")


main()
