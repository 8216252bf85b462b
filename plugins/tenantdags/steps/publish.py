"""Makes one judged append visible: the window's next generation by compare-and-swap, then the same fact in the log.

Killed in between, the next attempt finds its own generation and only adds the missing log row. No clock decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from tenantdags.model.errors import LandingConflict, PublishRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.report import GateReport, Loaded, Published
from tenantdags.steps.statements import Statements

_ATTEMPTS = 5
Facts = frozenset[tuple[int, str]]  # (generation, append_id)


def publish(
    plan: TablePlan,
    window: Window,
    manifest: Manifest,
    loaded: Loaded,
    gates: Sequence[GateReport],
    landing: Landing,
    statements: Statements,
    run_id: str,
    now: Callable[[], datetime],
) -> Published:
    """The generation readers see afterwards. Raises PublishRefused, LandingConflict, LandingUnreachable, Databricks…"""
    require_judged(plan, window, manifest, loaded, gates)
    asked = statements.of(plan, window)
    # the log before the file: read the other way round, a racing publisher's row would look like a stranger's
    logged = _logged(plan, window, asked)
    file = _swapped(plan, window, manifest, _fact(window, manifest, loaded, run_id, now()), landing, logged)
    for fact in file.generations:
        if (fact.generation, fact.append_id) not in logged:
            asked.execute(dbsql.insert_log(plan), _row(plan, fact))
    current = file.current
    assert current is not None
    return current


def require_judged(
    plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, gates: Sequence[GateReport]
) -> None:
    """Raises PublishRefused unless both gates judged exactly this load and this append, and let them through."""
    judged = {(g.gate, g.load_id, g.append_id) for g in gates if g.outcome in ("pass", "warn")}
    wanted = {("check_extract", manifest.load_id, None), ("check_load", manifest.load_id, loaded.append_id)}
    if missing := sorted(gate for gate, _, _ in wanted - judged):
        what = f"{' and '.join(missing)} did not let load {manifest.load_id}, append {loaded.append_id} through."
        raise PublishRefused(plan.at(window), what, f"Clear {missing[0]} and what follows it.")


def _swapped(
    plan: TablePlan, window: Window, manifest: Manifest, fact: Generation, landing: Landing, logged: Facts
) -> PublishedFile:
    """The file with this fact as its last generation; written only if it was not there."""
    for attempt in range(_ATTEMPTS):
        record = landing.published(plan, window)
        file = record.file if record else PublishedFile()
        _require_known(plan, window, file, logged)
        current = file.current
        if current and (current.load_id, current.append_id) == (fact.load_id, fact.append_id):
            return file
        _require_not_overtaken(plan, window, manifest, file)
        try:
            return landing.swap_published(plan, window, file.with_next(fact), record).file
        except LandingConflict:
            # another publisher, or our own write whose answer was lost: look again
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _require_not_overtaken(plan: TablePlan, window: Window, manifest: Manifest, file: PublishedFile) -> None:
    current = file.current
    if file.generation == manifest.base_generation or (current and current.load_id == manifest.load_id):
        return
    what = (
        f"load {manifest.load_id} was extracted when generation {manifest.base_generation} was published; "
        f"now it is {file.generation}."
    )
    raise PublishRefused(plan.at(window), what, "Clear `extract` to take a fresh load.")


def _require_known(plan: TablePlan, window: Window, file: PublishedFile, logged: Facts) -> None:
    strangers = logged - {(fact.generation, fact.append_id) for fact in file.generations}
    if strangers:
        numbers = ", ".join(str(generation) for generation, _ in sorted(strangers))
        what = f"{plan.databricks.publish_log} holds generations ({numbers}) that _published.json does not know."
        raise PublishRefused(plan.at(window), what, "Restore the _published.json of this window in the landing zone.")


def _logged(plan: TablePlan, window: Window, statements: Statements) -> Facts:
    parameters = {
        "table_name": (plan.curated_name, "STRING"),
        "tenant_id": (plan.tenant, "STRING"),
        "window_start": (window.start, "TIMESTAMP"),
    }
    return frozenset((int(g), str(a)) for g, a in statements.execute(dbsql.log_generations(plan), parameters).rows)


def _fact(window: Window, manifest: Manifest, loaded: Loaded, run_id: str, now: datetime) -> Generation:
    return Generation(
        generation=0,  # numbered when it is appended
        load_id=manifest.load_id,
        append_id=loaded.append_id,
        rows=loaded.rows,
        as_of_date=window.as_of_date,
        window_start=window.start,
        run_id=run_id,
        published_at=now,
    )


def _row(plan: TablePlan, fact: Generation) -> dict[str, tuple[object, str]]:
    values = {"table_name": plan.curated_name, "tenant_id": plan.tenant}
    return {name: (values.get(name, getattr(fact, name, None)), kind) for name, kind in dbsql.LOG}
