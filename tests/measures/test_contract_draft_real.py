"""Contracts drafted from recorded systems are kept by them."""

from pathlib import Path

import pytest

from analysis import access, compliance, contract_check, drafting, engine, path_budgets
from analysis.scope import Scope
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
SYSTEMS = {
    "train ticket, two windows free of faults": "nezha-trainticket/otlp/*faultfree*",
    "hotel, four runs": "traceweaver-hotel/**/*.gz",
}

pytestmark = pytest.mark.real


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_recorded_system_keeps_what_is_drafted_from_it(system, tmp_path):
    paths = sorted(DATA.glob(SYSTEMS[system]))[:4]
    if not paths:
        pytest.skip(f"{SYSTEMS[system]} is not here")
    for path in paths:
        load([path], tmp_path / "lake", cohort="baseline")
    with engine.connect(tmp_path / "lake") as model:
        found = drafting.draft(model, Scope())
        scope = Scope(cohort="baseline")
        boundaries = compliance.by_boundary(model, found.contracts, scope)
        paths_kept = path_budgets.by_boundary(model, found.contracts, scope)
        uses = access.footprint(model, found.contracts, scope)
        wrong = contract_check.of_text(found.contracts)
        wrong += contract_check.of_traffic(model, found.contracts, scope)

    assert set(boundaries["label"]) <= {"kept", "no budget"}
    assert (boundaries["label"] == "kept").any()
    assert set(paths_kept["label"]) == {"kept"}
    assert set(uses["grant"]) == {"granted"}
    assert not [each for each in wrong if each.kind in contract_check.ERRORS]
    assert found.downstream_ms <= found.downstream_limit_ms
    assert found.whole_ms <= found.sla_ms
