"""The same search behind the tests of the running Airflow, which may have a world of their own."""

from __future__ import annotations

import pytest

from tests.e2e.test_leaks import test_no_secret_is_left_behind

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(200)]
__all__ = ["test_no_secret_is_left_behind"]
