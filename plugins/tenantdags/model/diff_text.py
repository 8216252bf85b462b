"""A diff as text for a terminal: sections in the order a reviewer needs them, empty ones left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tenantdags.model.changes import Change
from tenantdags.model.diff import BrokenTenant, ChangedContract, ChangedDag, Diff, Load, NewDag, PersonalColumn
from tenantdags.model.needs import Need
from tenantdags.model.words import counted

Section = tuple[str, list[str]]  # title, lines; a line that continues the one above is indented
MANY = 3
SHOWN = 12
WHO = {"platform": "The platform must have before the merge", "apply": "`tenantdags apply` makes before the first run"}
# differs from DAG to DAG by design, so one changed spread would be a line for each
_OWN_TO_EACH = "schedule.jitter"
_NOTES = {"schedule.paused_on_creation": " (counts for new DAGs only)"}


def to_text(diff: Diff) -> str:
    """The whole diff; ends with a line break."""
    said = [f"{title}\n{_indented(lines)}" for title, lines in sections(diff)]
    return "\n\n".join([f"{heading(diff)}\n{summary(diff)}", *said]) + "\n"


def heading(diff: Diff) -> str:
    return f"{diff.base} → {diff.head}, seen at {diff.now:%Y-%m-%d %H:%M} UTC"


def summary(diff: Diff) -> str:
    """`3 DAGs added, 0 removed, 2 changed; 1 warning; 2 of 4 tenants not touched`."""
    counts = [
        f"{counted(len(diff.added), 'DAG')} added, {len(diff.removed)} removed, {len(diff.changed)} changed",
        counted(len(diff.warnings), "warning"),
        f"{len(diff.untouched)} of {counted(diff.tenants, 'tenant')} not touched",
    ]
    tenants = {broken.tenant for broken in diff.broken}
    broken = [counted(len(tenants), "tenant") + " not comparable"] if tenants else []
    return "; ".join([*counts, *broken])


def sections(diff: Diff) -> Iterator[Section]:
    """Every section that has something to say."""
    found: list[Section] = [
        ("Does not pass check", [*_broken(diff.broken), *map(str, diff.problems)]),
        ("Warnings", list(map(str, diff.warnings))),
        ("DAGs added", [line for dag in diff.added for line in _new(dag)]),
        ("DAGs removed; what they loaded stays", list(diff.removed)),
        ("DAGs changed", list(_changed(diff.changed))),
        ("Contracts changed, and what it does to readers", list(_contracts(diff.contracts))),
        ("Personal data that enters", list(map(_personal, diff.personal))),
        ("Load", [*map(_sessions, diff.sessions), *map(_databricks, diff.databricks)]),
        *((title, [_need(need) for need in diff.needed if need.who == who]) for who, title in WHO.items()),
        ("No longer used", list(map(_need, diff.freed))),
        ("Files changed without effect", [f"config/tenants/{tenant}.yaml" for tenant in diff.reworded]),
        ("Tenants not touched", [_some(diff.untouched)] if diff.untouched else []),
    ]  # fmt: skip
    return (section for section in found if section[1])


def _broken(broken: Iterable[BrokenTenant]) -> Iterator[str]:
    for one in broken:
        dags = f": {_some(one.dags)}" if one.dags else ""
        if one.side == "head":
            yield f"{one.tenant}, after the merge: its DAGs would be stale until it is mended{dags}"
        else:
            yield f"{one.tenant}, before the merge: what changes in it cannot be told{dags}"
        yield from (f"  {problem}" for problem in one.problems)


def _new(new: NewDag) -> Iterator[str]:
    yield f"{new.dag}: {new.contract}, every {new.every} of {new.time_zone}, from {new.first_window} on"
    paused = "waits to be switched on; then " if new.paused else ""
    start = f"at once, was due {new.first_run}" if new.at_once else new.first_run
    late = counted(new.catch_up, "run")
    yield f"  {paused}first run {start}, for {new.first_run_window}; {late} to catch up, one after the other"


def _changed(changed: Iterable[ChangedDag]) -> Iterator[str]:
    """DAGs with the same changes are told together."""
    found: dict[tuple[str, ...], list[str]] = {}
    for dag in changed:
        found.setdefault(tuple(_lines_of(dag)), []).append(dag.dag)
    for lines, dags in found.items():
        count = f"{counted(len(dags), 'DAG')}: " if len(dags) > MANY else ""
        yield f"{count}{_some(dags)}"
        yield from lines


def _lines_of(dag: ChangedDag) -> Iterator[str]:
    own = [change for change in dag.changes if change.path == _OWN_TO_EACH]
    yield from (f"  {change.area}: {_change(change)}" for change in dag.changes if change not in own)
    if own:
        yield f"  schedule: {_OWN_TO_EACH} is another for each DAG"
    if dag.next_run_before is not None and not own:
        yield f"  next run: {dag.next_run_before} → {dag.next_run_after}"


def _change(change: Change) -> str:
    path = change.path.removeprefix(change.area).removeprefix(".")
    name, note = f"{path}: " if path else "", _NOTES.get(change.path, "")
    if change.before is None:
        return f"+ {name}{change.after}"
    return f"- {name}{change.before}" if change.after is None else f"{name}{change.before} → {change.after}{note}"


def _contracts(changed: Iterable[ChangedContract]) -> Iterator[str]:
    for contract in changed:
        major = ", a new table beside it" if contract.before != contract.after else ""
        yield f"{contract.before} {contract.version_before} → {contract.after} {contract.version_after}{major}"
        yield from (f"  {change}" for change in contract.changes)


def _personal(column: PersonalColumn) -> str:
    how = {"hash": "hashed", "keep": "in clear"}[column.handling]
    return f"{column.table}.{column.column}: {column.category}, {how}; of {_some(column.tenants)}"


def _sessions(load: Load) -> str:
    hour = f"runs that start in its busiest hour: {load.busiest_hour_before} → {load.busiest_hour_after}"
    return f"{load.connection}: at most {load.before} → {counted(load.after, 'source session')} at once; {hour}"


def _databricks(load: Load) -> str:
    return f"{load.connection}: {load.before:,} → {counted(load.after, 'Databricks run')} a day"


def _need(need: Need) -> str:
    return f"{need.kind} {need.name}: {need.what}"


def _some(names: Sequence[str]) -> str:
    """All of a few names; of more, the first ones and how many more: the JSON has them all."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN + 1 else ""
    return ", ".join(names[:SHOWN] if more else names) + more


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
