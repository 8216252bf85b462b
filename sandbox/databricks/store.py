"""The runs that the stand-in remembers, in SQLite: a submitted run and, under it, one row per task."""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ACTIVE = ("PENDING", "RUNNING", "TERMINATING")
FIRST_RUN_ID = 710_000_000_000_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Run:
    """A submitted run (parent 0) or one task of it; times are in ms since the epoch, 0 where not reached."""

    run_id: int
    parent: int = 0
    task_key: str = ""
    name: str = ""
    token: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    life_cycle: str = "PENDING"
    result: str = ""
    message: str = ""
    code: str = ""
    submitted: int = 0
    started: int = 0
    ended: int = 0
    output: dict[str, Any] = field(default_factory=dict)
    deleted: int = 0

    @property
    def active(self) -> bool:
        return self.life_cycle in ACTIVE


COLUMNS = [each.name for each in fields(Run)]
JSON_COLUMNS = ("spec", "output")


class Store:
    """All runs, kept over restarts. Used from one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute(f"CREATE TABLE IF NOT EXISTS runs (run_id INTEGER PRIMARY KEY, {', '.join(COLUMNS[1:])})")
        self.db.execute("CREATE UNIQUE INDEX IF NOT EXISTS runs_token ON runs (token) WHERE token IS NOT NULL")

    def next_id(self) -> int:
        (highest,) = self.db.execute("SELECT max(run_id) FROM runs").fetchone()
        return int(highest or FIRST_RUN_ID) + 1

    def save(self, *runs: Run) -> None:
        """Write the runs, all or none."""
        marks = ", ".join("?" for _ in COLUMNS)
        self.db.execute("BEGIN")
        for run in runs:
            values = [
                json.dumps(getattr(run, name)) if name in JSON_COLUMNS else getattr(run, name) for name in COLUMNS
            ]
            self.db.execute(f"INSERT OR REPLACE INTO runs ({', '.join(COLUMNS)}) VALUES ({marks})", values)
        self.db.execute("COMMIT")

    def get(self, run_id: int) -> Run | None:
        return next(self._select("run_id = ?", run_id), None)

    def by_token(self, token: str) -> Run | None:
        return next(self._select("token = ?", token), None)

    def tasks(self, run_id: int) -> list[Run]:
        return list(self._select("parent = ? ORDER BY run_id", run_id))

    def submitted(self) -> list[Run]:
        """The submitted runs that were not deleted, newest first."""
        return list(self._select("parent = 0 AND deleted = 0 ORDER BY run_id DESC"))

    def active(self) -> list[Run]:
        return list(self._select(f"life_cycle IN ({', '.join('?' for _ in ACTIVE)})", *ACTIVE))

    def _select(self, condition: str, *values: object) -> Iterator[Run]:
        rows = self.db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs WHERE {condition}", values)
        return iter([_run(row) for row in rows])


def _run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(COLUMNS, row, strict=True))
    return Run(**{name: json.loads(value) if name in JSON_COLUMNS else value for name, value in values.items()})
