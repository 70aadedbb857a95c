"""Compares what our client sends with what the official clients send: compare.py DIFFERENCES RUN OURS OFFICIAL...

Each file has a line of JSON per call. Per method the names of metadata and of set fields are joined over all calls. Ours
must have what all official clients have, and nothing that none of them has; methods likewise. A difference that the table
does not list is a fault, and so is an entry of the table that this run does not show. RUN chooses the entries: those that
name no run, and those that name this one.
"""

import json
import sys
import tomllib
from pathlib import Path


def read(path):
    """Per method its parts: `field NAME` and `metadata NAME`."""
    methods = {}
    for line in Path(path).read_text().splitlines():
        call = json.loads(line)
        parts = methods.setdefault(call["method"].rsplit("/", 1)[1], set())
        parts.update(f"field {name}" for name in call["fields"])
        parts.update(f"metadata {name}" for name in call["metadata"])
    return methods


def differences(ours, official):
    """Every (method, what) in which ours is not as the official ones."""
    found = set()
    for method in sorted(set(ours).union(*official)):
        theirs = [one[method] for one in official if method in one]
        if method not in ours:
            if len(theirs) == len(official):
                found.add((method, "is not called"))
        elif not theirs:
            found.add((method, "is called"))
        else:
            mine = ours[method]
            found.update((method, f"lacks {part}") for part in set.intersection(*theirs) - mine)
            found.update((method, f"has {part}") for part in mine - set.union(*theirs))
    return found


def covers(entry, run, method, what):
    """Whether an entry of the table is about a difference."""
    return (
        run in entry.get("runs", [run])
        and entry.get("method", method) == method
        and what in entry["what"]
    )


def main():
    """Prints every fault; the exit code says whether there are any."""
    table, run, ours, *official = sys.argv[1:]
    entries = tomllib.loads(Path(table).read_text()).get("difference", [])
    found = sorted(differences(read(ours), [read(path) for path in official]))
    faults = [f"{method} {what}" for method, what in found if not any(covers(e, run, method, what) for e in entries)]
    for entry in entries:
        if not entry.get("why"):
            faults.append(f"the table gives no reason for {entry}")
        for what in entry["what"] if run in entry.get("runs", [run]) else []:
            if not any(covers(entry, run, method, what) for method, it in found if it == what):
                faults.append(f"the table has what is not so: {entry.get('method', 'any method')} {what}")
    print(f"{run}: {len(read(ours))} methods, {len(found)} differences, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
