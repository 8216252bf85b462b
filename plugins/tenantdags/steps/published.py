"""`_published.json` of one window: every generation that was ever published, the last one being what readers see.

It is the authority; the publish log in Databricks is its projection and can be rebuilt from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

from tenantdags.steps.manifest import utc_text
from tenantdags.steps.report import Published

FORMAT = 2
Event = Literal["publish", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What readers saw from `published_at` on. Times are aware UTC.

    A rollback shows an earlier append again: `restores` is the generation that published it, `reason` and `actor` say
    why and who. `contract_version` and `run_id` are always those of the load.
    """

    generation: int
    load_id: str
    append_id: str
    rows: int
    as_of_date: date
    window_start: datetime
    contract_version: str
    run_id: str
    published_at: datetime
    event: Event = "publish"
    restores: int | None = None
    reason: str | None = None
    actor: str | None = None

    @property
    def origin(self) -> int:
        """The generation that first published this append."""
        return self.restores or self.generation


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """All generations of a window, 1 first, and what prune took away since: append or load id → when.

    A file without a generation only keeps the ids of pruned appends and loads that were never published.
    """

    generations: tuple[Generation, ...] = ()
    pruned_appends: Mapping[str, datetime] = field(default_factory=dict)
    pruned_loads: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def head(self) -> Generation | None:
        return self.generations[-1] if self.generations else None

    @property
    def current(self) -> Published | None:
        """What readers see."""
        last = self.head
        if last is None:
            return None
        return Published(generation=last.generation, load_id=last.load_id, append_id=last.append_id, rows=last.rows)

    @property
    def generation(self) -> int:
        """The current generation's number; 0: nothing is published."""
        return self.head.generation if self.head else 0

    @property
    def last_extracted(self) -> Generation | None:
        """The newest generation that brought rows from the source, rolled back or not.

        Who recounts a window at its source compares with this one's manifest: after a rollback the source still differs
        from what readers see, and only a source that changed again is worth another load.
        """
        return next((fact for fact in reversed(self.generations) if fact.event == "publish"), None)

    def gone(self, fact: Generation) -> bool:
        """Whether prune took the append, or its load, away."""
        return fact.append_id in self.pruned_appends or fact.load_id in self.pruned_loads

    def with_next(self, fact: Generation) -> PublishedFile:
        """The same file with `fact` as its next generation, numbered here."""
        return replace(self, generations=(*self.generations, replace(fact, generation=self.generation + 1)))

    def to_json(self) -> str:
        if self == PublishedFile():
            raise ValueError("a window of which nothing is known has no _published.json")
        document = {
            "format": FORMAT,
            **_head(self.current),
            "generations": [asdict(fact) for fact in self.generations],
            "pruned_appends": dict(sorted(self.pruned_appends.items())),
            "pruned_loads": dict(sorted(self.pruned_loads.items())),
        }
        return json.dumps(document, default=_plain, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes, *, any_head: bool = False) -> PublishedFile:
        """Raises ValueError when the text is not such a file, or its generations have a hole.

        `any_head` takes the generations for true where the head, which only repeats the last one, says something else.
        """
        raw: Any = json.loads(text)
        try:
            if raw.get("format") != FORMAT:
                raise ValueError(f"format {raw.get('format')!r}, this version reads {FORMAT}")
            facts = tuple(_generation(fact) for fact in raw["generations"])
            found = cls(facts, _instants(raw["pruned_appends"]), _instants(raw["pruned_loads"]))
            head = {name: raw.get(name) for name in _head(None)}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if [fact.generation for fact in facts] != list(range(1, len(facts) + 1)):
            raise ValueError("its generations have a hole")
        if not any_head and head != _head(found.current):
            raise ValueError("torn: its head is not the last of its generations")
        return found


def _head(current: Published | None) -> dict[str, Any]:
    return asdict(current) if current else {"generation": 0, "load_id": None, "append_id": None, "rows": None}


def _generation(raw: dict[str, Any]) -> Generation:
    fact = Generation(
        **{
            **raw,
            "as_of_date": date.fromisoformat(raw["as_of_date"]),
            "window_start": _instant(raw["window_start"]),
            "published_at": _instant(raw["published_at"]),
        }
    )
    if fact.event not in ("publish", "rollback") or (fact.event == "rollback") != (fact.restores is not None):
        raise ValueError(f"it holds an event that this version does not know: {fact.event!r}")
    return fact


def _instants(raw: Mapping[str, str]) -> dict[str, datetime]:
    return {name: _instant(text) for name, text in raw.items()}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _plain(value: object) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)
