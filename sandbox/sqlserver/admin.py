"""The stand-in's back door: HTTP and JSON on loopback, for the seed, for changes of data and for faults."""

import json
import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import duckdb

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.catalogue import CatalogueError, Column, Index
from sandbox.sqlserver.faults import Fault
from sandbox.sqlserver.server import Server

log = logging.getLogger("sandbox.sqlserver")

Body = dict[str, Any]


def _execute(server: Server, body: Body) -> Any:
    return server.execute(body["database"], body["sql"])


def _create_table(server: Server, body: Body) -> Any:
    columns = [
        Column(said["name"], sqltypes.parse(said["type"]), said["nullable"], number)
        for number, said in enumerate(body["columns"], start=1)
    ]
    indexes = [Index(said["name"], tuple(said["columns"]), said["unique"], said["primary"]) for said in body["indexes"]]
    server.catalogue.create(body["database"], body["schema"], body["table"], columns, indexes)
    return None


def _drop_table(server: Server, body: Body) -> Any:
    server.catalogue.drop(body["database"], body["schema"], body["table"])


def _change_column(server: Server, body: Body) -> Any:
    place = (body["database"], body["schema"], body["table"])
    catalogue, column = server.catalogue, body["column"]
    if body["change"] == "rename":
        catalogue.rename_column(*place, column, body["to"])
    elif body["change"] == "retype":
        catalogue.retype_column(*place, column, sqltypes.parse(body["type"]), body["nullable"])
    elif body["change"] == "drop":
        catalogue.drop_column(*place, column)
    elif body["change"] == "add":
        catalogue.add_column(*place, column, sqltypes.parse(body["type"]))
    else:
        raise CatalogueError(f"no such change: {body['change']}")


def _declare(server: Server, body: Body) -> Any:
    server.catalogue.declare(body["database"], body["schema"], body["table"], body["what"])


def _tables(server: Server, body: Body) -> Any:
    database = server.catalogue.database(body["database"])
    if database is None:
        raise CatalogueError(f"no database {body['database']}")
    return {
        f"{table.schema}.{table.name}": [
            {"name": column.name, "type": str(column.kind), "nullable": column.nullable} for column in table.columns
        ]
        for table in database.tables.values()
    }


def _fault(server: Server, body: Body) -> Any:
    fault = Fault(**body)
    if fault.kind == "snapshot_off":
        server.catalogue.allow_snapshot(fault.database, allowed=False)
    else:
        server.faults.plan(fault)


def _clear_faults(server: Server, body: Body) -> Any:
    server.faults.clear()
    server.catalogue.allow_snapshot(None, allowed=True)


def _sessions(server: Server, body: Body) -> Any:
    return server.sessions()


ACTIONS: Final[dict[str, Callable[[Server, Body], Any]]] = {
    "/execute": _execute, "/create_table": _create_table, "/drop_table": _drop_table, "/change_column": _change_column,
    "/declare": _declare, "/tables": _tables, "/fault": _fault, "/clear_faults": _clear_faults, "/sessions": _sessions,
}  # fmt: skip


def serve(server: Server) -> ThreadingHTTPServer:
    """The admin server on a free port of loopback, not yet running."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            action = ACTIONS.get(self.path)
            if action is None:
                self._answer(404, {"error": f"no such action: {self.path}"})
                return
            try:
                self._answer(200, {"result": action(server, body)})
            except (duckdb.Error, CatalogueError, KeyError, TypeError, ValueError) as error:
                self._answer(400, {"error": f"{type(error).__name__}: {error}"})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content, default=str).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
