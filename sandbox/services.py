"""Starts and ends the sandbox's processes, and never a process that it did not start."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the text says what to do about it."""


def write_private(path: Path, text: str) -> None:
    """Replace path by text in one step, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in path; an absent file reads as an empty object."""
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _ended(process: psutil.Process, seconds: float) -> bool:
    """Wait until the process has ended, whether or not its parent has taken notice; False when it has not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@dataclass(frozen=True)
class Service:
    """One process `python -m sandbox.<name> --run DIR`, ready once it has written `<run>/<name>.json` with its pid."""

    name: str
    run_dir: Path

    @property
    def ready_file(self) -> Path:
        return self.run_dir / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return self.run_dir / "logs" / f"{self.name}.log"

    @property
    def _started_file(self) -> Path:
        return self.run_dir / "pids" / f"{self.name}.json"

    def process(self) -> psutil.Process | None:
        """The running process that start() made, or None. A recycled pid is not mistaken for it."""
        record = read_json(self._started_file)
        if not record:
            return None
        try:
            process = psutil.Process(record["pid"])
            same_start = abs(process.create_time() - record["started"]) < 2
            # A process has no command line for a moment after exec, and a busy machine makes that moment long.
            command = process.cmdline()
            ours = (not command or f"sandbox.{self.name}" in command) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same_start and ours else None

    def info(self) -> dict[str, Any]:
        """What the running process wrote when it became ready; empty while it is down or starting."""
        process = self.process()
        info = read_json(self.ready_file)
        return info if process and info.get("pid") == process.pid else {}

    def start(self) -> bool:
        """Start the process unless it runs; True when this call started it."""
        if self.process():
            return False
        self.ready_file.unlink(missing_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"sandbox.{self.name}", "--run", str(self.run_dir)]
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        started = psutil.Process(child.pid).create_time()
        write_private(self._started_file, json.dumps({"pid": child.pid, "started": started}))
        return True

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Return when the process is ready; raises SandboxError with its last log lines when it is not in time."""
        deadline = time.monotonic() + seconds
        while not self.info():
            if self.process() is None or time.monotonic() > deadline:
                raise SandboxError(f"{self.name} did not start; see {self.log_file}:\n{self._log_tail()}")
            time.sleep(0.05)

    def stop(self, seconds: float = 15.0) -> bool:
        """End the process if start() made it; True when it was running."""
        process = self.process()
        if process is not None:
            process.terminate()
            if not _ended(process, seconds):
                process.kill()
                _ended(process, 5)
        self.ready_file.unlink(missing_ok=True)
        self._started_file.unlink(missing_ok=True)
        return process is not None

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join(lines[-15:])
