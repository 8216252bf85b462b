"""What is wrong with one window, and what mends it: a decision from facts alone.

`_published.json` and the publish log hold the same generations in the same order. Where one of them is shorter it is
completed from the other; where they contradict each other nothing is guessed, and a person must decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from tenantdags.model.window import Window
from tenantdags.steps.appended import Append
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.publish_log import LogRow, lacking
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.redact import redact
from tenantdags.steps.staging import MANIFEST

Level = Literal["mend", "refuse", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One window as it is. `text` is its file, None for none; `manifest` that of the load readers see, if it is there.

    `loads` are the files that lie in landing by load.
    """

    window: Window
    text: bytes | None
    logged: Sequence[LogRow]
    appends: Sequence[Append]
    loads: Mapping[str, Sequence[str]]
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend`: --yes does it. `refuse`: a person must. `note`: nobody has to."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """`file` is what shall stand in `_published.json` and `rows` what the log shall get, newest first."""

    findings: tuple[Finding, ...] = ()
    file: PublishedFile | None = None
    rows: tuple[Generation, ...] = ()

    @property
    def mends(self) -> bool:
        return any(finding.level == "mend" for finding in self.findings)


class _Refused(Exception):
    """Why the generations of a window cannot be told."""


def examine(case: Case, at: datetime) -> Diagnosis:
    """`at` is written where something is found to be gone."""
    try:
        before, said = _file(case)
        merged = _merged(before, case.logged)
    except _Refused as refused:
        return Diagnosis(findings=(Finding("refuse", str(refused)),))
    if any(fact.window_start != case.window.start for fact in merged.generations):
        why = "was cut by another calendar than the tenant's present one: neither mended nor pruned"
        return Diagnosis(findings=(Finding("refuse", why),))
    marked, lost = _marked(case, merged, at)
    rows = lacking(merged, case.logged)
    findings = [*said, *_behind(before, merged, rows), *lost, *_seen(case, marked), *_notes(case, marked)]
    changed = marked != before or bool(said)
    return Diagnosis(findings=tuple(findings), file=marked if changed else None, rows=rows)


def _file(case: Case) -> tuple[PublishedFile, list[Finding]]:
    """The generations the file gives, and what is wrong with it as a file. Raises _Refused for one nobody can tell."""
    if case.text is None:
        return PublishedFile(), []
    try:
        return PublishedFile.from_json(case.text), []
    except ValueError as error:
        why = redact(error, 200)
    try:
        file = PublishedFile.from_json(case.text, any_head=True)
    except ValueError:
        if not case.logged:
            raise _Refused(
                f"_published.json cannot be read ({why}) and the log knows nothing of the window: bring back its last "
                "good version in the container, or delete it and clear `extract` if nothing was ever published"
            ) from None
        return PublishedFile(), [Finding("mend", f"_published.json cannot be read ({why}): write it from the log")]
    if lacking(file, case.logged):
        raise _Refused(
            f"_published.json is {why}, and the log does not know its last generation either: bring back the file's "
            "last good version"
        )
    return file, [Finding("mend", f"_published.json is {why}: write its head anew, as log and generations say")]


def _merged(file: PublishedFile, logged: Sequence[LogRow]) -> PublishedFile:
    """The file, and behind its generations those that only the log has. Raises _Refused for a contradiction."""
    by_number: dict[int, Generation] = {}
    for fact in (row.fact for row in logged):
        if by_number.setdefault(fact.generation, fact) != fact:
            raise _Refused(f"the log holds two different generations {fact.generation}: readers see one of them")
    for number, fact in sorted(by_number.items()):
        if number <= file.generation:
            ours = file.generations[number - 1]
            if ours != fact:
                raise _Refused(
                    f"generation {number} is append {ours.append_id} of load {ours.load_id} in _published.json and "
                    f"append {fact.append_id} of load {fact.load_id} in the log: {_differing(ours, fact)} differ"
                )
        elif number == file.generation + 1:
            file = file.with_next(fact)
        else:
            raise _Refused(
                f"the log holds generation {number}, and neither it nor _published.json holds {file.generation + 1}"
            )
    return file


def _differing(one: Generation, other: Generation) -> str:
    return ", ".join(name for name in Generation.__slots__ if getattr(one, name) != getattr(other, name))


def _behind(before: PublishedFile, merged: PublishedFile, rows: Sequence[Generation]) -> Iterator[Finding]:
    if more := merged.generations[before.generation :]:
        yield Finding("mend", f"_published.json lacks {_numbers(more)} of the log: write it there")
    if rows:
        yield Finding("mend", f"the publish log lacks {_numbers(rows)} of _published.json: write it there")


def _marked(case: Case, file: PublishedFile, at: datetime) -> tuple[PublishedFile, list[Finding]]:
    """With superseded appends and loads that are gone marked as pruned, so that no rollback goes to them."""
    here = {append.append_id for append in case.appends}
    shown = file.head
    past = [fact for fact in file.generations if shown and fact.append_id != shown.append_id and not file.gone(fact)]
    rows = {fact.append_id: at for fact in past if fact.rows and fact.append_id not in here}
    folders = {
        fact.load_id: at
        for fact in past
        if shown and fact.load_id != shown.load_id and MANIFEST not in case.loads.get(fact.load_id, ())
    }
    lost = [Finding("mend", f"superseded append {name} is not in the table: mark it as pruned") for name in rows]
    lost += [Finding("mend", f"superseded load {name} is not in landing: mark it as pruned") for name in folders]
    marked = replace(
        file, pruned_appends={**rows, **file.pruned_appends}, pruned_loads={**folders, **file.pruned_loads}
    )
    return marked, lost


def _seen(case: Case, file: PublishedFile) -> Iterator[Finding]:
    """What readers see must be there, in the table and in landing."""
    head = file.head
    if head is None:
        return
    rows = sum(append.rows for append in case.appends if append.append_id == head.append_id)
    if rows != head.rows:
        yield Finding("refuse", f"readers see {rows} rows where generation {head.generation} published {head.rows}: "
                                f"{_way_out(case, file)}")  # fmt: skip
    for fact in {f.append_id: f for f in file.generations if not file.gone(f)}.values():
        found = sum(append.rows for append in case.appends if append.append_id == fact.append_id)
        if fact.append_id != head.append_id and found not in (0, fact.rows):
            text = f"superseded append {fact.append_id} has {found} of its {fact.rows} rows: do not roll back to it"
            yield Finding("refuse", text)
    names = set(case.loads.get(head.load_id, ()))
    wanted = {MANIFEST, *(part.name for part in case.manifest.parts)} if case.manifest else {MANIFEST}
    if missing := sorted(wanted - names):
        text = f"load {head.load_id}, which readers see, lacks {', '.join(missing)} in landing: clear `extract`"
        yield Finding("refuse", text)


def _way_out(case: Case, file: PublishedFile) -> str:
    head = file.head
    assert head is not None
    whole = {append.append_id: append.rows for append in case.appends}
    usable = [
        fact.generation
        for fact in file.generations
        if fact.append_id != head.append_id and whole.get(fact.append_id, 0) == fact.rows and not file.gone(fact)
    ]
    again = "clear `load` of the run" if MANIFEST in case.loads.get(head.load_id, ()) else "clear `extract`"
    return f"roll back to generation {usable[-1]}, or {again} {head.run_id}" if usable else f"{again} {head.run_id}"


def _notes(case: Case, file: PublishedFile) -> Iterator[Finding]:
    if half := [a.append_id for a in case.appends if a.append_id in file.pruned_appends]:
        yield Finding("note", f"marked as pruned and still in the table: {', '.join(half)}; `tenantdags prune` ends it")
    if half := sorted(set(case.loads) & set(file.pruned_loads)):
        yield Finding("note", f"marked as pruned and still in landing: {', '.join(half)}; `tenantdags prune` ends it")
    numbers = [row.fact.generation for row in case.logged]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        listed = ", ".join(map(str, twice))
        yield Finding("note", f"the log holds generation {listed} twice, in the same words: harmless")


def _numbers(facts: Sequence[Generation]) -> str:
    numbers = sorted(fact.generation for fact in facts)
    return f"generation {', '.join(map(str, numbers))}"
