"""A metadata database of Airflow's own shape in one SQLite file, for as long as a test needs it in its process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


@contextmanager
def metadata_database(folder: Path) -> Iterator[None]:
    """Airflow of this process works on a new, empty database; afterwards on the one it had."""
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base

    before = os.environ.get(VARIABLE)
    try:
        _use(f"sqlite:///{folder}/airflow.db")
        import_all_models()
        Base.metadata.create_all(settings.get_engine())
        yield
    finally:
        _use(before)


def _use(url: str | None) -> None:
    from airflow import settings

    if url is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = url
    settings.dispose_orm(do_log=False)
    settings.configure_vars()
    settings.configure_orm()
