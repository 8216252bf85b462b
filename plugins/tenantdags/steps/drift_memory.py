"""What was already told of a source's drift, and how the source looked at first: one small file per table's contract.

`_ops/drift/<tenant>/<table>/v<major>.json`, changed by compare-and-swap, so of two runs that meet a difference at the
same time one is its first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from tenantdags.model.errors import LandingConflict
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.drift import Difference, Look, Looks, bounded
from tenantdags.steps.manifest import DriftLine, SourceDrift

FORMAT = 1
_TRIES = 20


class Files(Protocol):
    """The two ways of `Blobs` that are needed here."""

    def read(self, where: str, path: str) -> tuple[bytes, str] | None: ...

    def swap(self, where: str, path: str, data: bytes, etag: str | None) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Memory:
    """`looks` by version of the contract; `met`: who met a difference first, by its fingerprint."""

    looks: Mapping[str, Looks]
    met: Mapping[str, Mapping[str, str]]

    def to_json(self) -> bytes:
        looks = {version: {name: asdict(look) for name, look in its.items()} for version, its in self.looks.items()}
        return json.dumps({"format": FORMAT, "looks": looks, "met": self.met}, indent=1, sort_keys=True).encode()


def path_of(plan: TablePlan) -> str:
    return f"_ops/drift/{plan.tenant}/{plan.contract.table}/v{plan.contract.major}.json"


def first_looks(files: Files, plan: TablePlan, where: str) -> Looks | None:
    """How the columns looked when this version of the contract was first read; None before its first run."""
    return _read(files, plan, where)[0].looks.get(plan.contract.version)


def remember_looks(files: Files, plan: TablePlan, window: Window, looks: Looks) -> None:
    """The first run of a version of the contract decides; later ones change nothing."""

    def with_looks(memory: _Memory) -> _Memory:
        version = plan.contract.version
        return memory if version in memory.looks else replace(memory, looks={**memory.looks, version: looks})

    _change(files, plan, plan.at(window), with_looks)


def meet(
    files: Files, plan: TablePlan, window: Window, run_id: str, differences: Sequence[Difference], to_paste: str | None
) -> SourceDrift:
    """The differences as a manifest carries them, each new in the run that met it first and in that run's retries."""
    met = bounded(differences)
    now = {"run_id": run_id, "window": window.key}

    def with_met(memory: _Memory) -> _Memory:
        fresh = {d.fingerprint: {**now, "text": d.text} for d in met if d.fingerprint not in memory.met}
        return replace(memory, met={**memory.met, **fresh}) if fresh else memory

    known = _change(files, plan, plan.at(window), with_met).met if met else {}
    lines = tuple(
        DriftLine(
            change=d.change, column=d.column, text=d.text, fingerprint=d.fingerprint,
            new=known[d.fingerprint]["run_id"] == run_id,
        )
        for d in met
    )  # fmt: skip
    return SourceDrift(lines=lines, to_paste=to_paste if lines else None)


def _change(files: Files, plan: TablePlan, where: str, change: Callable[[_Memory], _Memory]) -> _Memory:
    for _ in range(_TRIES):
        before, etag = _read(files, plan, where)
        after = change(before)
        if after is before or files.swap(where, path_of(plan), after.to_json(), etag):
            return after
    what = f"{path_of(plan)} was changed by others {_TRIES} times in a row."
    raise LandingConflict(where, what, "Clear `extract`.")


def _read(files: Files, plan: TablePlan, where: str) -> tuple[_Memory, str | None]:
    found = files.read(where, path_of(plan))
    return (_parsed(found[0]), found[1]) if found else (_Memory({}, {}), None)


def _parsed(data: bytes) -> _Memory:
    """A file that cannot be read remembers nothing: what it knew is told once more, which harms nobody."""
    try:
        raw: dict[str, Any] = json.loads(data)
        if raw["format"] != FORMAT:
            return _Memory({}, {})
        looks = {version: {name: Look(**look) for name, look in its.items()} for version, its in raw["looks"].items()}
        return _Memory(looks, {key: {**met, "run_id": str(met["run_id"])} for key, met in raw["met"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Memory({}, {})
