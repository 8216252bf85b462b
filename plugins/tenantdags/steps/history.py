"""Everything that ever happened to one window: its loads, appends, generations and attempts, put side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from tenantdags.model.errors import LandingConflict
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import publish_log
from tenantdags.steps.appended import Append, appends
from tenantdags.steps.landing import Landing, Shelf
from tenantdags.steps.manifest import Manifest, utc_text
from tenantdags.steps.publish_log import LogRow
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.staging import MANIFEST
from tenantdags.steps.statements import Statements

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load's folder. Without a manifest (the upload was cut off) the other facts are not known."""

    load_id: str
    parts: int
    extracted_at: datetime | None = None
    rows: int | None = None
    contract_version: str | None = None
    base_generation: int | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the QA summary of one attempt of a run says."""

    run_id: str
    attempt: str
    outcome: str
    kind: str | None
    load_id: str | None
    append_id: str | None
    summarised_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """`trouble`: why `_published.json` cannot be read; then no generations are known."""

    plan: TablePlan
    window: Window
    file: PublishedFile
    logged: tuple[LogRow, ...]
    loads: tuple[Load, ...]
    appends: tuple[Append, ...]
    attempts: tuple[Attempt, ...]
    trouble: str | None = None

    @property
    def seen(self) -> Generation | None:
        """What the readers' view shows: the log decides."""
        return max((row.fact for row in self.logged), key=lambda fact: fact.generation, default=None)

    @property
    def logged_at(self) -> dict[int, datetime]:
        """Since when each generation stands in the log."""
        return {row.fact.generation: row.logged_at for row in reversed(self.logged)}


def history(plan: TablePlan, window: Window, landing: Landing, statements: Statements) -> History:
    """Asks landing and Databricks; changes nothing. Raises LandingUnreachable, Databricks…"""
    asked, trouble = statements.of(plan, window), None
    try:
        record = landing.published(plan, window)
        file = record.file if record else PublishedFile()
    except LandingConflict as error:
        file, trouble = PublishedFile(), error.what
    shelves = landing.shelves(plan, window)
    return History(
        plan=plan,
        window=window,
        file=file,
        logged=publish_log.read(plan, asked, window),
        loads=tuple(load for shelf in shelves for load in _loads(plan, shelf, landing)),
        appends=appends(plan, asked, window),
        attempts=tuple(_attempt(summary) for summary in landing.summaries(plan, window)),
        trouble=trouble,
    )


def to_json(found: History) -> str:
    """Everything, for machines: ids in full, times as ISO 8601 in UTC."""
    document = {
        "format": FORMAT,
        "tenant": found.plan.tenant,
        "table": found.plan.table,
        "contract": found.plan.contract.ref,
        "window_start": found.window.start,
        "as_of_date": found.window.as_of_date,
        "readers_see": found.seen.generation if found.seen else None,
        "published_file": found.trouble or "read",
        "generations": [
            {**asdict(fact), "logged_at": found.logged_at.get(fact.generation), "pruned": found.file.gone(fact)}
            for fact in found.file.generations
        ],
        "loads": [{**asdict(load), **_fate(found, load.load_id)} for load in found.loads],
        "appends": [{**asdict(a), "generations": _generations(found, a.append_id)} for a in found.appends],
        "attempts": [asdict(attempt) for attempt in found.attempts],
        "pruned_appends": dict(found.file.pruned_appends),
        "pruned_loads": dict(found.file.pruned_loads),
    }
    return json.dumps(document, indent=1, default=lambda v: utc_text(v) if isinstance(v, datetime) else str(v))


def to_text(found: History) -> str:
    """The same for people: what readers see first, then one line per fact, oldest first."""
    head = f"{found.plan.at(found.window)}, {found.plan.contract.ref}, window starts {_time(found.window.start)}"
    names = ("", "gen", "event", "rows", "load", "append", "published", "by")
    sections = [
        _table("generations", names, _generation_rows(found)),
        _table("loads in landing", ("load", "rows", "files", "version", "run", "state"), _load_rows(found)),
        _table("appends in " + found.plan.curated, ("append", "rows", "load", "loaded", "state"), _append_rows(found)),
        _table("attempts", ("summarised", "outcome", "load", "append", "run"), _attempt_rows(found)),
    ]
    return "\n".join([head, *_readers(found), *(line for section in sections for line in ["", *section])]) + "\n"


def _readers(found: History) -> Iterator[str]:
    if found.trouble:
        yield f"{found.trouble} {_doctor(found)}"
    seen = found.seen
    yield f"readers see generation {seen.generation}: {seen.rows} rows" if seen else "readers see nothing"
    if not found.trouble and (found.file.generation != (seen.generation if seen else 0)):
        yield f"_published.json is at generation {found.file.generation}. {_doctor(found)}"


def _doctor(found: History) -> str:
    return f"`tenantdags doctor --tenant {found.plan.tenant} --table {found.plan.table}` tells what can be mended."


def _generation_rows(found: History) -> Iterator[tuple[str, ...]]:
    for fact in found.file.generations:
        mark = "*" if found.seen and fact.generation == found.seen.generation else ""
        event = f"rollback to {fact.restores}" if fact.restores else fact.event
        gone = " (pruned)" if found.file.gone(fact) else ""
        by = f"{fact.actor}: {fact.reason}" if fact.actor else fact.run_id
        yield (
            mark, str(fact.generation), event + gone, str(fact.rows), fact.load_id, fact.append_id[:8],
            _time(fact.published_at), by,
        )  # fmt: skip


def _load_rows(found: History) -> Iterator[tuple[str, ...]]:
    for load in found.loads:
        rows, version = ("-" if x is None else str(x) for x in (load.rows, load.contract_version))
        yield load.load_id, rows, str(load.parts), version, load.run_id or "-", _fate(found, load.load_id)["state"]


def _append_rows(found: History) -> Iterator[tuple[str, ...]]:
    for append in found.appends:
        numbers = _generations(found, append.append_id)
        state = f"generation {', '.join(map(str, numbers))}" if numbers else "never published"
        yield append.append_id, str(append.rows), append.load_id, _time(append.loaded_at), state


def _attempt_rows(found: History) -> Iterator[tuple[str, ...]]:
    for attempt in found.attempts:
        outcome = f"{attempt.outcome} {attempt.kind}" if attempt.kind else attempt.outcome
        yield attempt.summarised_at, outcome, attempt.load_id or "-", (attempt.append_id or "-")[:8], attempt.run_id


def _generations(found: History, append_id: str) -> list[int]:
    return [fact.generation for fact in found.file.generations if fact.append_id == append_id]


def _fate(found: History, load_id: str) -> dict[str, str]:
    """What became of a load, in words."""
    if any(load.load_id == load_id and load.rows is None for load in found.loads):
        return {"state": "no manifest that can be read"}
    numbers = [fact.generation for fact in found.file.generations if fact.load_id == load_id]
    if numbers:
        return {"state": f"generation {', '.join(map(str, numbers))}"}
    return {"state": "appended" if any(a.load_id == load_id for a in found.appends) else "landed"}


def _loads(plan: TablePlan, shelf: Shelf, landing: Landing) -> Iterator[Load]:
    for load_id, names in sorted(shelf.loads.items()):
        parts = sum(name != MANIFEST for name in names)
        manifest = None
        if MANIFEST in names:
            with suppress(ValueError, KeyError, TypeError):  # of another version: it is listed all the same
                manifest = landing.read_manifest(plan, shelf.window, load_id)
        yield _load(load_id, parts, manifest)


def _load(load_id: str, parts: int, manifest: Manifest | None) -> Load:
    if manifest is None:
        return Load(load_id=load_id, parts=parts)
    return Load(
        load_id=load_id, parts=parts, extracted_at=manifest.extracted_at, rows=manifest.rows,
        contract_version=manifest.contract_version, base_generation=manifest.base_generation, run_id=manifest.run_id,
    )  # fmt: skip


def _attempt(summary: dict[str, Any]) -> Attempt:
    said: dict[str, Any] = {field.name: summary.get(field.name) for field in fields(Attempt)}
    return Attempt(**said)


def _table(title: str, names: Sequence[str], rows: Iterator[tuple[str, ...]]) -> list[str]:
    """A title over columns as wide as they need to be; `none` where there are no rows."""
    found = list(rows)
    if not found:
        return [f"{title}: none"]
    widths = [max(len(row[i]) for row in [names, *found]) for i in range(len(names))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [names, *found])
    return [title, *(f"  {line.rstrip()}" for line in lines)]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
