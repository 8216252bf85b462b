"""The stand-in as the rest of the sandbox and the tests see it: connections, changes of data, faults."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

LOGINS: Final = {
    "mssql_shared1": ("shared_reader", "shared_sales"),
    "mssql_globex": ("globex_reader", "globex_sales"),
    "mssql_northwind": ("northwind_reader", "northwind_sales"),
}


class SqlServerError(Exception):
    """The stand-in refused what it was asked to do through its back door."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column to create: its T-SQL type, and whether it may be NULL."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index to declare; it shows in sys.indexes and speeds nothing up."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    primary: bool = False


class SqlServer:
    """A running stand-in, found by the run directory it serves."""

    def __init__(self, run_dir: Path | str) -> None:
        self.run_dir = Path(run_dir)

    def _info(self) -> dict[str, int]:
        path = self.run_dir / "sqlserver.json"
        if not path.exists():
            raise SqlServerError(f"no SQL Server stand-in runs in {self.run_dir}: python -m sandbox up starts it")
        info: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
        return info

    @property
    def port(self) -> int:
        return self._info()["port"]

    @property
    def pid(self) -> int:
        return self._info()["pid"]

    @property
    def logins(self) -> dict[str, str]:
        """Passwords by login."""
        said = json.loads((self.run_dir / "sqlserver" / "logins.json").read_text(encoding="utf-8"))
        return {name: entry["password"] for name, entry in said.items()}

    def connection(self, conn_id: str) -> dict[str, Any]:
        """The Airflow connection of that id, in Airflow's JSON form.

        extra holds nothing but arguments of pymssql.connect, as MsSqlHook hands all of it over: TLS is required.
        """
        login, database = LOGINS[conn_id]
        return {
            "conn_type": "mssql",
            "host": "127.0.0.1",
            "port": self.port,
            "login": login,
            "password": self.logins[login],
            "schema": database,
            "extra": {"encryption": "require"},
        }

    def connection_string(self, database: str, login: str = "sa", *, encrypt: bool = True) -> str:
        """For mssql-python and, behind a DRIVER, for pyodbc."""
        security = "Encrypt=yes;TrustServerCertificate=yes" if encrypt else "Encrypt=no"
        place = f"SERVER=127.0.0.1,{self.port};DATABASE={database}"
        return f"{place};UID={login};PWD={{{self.logins[login]}}};{security};"

    def _post(self, action: str, **body: Any) -> Any:
        connection = HTTPConnection("127.0.0.1", self._info()["admin_port"], timeout=120)
        try:
            connection.request("POST", f"/{action}", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise SqlServerError(f"{action}: {content['error']}")
        return content["result"]

    def execute(self, database: str, duckdb_sql: str) -> list[list[Any]]:
        """Another writer: runs DuckDB SQL in the database's schema dbo and commits. Values come back as JSON."""
        rows: list[list[Any]] = self._post("execute", database=database, sql=duckdb_sql)
        return rows

    def create_table(
        self, database: str, table: str, columns: Sequence[ColumnSpec], indexes: Sequence[IndexSpec] = ()
    ) -> None:
        """Create `schema.table` with declared T-SQL types."""
        schema, name = table.split(".")
        self._post(
            "create_table", database=database, schema=schema, table=name,
            columns=[{"name": c.name, "type": c.type, "nullable": c.nullable} for c in columns],
            indexes=[
                {"name": i.name, "columns": list(i.columns), "unique": i.unique, "primary": i.primary} for i in indexes
            ],
        )  # fmt: skip

    def drop_table(self, database: str, table: str) -> None:
        schema, name = table.split(".")
        self._post("drop_table", database=database, schema=schema, table=name)

    def tables(self, database: str) -> dict[str, list[dict[str, Any]]]:
        """Declared columns by `schema.table`."""
        found: dict[str, list[dict[str, Any]]] = self._post("tables", database=database)
        return found

    def _change(self, database: str, table: str, column: str, change: str, **body: Any) -> None:
        schema, name = table.split(".")
        self._post("change_column", database=database, schema=schema, table=name, column=column, change=change, **body)

    def rename_column(self, database: str, table: str, column: str, to: str) -> None:
        self._change(database, table, column, "rename", to=to)

    def retype_column(self, database: str, table: str, column: str, kind: str, *, nullable: bool = True) -> None:
        self._change(database, table, column, "retype", type=kind, nullable=nullable)

    def drop_column(self, database: str, table: str, column: str) -> None:
        self._change(database, table, column, "drop")

    def add_column(self, database: str, table: str, column: str, kind: str) -> None:
        self._change(database, table, column, "add", type=kind)

    def declare(self, database: str, table: str, **what: Any) -> None:
        """Say more of a table: columns={name: {…}}, foreign_keys=[…], temporal=, history=, unmask=[login, …].

        For its catalogue alone, but for a mask: a masked column is refused to a login without UNMASK.
        The keys of a column are those of catalogue.Traits, of a foreign key those of catalogue.ForeignKey.
        """
        schema, name = table.split(".")
        self._post("declare", database=database, schema=schema, table=name, what=what)

    def fault(self, kind: str, **args: Any) -> None:
        """Plan a failure: cut, stall, short, deadlock, snapshot_off, refuse_login or refuse_connections.

        times (1; None for ever), login, table and database narrow it; after_rows and seconds shape cut, stall and
        short (a result that ends there as if it were complete).
        snapshot_off lasts until clear_faults().
        """
        self._post("fault", kind=kind, **args)

    def clear_faults(self) -> None:
        self._post("clear_faults")

    def sessions(self) -> list[dict[str, Any]]:
        """Every session: its number, login, database, application, state and last request."""
        found: list[dict[str, Any]] = self._post("sessions")
        return found
