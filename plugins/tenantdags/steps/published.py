"""`_published.json` of one window: every generation that was ever published, the last one being what readers see.

It is the authority; the publish log in Databricks is its projection and can be rebuilt from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from tenantdags.steps.manifest import utc_text
from tenantdags.steps.report import Published

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One publication of a window. Times are aware UTC."""

    generation: int
    load_id: str
    append_id: str
    rows: int
    as_of_date: date
    window_start: datetime
    run_id: str
    published_at: datetime
    event: str = "publish"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """All generations of a window, 1 first; none yet: empty."""

    generations: tuple[Generation, ...] = ()

    @property
    def current(self) -> Published | None:
        """What readers see."""
        if not self.generations:
            return None
        last = self.generations[-1]
        return Published(generation=last.generation, load_id=last.load_id, append_id=last.append_id, rows=last.rows)

    @property
    def generation(self) -> int:
        """The current generation's number; 0: nothing is published."""
        return self.generations[-1].generation if self.generations else 0

    def with_next(self, fact: Generation) -> PublishedFile:
        """The same file with `fact` as its next generation, numbered here."""
        return PublishedFile((*self.generations, replace(fact, generation=self.generation + 1)))

    def to_json(self) -> str:
        if not self.generations:
            raise ValueError("a window without a generation has no _published.json")
        last = self.generations[-1]
        head = {"generation": last.generation, "load_id": last.load_id, "append_id": last.append_id, "rows": last.rows}
        generations = [asdict(fact) for fact in self.generations]
        return json.dumps({"format": FORMAT, **head, "generations": generations}, default=_plain, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> PublishedFile:
        """Raises ValueError when the text is not such a file, or its generations have a hole."""
        raw: dict[str, Any] = json.loads(text)
        if raw.get("format") != FORMAT:
            raise ValueError(f"_published.json format {raw.get('format')!r}, this version reads {FORMAT}")
        facts = tuple(_generation(fact) for fact in raw["generations"])
        if [fact.generation for fact in facts] != list(range(1, len(facts) + 1)):
            raise ValueError("_published.json has a hole in its generations")
        found = cls(facts)
        if found.current is None or asdict(found.current) != {name: raw.get(name) for name in asdict(found.current)}:
            raise ValueError("_published.json is torn: its head names none of its generations")
        return found


def _generation(raw: dict[str, Any]) -> Generation:
    return Generation(
        **{
            **raw,
            "as_of_date": date.fromisoformat(raw["as_of_date"]),
            "window_start": datetime.fromisoformat(raw["window_start"]).astimezone(UTC),
            "published_at": datetime.fromisoformat(raw["published_at"]).astimezone(UTC),
        }
    )


def _plain(value: object) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)
