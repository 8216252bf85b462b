"""prod.information_schema for statements that ask for it: views over the catalogue's present state."""

from sandbox.databricks.catalog import NAME, VIEW, Catalog
from sandbox.databricks.ddl import Ddl

SCHEMATA = ("catalog_name", "schema_name", "comment")
TABLES = ("table_catalog", "table_schema", "table_name", "table_type", "comment")
COLUMNS = (
    "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "is_nullable", "data_type",
    "full_data_type", "comment",
)  # fmt: skip


def views(catalog: Catalog) -> dict[str, str]:
    """By name, the statements that make schemata, tables and columns answer as the catalogue stands now."""
    with catalog.lock:
        schemata: list[list[object]] = [[NAME, name.partition(".")[2], note] for name, note in catalog.schemas.items()]
        return {
            "schema": f"CREATE SCHEMA IF NOT EXISTS {NAME}.information_schema",
            "schemata": _view("schemata", SCHEMATA, schemata),
            "tables": _view("tables", TABLES, _tables(catalog)),
            "columns": _view("columns", COLUMNS, _columns(catalog)),
        }


def _tables(catalog: Catalog) -> list[list[object]]:
    managed = [[*name.split("."), "MANAGED", table.comment] for name, table in catalog.tables.items()]
    views = [[*name.split("."), "VIEW", view.comment] for name, view in catalog.views.items()]
    return [*managed, *views]


def _columns(catalog: Catalog) -> list[list[object]]:
    ddl, rows = Ddl(catalog), []
    for name in [*catalog.tables, *catalog.views]:
        for position, ((column, kind, note), nullable) in enumerate(ddl.described(name)):
            answer = "YES" if nullable else "NO"
            short = {"bigint": "LONG", "smallint": "SHORT", "tinyint": "BYTE"}.get(kind, kind.partition("(")[0].upper())
            rows.append([*name.split("."), column, position, answer, short, kind, note or None])
    return rows


def _view(name: str, columns: tuple[str, ...], rows: list[list[object]]) -> str:
    values = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    empty = ", ".join("CAST(NULL AS STRING)" for _ in columns)
    source = f"VALUES {values}" if rows else f"(SELECT {empty} WHERE false)"
    return f"{VIEW} {NAME}.information_schema.{name} AS SELECT * FROM {source} AS t({', '.join(columns)})"


def _literal(value: object) -> str:
    if value is None:
        return "CAST(NULL AS STRING)"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
