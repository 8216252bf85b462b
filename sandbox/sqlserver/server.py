"""The listening server: its databases, its logins, and a thread for every client."""

import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from sandbox.sqlserver import certificate
from sandbox.sqlserver.catalogue import Catalogue, identifier
from sandbox.sqlserver.faults import Faults
from sandbox.sqlserver.session import Session
from sandbox.sqlserver.wire import Channel

log = logging.getLogger("sandbox.sqlserver")

DATABASES: Final = ("shared_sales", "globex_sales", "northwind_sales", "bench")
GRANTS: Final = {
    "shared_reader": ["shared_sales"],
    "globex_reader": ["globex_sales"],
    "northwind_reader": ["northwind_sales"],
    "sa": ["*"],
}
FIRST_SESSION: Final = 51
SETTINGS: Final[dict[str, Any]] = {
    "threads": 2,
    "memory_limit": "2GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class KnownLogin:
    """A login's password and the databases it may open, '*' for all."""

    password: str
    databases: frozenset[str]


def write_private(path: Path, text: str) -> None:
    """Replace path in one step, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def read_logins(path: Path) -> dict[str, KnownLogin]:
    """The logins file, written with random passwords when there is none."""
    if not path.exists():
        made = {name: {"password": secrets.token_urlsafe(18), "databases": open_} for name, open_ in GRANTS.items()}
        write_private(path, json.dumps(made, indent=1))
    known = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: KnownLogin(said["password"], frozenset(database.lower() for database in said["databases"]))
        for name, said in known.items()
    }


class Server:
    """DuckDB databases behind a TDS port; everything stays in home."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        self.logins = read_logins(home / "logins.json")
        self.tls = certificate.context(home / "certificate.pem")
        self.connection = duckdb.connect(":memory:", config=SETTINGS)
        self.connection.execute("SET TimeZone = 'UTC'")
        self.catalogue = Catalogue(self.connection.cursor())
        for name in DATABASES:
            path = str(home / f"{name}.duckdb").replace("'", "''")
            self.connection.execute(f"ATTACH '{path}' AS {identifier(name)}")
            self.catalogue.add(name)
        self.faults = Faults()
        self._lock = threading.Lock()
        self._number = FIRST_SESSION
        self._sessions: dict[int, tuple[Session, Channel]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def port(self) -> int:
        number: int = self._listener.getsockname()[1]
        return number

    def start(self) -> None:
        # The first Arrow result loads libraries for a second; no client should have to wait for that.
        self.connection.sql("SELECT 1").to_arrow_reader(1).close()
        threading.Thread(target=self._accept, name="tds-listener", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # stop() closed it
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = Channel(client)
            refusal = self.faults.find("refuse_connections")
            if refusal and self.faults.strike(refusal):
                channel.cut()
                continue
            self._begin(channel)

    def _begin(self, channel: Channel) -> None:
        with self._lock:
            number, self._number = self._number, self._number + 1
        session = Session(self, channel, number)
        self._sessions[number] = session, channel

        def run() -> None:
            try:
                session.serve()
            finally:
                self._sessions.pop(number, None)

        threading.Thread(target=run, name=f"tds-session-{number}", daemon=True).start()

    def sessions(self) -> list[dict[str, Any]]:
        """Who is logged in and what they asked last."""
        return [
            {
                "session": session.number, "login": session.login, "database": session.database,
                "application": session.application, "state": session.state, "request": session.request,
            }
            for session, _ in list(self._sessions.values())
        ]  # fmt: skip

    def execute(self, database: str, sql: str) -> list[list[Any]]:
        """Run DuckDB SQL as a writer of its own and commit it; returns the rows of the last statement."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(f"USE {identifier(database)}.dbo")
            rows = cursor.execute(sql).fetchall()
            return [list(row) for row in rows]
        finally:
            cursor.close()

    def stop(self, then: Callable[[], None] = lambda: None) -> None:
        """Hang up on everybody and close the databases."""
        self._listener.close()
        for _, channel in list(self._sessions.values()):
            channel.close()
        then()
        for name in DATABASES:
            self.connection.execute(f"CHECKPOINT {identifier(name)}")
        self.connection.close()
