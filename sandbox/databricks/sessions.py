"""Spark sessions that know the catalogue, kept for the next statement."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql.connect.session import SparkSession

from sandbox.databricks.catalog import Catalog

# Sail forgets an idle session after SAIL_TIMEOUT; one that is nearly that old is not lent again.
SAIL_TIMEOUT = 3600
IDLE_LIMIT = SAIL_TIMEOUT / 2


class Sessions:
    """A pool of sessions on one Sail server; each is brought up to the catalogue before it is lent."""

    def __init__(self, sail_port: int, catalog: Catalog) -> None:
        self.sail_port, self.catalog = sail_port, catalog
        self.lock = threading.Lock()
        self.idle: list[tuple[SparkSession, list[str], float]] = []

    @contextmanager
    def session(self) -> Iterator[SparkSession]:
        """Lend a session; one whose statement failed is lent again, as Spark sessions survive errors."""
        spark, known = self._take()
        wanted = self.catalog.registrations()
        if not set(known) <= set(wanted):
            # Something was dropped or replaced: a new session is simpler than unlearning it.
            spark.stop()
            spark, known = self._new(), []
        for statement in wanted:
            if statement not in known:
                spark.sql(statement)
        try:
            yield spark
        finally:
            with self.lock:
                self.idle.append((spark, wanted, time.monotonic()))

    def _take(self) -> tuple[SparkSession, list[str]]:
        with self.lock:
            self.idle = [entry for entry in self.idle if time.monotonic() - entry[2] < IDLE_LIMIT]
            if self.idle:
                spark, known, _ = self.idle.pop()
                return spark, known
        return self._new(), []

    def _new(self) -> SparkSession:
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{self.sail_port}").create()
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        return spark
