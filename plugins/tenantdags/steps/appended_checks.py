"""Our own strict checks of one append: the table's columns, whose rows they are, rows, sums, keys of other windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from tenantdags.model.contract import Check, Severity
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql
from tenantdags.steps.manifest import Manifest, SumTotal
from tenantdags.steps.reconcile import compare_sums, families
from tenantdags.steps.report import CheckResult, Landed, Loaded, strict
from tenantdags.steps.soda_contract import unique_checks
from tenantdags.steps.statements import Statements
from tenantdags.steps.threshold import judge, unevaluated
from tenantdags.steps.volume import Past, judge_volume


def missing_columns(plan: TablePlan, statements: Statements) -> tuple[list[tuple[str, str]], list[str]]:
    """(columns the curated table lacks, columns whose type differs as text). An absent table lacks them all."""
    return compare_columns(plan.curated, dbsql.curated_columns(plan.contract), statements)


def compare_columns(
    table: str, wanted: tuple[tuple[str, str], ...], statements: Statements
) -> tuple[list[tuple[str, str]], list[str]]:
    found = table_columns(table, statements)
    lacking = [(name, kind) for name, kind in wanted if name.lower() not in found]
    retyped = [
        f"{name} is {found[name.lower()]}, not {kind}"
        for name, kind in wanted
        if found.get(name.lower(), kind.lower()) != kind.lower()
    ]
    return lacking, retyped


def table_columns(table: str, statements: Statements) -> dict[str, str]:
    """Column → type, both in lower case as Unity Catalog compares them; empty when there is no such table."""
    catalog, schema, name = table.split(".")
    parameters = {"schema": (schema.lower(), "STRING"), "table": (name.lower(), "STRING")}
    rows = statements.execute(dbsql.table_columns(catalog), parameters).rows
    return {str(column).lower(): str(kind).lower().replace(" ", "") for column, kind in rows}


def check_table(plan: TablePlan, statements: Statements) -> CheckResult:
    lacking, retyped = missing_columns(plan, statements)
    wrong = [f"lacks {name} {kind}" for name, kind in lacking] + retyped
    return strict("schema", not wrong, "; ".join(wrong) or "as declared", f"the columns of {plan.contract.ref}")


def check_append(
    plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, landed: Landed, statements: Statements
) -> list[CheckResult]:
    """Source = staged = landed = appended, and every row bears this tenant's, this window's and this load's stamps."""
    parameters = {**_append(loaded), **_window(plan, window), "load_id": (manifest.load_id, "STRING")}
    found = statements.execute(dbsql.append_counts(plan), parameters).one()
    numbers = (manifest.totals.rows, manifest.rows, landed.rows, loaded.rows, found["row_count"])
    lax = not manifest.reconciled and len(set(numbers[1:])) == 1 and not landed.strange
    counted = "source {}, staged {}, landed {}, loaded {}, appended {}".format(*numbers)
    value = "; ".join((*landed.strange, counted))
    severity: Severity = "warning" if lax else "error"
    same = len(set(numbers)) == 1 and not landed.strange
    return [
        strict("tenant_purity", found["strange_count"] == 0, f"{found['strange_count']} rows with other stamps", "0"),
        strict("rows_reconcile", same, value, "the same number of rows", severity=severity),
    ]


def check_loaded_sums(
    plan: TablePlan, manifest: Manifest, loaded: Loaded, statements: Statements
) -> tuple[CheckResult, ...]:
    return compare_sums(plan, manifest, append_totals(plan, loaded.append_id, statements), "appended")


def append_totals(plan: TablePlan, append_id: str, statements: Statements) -> list[SumTotal]:
    """The sums of every measure over one append, asked of the table."""
    parameters = {"append_id": (append_id, "STRING")}
    return [
        total
        for family in families(plan)
        for row in statements.execute(dbsql.append_sums(plan, family.columns, family.by), parameters).rows
        for total in family.totals(row)
    ]


def check_duplicates(plan: TablePlan, loaded: Loaded, statements: Statements) -> list[CheckResult]:
    checks = unique_checks(plan.contract, plan.checks)
    if not checks:
        return []
    sql = dbsql.append_duplicates(plan, [check.columns for check in checks])
    found = {int(rule): int(count) for rule, count in statements.execute(sql, _append(loaded)).rows}
    return [judge(check, found[i]) for i, check in enumerate(checks)]


def check_keys(plan: TablePlan, window: Window, loaded: Loaded, statements: Statements) -> list[CheckResult]:
    """Events belong to one window: a key published in another one was moved at the source and would count twice."""
    if plan.contract.mode != "event" or not plan.contract.keys:
        return []
    names = _window(plan, window)
    parameters = {**_append(loaded), "table_name": (plan.curated_name, "STRING")}
    parameters |= {name: names[name] for name in ("tenant_id", "window_start")}
    rows = statements.execute(dbsql.keys_elsewhere(plan), parameters).rows
    where = ", ".join(f"{day} ({count})" for day, count in rows)
    total = sum(count for _, count in rows)
    value = f"{total} keys also published in {where}; clear those windows first" if rows else "0 keys"
    return [strict("key_in_other_window", not rows, value, "0")]


def check_volume(plan: TablePlan, window: Window, loaded: Loaded, statements: Statements) -> list[CheckResult]:
    """Volume bands, against what was published before this window: a backfill is judged as its day's run would be."""
    bands = [check for check in plan.checks if check.kind == "volume_band"]
    if not bands:
        return []
    every, zone = plan.schedule.every, plan.schedule.time_zone
    weeks = max(int(check.arguments[0] or 0) for check in bands)
    parameters = {
        "table_name": (plan.curated_name, "STRING"),
        "tenant_id": (plan.tenant, "STRING"),
        "window_start": (window.start, "TIMESTAMP"),
        "since": (window.start - timedelta(days=7 * weeks + 1), "TIMESTAMP"),  # a clock may have changed since
    }
    past = [Past(*row) for row in statements.execute(dbsql.published_rows(plan), parameters).rows]
    return [judge_volume(check, window, loaded.rows, past, every, zone) for check in bands]


def check_references(plan: TablePlan, window: Window, loaded: Loaded, statements: Statements) -> Iterator[CheckResult]:
    """Foreign keys against what the parent has published for this tenant.

    Keys that a parent lacks which is published up to this window's day are broken. Of a parent that is not, nobody can
    say: the rule is an error, so the gate stays closed and the task is tried again; one of severity warning warns.
    """
    for check in references(plan):
        parent = str(check.arguments[0])
        found = statements.execute(dbsql.rows_without_parent(plan, check), _parent(plan, window, check, loaded)).one()
        result = judge(check, int(found["row_count"]))
        if result.outcome in ("fail", "warn") and not published_up_to(plan, window, check, statements):
            what = f"cannot be said: {parent} has published nothing up to {window.as_of_date} for this tenant yet"
            result = replace(unevaluated(check, what), outcome="warn" if check.severity == "warning" else "error")
        yield result


def references(plan: TablePlan) -> tuple[Check, ...]:
    return tuple(check for check in plan.checks if check.kind == "reference")


def published_up_to(plan: TablePlan, window: Window, check: Check, statements: Statements) -> bool:
    """Whether the parent's newest published day reaches this window's. A table's own rows are in the append."""
    if check.arguments[0] == plan.contract.ref:
        return True
    parameters = {name: (value, "STRING") for name, value in _parent_of(plan, check).items()}
    newest = statements.execute(dbsql.published_until(plan), parameters).one()["as_of_date"]
    return newest is not None and newest >= window.as_of_date


def _parent_of(plan: TablePlan, check: Check) -> dict[str, str]:
    table, _, major = str(check.arguments[0]).partition("@")
    return {"parent_name": f"{table}_v{major}", "tenant_id": plan.tenant}


def _parent(plan: TablePlan, window: Window, check: Check, loaded: Loaded) -> dict[str, tuple[object, str]]:
    parameters: dict[str, tuple[object, str]] = {n: (v, "STRING") for n, v in _parent_of(plan, check).items()}
    parameters |= _append(loaded)
    if check.arguments[0] != plan.contract.ref:
        return parameters
    if check.of_newest:
        return _append(loaded)
    return parameters | {"window_start": (window.start, "TIMESTAMP")}


def _append(loaded: Loaded) -> dict[str, tuple[object, str]]:
    return {"append_id": (loaded.append_id, "STRING")}


def _window(plan: TablePlan, window: Window) -> dict[str, tuple[object, str]]:
    return {
        "tenant_id": (plan.tenant, "STRING"),
        "as_of_date": (window.as_of_date, "DATE"),
        "window_start": (window.start, "TIMESTAMP"),
    }
