"""What Airflow learns of us by name."""

from importlib.metadata import entry_points

from airflow import plugins_manager
from airflow.providers_manager import ProvidersManager

from tenantdags.dag.deadline import WindowDeadline
from tenantdags.dag.provider import get_provider_info
from tenantdags.dag.timetable import TenantTimetable


def test_timetable_and_deadline_are_known_by_the_names_that_are_stored():
    assert plugins_manager.get_timetables_plugins()["tenantdags.dag.timetable.TenantTimetable"] is TenantTimetable
    reference: object = plugins_manager.get_deadline_references_plugins()["tenantdags.dag.deadline.WindowDeadline"]
    assert reference is WindowDeadline


def test_the_distribution_names_no_plugin_of_its_own():
    assert [e.name for e in entry_points(group="airflow.plugins") if e.value.startswith("tenantdags")] == []


def test_the_provider_info_passes_airflows_schema():
    ProvidersManager()._provider_schema_validator.validate(get_provider_info())
