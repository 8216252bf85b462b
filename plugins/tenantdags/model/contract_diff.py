"""Two states of a contract: every change, and whether its readers can go on as they are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tenantdags.model.contract import Check, Column, Contract
from tenantdags.model.contract_words import check_words
from tenantdags.model.fields import iso_duration
from tenantdags.model.thresholds import lets_more_through

Effect = Literal["additive", "breaking"]
# what readers may rely on of every value
_OF_VALUES = ("required", "unique", "enum", "pattern", "range", "length")
_PERCENT = ("null_percent", "invalid_percent")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChange:
    """One change: what it is about, what it was and is, what it does to readers, and why."""

    effect: Effect
    about: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.effect:<8}  {self.about}: {self.what}; {self.why}"


def changes_of(before: Contract, after: Contract) -> tuple[ContractChange, ...]:
    """Every change, the table's first, then column by column, then its rules; empty for contracts that say the same."""
    parts = (_table(before, after), _window(before, after), _columns(before, after), _rules(before, after))
    found = [change for part in parts for change in part]
    return tuple(found or _texts(before, after))


def breaking(changes: Iterable[ContractChange]) -> bool:
    """Whether the changes need a new major version."""
    return any(change.effect == "breaking" for change in changes)


def next_version(before: Contract, changes: Iterable[ContractChange]) -> str:
    """The lowest version that may hold the changes: a new major where one of them breaks readers, else a new minor."""
    major, minor, _ = map(int, before.version.split("."))
    return f"{major + 1}.0.0" if breaking(changes) else f"{major}.{minor + 1}.0"


def _added(about: str, what: str, why: str) -> ContractChange:
    return ContractChange(effect="additive", about=about, what=what, why=why)


def _broken(about: str, what: str, why: str) -> ContractChange:
    return ContractChange(effect="breaking", about=about, what=what, why=why)


def _table(before: Contract, after: Contract) -> Iterator[ContractChange]:
    if before.keys != after.keys:
        what = f"the key was {', '.join(before.keys)} and is {', '.join(after.keys)}"
        yield _broken("grain", what, "a row is another thing now")
    elif before.grain != after.grain:
        yield _added("grain", "its words changed", "the key is the same")
    if before.mode != after.mode:
        what = f"was {before.mode} and is {after.mode}"
        yield _broken("mode", what, "windows mean something else, and the view shows other rows")
    if before.source_table != after.source_table:
        what = f"{before.source_table} became {after.source_table}"
        yield _added("source table", what, "readers see the same columns")
    if before.additive != after.additive:
        what = f"new source columns were {_allowed(before)} and are {_allowed(after)}"
        yield _added("schemaEvolution", what, "it is about runs, not about readers")
    yield from _retention(before, after)
    yield from _rights(before, after)
    for name in ("owner", "runbook"):
        if getattr(before, name) != getattr(after, name):
            yield _added(name, f"is {getattr(after, name) or 'none'} now", "readers do not see it")


def _retention(before: Contract, after: Contract) -> Iterator[ContractChange]:
    was, will = before.retention_days, after.retention_days
    if was == will:
        return
    what = f"was {_days(was)} and is {_days(will)}"
    if will is not None and (was is None or will < was):
        yield _broken("retention", what, "readers may no longer count on older windows")
    else:
        yield _added("retention", what, "nothing goes earlier than before")


def _rights(before: Contract, after: Contract) -> Iterator[ContractChange]:
    was, will = dict(before.rights), dict(after.rights)
    for scope in dict.fromkeys([*was, *will]):
        if scope not in will:
            yield _broken(f"right of {scope}", "is taken away", "who had it may not aggregate any more")
        elif scope not in was:
            yield _added(f"right of {scope}", "is new", "nobody loses one")
        elif lost := [column for column in will[scope] if column not in was[scope]]:
            yield _broken(f"right of {scope}", f"is without {', '.join(lost)}", "who had it may not read them any more")
        elif was[scope] != will[scope]:
            yield _added(f"right of {scope}", "leaves less out", "nobody loses a column")


def _window(before: Contract, after: Contract) -> Iterator[ContractChange]:
    was, will = before.window, after.window
    place = [(w.column, w.parent.contract if w.parent else None) for w in (was, will)]
    if before.mode == after.mode and place[0] != place[1]:
        what = f"rows belong to it by {_by(*place[1])}, not by {_by(*place[0])}"
        yield _broken("window", what, "as_of_date means something else")
    elif was.parent and will.parent and was.parent.on != will.parent.on:
        yield _broken("window", "the parent is joined by other columns", "rows may belong to other windows")
    if was.changed != will.changed:
        yield _added("window", f"changed is {will.changed or 'none'} now", "only the recount of late rows reads it")
    if was.allow_empty != will.allow_empty:
        what = "an empty window is legal" if will.allow_empty else "an empty window is no longer legal"
        why = (
            "the gate lets more through: readers may meet a day without rows" if will.allow_empty else "it is stricter"
        )
        yield _added("window", what, why)
    if was.observe_within != will.observe_within:
        said = iso_duration(will.observe_within) if will.observe_within else "one window"
        yield _added("window", f"it may be observed for {said}", "readers see the same rows")


def _columns(before: Contract, after: Contract) -> Iterator[ContractChange]:
    was, will = ({c.name: c for c in contract.columns} for contract in (before, after))
    for name, column in was.items():
        if name in will:
            yield from _column(column, will[name])
        elif column.loaded:
            yield _broken(name, "is gone", "who selects it gets an error, or NULL for new windows")
        else:
            yield _added(name, "is gone", "it was dropped in the stream, so no reader had it")
    for name, column in will.items():
        if name not in was:
            yield _new(column)
    if list(was) != [name for name in will if name in was] and set(was) <= set(will):
        yield _added("columns", "stand in another order", "they are read by name")


def _new(column: Column) -> ContractChange:
    if not column.loaded:
        return _added(column.name, f"is new, {column.type}, and dropped in the stream", "no reader sees it")
    promise = ", though it is required" if column.required else ""
    return _added(column.name, f"is new, {column.type}", f"windows loaded before hold NULL in it{promise}")


def _column(was: Column, will: Column) -> Iterator[ContractChange]:
    name = was.name
    if was.loaded != will.loaded:
        if will.loaded:
            yield _added(name, "is no longer dropped in the stream", "windows loaded before hold NULL in it")
        else:
            yield _broken(name, "is dropped in the stream", "who selects it gets an error, or NULL for new windows")
    elif was.hashed != will.hashed:
        what = "is hashed" if will.hashed else "is no longer hashed"
        yield _broken(name, what, "its values are others than before, and match none that is loaded")
    elif was.type != will.type:
        yield _retyped(was, will)
    if was.required and not will.required:
        yield _broken(name, "is no longer required", "readers may meet NULL where there was none")
    elif will.required and not was.required:
        yield _added(name, "is required", "it is stricter")
    if was.source_name != will.source_name:
        yield _added(
            name, f"is read from {will.source_name}, not {was.source_name}", "readers know it by the same name"
        )
    if was.measure != will.measure:
        yield _added(name, "is a measure" if will.measure else "is no longer a measure", "its values are the same")
    if _words(was) != _words(will):
        yield _added(name, f"is {_words(will)} now", "its values are the same")


def _retyped(was: Column, will: Column) -> ContractChange:
    what = f"was {was.type} and is {will.type}"
    if was.delta_type != will.delta_type:
        why = f"the table holds {was.delta_type}, which cannot become {will.delta_type}"
        return _broken(was.name, what, why)
    return _added(was.name, what, f"the table holds {will.delta_type} as before")


def _words(column: Column) -> str:
    """What is only said of a column: its class, its kind of personal data, its description."""
    said = [
        column.classification or "unclassified",
        column.pii.category if column.pii else "",
        column.description or "",
    ]
    return ", ".join(word for word in said if word)


def _rules(before: Contract, after: Contract) -> Iterator[ContractChange]:
    was, will = ({check.id: check for check in contract.checks} for contract in (before, after))
    columns = {column.name for column in before.columns} & {column.name for column in after.columns}
    for rule, check in was.items():
        if not set(check.columns) <= columns or (check.kind == "required" and check.before_hashing is False):
            continue  # told with its column
        if rule not in will:
            yield _weaker(check, "is no longer checked")
        elif will[rule] != check:
            yield _rule_changed(check, will[rule])
    for rule, check in will.items():
        if rule not in was and set(check.columns) <= columns and check.kind != "required":
            yield _added(rule, f"is new: {check_words(check)}", "it is stricter")


def _rule_changed(was: Check, will: Check) -> ContractChange:
    percent = will.kind in _PERCENT
    if (was.severity, will.severity) == ("error", "warning"):
        return _weaker(was, "only warns")
    if (was.kind, was.columns) != (will.kind, will.columns):
        return _weaker(was, f"checks something else: {check_words(will)}")
    if was.arguments != will.arguments and not _stricter(was, will):
        return _weaker(was, f"lets other values through: {check_words(will)}")
    if lets_more_through(will.threshold, was.threshold, percent=percent):
        return _weaker(was, f"lets more through: {check_words(will)}")
    return _added(was.id, f"changed: {check_words(will)}", "it lets nothing more through")


def _stricter(was: Check, will: Check) -> bool:
    """Whether the new arguments let through only what the old ones did, as far as that can be seen."""
    if was.kind == "enum":
        return set(will.arguments) <= set(was.arguments)
    return was.kind == "reference" and [*was.arguments][1:] == [*will.arguments][1:]


def _weaker(check: Check, what: str) -> ContractChange:
    """A promise about every value is what queries are built on; a threshold is about the day's quality."""
    if check.kind in _OF_VALUES and check.severity == "error":
        return _broken(check.id, what, "readers may meet values that could not be before")
    return _added(check.id, what, "the gate is lower, but the columns mean the same")


def _texts(before: Contract, after: Contract) -> list[ContractChange]:
    if (before.name, before.purpose, before.version) == (after.name, after.purpose, after.version):
        return []
    return [_added("texts", "its words or its version changed", "readers see the same rows")]


def _allowed(contract: Contract) -> str:
    return "let pass" if contract.additive == "allow" else "stopped"


def _days(days: int | None) -> str:
    return "without end" if days is None else f"{days} days"


def _by(column: str | None, parent: str | None) -> str:
    return f"{column} of {parent}" if parent else str(column)
