"""`python -m sandbox.sqlserver --run DIR`: the stand-in as a process, until SIGTERM."""

import argparse
import json
import logging
import os
import signal
import threading
from pathlib import Path

from sandbox.sqlserver import admin
from sandbox.sqlserver.server import Server, write_private


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.sqlserver", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the sandbox's run directory")
    parser.add_argument("--verbose", action="store_true", help="log every statement and its translation")
    args = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.INFO, format="%(asctime)s %(message)s")
    run(args.run)


def run(run_dir: Path) -> None:
    """Serve until SIGTERM or SIGINT; `<run>/sqlserver.json` appears when ready and goes when done."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server = Server(run_dir / "sqlserver")
    back_door = admin.serve(server)
    threading.Thread(target=back_door.serve_forever, name="admin", daemon=True).start()
    server.start()
    ready = run_dir / "sqlserver.json"
    write_private(ready, json.dumps({"pid": os.getpid(), "port": server.port, "admin_port": back_door.server_port}))
    stopping.wait()
    ready.unlink(missing_ok=True)
    server.stop(then=back_door.shutdown)
    logging.shutdown()
    # The sessions' threads still wait in their sockets; the databases are closed, so nothing is lost by not waiting.
    os._exit(0)


if __name__ == "__main__":
    main()
