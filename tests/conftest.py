"""What tests of several rooms share: one small sample, generated and read in once a process."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from ingest import load
from sample_data import simulate

# A pause of the machine refutes no claim.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# Small enough for seconds, large enough for every planted fault and a p95 in each month.
SAMPLE_REQUESTS = 900


@dataclass(frozen=True)
class Sample:
    """A lake of both sample months, what was promised, and what was planted."""

    lake: Path
    contracts: Path
    traces: Path
    answers: simulate.Answers


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    answers = simulate.write(folder / "traces", requests=SAMPLE_REQUESTS)
    for cohort in ("baseline", "pilot"):
        report = load.load([folder / "traces" / cohort], folder / "lake", cohort=cohort)
        assert report.read == report.kept > 0
    contracts = Path(simulate.__file__).with_name("contracts.yaml")
    return Sample(folder / "lake", contracts, folder / "traces", answers)
