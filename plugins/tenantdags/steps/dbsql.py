"""Every Databricks SQL text but the readers' views: pure functions from a plan to a statement. Values are parameters.

Language: https://docs.databricks.com/en/sql/language-manual/index.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantdags.model.contract import Check, Contract
from tenantdags.model.plan import TablePlan
from tenantdags.steps.unique import duplicates

STAMPED = (
    ("tenant_id", "STRING"),
    ("as_of_date", "DATE"),
    ("window_start", "TIMESTAMP"),
    ("_load_id", "STRING"),
    ("_append_id", "STRING"),
    ("_loaded_at", "TIMESTAMP"),
)
LOG = (
    ("table_name", "STRING"),
    ("tenant_id", "STRING"),
    ("window_start", "TIMESTAMP"),
    ("as_of_date", "DATE"),
    ("generation", "BIGINT"),
    ("event", "STRING"),
    ("load_id", "STRING"),
    ("append_id", "STRING"),
    ("rows", "BIGINT"),
    ("run_id", "STRING"),
    ("published_at", "TIMESTAMP"),
    ("contract_version", "STRING"),
    ("restores", "BIGINT"),
    ("reason", "STRING"),
    ("actor", "STRING"),
    ("serves", "STRING"),
    ("logged_at", "TIMESTAMP"),
)
QA_LOG = (
    ("tenant_id", "STRING"),
    ("table_name", "STRING"),
    ("window_start", "TIMESTAMP"),
    ("as_of_date", "DATE"),
    ("run_id", "STRING"),
    ("attempt", "STRING"),
    ("outcome", "STRING"),
    ("kind", "STRING"),
    ("rule", "STRING"),
    ("line", "STRING"),
    ("failed_task", "STRING"),
    ("source_rows", "BIGINT"),
    ("staged_rows", "BIGINT"),
    ("landed_rows", "BIGINT"),
    ("appended_rows", "BIGINT"),
    ("published_rows", "BIGINT"),
    ("generation", "BIGINT"),
    ("check_extract", "STRING"),
    ("check_load", "STRING"),
    ("warnings", "BIGINT"),
    ("load_id", "STRING"),
    ("append_id", "STRING"),
    ("summary", "STRING"),
    ("reason", "STRING"),
    ("summarised_at", "TIMESTAMP"),
)
SCHEMAS = ("curated", "ops", "serving")
_ONE_WINDOW = " AND window_start = :window_start"


def quote(name: str) -> str:
    """One identifier, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def quote_path(dotted: str) -> str:
    """A three-part name of ours; its parts never hold a dot."""
    return ".".join(map(quote, dotted.split(".")))


def curated_columns(contract: Contract) -> tuple[tuple[str, str], ...]:
    """Name and type of every column of the curated table, in order: the contract's, then what the product stamps."""
    return (*((column.name, column.delta_type) for column in contract.loaded_columns), *STAMPED)


def create_schema(catalog: str, schema: str) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {quote(catalog)}.{quote(schema)}"


def create_curated(plan: TablePlan) -> str:
    """Every column may be NULL: required ones are guarded by the gates, and only nullable ones can be added later."""
    comments = {column.name: column.description for column in plan.contract.loaded_columns}
    columns = [(name, kind, comments.get(name)) for name, kind in curated_columns(plan.contract)]
    comment = f"{plan.contract.purpose} All appends; readers use {plan.serving}."
    return _create_table(plan.curated, columns, ("tenant_id", "as_of_date"), comment) + _statistics(plan)


def create_log(plan: TablePlan) -> str:
    columns = [(name, kind, None) for name, kind in LOG]
    comment = "One row per published generation of a window; the readers' views join it."
    return _create_table(plan.databricks.publish_log, columns, ("table_name", "tenant_id"), comment)


def add_columns(table: str, columns: Sequence[tuple[str, str]]) -> str:
    added = ", ".join(f"{quote(name)} {kind}" for name, kind in columns)
    return f"ALTER TABLE {quote_path(table)} ADD COLUMNS ({added})"


def table_columns(catalog: str) -> str:
    """Columns of one table as the metastore knows them. Parameters: schema, table."""
    return f"""\
SELECT column_name, full_data_type
FROM {quote(catalog)}.information_schema.columns
WHERE table_schema = :schema AND table_name = :table
ORDER BY ordinal_position"""


def create_qa_log(plan: TablePlan) -> str:
    columns = [(name, kind, None) for name, kind in QA_LOG]
    comment = "One row per attempt at a window, whatever became of it; only ever appended to."
    table = _create_table(plan.databricks.qa_log, columns, ("tenant_id", "as_of_date"), comment)
    return f"{table}\nTBLPROPERTIES ('delta.appendOnly' = 'true')"


def insert_qa_log(plan: TablePlan) -> str:
    names = ", ".join(quote(name) for name, _ in QA_LOG)
    values = ", ".join(f":{name}" for name, _ in QA_LOG)
    return f"INSERT INTO {quote_path(plan.databricks.qa_log)} ({names})\nVALUES ({values})"


def qa_logged(plan: TablePlan) -> str:
    """A row when this attempt has one. Parameters: tenant_id, table_name, window_start, attempt."""
    return f"""\
SELECT attempt
FROM {quote_path(plan.databricks.qa_log)}
WHERE tenant_id = :tenant_id AND table_name = :table_name AND window_start = :window_start AND attempt = :attempt"""


def insert_log(plan: TablePlan) -> str:
    """One row, blindly appended: a statement that reads the log it writes would conflict with other publishers."""
    names = ", ".join(quote(name) for name, _ in LOG)
    values = ", ".join(f":{name}" for name, _ in LOG)
    return f"INSERT INTO {quote_path(plan.databricks.publish_log)} ({names})\nVALUES ({values})"


def log_rows(plan: TablePlan, *, one_window: bool) -> str:
    """What the log holds of one tenant's table, or of one window. Parameters: table_name, tenant_id[, window_start]."""
    names = ", ".join(quote(name) for name, _ in LOG)
    return f"""\
SELECT {names}
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = :table_name AND tenant_id = :tenant_id{_ONE_WINDOW if one_window else ""}
ORDER BY window_start, generation"""


def appends(plan: TablePlan, *, one_window: bool) -> str:
    """Every append of one tenant in the curated table, published or not. Parameters: tenant_id[, window_start]."""
    return f"""\
SELECT window_start, as_of_date, _load_id, _append_id, count(*) AS row_count, max(_loaded_at) AS loaded_at
FROM {quote_path(plan.curated)}
WHERE tenant_id = :tenant_id{_ONE_WINDOW if one_window else ""}
GROUP BY window_start, as_of_date, _load_id, _append_id
ORDER BY window_start, loaded_at, _append_id"""


def append_count(plan: TablePlan) -> str:
    """How many rows of one append there are. Parameters: tenant_id, append_id."""
    return f"""\
SELECT count(*) AS row_count
FROM {quote_path(plan.curated)}
WHERE tenant_id = :tenant_id AND _append_id = :append_id"""


def delete_appends(plan: TablePlan, count: int) -> str:
    """Takes so many appends out of the table. Parameters: tenant_id, append_0, append_1, …

    Blind appends of other runs do not conflict with it. Files stay until VACUUM, so running queries end as they began.
    """
    listed = ", ".join(f":append_{i}" for i in range(count))
    return f"""\
DELETE FROM {quote_path(plan.curated)}
WHERE tenant_id = :tenant_id AND _append_id IN ({listed})"""


def published_windows(plan: TablePlan) -> str:
    """Every window of every table and tenant that starts at `since` or later and was published. Parameter: since."""
    return f"""\
SELECT DISTINCT table_name, tenant_id, window_start
FROM {quote_path(plan.databricks.publish_log)}
WHERE window_start >= :since"""


def append_counts(plan: TablePlan) -> str:
    """Rows of one append, and how many of them do not bear its stamps.

    Parameters: append_id, load_id, tenant_id, as_of_date, window_start.
    """
    stamps = ("tenant_id", "as_of_date", "window_start", "load_id")
    same = " AND ".join(f"{'_load_id' if name == 'load_id' else name} <=> :{name}" for name in stamps)
    return f"""\
SELECT count(*) AS row_count, count(CASE WHEN NOT ({same}) THEN 1 END) AS strange_count
FROM {quote_path(plan.curated)}
WHERE _append_id = :append_id"""


def append_sums(plan: TablePlan, columns: Sequence[str], by: Sequence[str]) -> str:
    """Exact sums of one append per group; groups as text. Parameter: append_id."""
    groups = [f"CAST({quote(name)} AS STRING) AS {quote(f'group_{i}')}" for i, name in enumerate(by)]
    sums = [f"sum({quote(name)}) AS {quote(f'sum_{i}')}" for i, name in enumerate(columns)]
    text = f"SELECT {', '.join(groups + sums)}\nFROM {quote_path(plan.curated)}\nWHERE _append_id = :append_id"
    return f"{text}\nGROUP BY {', '.join(map(quote, by))}" if by else text


def keys_elsewhere(plan: TablePlan) -> str:
    """Keys of one append that also stand in another published window of the tenant, counted per such window.

    Parameters: append_id, table_name, tenant_id, window_start.
    """
    keys = [quote(name) for name in plan.contract.keys]
    return f"""\
SELECT theirs.as_of_date AS as_of_date, count(*) AS key_count
FROM (
  SELECT DISTINCT {", ".join(keys)}
  FROM {quote_path(plan.curated)}
  WHERE _append_id = :append_id
) AS mine
JOIN {quote_path(plan.curated)} AS theirs
  ON {" AND ".join(f"mine.{key} = theirs.{key}" for key in keys)}
JOIN (
{indented(winners(plan, one_tenant=True))}
) AS published
  ON theirs.window_start = published.window_start AND theirs._append_id = published.append_id
WHERE theirs.tenant_id = :tenant_id AND theirs.window_start <> :window_start
GROUP BY theirs.as_of_date
ORDER BY as_of_date"""


def append_duplicates(plan: TablePlan, keys: Sequence[Sequence[str]]) -> str:
    """A row per key: its place in `keys`, and how many rows of one append are beyond the first of theirs.

    Parameter: append_id.
    """
    table, mine = quote_path(plan.curated), "_append_id = :append_id"
    return "\nUNION ALL\n".join(
        duplicates(table, map(quote, key), mine, label=f"{i} AS rule, ") for i, key in enumerate(keys)
    )


def published_rows(plan: TablePlan) -> str:
    """The rows readers see of each window of a time. Parameters: table_name, tenant_id, since, window_start."""
    return f"""\
SELECT window_start, as_of_date, max_by({quote("rows")}, generation) AS row_count
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = :table_name AND tenant_id = :tenant_id
  AND window_start >= :since AND window_start < :window_start
GROUP BY window_start, as_of_date"""


def rows_without_parent(plan: TablePlan, check: Check) -> str:
    """How many rows of one append name a key that its parent has not published; a NULL names none.

    Of a snapshot only the newest window counts, as readers see it. A table that refers to itself finds its rows in this
    append, and those of an event in its other windows as well.
    Parameters: append_id, tenant_id, parent_name; window_start where an event table refers to itself.
    """
    parent, *theirs = map(str, check.arguments)
    pairs = list(zip(map(quote, check.columns), map(quote, theirs), strict=True))
    given = " AND ".join(f"{mine} IS NOT NULL" for mine, _ in pairs)
    own = f"SELECT {', '.join(key for _, key in pairs)} FROM {quote_path(plan.curated)} WHERE _append_id = :append_id"
    itself = parent == plan.contract.ref
    parents = [own] if itself else []
    if not (itself and check.of_newest):
        parents.append(_published_keys(plan, check, [key for _, key in pairs], others_only=itself))
    return f"""\
SELECT count(*) AS row_count
FROM (
  SELECT {", ".join(mine for mine, _ in pairs)}
  FROM {quote_path(plan.curated)}
  WHERE _append_id = :append_id AND {given}
) AS mine
LEFT ANTI JOIN (
{indented((chr(10) + "UNION ALL" + chr(10)).join(parents))}
) AS parents
  ON {" AND ".join(f"mine.{mine} = parents.{key}" for mine, key in pairs)}"""


def published_until(plan: TablePlan) -> str:
    """The newest published day of a parent, NULL for none. Parameters: parent_name, tenant_id."""
    return f"""\
SELECT max(as_of_date) AS as_of_date
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = :parent_name AND tenant_id = :tenant_id"""


def _published_keys(plan: TablePlan, check: Check, keys: Sequence[str], *, others_only: bool) -> str:
    table, _, major = str(check.arguments[0]).partition("@")
    winners = f"""\
SELECT window_start, max_by(append_id, generation) AS append_id
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = :parent_name AND tenant_id = :tenant_id{" AND window_start <> :window_start" if others_only else ""}
GROUP BY window_start"""
    if check.of_newest:
        winners = f"""\
SELECT max(window_start) AS window_start, max_by(append_id, window_start) AS append_id
FROM (
{indented(winners)}
)"""
    return f"""\
SELECT {", ".join(f"theirs.{key}" for key in keys)}
FROM {quote_path(f"{plan.databricks.catalog}.curated.{table}_v{major}")} AS theirs
JOIN (
{indented(winners)}
) AS published
  ON theirs.window_start = published.window_start AND theirs._append_id = published.append_id
WHERE theirs.tenant_id = :tenant_id"""


def append_rows(plan: TablePlan, append_id: str) -> str:
    """One append as a relation inside Soda's texts, which take no parameters; `append_id` was checked to be a UUID."""
    return f"(SELECT * FROM {quote_path(plan.curated)} WHERE {append_filter(append_id)})"


def append_filter(append_id: str) -> str:
    return f"{quote('_append_id')} = '{append_id}'"


def _create_table(
    table: str, columns: Iterable[tuple[str, str, str | None]], cluster: Sequence[str], comment: str
) -> str:
    lines = [f"  {quote(n)} {kind}" + (f" COMMENT {literal(text)}" if text else "") for n, kind, text in columns]
    listed = ",\n".join(lines)
    return f"""\
CREATE TABLE IF NOT EXISTS {quote_path(table)} (
{listed}
)
USING DELTA
CLUSTER BY ({", ".join(map(quote, cluster))})
COMMENT {literal(comment)}"""


def _statistics(plan: TablePlan) -> str:
    """By default Delta keeps statistics of the first 32 columns; what we cluster and filter by stands behind all."""
    names = dict.fromkeys(("tenant_id", "as_of_date", "window_start", "_append_id", *plan.contract.keys))
    listed = ",".join(name if name.isidentifier() else quote(name) for name in names)
    return f"\nTBLPROPERTIES ('delta.dataSkippingStatsColumns' = {literal(listed)})"


def winners(plan: TablePlan, *, one_tenant: bool = False) -> str:
    name = ":table_name" if one_tenant else literal(plan.curated_name)
    tenant = " AND tenant_id = :tenant_id" if one_tenant else ""
    return f"""\
SELECT tenant_id, window_start, max_by(append_id, generation) AS append_id
FROM {quote_path(plan.databricks.publish_log)}
WHERE table_name = {name}{tenant}
GROUP BY tenant_id, window_start"""


def indented(sql: str) -> str:
    return "\n".join(f"  {line}" for line in sql.splitlines())


def literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ")
    return f"'{escaped}'"
