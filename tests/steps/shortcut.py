"""Windows for tests about what is published and not about how rows get there: appended without the notebook."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from tenantdags.model.plan import TablePlan
from tenantdags.model.window import Window
from tenantdags.steps.manifest import Manifest
from tenantdags.steps.publish import publish
from tenantdags.steps.report import Loaded, Published
from tenantdags.steps.staging import Staging
from tests.steps.lakehouse import NOW, Lakehouse, gates_of
from tests.steps.staged import arrow_schema, good_rows, stage


@dataclass(frozen=True)
class Shortcut:
    """Loads, appends and generations of one lakehouse, as the product makes them, at any time one likes."""

    lakehouse: Lakehouse
    staging: Staging

    def land(self, plan: TablePlan, window: Window, count: int, load_id: str) -> Manifest:
        """A load of so many rows in landing, extracted on top of what is published now."""
        landing = self.lakehouse.landing(plan)
        manifest = stage(plan, window, good_rows(plan, window, count), self.staging, load_id=load_id)
        manifest = replace(manifest, base_generation=landing.base_generation(plan, window))
        self.staging.write_manifest(plan, manifest)
        landing.upload(plan, window, manifest, self.staging)
        return manifest

    def append(self, plan: TablePlan, window: Window, manifest: Manifest, at: datetime = NOW) -> Loaded:
        """The load's rows in the curated table, stamped as the notebook stamps them."""
        loaded = Loaded(append_id=str(uuid.uuid4()), rows=manifest.rows, run_id=1, run_page_url="http://run/1")
        rows = pa.Table.from_pylist(good_rows(plan, window, manifest.rows), schema=arrow_schema(plan))
        stamps = {
            "tenant_id": pa.scalar(plan.tenant),
            "as_of_date": pa.scalar(window.as_of_date, pa.date32()),
            "window_start": pa.scalar(window.start, pa.timestamp("us", tz="UTC")),
            "_load_id": pa.scalar(manifest.load_id),
            "_append_id": pa.scalar(loaded.append_id),
            "_loaded_at": pa.scalar(at.astimezone(UTC), pa.timestamp("us", tz="UTC")),
        }
        table = rows.drop_columns(["_source_tenant"])
        for name, value in stamps.items():
            table = table.append_column(name, pa.repeat(value, rows.num_rows))
        write_deltalake(str(self.lakehouse.databricks.table_path(plan.curated)), table, mode="append")
        return loaded

    def window(
        self, plan: TablePlan, window: Window, count: int, load_id: str, at: datetime = NOW
    ) -> tuple[Manifest, Loaded, Published]:
        """All the way to the readers."""
        manifest = self.land(plan, window, count, load_id)
        loaded = self.append(plan, window, manifest, at)
        return manifest, loaded, self.publish(plan, window, manifest, loaded, at)

    def publish(
        self, plan: TablePlan, window: Window, manifest: Manifest, loaded: Loaded, at: datetime = NOW
    ) -> Published:
        world = (self.lakehouse.landing(plan), self.lakehouse.statements())
        return publish(plan, window, manifest, loaded, gates_of(manifest, loaded), *world, manifest.run_id, lambda: at)
