"""The QA summary as a page to read: one file, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

from tenantdags.model.qa import QaDocument

_TONES = {"green": "good", "pass": "good", "warn": "warn"}
_STATES = {"success": "good", "failed": "bad", "upstream_failed": "none", "skipped": "none"}


def page(qa: QaDocument) -> str:
    """HTML; whatever stands in the document is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("qa_page.html").read_text("utf-8"))
    return template.render(
        qa=qa,
        tone=_TONES.get(qa.outcome, "bad"),
        tones={outcome: _TONES.get(outcome, "bad") for outcome in ("pass", "warn", "fail", "error")},
        states=_STATES,
        readers=_readers(qa),
        start=_local(qa.window_start, qa),
        end=_local(qa.window_end, qa),
        at=_local(qa.summarised_at, qa),
        keys="keys of some such rows",
        linked=(qa.databricks_run or "").startswith(("https://", "http://")),
    )


def _local(instant: datetime, qa: QaDocument) -> str:
    return instant.astimezone(ZoneInfo(qa.time_zone)).strftime("%a %d %b %Y %H:%M")


def _readers(qa: QaDocument) -> str:
    if qa.readers_unknown:
        return f"what could not be asked: {qa.readers_unknown}"
    if qa.readers is None:
        return "nothing of this window"
    last = "" if qa.outcome == "green" else ", the last good version"
    return f"generation {qa.readers.generation} with {qa.readers.rows:,} rows{last}"
