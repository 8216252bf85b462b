"""What `tenantdags contract show` says of the example contracts, and the published schema of our custom properties."""

import json
import tempfile
from pathlib import Path

from tenantdags.model.contract_words import page
from tenantdags.model.project import contract_refs, load_contract, used_contracts
from tenantdags.model.schema import Known, schema
from tests.tenants.cases import cases, project_of

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden/contracts"
PROPERTIES = ROOT / "docs/contract-properties.schema.json"


def texts() -> dict[Path, str]:
    used = used_contracts(ROOT) or {}
    found = {GOLDEN / f"{ref}.txt": page(load_contract(ROOT, ref), used.get(ref, ())) for ref in contract_refs(ROOT)}
    return {**found, GOLDEN / "every_kind_of_check.txt": every_kind_of_check(), PROPERTIES: properties_schema()}


def properties_schema() -> str:
    return json.dumps(schema("contract-properties", Known()), indent=2, ensure_ascii=False) + "\n"


def every_kind_of_check() -> str:
    case = next(case for case in cases("good") if case.name == "every_kind_of_check")
    [ref] = [f"{path.name.partition('.')[0]}@1" for path in case.glob("*.odcs.yaml")]
    with tempfile.TemporaryDirectory() as folder:
        return page(load_contract(project_of(case, Path(folder) / "project"), ref))
