"""Pictures of Airflow's UI by headless Chromium: `python -m sandbox.screenshot FOLDER` while the demo is up.

Needs a `chromium` on the PATH (Debian: apt-get install chromium); nothing else in the project does.
"""

import argparse
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from websockets.sync.client import ClientConnection, connect

from sandbox.airflow_api import wait_for
from sandbox.airflow_home import Airflow
from sandbox.services import ROOT, SandboxError
from sandbox.stage import HOME
from sandbox.trouble import BROKEN
from sandbox.world import DEFAULT_RUN

WIDTH, HEIGHT, LOW = 1440, 860, 500
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
    f"--window-size={WIDTH},{HEIGHT}", "--lang=en-US",
)  # fmt: skip


class Browser:
    """One page of a headless Chromium, spoken to by the DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._last = connection, 0

    def call(self, method: str, **parameters: Any) -> Any:
        self._last += 1
        self._connection.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=30))
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise SandboxError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def evaluate(self, script: str) -> Any:
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, url: str, text: str) -> None:
        """Open a page and wait until it shows `text` and has settled."""
        self.call("Page.navigate", url=url)
        if not wait_for(lambda: text in (self.evaluate("document.body && document.body.innerText") or ""), 30):
            raise SandboxError(
                f"{url} did not show {text!r}; it shows {self.evaluate('document.body.innerText')!r:.400}"
            )
        time.sleep(2.5)  # the graph is laid out and fitted after its labels are there

    def click(self, text: str) -> None:
        """Press the last and innermost element that shows `text`, and let the page settle."""
        shows = f"e => e.getClientRects().length && e.innerText?.includes({text!r})"
        found = f"[...document.querySelectorAll('body *')].filter({shows}).at(-1)"
        box = self.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({found}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        time.sleep(2)

    def save(self, file: Path) -> None:
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(picture))
        print(file)


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium with an empty profile, ended afterwards."""
    program = shutil.which("chromium")
    if not program:
        raise SandboxError("no chromium on the PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
        )
        try:
            with connect(_page(Path(profile)), max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(10)


def _page(profile: Path) -> str:
    ready = profile / "DevToolsActivePort"
    if not wait_for(ready.exists, 20):
        raise SandboxError("chromium did not start")
    port = ready.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
        pages = json.load(answer)
    return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))


def log_in(page: Browser, airflow: Airflow) -> None:
    page.call("Network.setCookie", name="_token", value=airflow.api.token(), url=airflow.url)
    page.open(f"{airflow.url}/", "Welcome")


def resize(page: Browser, height: int) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False)


def show_as(page: Browser, view: str) -> None:
    """Grid or graph, as the UI remembers it."""
    page.evaluate(f"localStorage.setItem('default_dag_view', JSON.stringify({view!r}))")


def take_all(page: Browser, airflow: Airflow, folder: Path) -> None:
    """The pictures of the docs, from what the demo left: the green and the red run, the code, a broken tenant."""
    dag_id = "__".join(BROKEN)
    runs = {run["state"]: run["dag_run_id"] for run in airflow.api.runs(dag_id)}
    show_as(page, "graph")
    resize(page, LOW)
    for state, picture in (("success", "graph-green.png"), ("failed", "graph-red.png")):
        page.open(f"{airflow.url}/dags/{dag_id}/runs/{quote(runs[state])}", "summarise")
        page.save(folder / picture)
    show_as(page, "grid")
    resize(page, HEIGHT)
    page.open(f"{airflow.url}/dags/{dag_id}/code", "tenant")
    page.save(folder / "code.png")
    page.open(f"{airflow.url}/dags", dag_id)
    page.save(folder / "dags.png")
    resize(page, LOW)
    with broken_tenant(airflow):
        page.open(f"{airflow.url}/", "Import Error")
        page.click("Import Error")
        page.click(".py")
        page.save(folder / "import-error.png")


@contextmanager
def broken_tenant(airflow: Airflow) -> Iterator[None]:
    """A tenant file with a misspelt key, for as long as the picture takes."""
    good = airflow.project / "config" / "tenants" / "northwind.yaml"
    text = good.read_text()
    good.write_text(text.replace("time_zone: Europe/London", "time_zon: Europe/London", 1))
    try:
        wait_for(lambda: bool(airflow.api.import_errors()), 60)
        yield
    finally:
        good.write_text(text)
        wait_for(lambda: not airflow.api.import_errors(), 60)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.screenshot", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "img")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    airflow = Airflow(HOME, DEFAULT_RUN / "project", {})
    with browser() as page:
        log_in(page, airflow)
        take_all(page, airflow, folder)


if __name__ == "__main__":
    main()
