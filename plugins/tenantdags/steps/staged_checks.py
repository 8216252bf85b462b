"""Our own strict checks of staged files: bytes, footers, whose rows they are, rows and sums against the source."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenantdags.model.errors import GateError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.manifest import Manifest, SumTotal, utc_text
from tenantdags.steps.reconcile import Family, compare_sums, families
from tenantdags.steps.redact import redact
from tenantdags.steps.report import CheckResult, strict
from tenantdags.steps.soda_contract import unique_checks
from tenantdags.steps.threshold import judge, unevaluated
from tenantdags.steps.tsql import SOURCE_TENANT
from tenantdags.steps.unique import duplicates

RELATION = "data"
MEMORY = "256MB"
# everything needed is compiled in; a gate must not fetch code from the internet
_ALONE: dict[str, Any] = {
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 2,
    "preserve_insertion_order": False,  # nobody asks for the order, and keeping it takes memory
}  # fmt: skip
_ARROW = {
    "STRING": pa.string(), "BOOLEAN": pa.bool_(), "SMALLINT": pa.int16(), "INT": pa.int32(), "BIGINT": pa.int64(),
    "FLOAT": pa.float32(), "DOUBLE": pa.float64(), "DATE": pa.date32(), "BINARY": pa.binary(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
_DUCKDB = {"STRING": "VARCHAR", "BINARY": "BLOB", "TIMESTAMP": "TIMESTAMPTZ", "FLOAT": "REAL"}


def check_manifest(plan: TablePlan, window: Window, manifest: Manifest) -> CheckResult:
    """The manifest must speak of this very window of this very table."""
    said = (manifest.tenant, manifest.table, manifest.contract, manifest.window_start, manifest.window_end)
    ours = (plan.tenant, plan.contract.table, plan.contract.ref, window.start, window.end)
    words = f"{manifest.tenant} {manifest.table} {manifest.contract} from {utc_text(manifest.window_start)}"
    return strict("manifest", said == ours, words, f"{plan.tenant} {plan.table} {plan.contract.ref} {window}")


def check_files(manifest: Manifest, paths: Sequence[Path]) -> CheckResult:
    """Every byte is the one extract wrote."""
    changed = [part.name for part, path in zip(manifest.parts, paths, strict=True) if _sha256(path) != part.sha256]
    value = f"changed since extract: {', '.join(changed)}" if changed else f"{len(paths)} files as written"
    return strict("files", not changed, value, "the sha256 of the manifest")


def check_schema(plan: TablePlan, manifest: Manifest, paths: Sequence[Path]) -> CheckResult:
    """Names, order and types of every footer and of the manifest, exactly; Soda's own schema check is lax on DuckDB."""
    wanted = staged_schema(plan)
    found = [(path.name, pq.read_schema(path)) for path in paths]
    wrong = [f"{name}: {_difference(wanted, schema)}" for name, schema in found if not _same(wanted, schema)]
    loaded = [(column.name, column.delta_type) for column in plan.contract.loaded_columns]
    if [(column.name, column.type) for column in manifest.columns] != loaded:
        wrong.append("manifest: its columns are not the contract's")
    value = "; ".join(wrong) or f"{len(wanted)} columns as declared"
    return strict("schema", not wrong, value, f"the columns of {plan.contract.ref}, in order, with their exact types")


def staged_schema(plan: TablePlan) -> pa.Schema:
    """What a staged file must hold, derived from the contract alone, not from what extract did."""
    fields = [pa.field(column.name, _arrow(column.delta_type)) for column in plan.contract.loaded_columns]
    return pa.schema([*fields, pa.field(SOURCE_TENANT, pa.string())])


@contextmanager
def relation(plan: TablePlan, folder: Path, paths: Sequence[Path], memory: str = MEMORY) -> Iterator[Any]:
    """A DuckDB connection of its own with the staged rows as view `data`; beyond `memory` it spills into `folder`.

    Raises GateError for what DuckDB cannot do, such as spilling to a full disk.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="check-", dir=folder) as spill:
        settings = _ALONE | {"memory_limit": memory, "temp_directory": spill}
        try:
            with duckdb.connect(":memory:", config=settings) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(_create_relation(plan, paths))
                yield connection
        except duckdb.Error as error:
            remedy = (
                f"Free space in {folder.parent}, then clear check_extract; a rule that cannot be asked stays closed."
            )
            what = f"the staged files could not be judged: {redact(error, 300)}."
            raise GateError(plan.at(folder.name), what, remedy) from None  # the text may quote a value


def check_tenant(plan: TablePlan, connection: Any) -> CheckResult:
    """Every row says at the source that it is this tenant's. SQL Server pads and folds case, so those do not count."""
    expected = plan.source.database if plan.source.tenant_column is None else str(plan.source.tenant_value)
    # grouped first: comparing a million texts one by one took twice as long
    found = connection.execute(f'SELECT "{SOURCE_TENANT}", count(*) FROM {RELATION} GROUP BY ALL').fetchall()
    strange = sum(rows for tenant, rows in found if tenant is None or _plain(tenant) != _plain(expected))
    return strict("tenant_purity", strange == 0, f"{strange} rows of another tenant", "0")


def _plain(tenant: str) -> str:
    return tenant.rstrip(" ").lower()


def check_unique(plan: TablePlan, connection: Any) -> Iterator[CheckResult]:
    """Rows beyond the first of each key."""
    import duckdb

    for check in unique_checks(plan.contract, plan.checks):
        try:
            (count,) = connection.execute(duplicates(RELATION, map(_quote, check.columns))).fetchone()
        except duckdb.Error as error:
            yield unevaluated(check, redact(error, 300))
        else:
            yield judge(check, int(count))


def check_rows(manifest: Manifest, connection: Any) -> CheckResult:
    """Source, manifest, parts and files agree on the number of rows."""
    (staged,) = connection.execute(f"SELECT count(*) FROM {RELATION}").fetchone()
    parts = sum(part.rows for part in manifest.parts)
    same = manifest.totals.rows == manifest.rows == parts == staged
    lax = not manifest.reconciled and manifest.rows == parts == staged
    value = f"source {manifest.totals.rows}, staged {staged}"
    return strict("rows_reconcile", same, value, "the same number of rows", severity="warning" if lax else "error")


def check_sums(plan: TablePlan, manifest: Manifest, connection: Any) -> tuple[CheckResult, ...]:
    staged = [total for family in families(plan) for total in _sums(connection, family)]
    return compare_sums(plan, manifest, staged, "staged")


def _sums(connection: Any, family: Family) -> list[SumTotal]:
    groups = [f"CAST({_quote(name)} AS VARCHAR)" for name in family.by]
    sums = [f"sum({_quote(name)})" for name in family.columns]
    tail = f" GROUP BY {', '.join(map(_quote, family.by))}" if family.by else ""
    rows = connection.execute(f"SELECT {', '.join(groups + sums)} FROM {RELATION}{tail}").fetchall()
    return [total for row in rows for total in family.totals(row)]


def _create_relation(plan: TablePlan, paths: Sequence[Path]) -> str:
    if paths:
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        # with hive partitioning a folder's tenant_id= would replace what the file says
        return f"CREATE VIEW {RELATION} AS SELECT * FROM read_parquet([{files}], hive_partitioning = false)"
    columns = [(c.name, _DUCKDB.get(c.delta_type, c.delta_type)) for c in plan.contract.loaded_columns]
    lines = [f"{_quote(name)} {kind}" for name, kind in [*columns, (SOURCE_TENANT, "VARCHAR")]]
    return f"CREATE TABLE {RELATION} ({', '.join(lines)})"


def _same(wanted: pa.Schema, found: pa.Schema) -> bool:
    return [(f.name, f.type) for f in wanted] == [(f.name, f.type) for f in found]


def _difference(wanted: pa.Schema, found: pa.Schema) -> str:
    """The first place where two schemas part."""
    for ours, theirs in zip(wanted, found, strict=False):
        if (ours.name, ours.type) != (theirs.name, theirs.type):
            return f"{theirs.name} {theirs.type} where {ours.name} {ours.type} is declared"
    return f"{len(found)} columns, {len(wanted)} are declared"


def _arrow(delta: str) -> pa.DataType:
    if delta.startswith("DECIMAL("):
        precision, scale = delta[len("DECIMAL(") : -1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return _ARROW[delta]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
