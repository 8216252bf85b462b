"""The source's catalogue, asked before any row is read: is the table still what its contract says?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from tenantdags.model.contract_edit import Edit, edited
from tenantdags.model.errors import DriftBreaking, LandingUnreachable, SourcePermission
from tenantdags.model.plan import TablePlan
from tenantdags.model.sqltype import SqlType
from tenantdags.model.window import Window
from tenantdags.steps import drift_memory, source, tsql
from tenantdags.steps.drift import Difference, Drift, Found, compare, found_columns, sentences
from tenantdags.steps.manifest import SourceDrift

Catalogue = Callable[[tsql.Statement], Sequence[Sequence[object]]]
_TOLD_APART = re.compile(r"_(CS|BIN2?)(_|$)")


class Files(drift_memory.Files, Protocol):
    """The ways of `Blobs` that are needed here."""

    def write(self, where: str, path: str, data: bytes) -> None: ...


def require_fit(
    plan: TablePlan, window: Window, catalogue: Catalogue, files: Files, run_id: str
) -> tuple[SourceDrift, tuple[str, ...], SqlType | None]:
    """(what differs without breaking, the same in words, the tenant column's type).

    Raises DriftBreaking with every difference after it has put a draft of the next version into the QA area,
    SnapshotOff, and the errors of `files`.
    """
    where = plan.at(window)
    found, state = ask(plan, where, catalogue)
    require_database(plan, where, state)
    drift = compare(
        plan, found, before=drift_memory.first_looks(files, plan, where), told_apart=tells_case_apart(state)
    )
    if drift.breaking:
        raise _breaking(plan, window, drift, files)
    drift_memory.remember_looks(files, plan, window, drift.looks)
    pasted = "\n".join(drift.to_paste) or None
    met = drift_memory.meet(files, plan, window, run_id, drift.warnings, pasted)
    return met, sentences(drift.warnings, plan.contract.additive), drift.tenant_type


def ask(plan: TablePlan, where: str, catalogue: Catalogue) -> tuple[tuple[Found, ...], Sequence[Sequence[object]]]:
    """(the columns of the table and its parent, the row about its database)."""
    with source.typed_errors(where, plan.source.connection):
        return found_columns(catalogue(tsql.catalogue_columns(plan))), catalogue(tsql.snapshot_state())


def require_database(plan: TablePlan, where: str, state: Sequence[Sequence[object]]) -> None:
    """That the connection opens the plan's database, and that it allows the isolation asked for."""
    if not state:
        what = "the login cannot see its own database in sys.databases."
        raise SourcePermission(where, what, "Grant the login CONNECT on the database.")
    database, snapshot = str(state[0][0]), str(state[0][1])
    if database.casefold() != plan.source.database.casefold():
        raise source.wrong_database(where, plan.source.connection, database, plan.source.database)
    if plan.source.isolation == "snapshot" and snapshot != "ON":
        raise source.snapshot_off(where, database, snapshot)


def tells_case_apart(state: Sequence[Sequence[object]]) -> bool:
    """Whether `status` and `Status` are two names, by the database's collation."""
    return bool(state and _TOLD_APART.search(str(state[0][2] or "")))


def remedy_of(plan: TablePlan, drift: Drift) -> str:
    """What a person can do about breaking drift."""
    changes = {difference.change for difference in drift.breaking}
    place = f"{plan.source.schema}.{plan.source.table}"
    if changes & {"no_table", "no_parent"}:
        rights = "grant the login SELECT on it, for the server shows a login only what it has a right on"
        return f"Restore it, correct source_table in {plan.file}, or {rights}."
    if changes == {"masked"}:
        return f"GRANT UNMASK ON {place} to the login; before SQL Server 2022: GRANT UNMASK in the database."
    if changes == {"added"}:
        return "Add the columns to the contract, or let it allow additions (schemaEvolution.additive: allow)."
    if changes == {"case_told_apart"}:
        return f"Write the columns' physicalName in {plan.contract.file} as the source does."
    return f"Restore {place}, or publish a contract version that matches it."


def draft(plan: TablePlan, drift: Drift) -> tuple[str, str] | None:
    """(file name, text) of the contract's next version, as far as the differences say it; None where they say nothing.

    What only adds columns is a minor version of the same file, everything else a new major.
    """
    contract = plan.contract
    edits = [edit for d in drift.breaking if (edit := _edit(plan, d))]
    # what runs may go on without is offered for pasting, and is in no draft
    added = drift.to_paste if any(d.change == "added" for d in drift.breaking) else ()
    if not (edits or added) or not contract.text:
        return None
    major, minor, _ = map(int, contract.version.split("."))
    version = f"{major + 1}.0.0" if edits else f"{major}.{minor + 1}.0"
    told = "".join(f"#   {line}\n" for line in sentences(drift.breaking, contract.additive))
    head = (
        f"# Draft: {contract.ref} as {plan.source.schema}.{plan.source.table} of {plan.tenant} looks now:\n"
        f"{told}# Review it: `tenantdags check` names what else has to change with it.\n"
    )
    name = f"{contract.table}.v{version.partition('.')[0]}.odcs.yaml"
    return name, head + edited(contract.text, edits, added, version)


def _edit(plan: TablePlan, difference: Difference) -> Edit | None:
    column = next((c for c in plan.contract.columns if c.source_name == difference.column), None)
    if column is None:
        return None
    if difference.change == "dropped":
        return Edit(column.name, "drop")
    if difference.change == "renamed":
        return Edit(column.name, "physical_name", difference.source)
    if difference.change in ("widened", "retyped") and _nameable(difference.source):
        return Edit(column.name, "physical_type", difference.source)
    return None


def _nameable(type_text: str) -> bool:
    try:
        SqlType.parse(type_text)
    except ValueError:
        return False
    return True


def _breaking(plan: TablePlan, window: Window, drift: Drift, files: Files) -> DriftBreaking:
    differs = "; ".join(sentences(drift.breaking, plan.contract.additive))
    what = f"{plan.source.schema}.{plan.source.table} is not what {plan.contract.ref} says: {differs}."
    remedy, drafted = remedy_of(plan, drift), draft(plan, drift)
    if drafted:
        from tenantdags.steps.landing import qa_folder

        path = f"{qa_folder(plan, window)}/{drafted[0]}"
        with _not_in_the_way():
            files.write(plan.at(window), path, drafted[1].encode())
            remedy += f" A draft stands in landing: {path}."
    return DriftBreaking(plan.at(window), what, remedy)


@contextmanager
def _not_in_the_way() -> Iterator[None]:
    """That the draft cannot be written must not hide what it was drafted for."""
    try:
        yield
    except LandingUnreachable:
        return
