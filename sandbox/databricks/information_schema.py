"""prod.information_schema for statements that ask for it: views over the catalogue's present state."""

from pyspark.sql.connect.session import SparkSession

from sandbox.databricks.catalog import NAME, Catalog
from sandbox.databricks.ddl import Ddl

SCHEMATA = ("catalog_name", "schema_name", "comment")
TABLES = ("table_catalog", "table_schema", "table_name", "table_type", "comment")
COLUMNS = (
    "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "is_nullable", "data_type",
    "full_data_type", "comment",
)  # fmt: skip


def register(spark: SparkSession, catalog: Catalog) -> None:
    """Make schemata, tables and columns answer in this session as the catalogue stands now."""
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {NAME}.information_schema")
    with catalog.lock:
        _view(
            spark,
            "schemata",
            SCHEMATA,
            [[NAME, name.partition(".")[2], note] for name, note in catalog.schemas.items()],
        )
        _view(spark, "tables", TABLES, _tables(catalog))
        _view(spark, "columns", COLUMNS, _columns(catalog))


def _tables(catalog: Catalog) -> list[list[object]]:
    managed = [[*name.split("."), "MANAGED", table.comment] for name, table in catalog.tables.items()]
    views = [[*name.split("."), "VIEW", view.comment] for name, view in catalog.views.items()]
    return [*managed, *views]


def _columns(catalog: Catalog) -> list[list[object]]:
    ddl, rows = Ddl(catalog), []
    for name in [*catalog.tables, *catalog.views]:
        nullable = ddl.nullable(name)
        for position, (column, kind, note) in enumerate(ddl.columns(name)):
            answer = "YES" if nullable[column] else "NO"
            short = {"bigint": "LONG", "smallint": "SHORT", "tinyint": "BYTE"}.get(kind, kind.partition("(")[0].upper())
            rows.append([*name.split("."), column, position, answer, short, kind, note or None])
    return rows


def _view(spark: SparkSession, name: str, columns: tuple[str, ...], rows: list[list[object]]) -> None:
    values = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    empty = ", ".join("CAST(NULL AS STRING)" for _ in columns)
    source = f"VALUES {values}" if rows else f"(SELECT {empty} WHERE false)"
    query = f"SELECT * FROM {source} AS t({', '.join(columns)})"
    spark.sql(f"CREATE OR REPLACE VIEW {NAME}.information_schema.{name} AS {query}")


def _literal(value: object) -> str:
    if value is None:
        return "CAST(NULL AS STRING)"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
