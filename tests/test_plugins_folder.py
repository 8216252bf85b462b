"""Airflow runs every .py it finds under plugins/ as a top-level module. Only the plugin itself may be one."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.repository import ROOT

pytestmark = pytest.mark.airflow

LOAD_PLUGINS = """
import json, sys
from pathlib import Path
from airflow import plugins_manager, settings

plugins, errors = plugins_manager._get_plugins()
folder = Path(settings.PLUGINS_FOLDER).resolve()
made = [
    name for name, module in list(sys.modules.items())
    if folder in Path(getattr(module, "__file__", None) or "/").resolve().parents
]
print(json.dumps({"plugins": [plugin.name for plugin in plugins], "errors": errors, "modules": sorted(made)}))
"""


def load(folder, home):
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    command = [sys.executable, "-c", LOAD_PLUGINS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_plugins_folder_makes_one_module_and_one_plugin(tmp_path):
    loaded = load(ROOT / "plugins", tmp_path)

    top_level = [name for name in loaded["modules"] if name.split(".")[0] != "tenantdags"]
    assert top_level == ["tenantdags_plugin"]
    assert loaded["plugins"].count("tenantdags") == 1
    assert loaded["errors"] == {}


def test_without_the_ignore_file_strays_would_be_found(tmp_path):
    folder = tmp_path / "plugins"
    (folder / "tenantdags").mkdir(parents=True)
    (folder / "tenantdags" / "stray_module.py").write_text("")

    before = load(folder, tmp_path)
    shutil.copy(ROOT / "plugins" / ".airflowignore", folder)
    after = load(folder, tmp_path)

    assert "stray_module" in before["modules"]
    assert "stray_module" not in after["modules"]
