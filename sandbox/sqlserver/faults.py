"""What is to go wrong, and how often."""

import threading
from dataclasses import dataclass
from typing import Final

# `short`: a result ends behind `after_rows` rows as if that were all of it
KINDS: Final = frozenset({"cut", "stall", "short", "deadlock", "snapshot_off", "refuse_login", "refuse_connections"})


@dataclass(slots=True)
class Fault:
    """One planned failure; times counts down to 0, None stands for ever."""

    kind: str
    times: int | None = 1
    login: str | None = None
    table: str | None = None
    database: str | None = None
    after_rows: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}; there are {', '.join(sorted(KINDS))}")
        if self.kind == "stall" and self.seconds <= 0:
            raise ValueError("a stall needs seconds, how long it lasts")

    def fits(self, login: str | None, database: str | None, tables: list[str] | None) -> bool:
        named = self.login is None or self.login == login
        placed = self.database is None or self.database == database
        return named and placed and (self.table is None or self.table.lower() in (tables or []))


class Faults:
    """The planned failures of a server; safe to use from every session's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def planned(self) -> list[Fault]:
        with self._lock:
            return list(self._planned)

    def find(
        self, kind: str, *, login: str | None = None, database: str | None = None, tables: list[str] | None = None
    ) -> Fault | None:
        """The first that fits, left in place: strike() when it happens."""
        return next((f for f in self.planned() if f.kind == kind and f.fits(login, database, tables)), None)

    def strike(self, fault: Fault) -> bool:
        """Count one occurrence; False when another session was faster and none is left."""
        with self._lock:
            if fault not in self._planned:
                return False
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
            return True
