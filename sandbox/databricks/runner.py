"""Carries runs out: waits for a place, starts the notebook's process, and settles how it ended."""

import asyncio
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.databricks.catalog import Catalog
from sandbox.databricks.store import Run, Store, now_ms
from sandbox.faults import Fault, Faults
from sandbox.services import ROOT, read_json

NOTEBOOKS = ROOT / "include" / "notebooks"
WORKSPACE = "/Workspace/tenantdags/"
PLACES = 3


def notebook_file(workspace_path: str) -> Path | None:
    """The repository's file behind a workspace path; None when nothing is deployed there."""
    name = workspace_path.removeprefix("/Workspace").removeprefix("/tenantdags/")
    file = NOTEBOOKS / f"{name}.py"
    deployed = workspace_path.removeprefix("/Workspace").startswith("/tenantdags/") and "/" not in name
    return file if deployed and file.exists() else None


class Zygote:
    """The process that forks notebook processes; started at need, and again should it die."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.process: asyncio.subprocess.Process | None = None
        self.pids: dict[str, int] = {}
        self.ends: dict[str, asyncio.Future[int]] = {}
        self.doomed: set[str] = set()

    async def start(self) -> None:
        if self.process is None or self.process.returncode is not None:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore", "-m", "sandbox.databricks.zygote"),
                env=self.environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            self.reader = asyncio.create_task(self._listen(self.process))

    async def run(self, spec_file: Path) -> int:
        """Run the spec to its end and return the exit code of its process (negative: killed by that signal)."""
        await self.start()
        assert self.process is not None
        assert self.process.stdin is not None
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ends[str(spec_file)] = end
        self.process.stdin.write(f"{spec_file}\n".encode())
        return await end

    def signal(self, spec_file: Path, number: signal.Signals) -> bool:
        """Signal the spec's process and whatever it started; False when it does not run."""
        pid = self.pids.get(str(spec_file))
        if pid is not None:
            os.killpg(pid, number)
        return pid is not None

    def kill(self, spec_file: Path) -> None:
        """Kill the process of the spec and whatever it started; one that is still to come is killed as it comes."""
        self.doomed.add(str(spec_file))
        self.signal(spec_file, signal.SIGKILL)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            await self.process.wait()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            message = json.loads(line)
            if "pid" in message:
                self.pids[message["spec"]] = message["pid"]
                if message["spec"] in self.doomed:
                    self.kill(Path(message["spec"]))
            elif "exit" in message:
                self._settle(message["spec"], message["exit"])
        for spec in list(self.ends):
            self._settle(spec, -signal.SIGKILL)

    def _settle(self, spec: str, code: int) -> None:
        self.pids.pop(spec, None)
        self.doomed.discard(spec)
        self.ends.pop(spec).set_result(code)


@dataclass
class Handle:
    """A submitted run while it is carried out."""

    cancelled: bool = False
    timed_out: bool = False
    specs: set[Path] = field(default_factory=set)


class Runner:
    """Carries out submitted runs, at most PLACES notebooks at once."""

    def __init__(self, folder: Path, store: Store, catalog: Catalog, faults: Faults, zygote: Zygote) -> None:
        self.folder, self.store, self.catalog, self.faults, self.zygote = folder, store, catalog, faults, zygote
        self.places = asyncio.Semaphore(PLACES)
        self.handles: dict[int, Handle] = {}
        self.jobs: set[asyncio.Task[None]] = set()

    def log_file(self, task: Run) -> Path:
        return self.folder / "runs" / str(task.run_id) / "log.txt"

    def settle_orphans(self) -> None:
        """End what ran when the stand-in was last stopped; its processes are gone."""
        for run in self.store.active():
            self._end(run, "INTERNAL_ERROR", "FAILED", "The workspace was restarted while the run was active.")

    def launch(self, run: Run, tasks: list[Run]) -> None:
        self.handles[run.run_id] = Handle()
        job = asyncio.create_task(self._carry_out(run, tasks))
        self.jobs.add(job)
        job.add_done_callback(lambda job: self._carried_out(job, run, tasks))

    def cancel(self, run_id: int) -> None:
        """Kill the run's processes; it is reported as CANCELED once they are gone."""
        handle = self.handles.get(run_id)
        if handle is not None:
            handle.cancelled = True
            self._kill(handle)

    async def _carry_out(self, run: Run, tasks: list[Run]) -> None:
        handle, seconds = self.handles[run.run_id], int(run.spec.get("timeout_seconds") or 0)
        done = asyncio.gather(*(self._task(handle, run, task, tasks) for task in tasks))
        if seconds:
            await asyncio.wait([done], timeout=seconds)
            if not done.done():
                handle.timed_out = True
                self._kill(handle)
        await done
        self._end_parent(run, tasks)
        del self.handles[run.run_id]

    def _carried_out(self, job: "asyncio.Task[None]", run: Run, tasks: list[Run]) -> None:
        """Nothing may stay RUNNING because the stand-in itself failed, say for a full disk."""
        self.jobs.discard(job)
        error = None if job.cancelled() else job.exception()
        if error is not None:
            traceback.print_exception(error)
            for each in (*tasks, run):
                if each.active:
                    self._end(each, "INTERNAL_ERROR", "FAILED", f"The stand-in failed: {error!r}")

    async def _task(self, handle: Handle, run: Run, task: Run, tasks: list[Run]) -> None:
        """One task: after the tasks it depends on, in its place, to its end."""
        needed = {each["task_key"] for each in task.spec.get("depends_on", [])}
        before = [other for other in tasks if other.task_key in needed]
        while any(other.active for other in before):
            await asyncio.sleep(0.05)
        if any(other.result != "SUCCESS" for other in before):
            self._end(task, "SKIPPED", "UPSTREAM_FAILED", "An upstream task failed.", "SKIPPED")
            return
        async with self.places:
            if not self._interrupted(handle, task):
                await self._notebook(handle, run, task)

    async def _notebook(self, handle: Handle, run: Run, task: Run) -> None:
        path = task.spec["notebook_task"]["notebook_path"]
        file = notebook_file(path)
        if file is None:
            self._end(task, "INTERNAL_ERROR", "FAILED", missing_notebook(path), "RESOURCE_NOT_FOUND")
            return
        task.life_cycle = run.life_cycle = "RUNNING"
        task.started = now_ms()
        run.started = run.started or task.started
        self.store.save(task, run)
        spec_file = self._write_spec(task, file)
        handle.specs.add(spec_file)
        fault = self._fault(task)
        await self._process(handle, task, spec_file, fault)
        handle.specs.discard(spec_file)
        if not self._interrupted(handle, task):
            lost = fault is not None and fault.kind == "notebook_crash"
            self._settle(task, {} if lost else read_json(spec_file.with_name("outcome.json")))

    async def _process(self, handle: Handle, task: Run, spec_file: Path, fault: Fault | None) -> None:
        """Run the notebook's process to its end, which a timeout or a fault may hasten."""
        ending = asyncio.create_task(self.zygote.run(spec_file))
        harm = asyncio.create_task(self._harm(spec_file, fault)) if fault is not None else None
        seconds = int(task.spec.get("timeout_seconds") or 0)
        await asyncio.wait([ending], timeout=seconds or None)
        if not ending.done():
            handle.timed_out = True
            self.zygote.kill(spec_file)
        await ending
        if harm is not None:
            harm.cancel()

    async def _harm(self, spec_file: Path, fault: Fault) -> None:
        """Kill the process as soon as it is there, or stop it for a while."""
        if fault.kind == "notebook_crash" and fault.when == "after":
            return
        first = signal.SIGKILL if fault.kind == "notebook_crash" else signal.SIGSTOP
        while not self.zygote.signal(spec_file, first):
            await asyncio.sleep(0.005)
        if fault.kind == "slow_run":
            await asyncio.sleep(fault.seconds or 5.0)
            self.zygote.signal(spec_file, signal.SIGCONT)

    def _settle(self, task: Run, outcome: dict[str, Any]) -> None:
        """The state of a task whose process ended by itself; without an outcome its driver died."""
        task.output = outcome
        if not outcome:
            self._end(task, "INTERNAL_ERROR", "FAILED", "The Spark driver has stopped unexpectedly.", "DRIVER_ERROR")
        elif "error" in outcome:
            self._end(
                task, "TERMINATED", "FAILED", "Workload failed, see run output for details", "RUN_EXECUTION_ERROR"
            )
        else:
            self._end(task, "TERMINATED", "SUCCESS", "", "SUCCESS")

    def _write_spec(self, task: Run, file: Path) -> Path:
        folder = self.folder / "runs" / str(task.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "path": str(file),
            "workspace_path": task.spec["notebook_task"]["notebook_path"],
            "parameters": task.spec["notebook_task"].get("base_parameters", {}),
            "setup": list(self.catalog.registrations().values()),
        }
        (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        return folder / "spec.json"

    def _fault(self, task: Run) -> Fault | None:
        words = json.dumps(task.spec["notebook_task"].get("base_parameters", {}))
        return self.faults.take("", words, ("notebook_crash", "slow_run"))

    def _kill(self, handle: Handle) -> None:
        for spec in handle.specs:
            self.zygote.kill(spec)

    def _interrupted(self, handle: Handle, task: Run) -> bool:
        if handle.cancelled:
            self._end(task, "TERMINATED", "CANCELED", "Run cancelled.", "USER_CANCELED")
        elif handle.timed_out:
            self._end(task, "TERMINATED", "TIMEDOUT", "Run timed out.", "RUN_EXECUTION_ERROR")
        return handle.cancelled or handle.timed_out

    def _end_parent(self, run: Run, tasks: list[Run]) -> None:
        """The run's own state follows from its tasks: the first that did not succeed names it."""
        bad = next((task for task in tasks if task.result != "SUCCESS"), None)
        if bad is None:
            self._end(run, "TERMINATED", "SUCCESS", "", "SUCCESS")
        elif bad.result in ("CANCELED", "TIMEDOUT"):
            self._end(run, "TERMINATED", bad.result, bad.message, bad.code)
        else:
            message = f"Task {bad.task_key} failed with message: {bad.message.rstrip('.')}."
            self._end(run, bad.life_cycle, "FAILED", message, bad.code)

    def _end(self, run: Run, life_cycle: str, result: str, message: str, code: str = "INTERNAL_ERROR") -> None:
        run.life_cycle, run.result, run.message, run.code = life_cycle, result, message, code
        run.ended = now_ms()
        run.started = run.started or run.ended
        self.store.save(run)


def missing_notebook(path: str) -> str:
    return (
        f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run this job '
        "lacks the required permissions."
    )
