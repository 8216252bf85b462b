"""A SQL Server stand-in of a test session's own, and the four ways to ask it something."""

import importlib.resources
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["MSSQL_PYTHON_NATIVE_PROVIDER"] = "msodbcsql18"

import mssql_python
import pymssql
import pyodbc
import pytest

from sandbox.services import Service
from sandbox.sqlserver.client import SqlServer

HOME = "shared_sales"


def start_sqlserver(run_dir: Path) -> Service:
    service = Service("sqlserver", run_dir)
    service.start()
    service.wait_ready(60)
    return service


Row = tuple[Any, ...]
_running: list[SqlServer] = []


@pytest.fixture(scope="session")
def sqlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    # Every module that imports the fixture gets one of its own; all of them share one server.
    if _running:
        yield _running[0]
        return
    run_dir = tmp_path_factory.mktemp("sqlserver")
    service = start_sqlserver(run_dir)
    _running.append(SqlServer(run_dir))
    yield _running[0]
    _running.clear()
    service.stop()


def with_mssql_python(sqlserver: SqlServer, database: str = HOME, *, encrypt: bool = True, **more: Any) -> Any:
    return mssql_python.connect(sqlserver.connection_string(database, encrypt=encrypt), **more)


def with_pymssql(
    sqlserver: SqlServer, database: str = HOME, *, encrypt: bool = True, login: str = "sa", **more: Any
) -> Any:
    return pymssql.connect(
        server="127.0.0.1",
        port=str(sqlserver.port),
        user=login,
        password=sqlserver.logins[login],
        database=database,
        encryption="require" if encrypt else "off",
        **more,
    )


def odbc_driver() -> Path:
    """The driver that mssql-python ships."""
    home = Path(str(importlib.resources.files("mssql_python_odbc"))) / "libs" / "linux" / "debian_ubuntu"
    return next(home.rglob("libmsodbcsql-18*"))


def with_pyodbc(sqlserver: SqlServer, database: str = HOME, *, encrypt: bool = True, **more: Any) -> Any:
    # unixODBC would pool the connection and keep its session alive after close().
    pyodbc.pooling = False
    return pyodbc.connect(
        f"DRIVER={{{odbc_driver()}}};{sqlserver.connection_string(database, encrypt=encrypt)}", **more
    )


DRIVERS = {"mssql-python": with_mssql_python, "pymssql": with_pymssql, "pyodbc": with_pyodbc}


def ask(sqlserver: SqlServer, sql: str, *parameters: Any, database: str = HOME, login: str = "sa") -> list[Row]:
    """Rows of one statement, by a connection of its own."""
    with pymssql_autocommit(sqlserver, database, login) as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return [tuple(row) for row in cursor.fetchall()]


def pymssql_autocommit(sqlserver: SqlServer, database: str = HOME, login: str = "sa") -> Any:
    return with_pymssql(sqlserver, database, login=login, encrypt=False, autocommit=True)


def value_of(sqlserver: SqlServer, expression: str, *parameters: Any, database: str = HOME) -> Any:
    return ask(sqlserver, f"SELECT {expression}", *parameters, database=database)[0][0]


def refusal(sqlserver: SqlServer, sql: str, *, database: str = HOME, login: str = "sa") -> int:
    """The number of the error that the statement must raise."""
    with pytest.raises(pymssql.Error) as caught:
        ask(sqlserver, sql, database=database, login=login)
    number = caught.value.args[0]
    return int(number[0] if isinstance(number, tuple) else number)
