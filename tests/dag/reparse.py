"""Parses the tenants' loaders many times in this process, as a dag-processor does, and tells what Airflow would store.

`python -m tests.dag.reparse PROJECT TIMES` prints one JSON object, with digests of the stored texts by DAG id. Every
parse has another clock and working directory. The first and the last parse are written to the metadata database.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import structlog
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import _serialize_dags
from airflow.models.base import Base
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.db import synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import func, select

from tenantdags.dag.bundle import TenantBundle

REAL_TIME, REAL_NOW = time.time, pendulum.now
HERE = Path.cwd()


# what the DAGs that are started by hand ask for
CONF = {"tenant": "acme", "table": "orders", "first": "2026-11-01", "last": "2026-11-02"}


def at(days: int) -> None:
    """Sets the clocks that Python code asks forward, and goes to a folder of its own."""
    time.time = lambda: REAL_TIME() + days * 86_400
    pendulum.now = lambda tz=None: REAL_NOW(tz) + timedelta(days=days)
    os.chdir(tempfile.mkdtemp(dir=HERE))


def parsed(folder: Path) -> list[Any]:
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="tenants", load_op_links=False)
    dags, errors = _serialize_dags(bag, structlog.get_logger())
    if errors or bag.import_errors:
        raise RuntimeError(f"{errors} {bag.import_errors}")
    return dags


def digests(dags: list[Any]) -> dict[str, str]:
    # Airflow takes its own fields from a set, so their order is the seed's; it sorts keys before it compares versions.
    texts = {dag.dag_id: json.dumps(dag.data, sort_keys=True) for dag in dags}
    return {dag_id: hashlib.sha256(text.encode()).hexdigest() for dag_id, text in sorted(texts.items())}


def write(dags: list[Any]) -> None:
    with create_session() as session:
        update_dag_parsing_results_in_db("tenants", None, dags, {}, 0.1, set(), session)


def versions() -> dict[str, int]:
    """How many versions of each DAG the database holds."""
    with create_session() as session:
        counted = session.execute(select(DagVersion.dag_id, func.count()).group_by(DagVersion.dag_id))
        return {row[0]: row[1] for row in counted}


def run_once(dags: list[Any]) -> None:
    """A run of every DAG that has none: a version that no run uses would be changed in its place."""
    now = pendulum.now("UTC")
    with create_session() as session:
        known = set(session.scalars(select(DagRun.dag_id)))
        for dag_id in {dag.dag_id for dag in dags} - known:
            stored = SerializedDagModel.get_dag(dag_id, session=session)
            if stored is None:
                raise RuntimeError(f"{dag_id} was not written")
            stored.create_dagrun(
                run_id="manual__1", logical_date=now, data_interval=(now, now), run_after=now, session=session,
                run_type=DagRunType.MANUAL, triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.SUCCESS,
                conf=CONF,
            )  # fmt: skip


def prepare_database() -> None:
    from airflow import settings
    from airflow.models import import_all_models

    import_all_models()
    Base.metadata.create_all(settings.engine)
    synchronize_log_template()
    DagBundlesManager().sync_bundles_to_db()


def main(project: str, times: int) -> None:
    prepare_database()
    bundle = TenantBundle(name="tenants", root=project)
    seen = []
    for number in range(times):
        at(number)
        bundle.initialize()
        dags = parsed(bundle.path)
        seen.append(digests(dags))
        if number in (0, times - 1):
            write(dags)
            run_once(dags)
    different = sum(one != seen[0] for one in seen)
    print(json.dumps({"stored": seen[0], "different": different, "versions": versions()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
