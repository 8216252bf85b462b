"""Makes one judged append visible: the window's next generation by compare-and-swap, then the same fact in the log.

Then the rows that readers see are counted in their view, and the measures of their append are summed once more. Killed
in between, the next attempt finds its own generation and only adds the missing log row. No clock decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from tenantdags.model.errors import LandingConflict, PublishRefused, ReconcileMismatch
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql, publish_log, reader_views
from tenantdags.steps.appended_checks import append_totals
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.reconcile import compare_sums
from tenantdags.steps.report import GateReport, Loaded, Published
from tenantdags.steps.statements import Statements

_ATTEMPTS = 5
Decide = Callable[[PublishedFile], PublishedFile]


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
    fact = _fact(window, manifest, loaded, run_id, now())

    def decide(file: PublishedFile) -> PublishedFile:
        current = file.current
        if current and (current.load_id, current.append_id) == (fact.load_id, fact.append_id):
            return file
        _require_not_overtaken(plan, window, manifest, file)
        _require_there(plan, window, fact, file)
        return file.with_next(fact)

    current = move(plan, window, decide, landing, statements, now).current
    assert current is not None
    rows = count_seen(plan, window, current, statements)
    _require_sums(plan, window, manifest, current, statements)
    return replace(current, rows=rows)


def count_seen(plan: TablePlan, window: Window, current: Published, statements: Statements) -> int:
    """The rows of the window in the readers' view. Raises ReconcileMismatch when they are not those just published.

    Where readers see another publisher's append by now, or are on another major of the contract, the table is asked for
    the append itself.
    """
    asked = statements.of(plan, window)
    append = {"tenant_id": (plan.tenant, "STRING"), "append_id": (current.append_id, "STRING")}
    found = asked.execute(reader_views.seen(plan), _of_window(plan, window)).one()
    place, rows = plan.serving, found["row_count"]
    served = found["serves"] == plan.curated_name or (found["serves"] is None and found["majors"] == 1)
    if not served or found["append_id"] != current.append_id:
        place, rows = plan.curated, asked.execute(dbsql.append_count(plan), append).one()["row_count"]
    if rows != current.rows:
        what = (
            f"published {rows} rows: that is what {place} shows of generation {current.generation}, whose append had "
        )
        what += f"{current.rows} when it was judged."
        raise ReconcileMismatch(plan.at(window), what, _show_the_one_before(plan, window, current))
    return int(rows)


def _require_sums(
    plan: TablePlan, window: Window, manifest: Manifest, current: Published, statements: Statements
) -> None:
    """Of the append that the log now names: in a view of several majors a measure may be NULL for this one."""
    found = append_totals(plan, current.append_id, statements.of(plan, window))
    wrong = [each for each in compare_sums(plan, manifest, found, "published") if each.outcome in ("fail", "error")]
    if wrong:
        what = f"{wrong[0].rule}: {wrong[0].value} ({wrong[0].expected} expected)."
        raise ReconcileMismatch(plan.at(window), what, _show_the_one_before(plan, window, current))


def _of_window(plan: TablePlan, window: Window) -> dict[str, tuple[object, str]]:
    return {
        "table_name": (plan.curated_name, "STRING"),
        "serving_name": (plan.serving_name, "STRING"),
        "tenant_id": (plan.tenant, "STRING"),
        "as_of_date": (window.as_of_date, "DATE"),
        "window_start": (window.start, "TIMESTAMP"),
    }


def _show_the_one_before(plan: TablePlan, window: Window, current: Published) -> str:
    again = "Find who changed the table or the view, then clear `extract` to load the window again."
    if current.generation == 1:
        return again
    back = f"tenantdags rollback {plan.tenant} {plan.table} {window.key} --reason …"
    return f"`{back}` shows readers the version before. {again}"


def require_judged(
    plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, gates: Sequence[GateReport]
) -> None:
    """Raises PublishRefused unless both gates judged exactly this load and this append, and let them through."""
    judged = {(g.gate, g.load_id, g.append_id) for g in gates if g.outcome in ("pass", "warn")}
    wanted = {("check_extract", manifest.load_id, None), ("check_load", manifest.load_id, loaded.append_id)}
    if missing := sorted(gate for gate, _, _ in wanted - judged):
        what = f"{' and '.join(missing)} did not let load {manifest.load_id}, append {loaded.append_id} through."
        raise PublishRefused(plan.at(window), what, f"Clear {missing[0]} and what follows it.")


def move(
    plan: TablePlan, window: Window, decide: Decide, landing: Landing, statements: Statements,
    now: Callable[[], datetime],
) -> PublishedFile:  # fmt: skip
    """What `decide` makes of the window's file stands there and in the log afterwards; what it raises, changes nothing.

    `decide` is asked again whenever another writer was faster. Raises LandingConflict when that goes on.
    """
    asked = statements.of(plan, window)
    # the log before the file: read the other way round, a racing publisher's row would look like a stranger's
    logged = publish_log.read(plan, asked, window)

    def known(file: PublishedFile) -> PublishedFile:
        publish_log.require_known(plan, window, file, logged)
        return decide(file)

    file = swap(plan, window, known, landing)
    publish_log.write(plan, publish_log.lacking(file, logged), asked, now())
    return file


def swap(plan: TablePlan, window: Window, decide: Decide, landing: Landing) -> PublishedFile:
    """What `decide` makes of the window's file, written if that is something new."""
    for attempt in range(_ATTEMPTS):
        record = landing.published(plan, window)
        file = record.file if record else PublishedFile()
        wanted = decide(file)
        if wanted == file:
            return file
        try:
            return landing.swap_published(plan, window, wanted, record).file
        except LandingConflict:
            # another writer, or our own write whose answer was lost: look again
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


def _require_there(plan: TablePlan, window: Window, fact: Generation, file: PublishedFile) -> None:
    """Prune says in the file what it takes, before it does."""
    if file.gone(fact):
        what = f"append {fact.append_id} of load {fact.load_id} was pruned, so there is nothing left to publish."
        raise PublishRefused(plan.at(window), what, "Clear `extract` to take a fresh load.")


def _fact(window: Window, manifest: Manifest, loaded: Loaded, run_id: str, now: datetime) -> Generation:
    return Generation(
        generation=0,  # numbered when it is appended
        load_id=manifest.load_id,
        append_id=loaded.append_id,
        rows=loaded.rows,
        as_of_date=window.as_of_date,
        window_start=window.start,
        contract_version=manifest.contract_version,
        run_id=run_id,
        published_at=now,
    )
