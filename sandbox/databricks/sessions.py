"""Spark sessions that know the catalogue, kept for the next statement."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql.connect.session import SparkSession

from sandbox.databricks.catalog import Catalog, is_view

# Sail forgets an idle session after SAIL_TIMEOUT; one that is nearly that old is not lent again.
SAIL_TIMEOUT = 3600
IDLE_LIMIT = SAIL_TIMEOUT / 2


@dataclass
class Session:
    """`known`, `asked`: by name, the statements that told the session of the catalogue, and of views on it."""

    spark: SparkSession
    known: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    since: float = 0.0

    def outgrown(self, wanted: Mapping[str, str]) -> bool:
        """Something was dropped, or a table moved: a new session is simpler than unlearning it."""
        changed = ((said, wanted.get(name)) for name, said in self.known.items() if said != wanted.get(name))
        return any(not (is_view(said) and is_view(now)) for said, now in changed)

    def learn(self, wanted: Mapping[str, str]) -> None:
        """Runs what is new, and every view behind a changed one."""
        changed = False
        for name, statement in wanted.items():
            changed |= is_view(statement) and self.known.get(name, statement) != statement
            if changed or self.known.get(name) != statement:
                self.spark.sql(statement)
        self.known = dict(wanted)

    def ask(self, views: Mapping[str, str]) -> None:
        """The same for views that only some statements need."""
        for name, statement in views.items():
            if self.asked.get(name) != statement:
                self.spark.sql(statement)
                self.asked[name] = statement


class Sessions:
    """A pool of sessions on one Sail server; each is brought up to the catalogue before it is lent."""

    def __init__(self, sail_port: int, catalog: Catalog) -> None:
        self.sail_port, self.catalog = sail_port, catalog
        self.lock = threading.Lock()
        self.idle: list[Session] = []

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session; one whose statement failed is lent again, as Spark sessions survive errors."""
        session = self._take()
        wanted = self.catalog.registrations()
        if session.outgrown(wanted):
            session.spark.stop()
            session = self._new()
        session.learn(wanted)
        try:
            yield session
        finally:
            session.since = time.monotonic()
            with self.lock:
                self.idle.append(session)

    def _take(self) -> Session:
        with self.lock:
            self.idle = [session for session in self.idle if time.monotonic() - session.since < IDLE_LIMIT]
            if self.idle:
                return self.idle.pop()
        return self._new()

    def _new(self) -> Session:
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{self.sail_port}").create()
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        return Session(spark)
