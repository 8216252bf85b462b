"""After everything else: no password, key, e-mail or phone of the sandbox is in what the runs left behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.seed import seeded_secrets
from tests.e2e.rig import Rig
from tests.e2e.search import Search

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(200)]
OWN = ("state.json", "passwords.json")  # where the test's Airflow keeps its own secrets, readable by its owner alone


def left_behind(rig: Rig) -> Iterator[Path]:
    """Logs, metadata databases (with XCom and serialised DAGs), generated loaders and staging."""
    places = (*(airflow.home for airflow in rig.airflows), *rig.folder.glob("*_staging"))
    return (file for place in places for file in place.rglob("*") if file.is_file() and file.name not in OWN)


def test_no_secret_is_left_behind(rig: Rig) -> None:
    secrets = [*seeded_secrets(rig.world.run_dir), *(secret for airflow in rig.airflows for secret in airflow.secrets)]
    files = sorted(left_behind(rig))
    search = Search(secrets)

    found = {str(file): sorted(leaks)[:3] for file in files if (leaks := search.in_file(file))}

    kinds = {file.suffix for file in files}
    assert {".log", ".db", ".parquet", ".py"} <= kinds, "every kind of thing that is searched must be there"
    assert len(secrets) > 1000
    assert found == {}


@pytest.mark.parametrize("kind", ["log", "json", "db", "parquet"])
def test_the_search_finds_what_is_planted(rig: Rig, tmp_path: Path, kind: str) -> None:
    secrets = list(seeded_secrets(rig.world.run_dir))
    search = Search(secrets)
    for secret in (secrets[0], secrets[len(secrets) // 2], secrets[-1]):
        assert search.in_file(plant(tmp_path / f"planted.{kind}", secret)) == {secret}


def plant(file: Path, secret: str) -> Path:
    file.unlink(missing_ok=True)
    match file.suffix:
        case ".log":
            file.write_text(f"connecting with {secret}, then\n")
        case ".json":
            file.write_text(json.dumps({"value": secret}))
        case ".db":
            with sqlite3.connect(file) as database:
                database.execute("CREATE TABLE xcom (value TEXT)")
                database.execute("INSERT INTO xcom VALUES (?)", [secret])
        case ".parquet":
            pq.write_table(pa.table({"email": [secret] * 100}), file, compression="zstd")
    return file
