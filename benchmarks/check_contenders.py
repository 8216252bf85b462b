"""One command from its start to its end: its clock, its CPU time and its highest memory, as the kernel counts them."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import ROOT

CHECK = """
import atexit, sys
atexit.register(lambda: print("airflow" in sys.modules, file=sys.stderr))
from tenantdags.cli.main import app
app(["check", "--project", sys.argv[1]])
"""
READ = """
import pathlib, sys, yaml
for file in [*pathlib.Path(sys.argv[1]).rglob("*.yaml")]:
    yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
print("airflow" in sys.modules, file=sys.stderr)
"""


def check(project: str) -> Work:
    return lambda: _run(CHECK, project)


def read(project: str) -> Work:
    return lambda: _run(READ, project)


def _run(script: str, project: str) -> dict[str, Any]:
    """`told` is the command's summary: the last line but for what the script adds itself."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-c", script, project]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(project)
    ) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    return {
        "told": lines[-2] if len(lines) > 1 else "",
        "airflow": lines[-1] == "True",
        "numbers": {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024},
    }
