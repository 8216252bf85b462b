"""`python -m sandbox.databricks.zygote`: has Spark's client imported and forks one process per notebook run.

Reads one spec path per line, answers one JSON object per line: {"spec", "pid"} at start, {"spec", "exit"} at the end.
A fork costs 0.15 CPU-s per run where a fresh interpreter costs 2.
"""

import contextlib
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path

import pyspark.sql.connect.functions
import pyspark.sql.connect.session
import pyspark.sql.functions  # noqa: F401 - the notebooks' imports, paid once

from sandbox.databricks import notebook


def say(**message: object) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def start(spec_file: str) -> int:
    """Fork a process that runs the spec in a group of its own, with its log beside it; returns its pid."""
    pid = os.fork()
    if pid:
        # Both sides do it, so that the group is there whoever comes first.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return pid
    code = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        log = os.open(Path(spec_file).with_name("log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for target in (1, 2):
            os.dup2(log, target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        notebook.main(Path(spec_file))
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, and its log must say why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # gRPC's threads of the client session would keep a normal exit waiting.
        os._exit(code)


def reap(running: dict[int, str]) -> None:
    """Report every child that has ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        say(spec=running.pop(pid), exit=os.waitstatus_to_exitcode(status))


def serve() -> None:
    """Run until standard input closes, then end what still runs."""
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, str] = {}
    pending = b""
    say(ready=True)
    while True:
        readable, _, _ = select.select([0, wake_read], [], [])
        if wake_read in readable:
            os.read(wake_read, 4096)
            reap(running)
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                pid = start(line.decode())
                running[pid] = line.decode()
                say(spec=line.decode(), pid=pid)
    for pid in running:
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
