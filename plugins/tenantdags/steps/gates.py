"""The two gates: check_extract judges staged files, check_load the rows of one append. Both ask every rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from time import perf_counter

from tenantdags.model.contract import Check
from tenantdags.model.errors import GateError, GateRed, ReconcileMismatch
from tenantdags.model.plan import TablePlan
from tenantdags.model.sql_rules import refusals
from tenantdags.model.window import Window
from tenantdags.steps import soda_run
from tenantdags.steps.appended_checks import (
    check_append,
    check_duplicates,
    check_keys,
    check_loaded_sums,
    check_references,
    check_table,
    check_volume,
    published_up_to,
    references,
)
from tenantdags.steps.dbsql import append_filter, append_rows
from tenantdags.steps.failing_keys import with_failing_keys
from tenantdags.steps.landed import count_landed
from tenantdags.steps.landing import Landing
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.reconcile import reconcile_rules
from tenantdags.steps.report import CheckResult, GateName, GateReport, Loaded, strict
from tenantdags.steps.soda_contract import in_stream, soda_checks, to_yaml
from tenantdags.steps.staged_checks import (
    MEMORY,
    RELATION,
    check_files,
    check_manifest,
    check_rows,
    check_schema,
    check_sums,
    check_tenant,
    check_unique,
    relation,
)
from tenantdags.steps.staging import Staging
from tenantdags.steps.statements import Statements
from tenantdags.steps.threshold import expected, judge, unevaluated


def check_extract(
    plan: TablePlan, window: Window, manifest: Manifest, staging: Staging, memory: str = MEMORY
) -> GateReport:
    """Judges the staged files of one load; beyond `memory` DuckDB spills into the load's folder.

    Raises StagingUnavailable when the files cannot be read, GateError when DuckDB cannot go on.
    """
    started, paths = perf_counter(), staging.parts(plan, manifest, window)
    results = [check_manifest(plan, window, manifest), check_files(manifest, paths)]
    if _good(results):
        results.append(check_schema(plan, manifest, paths))
    if _good(results):
        results += _check_rows(plan, window, manifest, staging.path(plan, manifest.load_id), paths, memory)
    return _report("check_extract", plan, manifest, results, started)


def check_load(
    plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, landing: Landing, statements: Statements
) -> GateReport:
    """Judges the rows of one append, and that its files still lie in landing as they were staged.

    Raises LandingUnreachable, DatabricksSubmit, DatabricksTimeout … when one of the two cannot answer.
    """
    started, asked = perf_counter(), statements.of(plan, window)
    landed = count_landed(plan, window, manifest, landing.blobs)
    results = [check_manifest(plan, window, manifest), check_table(plan, asked)]
    if _good(results):
        results += check_append(plan, window, manifest, loaded, landed, asked)
        results += check_loaded_sums(plan, manifest, loaded, asked)
        results += _every_rule(plan, manifest)
        results += _soda_on_append(plan, window, manifest, loaded, asked)
        results += check_duplicates(plan, loaded, asked)
        results += check_keys(plan, window, loaded, asked)
        results += check_references(plan, window, loaded, asked)
        results += check_volume(plan, window, loaded, asked)
    return replace(_report("check_load", plan, manifest, results, started, loaded), landed=landed.rows)


def awaited_parents(plan: TablePlan, window: Window, manifest: Manifest, statements: Statements) -> tuple[str, ...]:
    """The parents whose rows this load's keys should stand in, and that have not come this far yet.

    Worth waiting for, as parent and child start at about the same time. A rule that only warns delays nobody.
    """
    asked = statements.of(plan, window)
    strict_ones = [check for check in references(plan) if check.severity == "error"] if manifest.rows else []
    missing = (c for c in strict_ones if not published_up_to(plan, window, c, asked))
    return tuple(dict.fromkeys(str(check.arguments[0]) for check in missing))


def require_open(plan: TablePlan, window: Window, report: GateReport) -> None:
    """Raises GateRed or ReconcileMismatch for a broken rule, GateError for one that could not be evaluated.

    A broken rule goes first: asking again would not mend the data.
    """
    failed = [r for r in report.results if r.outcome == "fail"]
    if failed:
        raise _red(plan, window, failed, report)
    if report.outcome == "error":
        unsure = [r for r in report.results if r.outcome == "error"]
        what = "; ".join(f"{r.rule}: {r.value}" for r in unsure) or "no rule was evaluated"
        raise GateError(plan.at(window), f"{what}.", f"Clear {report.gate}; a rule that cannot be asked stays closed.")


def _check_rows(
    plan: TablePlan, window: Window, manifest: Manifest, folder: Path, paths: Sequence[Path], memory: str
) -> list[CheckResult]:
    with relation(plan, folder, paths, memory) as connection:
        results = [check_tenant(plan, connection), check_rows(manifest, connection)]
        results += check_sums(plan, manifest, connection)
        results += check_unique(plan, connection)
        results += _every_rule(plan, manifest)
        checks = _for_soda(plan, manifest)
        text = to_yaml(plan.contract, checks, f"staged/main/{RELATION}", RELATION, None, '"')
        results += soda_run.evaluate(soda_run.on_duckdb(connection, "staged"), text, checks, window.end)
        return with_failing_keys(plan, manifest.load_id, connection, results)


def _every_rule(plan: TablePlan, manifest: Manifest) -> Iterable[CheckResult]:
    """What neither engine is asked: the rules of the stream, the empty window, SQL that must not run."""
    if not plan.contract.window.allow_empty:
        yield strict("not_empty", manifest.rows > 0, f"{manifest.rows} rows", "more than 0")
    counted = {found.rule: found.failing for found in manifest.stream_checks}
    for check in plan.checks:
        if in_stream(plan.contract, check):
            yield _stream_result(check, counted.get(check.id), manifest.rows)
        elif why := _refused(plan, check):
            yield unevaluated(check, f"refused: the query {why}")
        elif check.kind == "freshness" and not manifest.rows:
            yield strict(check.id, True, "no rows, so none is old", expected(check), severity=check.severity)


def _for_soda(plan: TablePlan, manifest: Manifest) -> tuple[Check, ...]:
    asked = (c for c in soda_checks(plan.contract, plan.checks) if manifest.rows or c.kind != "freshness")
    return tuple(check for check in asked if not _refused(plan, check))


def _refused(plan: TablePlan, check: Check) -> str | None:
    """`tenantdags check` refuses such a query; a run that got past it does not send it either."""
    if check.kind != "sql":
        return None
    found = refusals(str(check.arguments[0]), [column.name for column in plan.contract.loaded_columns])
    return found[0][1] if found else None


def _stream_result(check: Check, failing: int | None, rows: int) -> CheckResult:
    if failing is None:
        return unevaluated(check, "extract did not count it")
    if check.kind in ("null_percent", "invalid_percent"):
        return judge(check, Decimal(failing) * 100 / rows if rows else Decimal(0))
    return judge(check, failing)


def _soda_on_append(
    plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, statements: Statements
) -> tuple[CheckResult, ...]:
    checks = _for_soda(plan, manifest)
    dataset, mine = f"curated/{plan.curated.replace('.', '/')}", append_rows(plan, loaded.append_id)
    text = to_yaml(plan.contract, checks, dataset, mine, append_filter(loaded.append_id), "`")
    source = soda_run.on_databricks(statements.connection(), "curated")
    return soda_run.evaluate(source, text, checks, window.end)


def _good(results: Sequence[CheckResult]) -> bool:
    return all(result.outcome in ("pass", "warn") for result in results)


def _report(
    gate: GateName,
    plan: TablePlan,
    manifest: Manifest,
    results: Sequence[CheckResult],
    started: float,
    loaded: Loaded | None = None,
) -> GateReport:
    asked = {result.rule for result in results}
    places = {check.id: place for place, check in enumerate(plan.checks)}
    return GateReport(
        gate=gate,
        rows=loaded.rows if loaded else manifest.rows,
        # ours first, then the plan's in its order, whoever was asked
        results=tuple(sorted(results, key=lambda result: places.get(result.rule, -1))),
        seconds=round(perf_counter() - started, 3),
        load_id=manifest.load_id,
        append_id=loaded.append_id if loaded else None,
        not_evaluated=tuple(c.id for c in plan.checks if c.id not in asked and _asked_in(gate, c)),
    )


def _asked_in(gate: GateName, check: Check) -> bool:
    """What was published before, of this table and of others, is known to the warehouse alone."""
    return gate == "check_load" or check.kind not in ("reference", "volume_band")


def _red(
    plan: TablePlan, window: Window, failed: Sequence[CheckResult], report: GateReport
) -> GateRed | ReconcileMismatch:
    what = "; ".join(f"{r.rule}: {r.said}" for r in failed) + "."
    if report.not_evaluated:
        what += f" Not evaluated: {', '.join(report.not_evaluated)}."
    rule, remedy = failed[0].rule, _remedy(plan, failed[0].rule, report.gate)
    if rule in reconcile_rules(plan):
        return ReconcileMismatch(plan.at(window), what, remedy)
    return GateRed(plan.at(window), what, remedy, rule=rule)


def _remedy(plan: TablePlan, rule: str, gate: GateName) -> str:
    table, again = f"{plan.source.schema}.{plan.source.table}", "Readers keep the last published version until then."
    if rule in reconcile_rules(plan) or rule in ("manifest", "files") or (rule, gate) == ("schema", "check_extract"):
        return f"Clear `extract` to take a fresh load; if it stays so, compare {table} with the staged files. {again}"
    if any(check.id == rule for check in references(plan)):
        return f"Publish the rows its parent lacks, or mend {table} at the source and clear `extract`. {again}"
    special = {
        "schema": "Run `tenantdags apply`, then clear `load`.",
        "tenant_purity": f"Check the source's database and tenant_column in {plan.file}, then clear `extract`.",
        "not_empty": f"Find out why {table} has no rows; an empty window is legal with allow_empty in the contract.",
        "key_in_other_window": "Clear `extract` of the windows it names first, then of this one.",
    }
    return f"{special.get(rule, f'Mend the rows of {table} at the source, then clear `extract`.')} {again}"
