"""`python -m sandbox.adls --run DIR`: Azurite as a child process, and the fault proxy in front of it."""

import argparse
import asyncio
import base64
import ctypes
import json
import os
import re
import secrets
import signal
from pathlib import Path

from aiohttp import web

from sandbox.adls.install import AZURITE, install, node
from sandbox.adls.proxy import Proxy
from sandbox.services import SandboxError, read_json, write_private

ACCOUNT = "sandboxadls"
PR_SET_PDEATHSIG = 1


def account_key(folder: Path) -> str:
    """The account's key, made once and kept beside Azurite's files."""
    path = folder / "account.json"
    if not path.exists():
        key = base64.b64encode(secrets.token_bytes(64)).decode()
        write_private(path, json.dumps({"account": ACCOUNT, "key": key}))
    return str(read_json(path)["key"])


def _die_with_parent() -> None:
    # Without this a killed proxy would leave a node process that nobody stops.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def start_azurite(folder: Path, key: str, log: Path) -> tuple[asyncio.subprocess.Process, int]:
    """Start Azurite on a free port and return it with that port, which it tells in its log."""
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(folder / "data")]
    quiet = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    with log.open("wb") as file:
        azurite = await asyncio.create_subprocess_exec(
            *(node(), str(AZURITE), *options, *quiet),
            env=environment,
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_parent,
        )
    return azurite, await asyncio.wait_for(_listening_port(azurite, log), 60)


async def _listening_port(azurite: asyncio.subprocess.Process, log: Path) -> int:
    while azurite.returncode is None:
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return int(found[1])
        await asyncio.sleep(0.05)
    raise SandboxError(f"Azurite ended with code {azurite.returncode} before it listened; see {log}")


async def serve(run_dir: Path) -> None:
    """Run until SIGTERM or SIGINT, or until Azurite ends on its own."""
    folder = run_dir / "azurite"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    azurite, azurite_port = await start_azurite(folder, account_key(folder), folder / "azurite.log")
    proxy = Proxy(f"http://127.0.0.1:{azurite_port}")
    front, admin = await _listen(proxy.app()), await _listen(proxy.admin_app())
    ready = {"pid": os.getpid(), "port": _port(front), "admin_port": _port(admin), "azurite_port": azurite_port}
    write_private(run_dir / "adls.json", json.dumps({**ready, "account": ACCOUNT}))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ended = asyncio.create_task(azurite.wait())
    await asyncio.wait([ended, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    await front.cleanup()
    await admin.cleanup()
    await _end(azurite, ended)


async def _end(azurite: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
    if not ended.done():
        azurite.terminate()
        # Azurite waits for idle clients before it closes; its own autosave (every 5 s) has passed by then.
        done, _ = await asyncio.wait([ended], timeout=7)
        if not done:
            azurite.kill()
            await ended


async def _listen(app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def _port(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.adls")
    parser.add_argument("--run", type=Path, required=True)
    run_dir = parser.parse_args().run.resolve()
    install()
    asyncio.run(serve(run_dir))


if __name__ == "__main__":
    main()
