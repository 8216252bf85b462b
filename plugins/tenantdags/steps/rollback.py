"""Shows readers an earlier append of a window again, as one more generation. Nothing is deleted, and it can be undone.

The next run of the window publishes over it as over any other generation; a run that was extracted before is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from tenantdags.model.errors import PublishRefused
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps import dbsql, publish_log
from tenantdags.steps.landing import Landing
from tenantdags.steps.publish import move
from tenantdags.steps.published import Generation, PublishedFile
from tenantdags.steps.statements import Statements

REASON_LETTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """`shown` is what readers see; `target` the generation that published what they would see; `number` the new one.

    Where an earlier attempt died between file and log, `number` is the one it made, and only the log is completed.
    """

    shown: Generation
    target: Generation
    number: int


def propose(plan: TablePlan, window: Window, to: int | None, landing: Landing, statements: Statements) -> Rollback:
    """What a rollback would do. Raises PublishRefused where it cannot be done."""
    record = landing.published(plan, window)
    file = record.file if record else PublishedFile()
    if file.head is None:
        raise PublishRefused(plan.at(window), *_nothing(plan, window, landing))
    asked = statements.of(plan, window)
    unfinished = bool(publish_log.lacking(file, publish_log.read(plan, asked, window)))
    if unfinished and (to is None or file.head.event != "rollback"):
        what = f"{plan.databricks.publish_log} lacks generations of _published.json, so readers do not see them yet."
        raise PublishRefused(plan.at(window), what, f"First `{_doctor(plan)} --yes`.")
    target = _target(plan, window, file, to)
    seen = target.append_id == file.head.append_id
    if seen and not unfinished:
        what = f"readers see generation {to} already, as generation {file.generation}."
        raise PublishRefused(plan.at(window), what, "Nothing is to be done.")
    _require_usable(plan, window, file, target)
    _require_rows(plan, window, target, asked)
    return Rollback(shown=file.head, target=target, number=file.generation + (0 if seen else 1))


def rollback(
    plan: TablePlan,
    window: Window,
    proposed: Rollback,
    landing: Landing,
    statements: Statements,
    *,
    reason: str,
    actor: str,
    now: Callable[[], datetime],
) -> Generation:
    """Does what was proposed, or raises PublishRefused when the window has moved on since."""
    target = proposed.target
    fact = replace(target, event="rollback", restores=target.generation, reason=reason, actor=actor, published_at=now())

    def decide(file: PublishedFile) -> PublishedFile:
        head = file.head
        if head and (head.generation, head.append_id) == (proposed.number, target.append_id):
            return file
        if head is None or head.generation != proposed.shown.generation:
            what = f"generation {head.generation if head else 0} was published meanwhile."
            raise PublishRefused(plan.at(window), what, "Look again whether it still has to be rolled back.")
        _require_usable(plan, window, file, target)
        return file.with_next(fact)

    head = move(plan, window, decide, landing, statements, now).head
    assert head is not None
    return head


def usable_reason(text: str) -> str:
    """The reason as one line. Raises ValueError for one that tells nothing."""
    line = " ".join(text.split())
    if not re.search(r"\w\w", line) or not line.isprintable():
        raise ValueError("say in words why: the reason stands in the publish log for good")
    if len(line) > REASON_LETTERS:
        raise ValueError(f"the reason has {len(line)} letters; {REASON_LETTERS} must do")
    return line


def _target(plan: TablePlan, window: Window, file: PublishedFile, to: int | None) -> Generation:
    """The generation that published what shall be seen; without `to`, what was seen before the current append."""
    assert file.head is not None
    if to is not None:
        if not 1 <= to <= file.generation:
            what = f"there is no generation {to}; there are 1 to {file.generation}."
            raise PublishRefused(plan.at(window), what, _ask_history(plan, window))
        return _origin(file, file.generations[to - 1])
    before = [_origin(file, fact) for fact in file.generations[: file.head.origin - 1]]
    earlier = [fact for fact in before if fact.append_id != file.head.append_id]
    if not earlier:
        first = f"generation {file.head.origin}, the first of {plan.contract.ref}"
        remedy = "A corrected load replaces it: clear `extract`."
        if file.head.event == "rollback":
            remedy = f"`--to {file.generation - 1}` takes the last rollback back."
        what = f"readers see {first}; nothing was published before it."
        raise PublishRefused(plan.at(window), what, remedy)
    return earlier[-1]


def _origin(file: PublishedFile, fact: Generation) -> Generation:
    return file.generations[fact.origin - 1]


def _require_usable(plan: TablePlan, window: Window, file: PublishedFile, target: Generation) -> None:
    if target.contract_version.partition(".")[0] != str(plan.contract.major):
        what = f"generation {target.generation} is of version {target.contract_version}, not of {plan.contract.ref}."
        raise PublishRefused(plan.at(window), what, "A rollback stays within one major; see docs/migrations.md.")
    if file.gone(target):
        what = f"generation {target.generation} was pruned: its rows or its files are no longer there."
        raise PublishRefused(plan.at(window), what, "Clear `extract`: a fresh load replaces what readers see.")


def _require_rows(plan: TablePlan, window: Window, target: Generation, statements: Statements) -> None:
    """The log only names an append: that its rows still lie in the table is asked before readers are sent there."""
    parameters = {"tenant_id": (plan.tenant, "STRING"), "append_id": (target.append_id, "STRING")}
    found = statements.execute(dbsql.append_count(plan), parameters).one()["row_count"]
    if found != target.rows:
        what = f"generation {target.generation} published {target.rows} rows; {plan.curated} holds {found} of them."
        raise PublishRefused(plan.at(window), what, f"`{_doctor(plan)}` tells more.")


def _nothing(plan: TablePlan, window: Window, landing: Landing) -> tuple[str, str]:
    """What to say of a window without a generation: perhaps another major has one."""
    majors = landing.published_majors(plan, window)
    others = [f"{plan.contract.table}@{major}" for major in majors if major != plan.contract.major]
    if not others:
        return f"nothing is published of it under {plan.contract.ref}.", _ask_history(plan, window)
    what = f"nothing is published of it under {plan.contract.ref}, only under {', '.join(others)}."
    return what, "A rollback stays within one major; docs/migrations.md says how readers go back to another."


def _doctor(plan: TablePlan) -> str:
    return f"tenantdags doctor --tenant {plan.tenant} --table {plan.table}"


def _ask_history(plan: TablePlan, window: Window) -> str:
    return f"`tenantdags history {plan.tenant} {plan.table} {window}` lists what there is."
