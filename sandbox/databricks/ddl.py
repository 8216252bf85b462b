"""DDL, DESCRIBE, SHOW and GRANT, carried out on the stand-in's catalogue and on Delta by delta-rs."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType
from pyspark.sql.connect.session import SparkSession
from sqlglot import exp

from sandbox.databricks.catalog import NAME, Catalog, Table, View, quoted
from sandbox.databricks.errors import SqlError

DELTA_TYPES = {
    "STRING": "string", "BIGINT": "long", "LONG": "long", "INT": "integer", "SMALLINT": "short", "TINYINT": "byte",
    "DOUBLE": "double", "FLOAT": "float", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp",
    "TIMESTAMP_NTZ": "timestamp_ntz", "BINARY": "binary",
}  # fmt: skip
SQL_TYPES = {delta: sql.lower() for sql, delta in reversed(DELTA_TYPES.items())}
PRIVILEGES = {
    "SELECT", "MODIFY", "USE CATALOG", "USE SCHEMA", "CREATE TABLE", "CREATE SCHEMA", "ALL PRIVILEGES", "APPLY TAG",
    "BROWSE", "MANAGE", "REFRESH", "EXECUTE", "READ VOLUME", "WRITE VOLUME",
}  # fmt: skip
EMPTY = pa.table({})


def table_of(**columns: Sequence[str | None]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


class Ddl:
    """Carries out one statement at a time under the catalogue's lock; `spark` checks the query of a view."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def run(self, sql: str, statement: exp.Expression, spark: SparkSession) -> pa.Table:
        """The statement's result; raises SqlError for what Databricks, or this stand-in, does not take."""
        with self.catalog.lock:
            match statement:
                case exp.Create():
                    result = self._create(sql, statement, spark)
                case exp.Alter():
                    result = self._alter(statement)
                case exp.Drop():
                    result = self._drop(statement)
                case exp.Comment():
                    result = self._comment(statement)
                case exp.Grant() | exp.Revoke():
                    result = self._grant(statement)
                case exp.Describe():
                    return self._describe(statement)
                case exp.Command() if str(statement.this).upper() == "SHOW":
                    return self._show(str(statement.expression.this))
                case _:
                    raise unsupported(statement)
            self.catalog.save()
            return result

    def _create(self, sql: str, statement: exp.Create, spark: SparkSession) -> pa.Table:
        match statement.kind:
            case "SCHEMA":
                return self._create_schema(statement)
            case "TABLE":
                return self._create_table(statement)
            case "VIEW":
                return self._create_view(sql, statement, spark)
        raise unsupported(statement)

    def _create_schema(self, statement: exp.Create) -> pa.Table:
        name = schema_name(statement.this)
        if name.partition(".")[0] != NAME:
            raise SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{name.partition('.')[0]}' was not found.")
        if name in self.catalog.schemas and not statement.args.get("exists"):
            raise SqlError("SCHEMA_ALREADY_EXISTS", f"Cannot create schema `{name}` because it already exists.")
        self.catalog.schemas.setdefault(name, comment_of(statement))
        return EMPTY

    def _create_table(self, statement: exp.Create) -> pa.Table:
        definition = statement.this
        if not isinstance(definition, exp.Schema) or statement.expression or statement.args.get("replace"):
            raise unsupported(statement, "a table is created by its columns only")
        name = self._new_name(definition.this)
        if self.catalog.kind(name):
            if statement.args.get("exists"):
                return EMPTY
            raise SqlError("TABLE_OR_VIEW_ALREADY_EXISTS", f"Cannot create table or view `{name}`: it already exists.")
        table = Table(name, str(self.catalog.new_location(name)))
        read_properties(statement, table)
        fields = [delta_field(column) for column in definition.expressions]
        unknown = sorted(set(table.cluster_by) - {field.name for field in fields})
        if unknown:
            raise SqlError("COLUMN_NOT_DEFINED_IN_TABLE", f"CLUSTER BY names unknown columns: {', '.join(unknown)}")
        Path(table.location).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(table.location, schema=Schema(fields), mode="error", description=table.comment or None)
        self.catalog.tables[name] = table
        return EMPTY

    def _create_view(self, sql: str, statement: exp.Create, spark: SparkSession) -> pa.Table:
        definition = statement.this
        target = definition.this if isinstance(definition, exp.Schema) else definition
        name = self._new_name(target)
        if self.catalog.kind(name) == "TABLE" or (name in self.catalog.views and not statement.args.get("replace")):
            if statement.args.get("exists") and name in self.catalog.views:
                return EMPTY
            raise SqlError("TABLE_OR_VIEW_ALREADY_EXISTS", f"Cannot create table or view `{name}`: it already exists.")
        named = definition.expressions if isinstance(definition, exp.Schema) else []
        query = view_query(sql)
        fields = spark.sql(query).schema.fields
        if named:
            query = f"SELECT * FROM ({query}) AS v({', '.join(f'`{each.name}`' for each in named)})"
            fields = spark.sql(query).schema.fields
        names = [each.name.lower() for each in fields]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise SqlError("COLUMN_ALREADY_EXISTS", f"The column `{double[0]}` already exists.")
        comments = [comment_of_column(each) for each in named] or [""] * len(fields)
        types = [each.dataType.simpleString() for each in fields]
        columns = [[each.name, kind, note] for each, kind, note in zip(fields, types, comments, strict=True)]
        spark.sql(f"CREATE OR REPLACE VIEW {quoted(name)} AS {query}")
        self.catalog.views[name] = View(name, query, comment_of(statement), columns)
        return EMPTY

    def _alter(self, statement: exp.Alter) -> pa.Table:
        table = self.catalog.table(full_name(statement.this))
        delta = DeltaTable(table.location)
        for action in statement.args["actions"]:
            columns = action.expressions if isinstance(action, exp.Schema) else [action]
            if all(isinstance(column, exp.ColumnDef) for column in columns):
                self._add_columns(delta, columns)
            elif isinstance(action, exp.AlterSet) and isinstance(action.expressions[0], exp.Properties):
                table.properties |= pairs(action.expressions[0])
            elif isinstance(action, exp.ClusterProperty):
                table.cluster_by = [column.name.lower() for column in action.expressions]
            elif isinstance(action, exp.AlterColumn) and action.args.get("comment"):
                note = {"comment": action.args["comment"].name}
                delta.alter.set_column_metadata(action.this.name, note)
            else:
                raise unsupported(statement)
        return EMPTY

    def _add_columns(self, delta: DeltaTable, columns: list[exp.ColumnDef]) -> None:
        known = {field.name.lower() for field in delta.schema().fields}
        fields = [delta_field(column) for column in columns]
        double = sorted(field.name for field in fields if field.name.lower() in known)
        if double:
            raise SqlError("FIELD_ALREADY_EXISTS", f"Cannot add column, because `{double[0]}` already exists.")
        if any(not field.nullable for field in fields):
            raise SqlError("DELTA_ADD_COLUMN_NOT_NULL", "A column that is added to a Delta table must be nullable.")
        delta.alter.add_columns(fields)

    def _drop(self, statement: exp.Drop) -> pa.Table:
        kind = statement.args["kind"]
        for target in statement.args["tables"]:
            name = schema_name(target) if kind == "SCHEMA" else full_name(target)
            if self.catalog.kind(name) != kind:
                if statement.args.get("exists") and self.catalog.kind(name) is None:
                    continue
                raise SqlError("TABLE_OR_VIEW_NOT_FOUND", f"The {kind.lower()} `{name}` cannot be found.")
            self._drop_one(kind, name)
        return EMPTY

    def _drop_one(self, kind: str, name: str) -> None:
        if kind == "VIEW":
            del self.catalog.views[name]
        elif kind == "TABLE":
            shutil.rmtree(self.catalog.tables.pop(name).location)
        elif any(each.startswith(f"{name}.") for each in [*self.catalog.tables, *self.catalog.views]):
            raise SqlError("SCHEMA_NOT_EMPTY", f"Cannot drop a schema `{name}` because it contains objects.")
        else:
            del self.catalog.schemas[name]

    def _comment(self, statement: exp.Comment) -> pa.Table:
        text = statement.expression.name
        kind = str(statement.args["kind"]).upper()
        if kind == "TABLE":
            name = full_name(statement.this)
            target: Table | View = self.catalog.views.get(name) or self.catalog.table(name)
            target.comment = text
        elif kind == "SCHEMA":
            name = schema_name(statement.this)
            self.catalog.require_schema(name)
            self.catalog.schemas[name] = text
        else:
            raise unsupported(statement)
        return EMPTY

    def _grant(self, statement: exp.Grant | exp.Revoke) -> pa.Table:
        kind, name = self._securable(str(statement.args["kind"] or "TABLE"), statement.args["securable"])
        for privilege in statement.args["privileges"]:
            action = privilege.this.name.upper()
            if action not in PRIVILEGES:
                raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near '{action}'.")
            for principal in statement.args["principals"]:
                grant = [principal.this.name, action, kind, name]
                self.catalog.grants = [each for each in self.catalog.grants if each != grant]
                if isinstance(statement, exp.Grant):
                    self.catalog.grants.append(grant)
        return EMPTY

    def _securable(self, kind: str, target: exp.Table) -> tuple[str, str]:
        kind = kind.upper()
        if kind == "CATALOG":
            return kind, target.name.lower()
        if kind == "SCHEMA":
            name = schema_name(target)
            self.catalog.require_schema(name)
            return kind, name
        name = full_name(target)
        if self.catalog.kind(name) not in ("TABLE", "VIEW"):
            raise SqlError("TABLE_OR_VIEW_NOT_FOUND", f"The table or view `{name}` cannot be found.")
        return "TABLE", name

    def _describe(self, statement: exp.Describe) -> pa.Table:
        if statement.args.get("style") not in (None, "EXTENDED"):
            raise unsupported(statement)
        if str(statement.args.get("kind") or "TABLE").upper() != "TABLE":
            raise unsupported(statement)
        name = full_name(statement.this)
        rows = [[column, kind, note or None] for column, kind, note in self.columns(name)]
        clustered = self.catalog.tables[name].cluster_by if name in self.catalog.tables else []
        if clustered:
            by_name = {row[0]: row for row in rows}
            heads: list[list[str | None]] = [
                ["# Clustering Information", "", ""],
                ["# col_name", "data_type", "comment"],
            ]
            rows = [*rows, *heads, *(by_name[column] for column in clustered)]
        names, types, comments = ([row[part] for row in rows] for part in range(3))
        return table_of(col_name=names, data_type=types, comment=comments)

    def columns(self, name: str) -> list[list[str]]:
        """[name, type, comment] of every column of a table or view."""
        return [column for column, _ in self.described(name)]

    def described(self, name: str) -> list[tuple[list[str], bool]]:
        """[name, type, comment] of every column of a table or view, and whether it may be NULL."""
        if name in self.catalog.views:
            return [(column, True) for column in self.catalog.views[name].columns]
        fields = DeltaTable(self.catalog.table(name).location, without_files=True).schema().fields
        return [([f.name, sql_type(f), str(f.metadata.get("comment", ""))], f.nullable) for f in fields]

    def _show(self, words: str) -> pa.Table:
        catalog = self.catalog
        if match := re.fullmatch(r"\s*(?:SCHEMAS|DATABASES)(?:\s+(?:IN|FROM)\s+(\S+))?\s*", words, re.IGNORECASE):
            names = [name.partition(".")[2] for name in catalog.schemas]
            return table_of(databaseName=sorted([*names, "default", "information_schema"]))
        if match := re.fullmatch(r"\s*(TABLES|VIEWS)\s+(?:IN|FROM)\s+(\S+)\s*", words, re.IGNORECASE):
            return self._show_tables(match[1].upper(), unquoted(match[2]))
        if match := re.fullmatch(r"\s*TBLPROPERTIES\s+(\S+)\s*", words, re.IGNORECASE):
            properties = catalog.table(unquoted(match[1])).properties
            return table_of(key=sorted(properties), value=[properties[key] for key in sorted(properties)])
        if match := re.fullmatch(r"\s*GRANTS\s+ON\s+(\w+)\s+(\S+)\s*", words, re.IGNORECASE):
            kind = "TABLE" if match[1].upper() == "VIEW" else match[1].upper()
            found = [grant for grant in catalog.grants if grant[2:] == [kind, unquoted(match[2])]]
            principals, actions, kinds, keys = ([grant[part] for grant in found] for part in range(4))
            return table_of(Principal=principals, ActionType=actions, ObjectType=kinds, ObjectKey=keys)
        raise SqlError("UNSUPPORTED_FEATURE", f"The stand-in does not know SHOW {words.strip()}.")

    def _show_tables(self, what: str, schema: str) -> pa.Table:
        self.catalog.require_schema(schema)
        every = [*self.catalog.views] if what == "VIEWS" else [*self.catalog.tables, *self.catalog.views]
        names: list[str | None] = [name.rpartition(".")[2] for name in every if name.startswith(f"{schema}.")]
        column = "viewName" if what == "VIEWS" else "tableName"
        short = schema.partition(".")[2]
        return table_of(database=[short] * len(names), **{column: names}, isTemporary=["false"] * len(names))

    def _new_name(self, target: exp.Table) -> str:
        name = full_name(target)
        self.catalog.require_schema(name.rpartition(".")[0])
        return name


def full_name(target: exp.Expression) -> str:
    """The three-part name of a table in lower case; two parts and one are refused: the product always says all."""
    if not isinstance(target, exp.Table) or not (target.catalog and target.db and target.name):
        raise SqlError("UNSUPPORTED_FEATURE", f"The stand-in wants three-part names, not {target.sql('databricks')}.")
    return f"{target.catalog}.{target.db}.{target.name}".lower()


def schema_name(target: exp.Table) -> str:
    parts = [part.name for part in target.parts]
    if len(parts) != 2:
        raise SqlError("UNSUPPORTED_FEATURE", "The stand-in wants two-part schema names.")
    return ".".join(parts).lower()


def unquoted(name: str) -> str:
    return name.replace("`", "").lower()


def unsupported(statement: exp.Expression, why: str = "") -> SqlError:
    words = " ".join(statement.sql("databricks").split())[:80]
    return SqlError(
        "UNSUPPORTED_FEATURE", f"The stand-in does not know this statement ({why or 'see rewrites.md'}): {words}"
    )


def view_query(sql: str) -> str:
    """What stands after the AS that ends the head of CREATE VIEW, as written."""
    head = re.match(
        r"""\s*CREATE\s+(?:OR\s+REPLACE\s+)?VIEW\b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|[^'"`])*?\sAS\s+(?=SELECT\b|WITH\b|\()""",
        sql,
        re.IGNORECASE,
    )
    if head is None:
        raise SqlError("PARSE_SYNTAX_ERROR", "The stand-in finds no query in this CREATE VIEW.")
    return sql[head.end() :].rstrip().rstrip(";")


def delta_field(column: exp.ColumnDef) -> Field:
    """A Delta field of a column definition; constraints other than NOT NULL and COMMENT are refused."""
    if not isinstance(column, exp.ColumnDef) or column.kind is None:
        raise unsupported(column, "a table has columns only")
    nullable, metadata = True, {}
    for constraint in column.constraints:
        if isinstance(constraint.kind, exp.NotNullColumnConstraint) and not constraint.kind.args.get("allow_null"):
            nullable = False
        elif isinstance(constraint.kind, exp.CommentColumnConstraint):
            metadata["comment"] = constraint.kind.this.name
        else:
            raise unsupported(column)
    return Field(column.name, delta_type(column.kind), nullable=nullable, metadata=metadata)


def delta_type(kind: exp.DataType) -> PrimitiveType:
    text = kind.sql("databricks").upper().replace(" ", "")
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", text)
    if decimal and int(decimal[2]) <= int(decimal[1]) <= 38:
        return PrimitiveType(text.lower())
    if text not in DELTA_TYPES:
        raise SqlError("UNSUPPORTED_DATATYPE", f"Unsupported data type {text}.")
    return PrimitiveType(DELTA_TYPES[text])


def sql_type(field: Field) -> str:
    kind: Any = field.type
    return SQL_TYPES.get(kind.type, str(kind.type))


def comment_of(statement: exp.Create) -> str:
    properties = statement.args.get("properties")
    found = properties.find(exp.SchemaCommentProperty) if properties else None
    return str(found.this.name) if found else ""


def comment_of_column(column: exp.Expression) -> str:
    found = column.find(exp.CommentColumnConstraint)
    return str(found.this.name) if found else ""


def pairs(properties: exp.Properties) -> dict[str, str]:
    return {each.this.name: each.args["value"].name for each in properties.expressions}


def read_properties(statement: exp.Create, table: Table) -> None:
    """Take comment, clustering and properties of CREATE TABLE over; refuse formats and options beyond these."""
    properties = statement.args.get("properties")
    for each in properties.expressions if properties else []:
        match each:
            case exp.SchemaCommentProperty():
                table.comment = each.this.name
            case exp.FileFormatProperty() if each.this.name.upper() == "DELTA":
                continue
            case exp.ClusterProperty() | exp.Cluster():
                table.cluster_by = [column.name.lower() for column in each.expressions]
            case exp.Property() if isinstance(each.this, exp.Literal):
                table.properties[each.this.name] = each.args["value"].name
            case _:
                raise unsupported(statement, f"{type(each).__name__} of CREATE TABLE")
