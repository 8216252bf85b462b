"""The sandbox as a whole: up and down, the env file, breaking and repairing, and whose processes it ends."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psutil
import pytest
from airflow.providers.databricks.hooks.databricks import DatabricksHook
from airflow.providers.microsoft.azure.hooks.wasb import WasbHook
from airflow.providers.microsoft.mssql.hooks.mssql import MsSqlHook
from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from azure.storage.blob import BlobServiceClient

from sandbox.breakage import CATALOGUE, break_it, repair_it
from sandbox.faults import Fault, Faults, fault_of
from sandbox.seed import seed
from sandbox.services import ROOT, SandboxError, Service, write_private
from sandbox.world import World, read_env

pytestmark = pytest.mark.sandbox
DAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        world.up()
        yield world
    finally:
        world.down()


@pytest.fixture
def mended(world) -> Iterator[World]:
    yield world
    repair_it(world, [])


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_connection_works_in_airflow(world, monkeypatch):
    for name, value in read_env(world.env_file).items():
        monkeypatch.setenv(name, value)
    seed(world.sqlserver, DAY, days=1, orders_per_day=20)

    for conn_id in ("mssql_shared1", "mssql_globex", "mssql_northwind"):
        ((count,),) = MsSqlHook(mssql_conn_id=conn_id).get_records("SELECT COUNT_BIG(*) FROM dbo.Orders")
        assert count > 0
    assert not WasbHook("adls_landing").check_for_blob("landing", "nothing")
    assert DatabricksHook("databricks_default")._do_api_call(("GET", "2.2/jobs/runs/list")) == {"has_more": False}
    pii = WasbHook.get_connection("pii_acme")
    assert len(base64.b64decode(pii.password or "")) == 32
    assert pii.extra_dejson["key_id"]


def test_the_env_file_is_private_and_loads_in_a_shell(world):
    script = f"set -a; . {world.env_file}; {sys.executable} -c 'import os, json; print(json.dumps(dict(os.environ)))'"

    loaded = json.loads(subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout)

    assert world.env_file.stat().st_mode & 0o777 == 0o600
    assert {name: loaded[name] for name in world.env()} == world.env() == read_env(world.env_file)


def test_up_again_changes_nothing(world):
    before, secrets = world.status(), world.env()

    world.up()

    assert world.status() == before
    assert world.env() == secrets


def test_state_and_secrets_outlive_a_restart(world):
    world.databricks.statement("CREATE SCHEMA IF NOT EXISTS prod.kept")
    world.databricks.statement("CREATE TABLE IF NOT EXISTS prod.kept.t (a INT)")
    world.databricks.statement("INSERT INTO prod.kept.t (a) VALUES (1)")
    container = BlobServiceClient(world.adls.url, credential=world.adls.key).get_container_client("kept")
    container.create_container()
    container.upload_blob("a/b.txt", b"still here")
    passwords = {conn_id: conn["password"] for conn_id, conn in world.connections().items()}
    pids = [info["pid"] for info in world.status().values()]
    children = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]

    world.down()
    assert world.status() == {"sqlserver": {}, "adls": {}, "databricks": {}, "oncall": {}}
    assert [process for process in children if process.is_running()] == []
    world.up()

    container = BlobServiceClient(world.adls.url, credential=world.adls.key).get_container_client("kept")
    assert container.download_blob("a/b.txt").readall() == b"still here"
    assert world.databricks.statement("SELECT a FROM prod.kept.t") == [["1"]]
    assert {conn_id: conn["password"] for conn_id, conn in world.connections().items()} == passwords


def test_the_webhook_keeps_what_airflows_notifier_sends(world, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ONCALL", world.env()["AIRFLOW_CONN_SLACK_ONCALL"])

    SlackWebhookNotifier(slack_webhook_conn_id="slack_oncall", text="PAGE a &lt; b\nfor 'you'").notify({})

    assert world.oncall.messages()[-1] == "PAGE a < b\nfor 'you'"


def test_a_service_that_died_is_started_again_and_its_reader_with_it(world):
    adls, databricks = world.adls.info["pid"], world.databricks.info["pid"]
    psutil.Process(adls).kill()
    wait_for_end(adls)

    world.up()

    assert world.adls.info["pid"] != adls
    assert world.databricks.info["pid"] != databricks


def test_a_run_does_not_outlive_databricks(world, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", json.dumps(world.databricks.connection()))
    world.databricks.fault("slow_run", seconds=600)
    load = {"task_key": "load", "notebook_task": {"notebook_path": "/Workspace/tenantdags/load"}}
    run_id = DatabricksHook().submit_run({"tasks": [load]})
    while world.databricks.runs()[0]["state"]["life_cycle_state"] != "RUNNING":
        time.sleep(0.05)
    server = psutil.Process(world.databricks.info["pid"])
    children = server.children(recursive=True)

    server.kill()
    wait_for_end(server.pid)
    world.up()

    _, alive = psutil.wait_procs(children, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    (run,) = (run for run in world.databricks.runs() if run["run_id"] == run_id)
    assert run["state"]["result_state"] == "FAILED"
    assert run["state"]["state_message"] == "The workspace was restarted while the run was active."


def wait_for_end(pid: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_proxy_takes_azurite_with_it(world):
    proxy = psutil.Process(world.adls.info["pid"])
    (azurite,) = proxy.children()

    proxy.kill()
    try:
        azurite.wait(10)
    finally:
        world.up()


def test_break_and_repair_a_window(mended):
    seed(mended.sqlserver, DAY, days=1, orders_per_day=20)
    count = "SELECT count(*) - count(DISTINCT order_id) FROM dbo.Orders WHERE company_id = 123"
    assert mended.sqlserver.execute("shared_sales", count) == [[0]]

    break_it(mended, ["window", "acme", DAY.isoformat()])
    assert mended.sqlserver.execute("shared_sales", count)[0][0] > 0

    repair_it(mended, ["window", "acme", DAY.isoformat()])
    assert mended.sqlserver.execute("shared_sales", count) == [[0]]


@pytest.mark.parametrize("usage", [each.usage for each in CATALOGUE if each.usage.split()[0] in ("source", "adls")])
def test_everything_in_the_list_can_be_armed(mended, usage):
    assert break_it(mended, usage.split()) == f"broken: {usage}"


@pytest.mark.parametrize("usage", [each.usage for each in CATALOGUE if each.usage.startswith("databricks")])
def test_every_databricks_fault_can_be_armed_and_repaired(mended, usage):
    break_it(mended, usage.split())
    assert [fault["kind"] for fault in mended.databricks.faults()] == [usage.split()[1]]

    repair_it(mended, ["databricks"])
    assert mended.databricks.faults() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["moon"], "cannot break 'moon'"),
        (["adls", "plague"], "unknown fault 'plague'; known are reset"),
        (["adls", "503", "often"], "'often' is not of the form name=value"),
        (["adls", "503", "tims=3"], "not tims"),
        (["databricks", "plague"], "unknown fault 'plague'; known are submit_fails"),
        (["window", "acme", "today"], "'today' is no date"),
    ],
)
def test_a_wrong_break_says_what_is_right(mended, words, message):
    with pytest.raises(SandboxError, match=message):
        break_it(mended, words)


def test_the_commands(world):
    assert "adls: {" in command("status", "--run", str(world.run_dir)).stdout
    assert "databricks after_commit" in command("break", "--list").stdout
    assert command("break", "adls", "503", "--run", str(world.run_dir)).stdout == "broken: adls 503\n"
    assert command("repair", "--run", str(world.run_dir)).stdout == "repaired: all armed faults\n"
    assert world.adls.faults() == []


def test_a_command_on_a_sandbox_that_is_down_says_so(tmp_path):
    done = command("break", "adls", "503", "--run", str(tmp_path))

    assert done.returncode == 1
    assert done.stderr == "ADLS is down: run `python -m sandbox up`\n"


def test_a_recycled_pid_is_not_ended(tmp_path):
    service = Service("adls", tmp_path)
    script = "import time; print('here', flush=True); time.sleep(60)"
    stranger = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout
        stranger.stdout.readline()  # until then it may still bear the name of the process it was forked from
        started = psutil.Process(stranger.pid).create_time()
        write_private(tmp_path / "pids" / "adls.json", json.dumps({"pid": stranger.pid, "started": started}))
        write_private(tmp_path / "adls.json", json.dumps({"pid": stranger.pid}))

        assert service.info() == {}
        assert service.stop() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_that_cannot_start_shows_its_log(tmp_path):
    (tmp_path / "azurite").write_text("in the way")
    service = Service("adls", tmp_path)
    service.start()

    with pytest.raises(SandboxError, match="NotADirectoryError"):
        service.wait_ready(30)


def test_read_env_takes_comments_and_quotes(tmp_path):
    path = tmp_path / "env"
    path.write_text("# a comment\n\nA='it'\"'\"'s {\"x\": 1}'\nB=plain\n")

    assert read_env(path) == {"A": 'it\'s {"x": 1}', "B": "plain"}


def test_a_private_file_is_never_readable_by_others(tmp_path):
    old_mask = os.umask(0)
    try:
        write_private(tmp_path / "x", "secret")
    finally:
        os.umask(old_mask)

    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in Path(tmp_path).iterdir()] == ["x"]


def test_a_fault_strikes_as_often_as_it_says():
    faults = Faults()
    faults.add(Fault("503", times=2, method="PUT", path="manifest"))

    struck = [faults.take(method, "/landing/_manifest.json") for method in ("GET", "PUT", "PUT", "PUT")]

    assert [fault is not None for fault in struck] == [False, True, True, False]
    assert faults.armed == []


def test_a_fault_has_known_fields_only():
    with pytest.raises(ValueError, match="not sometimes"):
        fault_of({"kind": "503", "sometimes": True}, ("503",))
