"""The same configuration is stored as the same bytes, or every parse would make a new DAG version.

Three hash seeds by default; TENANTDAGS_HASH_SEEDS=20 tries twenty, as .ci/run does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dag.bundles import ALL, edit
from tests.dag.plans import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]
SEEDS = range(int(os.environ.get("TENANTDAGS_HASH_SEEDS", "3")))
ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati")

Reparse = Callable[..., dict[str, Any]]


@pytest.fixture
def reparse(project: Path, tmp_path: Path) -> Reparse:
    """Parses the project anew in a process of its own; all of them share one metadata database."""
    bundles = [{"name": "tenants", "classpath": "tenantdags.dag.bundle.TenantBundle", "kwargs": {"root": str(project)}}]
    settings = {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # as in the image: else a change within 30 s of another is not written
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)]),
    }

    def run(seed: int, times: int) -> dict[str, Any]:
        variable = {"PYTHONHASHSEED": str(seed), "TZ": ZONES[seed % len(ZONES)]}
        cwd = tmp_path / f"cwd{seed}"
        cwd.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.dag.reparse", str(project), str(times)]
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | settings | variable, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told

    return run


def test_only_a_real_change_is_another_version(reparse, project):
    stored = [reparse(seed, times=50) for seed in SEEDS]

    assert [one["different"] for one in stored] == [0] * len(SEEDS)
    assert all(one["stored"] == stored[0]["stored"] for one in stored)
    assert stored[-1]["versions"] == dict.fromkeys(ALL, 1)

    edit(project / "config/tenants/acme.yaml", "time_zone: Europe/Berlin", "time_zone: Europe/Paris")
    changed = reparse(99, times=2)

    acme = [dag_id for dag_id in ALL if dag_id.startswith("acme")]
    assert [i for i in ALL if changed["stored"][i] != stored[0]["stored"][i]] == acme
    assert changed["versions"] == {dag_id: 1 for dag_id in ALL if dag_id not in acme} | dict.fromkeys(acme, 2)
