"""`python -m sandbox.databricks --run DIR`: Sail and the notebook forker as children, the APIs in front."""

import argparse
import asyncio
import ctypes
import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.databricks.api import Api, listen
from sandbox.databricks.catalog import NAME, Catalog
from sandbox.databricks.jobs import Jobs
from sandbox.databricks.runner import Runner, Zygote
from sandbox.databricks.sessions import SAIL_TIMEOUT, Sessions
from sandbox.databricks.statements import Statements
from sandbox.databricks.store import Store
from sandbox.faults import Faults
from sandbox.services import SandboxError, Service, read_json, write_private

PR_SET_PDEATHSIG = 1


def access_token(folder: Path) -> str:
    """The workspace's token, made once."""
    path = folder / "token.json"
    if not path.exists():
        write_private(path, json.dumps({"token": f"dapi{secrets.token_hex(16)}"}))
    return str(read_json(path)["token"])


async def adls_ready(run_dir: Path, seconds: float = 60.0) -> dict[str, Any]:
    """What the ADLS service wrote, once it is ready."""
    service = Service("adls", run_dir)
    for _ in range(int(seconds / 0.05)):
        if service.info():
            return service.info()
        await asyncio.sleep(0.05)
    raise SandboxError("Databricks reads ADLS, which is down")


def sail_environment(run_dir: Path, adls: dict[str, Any]) -> dict[str, str]:
    """Sail reads abfss:// addresses of the account straight from Azurite, and knows one catalogue."""
    key = read_json(run_dir / "azurite" / "account.json")["key"]
    return {
        **os.environ,
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{adls['azurite_port']}",
        "AZURE_STORAGE_ACCOUNT_NAME": adls["account"],
        "AZURE_STORAGE_ACCOUNT_KEY": key,
        "SAIL_CATALOG__LIST": f'[{{type="memory",name="{NAME}",initial_database=["default"]}}]',
        "SAIL_CATALOG__DEFAULT_CATALOG": NAME,
        "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(SAIL_TIMEOUT),
        "RUST_LOG": "error",
    }


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def start_sail(environment: dict[str, str]) -> tuple[asyncio.subprocess.Process, int]:
    """Start the Spark Connect server and return it with its port."""
    sail = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.databricks.sail"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=_die_with_parent,
    )
    assert sail.stdout is not None
    line = await asyncio.wait_for(sail.stdout.readline(), 60)
    if not line:
        raise SandboxError(f"Sail ended with code {await sail.wait()} before it listened")
    return sail, int(json.loads(line)["port"])


async def serve(run_dir: Path) -> None:
    """Run until SIGTERM or SIGINT, or until Sail ends on its own."""
    folder = run_dir / "databricks"
    adls = await adls_ready(run_dir)
    environment = sail_environment(run_dir, adls)
    sail, sail_port = await start_sail(environment)
    catalog, store, faults = Catalog(folder), Store(folder / "runs.sqlite"), Faults()
    zygote = Zygote({**environment, "SAIL_PORT": str(sail_port)})
    await zygote.start()
    runner = Runner(folder, store, catalog, faults, zygote)
    runner.settle_orphans()
    jobs, statements = Jobs(store, runner, ""), Statements(Sessions(sail_port, catalog), catalog)
    front = await listen(Api(access_token(folder), jobs, statements, faults).app())
    port = int(front.addresses[0][1])
    jobs.base_url = f"http://127.0.0.1:{port}"
    write_private(run_dir / "databricks.json", json.dumps({"pid": os.getpid(), "port": port, "sail_port": sail_port}))
    await _until_stopped(sail)
    await _shut_down(front, runner, sail)


async def _until_stopped(sail: asyncio.subprocess.Process) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    waits = [asyncio.create_task(sail.wait()), asyncio.create_task(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)


async def _shut_down(front: web.AppRunner, runner: Runner, sail: asyncio.subprocess.Process) -> None:
    await front.cleanup()
    await runner.zygote.stop()
    if sail.returncode is None:
        sail.kill()
        await sail.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.databricks")
    parser.add_argument("--run", type=Path, required=True)
    asyncio.run(serve(parser.parse_args().run.resolve()))
    # Idle Spark sessions hold threads that would keep a normal exit waiting for a server that is gone.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
