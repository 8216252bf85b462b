"""The tasks of a run but `load`. Each makes its clients, calls one step and tells the next a few facts by XCom."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from tenantdags.dag import run, world
from tenantdags.model.errors import TenantDagsError
from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from tenantdags.steps.landing import Landing
    from tenantdags.steps.manifest import Manifest
    from tenantdags.steps.recount import Told
    from tenantdags.steps.report import GateReport


# A child's rows name rows of a parent whose run starts at about the same time; no worker is held meanwhile.
PARENT_POKE, PARENT_WAIT = timedelta(seconds=30), timedelta(hours=2)


class StepOperator(BaseOperator):
    """One step of one table. Nothing is templated, so nothing rendered can show what it should not."""

    template_fields: Sequence[str] = ()
    plan: TablePlan

    def __init__(self, *, plan: TablePlan | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if plan:
            self.use(plan)

    def use(self, plan: TablePlan) -> None:
        """Before the task runs, where the constructor was not told."""
        self.plan = plan

    def execute(self, context: Context) -> None:
        with run.failing(context):
            window = run.run_window(self.plan, context)
            self.settle_plan(window, context)
            self.step(window, context)

    def settle_plan(self, window: Window, context: Context) -> None:
        """What extract remembers, the others compare."""
        run.require_same_plan(self.plan, window, context)

    @abstractmethod
    def step(self, window: Window, context: Context) -> None:
        """Does the work; raises RunError."""

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any]:
        from tenantdags.dag.lineage import lineage

        return lineage(self.plan, self.task_id)


class ExtractOperator(StepOperator):
    def execute(self, context: Context) -> None:
        if begin := run.may_begin(self.plan, context):
            self._wait_until(begin)
        super().execute(context)

    def execute_in_hours(self, context: Context, event: Any) -> None:
        """The triggerer saw the time come. The hours may have been changed meanwhile, so they are asked again."""
        self.execute(context)

    def _wait_until(self, begin: datetime) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        hours, zone = self.plan.backfill.hours, self.plan.schedule.time_zone
        self.log.info("backfilled windows begin in %s %s: waiting until %s, without a slot", hours, zone, begin)
        self.defer(trigger=DateTimeTrigger(moment=begin), method_name="execute_in_hours")

    def settle_plan(self, window: Window, context: Context) -> None:
        run.tell_plan(context, self.plan)

    def step(self, window: Window, context: Context) -> None:
        from tenantdags.steps.extract import extract
        from tenantdags.steps.recount import published_before
        from tenantdags.steps.source import connect

        landing = world.landing(self.plan, window)
        clients: dict[str, Any] = {
            "connect": partial(connect, world.source_login(self.plan, window)),
            "catalogue": world.source_records(self.plan, window),
            "files": landing.blobs,
            "run_id": context["run_id"],
        }
        if run.first_of_schedule(context):
            self._leave_to_bulk(window, landing, clients)
        manifest = extract(
            self.plan,
            window,
            **clients,
            staging=world.staging(self.plan),
            key=world.pii_key(self.plan, window),
            base_generation=landing.base_generation(self.plan, window),
            now=partial(datetime.now, UTC),
            published=published_before(self.plan, window, landing) if run.looks_back(context["run_id"]) else None,
        )
        run.tell_manifest(context, manifest)

    def _leave_to_bulk(self, window: Window, landing: Landing, clients: dict[str, Any]) -> None:
        """Catch-up comes to windows that a bulk load has published: unchanged ones are not loaded again."""
        from tenantdags.steps.bulk import seen_of_bulk
        from tenantdags.steps.extract import unchanged

        seen = seen_of_bulk(self.plan, window, landing)
        if seen is not None and unchanged(self.plan, window, seen, **clients):
            said = "is published by a bulk load, and the source counts the same"
            raise AirflowSkipException(f"{self.plan.at(window)} {said}")


class GateOperator(StepOperator):
    """A step that judges. What it found goes to XCom and to OpenLineage, whether the gate opens or not."""

    report: GateReport | None = None

    def tell(self, report: GateReport, context: Context) -> None:
        self.report = report
        run.tell_report(context, report)

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any]:
        from tenantdags.dag.lineage import judgement

        return judgement(self.plan, self.task_id, self.report)


class CheckExtractOperator(GateOperator):
    def step(self, window: Window, context: Context) -> None:
        from tenantdags.steps.gates import check_extract, require_open

        report = check_extract(self.plan, window, run.the_manifest(context), world.staging(self.plan))
        self.tell(report, context)
        self._keep_keys(window, report)
        require_open(self.plan, window, report)

    def _keep_keys(self, window: Window, report: GateReport) -> None:
        """For the summary; a gate does not depend on it."""
        try:
            if report.keys:
                world.landing(self.plan, window).put_failing_keys(self.plan, window, report)
        except TenantDagsError as error:
            self.log.warning("failing keys could not be kept: %s", error)


class UploadOperator(StepOperator):
    def step(self, window: Window, context: Context) -> None:
        from tenantdags.steps.landed import count_landed, require_landed

        landing, manifest = world.landing(self.plan, window), run.the_manifest(context)
        url = landing.upload(self.plan, window, manifest, world.staging(self.plan))
        landed = count_landed(self.plan, window, manifest, landing.blobs)
        context["ti"].xcom_push(run.LANDED, landed.rows)
        require_landed(self.plan, window, manifest, landed)
        context["ti"].xcom_push(run.MANIFEST_URL, url)


class CheckLoadOperator(GateOperator):
    def step(self, window: Window, context: Context) -> None:
        from tenantdags.steps.gates import awaited_parents, check_load, require_open

        warehouse, manifest = world.statements(self.plan, window), run.the_manifest(context)
        awaited = awaited_parents(self.plan, window, manifest, warehouse)
        if awaited and run.may_wait(context, PARENT_WAIT):
            self.log.info("%s waits for %s to publish this day", self.plan.at(window), ", ".join(awaited))
            raise AirflowRescheduleException(datetime.now(UTC) + PARENT_POKE)  # type: ignore[no-untyped-call]  # Airflow's own
        landing = world.landing(self.plan, window)
        report = check_load(self.plan, window, manifest, run.the_loaded(context), landing, warehouse)
        self.tell(report, context)
        require_open(self.plan, window, report)


class PublishOperator(StepOperator):
    """Emits the outlet asset: from here on readers see this load."""

    def step(self, window: Window, context: Context) -> None:
        from tenantdags.steps.publish import publish

        gates = run.gate_reports(context)
        published = publish(
            self.plan,
            window,
            run.the_manifest(context),
            run.the_loaded(context),
            gates,
            world.landing(self.plan, window),
            world.statements(self.plan, window),
            context["run_id"],
            partial(datetime.now, UTC),
        )
        context["ti"].xcom_push(run.PUBLISHED, asdict(published))
        for outlet in self.outlets:
            # the event goes out before summarise runs, so what it says of quality is said here
            context["outlet_events"][outlet].extra = {
                "window": window.key,
                "generation": published.generation,
                "rows": published.rows,
                "gates": {gate.gate: gate.outcome for gate in gates},
            }


class SummariseOperator(StepOperator):
    """Runs on every outcome and decides none."""

    def execute(self, context: Context) -> None:
        # Also of a window the other steps refused.
        with run.failing(context):
            self.step(run.interval_window(self.plan, context), context)

    def step(self, window: Window, context: Context) -> None:
        from tenantdags.dag import metrics
        from tenantdags.dag.alerts import tell
        from tenantdags.model.deadline import due_of
        from tenantdags.model.metrics import of_attempt
        from tenantdags.steps.summarise import World, summarise

        facts = run.run_facts(context)
        if facts.tasks[0].state == "skipped":  # the bulk load that published the window has summarised it
            self.log.info("%s was left to the bulk load that published it", self.plan.at(window))
            return
        clients = World(
            landing=partial(world.landing, self.plan, window),
            staging=partial(world.staging, self.plan),
            statements=partial(world.statements, self.plan, window),
            now=partial(datetime.now, UTC),
            say=self.log.warning,
        )
        told = replace(facts, recount=self._recounted(facts.manifest, window, context))
        summary = summarise(self.plan, window, told, clients)
        context["ti"].xcom_push(run.SUMMARY, summary.head())
        self.log.info(summary.document.line)
        tell(self.plan, window, summary, context["dag_run"].run_type)
        scheduled = context["dag_run"].run_type == "scheduled"
        metrics.send(of_attempt(summary.document, due_of(self.plan, window) if scheduled else None))

    def _recounted(self, manifest: Manifest | None, window: Window, context: Context) -> tuple[Told, ...]:
        """Behind publish, so that no older window delays this one; whatever goes wrong is told and fails nothing."""
        from tenantdags.dag import rerun
        from tenantdags.steps.recount import follow_up, looks_back, trouble

        if not looks_back(self.plan):
            return ()
        try:
            return follow_up(
                self.plan,
                manifest,
                world.landing(self.plan, window),
                waiting=rerun.waiting(self.plan, context),
                ask=rerun.asking(self.plan),
                run_id=context["run_id"],
                now=datetime.now(UTC),
            )
        except TenantDagsError as error:
            self.log.warning("the recount was not followed up: %s", error)
            return trouble(window, error)
