"""What a fault is: a kind, how often it strikes, and which requests it strikes."""

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Fault:
    """One fault, armed for the next `times` matching requests.

    `when` is "before" (the request is not carried out) or "after" (it is carried out, then the answer is lost).
    """

    kind: str
    times: int = 1
    when: str = "before"
    method: str = ""
    path: str = ""
    seconds: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in ("", method) and re.search(self.path, path) is not None


def fault_of(words: dict[str, Any], kinds: Collection[str]) -> Fault:
    """The fault that a request describes; raises ValueError for a kind or a field that there is not."""
    known = {field.name for field in fields(Fault)}
    if str(words.get("kind")) not in kinds:
        raise ValueError(f"unknown fault {words.get('kind')!r}; known are {', '.join(kinds)}")
    if not set(words) <= known:
        raise ValueError(f"a fault has {', '.join(sorted(known))}, not {', '.join(sorted(set(words) - known))}")
    return Fault(**words)


class Faults:
    """The armed faults, oldest first; each strike uses one up."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.armed.append(fault)

    def take(self, method: str, path: str, kinds: tuple[str, ...] = ()) -> Fault | None:
        """The first armed fault for this request, with one strike used up; None when there is none."""
        for fault in self.armed:
            if fault.matches(method, path) and (not kinds or fault.kind in kinds):
                fault.times -= 1
                self.armed = [each for each in self.armed if each.times > 0]
                return fault
        return None

    def clear(self) -> None:
        self.armed = []
