"""Whatever stands in place of one tenant's file, the others' DAGs are there, and the error is about that file alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenantdags.dag import bundle as bundle_module
from tenantdags.dag.bundle import TenantBundle
from tenantdags.model.document import MAX_BYTES
from tests.dag.bundles import ALL, LOADERS, TENANTS, changed_by, dags_of, edit, loaders_of
from tests.dag.plans import ROOT
from tests.rights import as_anybody

OTHERS = [dag for dag in ALL if not dag.startswith("acme")]


@pytest.fixture(autouse=True)
def our_text_alone(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS", "False")


def not_utf8(path: Path) -> None:
    path.write_bytes(b"tenant: acme\nname: \xff\xfe\n")


def huge(path: Path) -> None:
    path.write_text(path.read_text() + "# " + "x" * MAX_BYTES)


def empty(path: Path) -> None:
    path.write_text("")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.yaml")


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


ACME = "config/tenants/acme.yaml"
PLAIN = "make it a plain file that every user of the project may read [CFG001]"
STRANGE = {
    not_utf8: f"{ACME}:1:1: is not UTF-8 text (byte 20) [CFG002]",
    huge: f"{ACME}:1:1: is larger than 1,000,000 bytes; no such file is meant to be [CFG003]",
    empty: f"{ACME}:1:1: must hold keys and values, like 'tenant: acme' [CFG005]",
    a_folder: f"{ACME}:1:1: cannot be read (it is not a plain file); {PLAIN}",
    a_pipe: f"{ACME}:1:1: cannot be read (it is not a plain file); {PLAIN}",
    a_device: f"{ACME}:1:1: cannot be read (it is not a plain file); {PLAIN}",
    a_link_to_nothing: f"{ACME}:1:1: does not exist; the project needs it [CFG001]",
    a_link_to_itself: f"{ACME}:1:1: cannot be read (Too many levels of symbolic links); {PLAIN}",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("damage", STRANGE)
def test_a_file_that_is_none_errs_alone(bundle, project, damage):
    damage(project / ACME)
    bundle.refresh()

    found = dags_of(bundle.path)

    assert sorted(found.dags) == OTHERS
    assert found.import_errors == {"tenant_acme.py": STRANGE[damage]}
    assert (bundle.path / "tenant_acme.py").stat().st_size < 1_000


def test_a_file_without_rights_errs_alone_and_is_back_with_them(bundle, project):
    (project / ACME).chmod(0)
    with as_anybody():
        bundle.refresh()
        said = dags_of(bundle.path).import_errors
    (project / ACME).chmod(0o644)
    bundle.refresh()

    assert said == {"tenant_acme.py": f"{ACME}:1:1: cannot be read (Permission denied); {PLAIN}"}
    assert sorted(dags_of(bundle.path).dags) == ALL


def test_a_change_of_rights_is_a_change(bundle, project):
    before = (project / ACME).stat().st_mtime_ns

    (project / ACME).chmod(0o600)

    assert (project / ACME).stat().st_mtime_ns == before
    assert bundle_module._stamp(project / ACME) != bundle._state()["tenants"]["acme"]


def test_half_a_file_errs_until_the_other_half_is_there(bundle, project):
    whole = (project / ACME).read_text()
    (project / ACME).write_text(whole[: whole.index("time_zone") + 6])
    bundle.refresh()

    half = dags_of(bundle.path)
    (project / ACME).write_text(whole)
    bundle.refresh()

    assert (sorted(half.dags), list(half.import_errors)) == (OTHERS, ["tenant_acme.py"])
    assert sorted(dags_of(bundle.path).dags) == ALL


def test_half_a_file_that_would_be_a_good_one_is_waited_for(bundle, project, monkeypatch):
    monkeypatch.setattr(bundle_module, "QUIET_SECONDS", 0.4)
    whole = (project / ACME).read_text()
    cut = whole.rindex("\n  ", 0, whole.rindex("contract:"))
    (project / ACME).write_text(whole[:cut])
    the_rest = threading.Timer(0.1, (project / ACME).write_text, [whole])

    assert changed_by(bundle, the_rest.start) == []


def test_names_of_files_cannot_leave_their_quotes(bundle, project):
    names = ['a"""b', "a'''\nraise SystemExit\n'''", "a\\", "x" * 240, "ümlaut", "a b", "os"]
    for name in names:
        (project / f"config/tenants/{name}.yaml").write_text("tenant: x\n")
    bundle.refresh()

    found = dags_of(bundle.path)

    assert sorted(found.dags) == ALL
    assert len(found.import_errors) == len(names)
    assert all(text.startswith("config/tenants/") for text in found.import_errors.values())


def test_what_an_editor_leaves_beside_a_file_is_no_tenant(bundle, project):
    (project / "config/tenants/.#acme.yaml").symlink_to("someone@somewhere.1234:5678")
    (project / "config/tenants/.acme.yaml").write_text("half")

    assert changed_by(bundle, lambda: None) == []


def test_a_file_deleted_between_two_looks_takes_its_dags_along(bundle, project):
    (project / ACME).unlink()
    bundle._write_loader("acme")  # by one who had seen the file a moment before
    between = dags_of(bundle.path)
    bundle.refresh()

    after = dags_of(bundle.path)

    assert between.import_errors == {"tenant_acme.py": f"{ACME}:1:1: does not exist; the project needs it [CFG001]"}
    assert (sorted(after.dags), after.import_errors) == (OTHERS, {})


def test_an_emptied_folder_removes_no_dag(bundle, project):
    for path in (project / "config/tenants").iterdir():
        path.unlink()

    with pytest.raises(FileNotFoundError, match=r"holds no tenant file; the DAGs stay as they are\. Remedy:"):
        bundle.refresh()

    assert len(loaders_of(bundle)) == len(LOADERS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tenants": 1}'])
def test_a_lost_memory_only_costs_time(bundle, text):
    bundle._state_file.write_text(text)

    assert changed_by(bundle, lambda: None) == []
    assert list(bundle._state()["tenants"]) == TENANTS


def test_a_broken_contract_is_told_by_every_tenant_it_concerns(bundle, project):
    a_folder(project / "include/contracts/customers.v1.odcs.yaml")
    bundle.refresh()

    found = dags_of(bundle.path)

    assert sorted(found.dags) == ["tenantdags_bulk", "tenantdags_prune", "tenantdags_watch"]
    assert sorted(found.import_errors) == [f"tenant_{tenant}.py" for tenant in TENANTS]


class Counted:
    """A function on a path, and the names it was called with."""

    def __init__(self, function: Callable[[Path], Any]) -> None:
        self.function, self.paths = function, list[str]()

    def call(self, path: Path) -> Any:
        self.paths.append(path.name)
        return self.function(path)


def test_an_unchanged_fleet_costs_one_stat_per_file_and_reads_none(bundle, project, monkeypatch):
    text = (project / "config/tenants/globex.yaml").read_text()
    for number in range(200):
        (project / f"config/tenants/t{number}.yaml").write_text(text.replace("globex", f"t{number}"))
    bundle.refresh()
    stats, reads = Counted(os.stat), Counted(Path.read_bytes)
    monkeypatch.setattr(bundle_module, "os", SimpleNamespace(stat=stats.call))
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.call(path))

    bundle.refresh()

    shared = [*(project / "config").glob("*.yaml"), *(project / "include/contracts").glob("*.yaml")]
    assert len(stats.paths) == len(set(stats.paths)) == 203 + len(shared)
    assert reads.paths == ["seen.json"]


PROCESSOR = """
import sys
from tenantdags.dag import bundle
bundle.QUIET_SECONDS = 0
one = bundle.TenantBundle(name="tenants", root=sys.argv[1])
one.refresh()
print("ready", flush=True)
for _ in sys.stdin:
    one.refresh()
    print("done", flush=True)
"""


class Processor:
    """A process of its own that refreshes whenever it is told to."""

    def __init__(self, project: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESSOR, str(project)], env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def refresh(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("refresh\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        assert self._process.stdout
        while (line := self._process.stdout.readline()).strip() not in ("ready", "done"):
            assert line, "the process died"

    def end(self) -> int:
        self._process.communicate()
        return self._process.returncode


def test_two_processes_that_refresh_while_files_change_agree(project, storage):
    processors = [Processor(project), Processor(project)]
    for each in processors:
        each.wait()
    for number in range(20):
        for each in processors:
            each.refresh()
        edit(project / ACME, "name: ", f"name: N{number}")
        time.sleep(0.005)
        for each in processors:
            each.wait()
    for each in processors:
        each.refresh()
        each.wait()

    assert [each.end() for each in processors] == [0, 0]
    bundle = TenantBundle(name="tenants", root=str(project))
    code: dict[str, str] = {}
    exec((bundle.path / "tenant_acme.py").read_text().partition("globals()")[0], code)
    assert code["TENANT_FILE"] == (project / ACME).read_text()
    assert [path.name for path in loaders_of(bundle)] == LOADERS
    assert sorted(dags_of(bundle.path).dags) == ALL
