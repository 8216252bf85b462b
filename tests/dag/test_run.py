"""Which window a run stands for, and what Airflow is told when a step fails."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pendulum
import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
)

from tenantdags.dag import run
from tenantdags.dag.factory import build_dag
from tenantdags.dag.retries import ByKind
from tenantdags.model.errors import DriftBreaking, SourceUnreachable, WindowRefused
from tests.dag.plans import plan_of, utc

PLAN = plan_of("acme", "orders")


class Ti:
    try_number = 2

    def __init__(self):
        self.xcom = {}

    def xcom_push(self, key, value):
        self.xcom[key] = value

    def xcom_pull(self, task_ids, key):
        return None


def context_of(start=None, end=None, run_after=None, run_type="scheduled", conf=None):
    interval = {"data_interval_start": start, "data_interval_end": end}
    dag_run = SimpleNamespace(run_after=run_after, run_type=run_type, conf=conf)
    return interval | {"ti": Ti(), "dag": build_dag(PLAN), "dag_run": dag_run}


def test_the_window_is_the_runs_data_interval():
    start, end = pendulum.datetime(2026, 11, 20, 23), pendulum.datetime(2026, 11, 21, 23)

    window = run.run_window(PLAN, context_of(start, end))

    assert str(window) == "2026-11-21"
    assert repr(window.start) == repr(utc("2026-11-20T23:00:00"))


def test_a_run_without_an_interval_has_the_last_complete_window():
    window = run.run_window(PLAN, context_of(run_after=utc("2026-11-22T09:00:00")))

    assert str(window) == "2026-11-21"


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered"])
def test_a_run_that_was_asked_for_is_of_the_window_its_conf_names(run_type):
    asked = {"run_after": utc("2026-11-22T09:00:00"), "run_type": run_type, "conf": {"window": "2026-11-07"}}

    assert str(run.run_window(PLAN, context_of(**asked))) == "2026-11-07"


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_by_dates_is_of_its_dates_whatever_its_conf_says(run_type):
    start, end = pendulum.datetime(2026, 11, 20, 23), pendulum.datetime(2026, 11, 21, 23)

    window = run.run_window(PLAN, context_of(start, end, run_type=run_type, conf={"window": "2026-11-07"}))

    assert str(window) == "2026-11-21"


def test_a_conf_that_names_no_window_of_the_grid_is_refused():
    with pytest.raises(WindowRefused) as refused:
        run.run_window(PLAN, context_of(run_type="manual", conf={"window": "2026-11-07T14Z"}))

    assert str(refused.value) == (
        "acme orders ?: config.invalid: the window of the run's conf: '2026-11-07T14Z' names no day of Europe/Berlin; "
        "write it like 2026-11-21. Remedy: Trigger it with that window in its conf, or with none for the last complete "
        "one."
    )


def test_backfills_and_recounts_do_not_look_back():
    ids = ("scheduled__x", "manual__x", "asset_triggered__x", "backfill__x", "recount__2026-11-07__abc")

    assert [run.looks_back(run_id) for run_id in ids] == [True, True, True, False, False]


def test_an_interval_off_the_grid_is_refused():
    with pytest.raises(WindowRefused, match=r"is not one day of Europe/Berlin; the nearest is .* Remedy: Trigger with"):
        run.run_window(PLAN, context_of(utc("2026-11-21T00:00:00"), utc("2026-11-22T00:00:00")))


def test_a_window_before_the_first_is_refused():
    with pytest.raises(WindowRefused) as refused:
        run.run_window(PLAN, context_of(utc("2026-10-30T23:00:00"), utc("2026-10-31T23:00:00")))

    assert str(refused.value) == (
        "acme orders 2026-10-31: config.invalid: the window lies before first_window 2026-11-01. "
        "Remedy: Set first_window in config/tenants/acme.yaml to an earlier date."
    )


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (SourceUnreachable("acme orders 2026-11-21", "no route.", "Wait."), AirflowException),
        (DriftBreaking("acme orders 2026-11-21", "a column went.", "Restore it."), AirflowFailException),
    ],
)
def test_only_an_error_that_may_pass_is_retried(error, raised):
    context = context_of()

    with pytest.raises(AirflowException) as seen, run.failing(context):
        raise error

    assert type(seen.value) is raised
    assert str(seen.value) == str(error)
    assert context["ti"].xcom == {"try_number": 2, "error": {"kind": error.kind, "text": str(error)}}


def test_an_unknown_error_is_told_by_its_type_alone():
    context = context_of()

    with pytest.raises(ValueError, match="anna@example"), run.failing(context):
        raise ValueError("anna@example.com is no number")

    assert context["ti"].xcom["error"] == {"kind": "internal", "text": "ValueError; see the log of the task."}


def test_a_step_without_its_predecessors_result_says_what_to_clear():
    with pytest.raises(AirflowFailException, match="clear extract with its downstream"):
        run.the_manifest(context_of())
    with pytest.raises(AirflowFailException, match="clear load with its downstream"):
        run.the_loaded(context_of())


def test_on_call_reads_what_to_clear_too():
    context = context_of()

    with pytest.raises(AirflowFailException), run.failing(context):
        run.the_manifest(context)

    said = "extract left no manifest in this run. Remedy: clear extract with its downstream."
    assert context["ti"].xcom["error"] == {"kind": "internal", "text": said}


@pytest.mark.parametrize(("since", "may"), [(None, True), (timedelta(minutes=59), True), (timedelta(hours=2), False)])
def test_a_task_puts_itself_off_for_a_limited_time(since, may):
    context = context_of()
    context["ti"].get_first_reschedule_date = lambda _: None if since is None else datetime.now(UTC) - since

    assert run.may_wait(context, timedelta(hours=1)) == may


def test_a_task_that_puts_itself_off_has_not_failed():
    context = context_of()

    with pytest.raises(AirflowRescheduleException), run.failing(context):
        raise AirflowRescheduleException(datetime.now(UTC))

    assert context["ti"].xcom == {run.TRY: 2}


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (run.EXTRACT, "source.busy"), (run.CHECK_EXTRACT, "gate.error"), (run.UPLOAD, "landing.unreachable"),
        (run.LOAD, "databricks.timeout"), (run.CHECK_LOAD, "databricks.timeout"), (run.PUBLISH, "databricks.timeout"),
    ],
)  # fmt: skip
def test_a_step_over_its_time_says_what_it_waited_for(step, kind):
    context = context_of(pendulum.datetime(2026, 11, 20, 23), pendulum.datetime(2026, 11, 21, 23))
    context["task"] = SimpleNamespace(task_id=step, plan=PLAN, execution_timeout=timedelta(hours=1))

    with pytest.raises(AirflowTaskTimeout) as seen, run.failing(context):
        raise AirflowTaskTimeout("Timeout, PID: 7")

    told = context["ti"].xcom["error"]
    assert told["kind"] == kind
    assert told["text"].startswith(f"acme orders 2026-11-21: {kind}: {step} did not end within 1:00:00. Remedy: ")
    assert ByKind().evaluate(seen.value, 1, 3).action == RetryAction.RETRY


def test_a_summary_over_its_time_is_internal():
    context = context_of()
    context["task"] = SimpleNamespace(task_id=run.SUMMARISE)

    with pytest.raises(AirflowTaskTimeout), run.failing(context):
        raise AirflowTaskTimeout("Timeout, PID: 7")

    assert context["ti"].xcom["error"]["kind"] == "internal"
