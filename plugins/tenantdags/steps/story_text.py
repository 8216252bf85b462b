"""The story of a window for a person at 02:07: how it stands, what happened, what changed, what to do. Pure text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tenantdags.model.taxonomy import kind_of
from tenantdags.steps.airflow_answers import DagRun, TaskInstance
from tenantdags.steps.alerts import in_words
from tenantdags.steps.published import Generation
from tenantdags.steps.retry import Retry, choose
from tenantdags.steps.retry import instead as other_way
from tenantdags.steps.story import Attempt, Story

_STARTED = ("success", "failed", "running", "deferred", "up_for_retry")


def to_lines(story: Story) -> Iterator[str]:
    """A head of a few lines, the timeline in the tenant's zone, changes since the last green, and what to do."""
    yield from _head(story)
    yield from _timeline(story)
    if _is_in_trouble(story):
        yield from _changes(story)
    yield from _advice(story)
    yield from (f"not known  {gap}" for gap in story.gaps)


def _head(story: Story) -> Iterator[str]:
    plan = story.plan
    yield f"{plan.at(story.window)}  {plan.tier}{_deadline(story)}"
    yield f"readers see  {_seen(story.head)}"
    yield f"now          {_state(story)}"


def _deadline(story: Story) -> str:
    if story.due is None:
        return ", no deadline"
    at = story.due.astimezone(ZoneInfo(story.plan.schedule.time_zone))
    over = story.now - story.due
    left = f"{in_words(over)} over" if over >= timedelta() else f"{in_words(-over)} left"
    done = "" if _is_green(story) else f", {left}"
    return f", due {at:%H:%M %a %d %b} {story.plan.schedule.time_zone}{done}"


def _seen(head: Generation | None) -> str:
    if head is None:
        return "nothing of this window"
    back = f", a rollback to {head.restores} by {head.actor}: {head.reason}" if head.restores else ""
    return f"generation {head.generation}: {head.rows} rows of load {head.load_id}{back}"


def _state(story: Story) -> str:
    last = story.attempts[-1] if story.attempts else None
    if _is_green(story):
        return "published"
    if story.reason is None:
        return f"the last attempt ended {last.outcome}{_why(last)}" if last else "not known; see below"
    return story.reason.text


def _is_green(story: Story) -> bool:
    """Published, and nothing failed or runs since."""
    if story.head is None:
        return False
    run = story.facts.runs[-1] if story.facts and story.facts.runs else None
    return run.state == "success" if run else not story.attempts or story.attempts[-1].outcome == "green"


def _is_in_trouble(story: Story) -> bool:
    """What runs as it should needs no changes to explain it."""
    return not _is_green(story) and (story.reason is None or story.reason.hopeless)


def _timeline(story: Story) -> Iterator[str]:
    zone = ZoneInfo(story.plan.schedule.time_zone)
    told = dict.fromkeys(
        entry for entry in _entries(story) if entry[0] <= story.now
    )  # each once, in the order of steps
    entries = sorted(told, key=lambda entry: entry[0])
    yield ""
    if not entries:
        yield "what happened: nothing"
        return
    yield f"what happened ({story.plan.schedule.time_zone})"
    day = ""
    for at, text in entries:
        local = at.astimezone(zone)
        today = f"{local:%a %d %b}"
        yield f"  {today if today != day else '':<10} {local:%H:%M:%S}  {text}"
        day = today


def _entries(story: Story) -> Iterator[tuple[datetime, str]]:
    for run, tasks in story.tasks:
        yield from _of_run(run, tasks)
    for attempt in story.attempts:
        yield attempt.at, f"QA summary: {attempt.outcome}{_why(attempt)}{_counts(attempt)}"
    for fact in story.generations:
        word = f"rolled back to {fact.restores} by {fact.actor}" if fact.restores else f"published by {fact.run_id}"
        yield fact.published_at, f"generation {fact.generation}: {fact.rows} rows, {word}"
    yield from story.deeds
    yield from story.told
    if story.due and story.due <= story.now and not any(f.published_at <= story.due for f in story.generations):
        yield story.due, "the deadline passes"


def _of_run(run: DagRun, tasks: Sequence[TaskInstance]) -> Iterator[tuple[datetime, str]]:
    by = f" by {run.user}" if run.user and run.run_type != "scheduled" else ""
    if run.started_at:
        yield run.started_at, f"{run.run_type} run {run.run_id} starts{by}"
    for task in tasks:
        if task.started_at and task.state in _STARTED and task.task_id != "summarise":
            yield task.started_at, _of_task(task)
    if run.ended_at and run.finished:
        yield run.ended_at, f"the run ends: {run.state}"


def _of_task(task: TaskInstance) -> str:
    lasted = f" in {task.seconds:.0f} s" if task.seconds is not None and task.state in ("success", "failed") else ""
    tries = f", try {task.try_number}" if task.try_number > 1 else ""
    return f"{task.task_id:<13} {task.state}{lasted}{tries}"


def _why(attempt: Attempt) -> str:
    if attempt.kind is None:
        return ""
    cause = (attempt.cause or "").rstrip(".")
    return f" {attempt.kind}{f': {cause}' if cause else ''}"


def _counts(attempt: Attempt) -> str:
    counts = " ".join(f"{name} {'-' if rows is None else rows}" for name, rows in attempt.rows.items())
    return f" | {counts}" if counts else ""


def _changes(story: Story) -> Iterator[str]:
    green, changes, zone = story.green, story.changes, ZoneInfo(story.plan.schedule.time_zone)
    yield ""
    if green is None or changes is None:
        yield "what changed: no window of this table was published before"
        return
    at = green.fact.published_at.astimezone(zone)
    yield f"what changed since {green.window} was published ({at:%H:%M %a %d %b}, generation {green.fact.generation})"
    contract = f"{changes.contract[0]} -> {changes.contract[1]}" if changes.contract else "the same version"
    yield f"  contract   {contract}"
    parts = (
        "not known: Airflow has forgotten that run" if changes.parts is None else ", ".join(changes.parts) or "the same"
    )
    yield f"  plan       {parts}"
    if changes.files is None:
        yield "  files      not known: the watch had not kept them"
    elif not changes.files:
        yield "  files      the same"
    for file, lines in changes.files or ():
        yield f"  {file}"
        yield from (f"    {line}" for line in lines)


def _advice(story: Story) -> Iterator[str]:
    yield ""
    yield "what to do"
    for number, line in enumerate(_steps(story), 1):
        yield f"  {number}. {line}"


def _steps(story: Story) -> Iterator[str]:
    plan, window = story.plan, story.window
    words = f"{plan.tenant} {plan.table} {window.key}"
    if story.facts is None:
        yield f"Airflow does not answer; start it, then `tenantdags explain {words}` again"
        return
    if _is_green(story):
        yield f"nothing; if the data is wrong, `tenantdags history {words}` and `tenantdags rollback {words}`"
        return
    found = choose(plan, window, story.facts, story.head, story.now)
    if isinstance(found, Retry):
        last = story.attempts[-1] if story.attempts else None
        kind = last.kind if last and last.kind else found.kind
        yield f"read {kind_of(kind).runbook}" if _is_known(kind) else "read the log of the task that failed"
        if found.mend:
            yield found.mend
        yield f"`tenantdags retry {words}`: clears {found.task} and what follows; {found.why}"
    else:
        assert story.reason is not None
        yield other_way(plan, window, story.facts, story.reason)
    if story.head is not None and story.head.restores is None and story.head.generation > 1:
        seen = f"meanwhile readers see generation {story.head.generation}"
        yield f"{seen}; `tenantdags rollback {words}` if that is wrong"


def _is_known(kind: str) -> bool:
    try:
        kind_of(kind)
    except KeyError:
        return False
    return True
