"""The stand-in's Unity Catalog: schemas, tables, views and grants in one JSON file; columns are read from Delta."""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.databricks.errors import SqlError
from sandbox.services import read_json, write_private

NAME = "prod"
VIEW = "CREATE OR REPLACE VIEW"
BUILT_IN_SCHEMAS = ("default", "information_schema")


@dataclass
class Table:
    """A Delta table. What Delta itself keeps (columns, their comments) is not repeated here."""

    name: str
    location: str
    comment: str = ""
    cluster_by: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


@dataclass
class View:
    """A view: its query as written, and the columns that Spark made of it as [name, type, comment]."""

    name: str
    query: str
    comment: str = ""
    columns: list[list[str]] = field(default_factory=list)


class Catalog:
    """Names are lower case, as Unity Catalog keeps them. Writers hold `lock`; every write is on disk at return."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        state = read_json(folder / "catalog.json")
        self.schemas: dict[str, str] = state.get("schemas", {})
        self.tables = {each["name"]: Table(**each) for each in state.get("tables", [])}
        self.views = {each["name"]: View(**each) for each in state.get("views", [])}
        self.grants: list[list[str]] = state.get("grants", [])

    def save(self) -> None:
        state: dict[str, Any] = {
            "schemas": self.schemas,
            "tables": [asdict(table) for table in self.tables.values()],
            "views": [asdict(view) for view in self.views.values()],
            "grants": self.grants,
        }
        write_private(self.folder / "catalog.json", json.dumps(state, indent=1))

    def new_location(self, name: str) -> Path:
        """The folder for a new table's files."""
        return self.folder / "warehouse" / Path(*name.split("."))

    def require_schema(self, schema: str) -> None:
        catalog, _, short = schema.partition(".")
        if catalog != NAME:
            raise SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{catalog}' was not found.")
        if schema not in self.schemas and short not in BUILT_IN_SCHEMAS:
            raise SqlError("SCHEMA_NOT_FOUND", f"The schema `{catalog}`.`{short}` cannot be found.")

    def table(self, name: str) -> Table:
        if name not in self.tables:
            raise SqlError("TABLE_OR_VIEW_NOT_FOUND", f"The table or view `{name}` cannot be found.")
        return self.tables[name]

    def kind(self, name: str) -> str | None:
        """TABLE, VIEW or SCHEMA of a name that exists, else None."""
        if name in self.tables:
            return "TABLE"
        if name in self.views:
            return "VIEW"
        return "SCHEMA" if name in self.schemas else None

    def registrations(self) -> dict[str, str]:
        """By name, the statements that make a fresh Spark session know everything here, in order."""
        with self.lock:
            schemas = {name: f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}" for name in self.schemas}
            tables = {name: registration(table) for name, table in self.tables.items()}
            views = {name: f"{VIEW} {quoted(name)} AS {view.query}" for name, view in self.views.items()}
        return schemas | tables | views


def is_view(statement: str | None) -> bool:
    return statement is not None and statement.startswith(VIEW)


def quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in name.split("."))


def registration(table: Table) -> str:
    return f"CREATE TABLE IF NOT EXISTS {quoted(table.name)} USING DELTA LOCATION '{table.location}'"
