"""Parsing a tenant imports nothing that only a running task needs."""

import json
import os
import subprocess
import sys

from tests.dag.plans import ROOT

HEAVY = ["azure", "duckdb", "mssql_python", "pandas", "pyarrow", "pymssql", "soda_core"]
PARSE = """
import json, sys
from pathlib import Path
from tenantdags.dag.loader import tenant_dags
dags = tenant_dags(Path.cwd(), "acme")
print(json.dumps({"dags": len(dags), "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_parsing_imports_no_driver_and_no_engine():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout.splitlines()[-1])

    assert said["dags"] == 3
    assert [name for name in HEAVY if name in said["modules"]] == []
