"""The same configuration is stored as the same bytes, or every parse would make a new DAG version."""

import json
import os
import subprocess
import sys

from tests.dag.plans import ROOT

STORED = """
import hashlib, json
from airflow.serialization.serialized_objects import DagSerialization
from tenantdags.dag.loader import good_tenants
from pathlib import Path

dags = good_tenants(Path.cwd())
# Airflow takes its own fields from a set, so their order is the seed's; it sorts keys before it compares versions.
texts = {i: json.dumps(DagSerialization.to_dict(dag), sort_keys=True) for i, dag in dags.items()}
print(json.dumps({i: hashlib.sha256(text.encode()).hexdigest() for i, text in texts.items()}))
"""


def stored(seed: str) -> dict[str, str]:
    """DAG id → digest of what Airflow would store, by a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-c", STORED]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    digests: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return digests


def test_hash_seeds_do_not_show_in_what_is_stored():
    one, other = stored("1"), stored("4242")

    assert len(one) == 9
    assert one == other
