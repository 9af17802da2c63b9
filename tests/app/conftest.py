"""Lakes the pages are drawn from, and the browser that looks at them."""

import os
import shutil

import pytest
from dashboard_lakes import HOSTILE, SAMPLE, otlp

from ingest.load import load

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory):
    lake = tmp_path_factory.mktemp("sample") / "lake"
    for cohort, dump in (("baseline", "baseline.jsonl.gz"), ("pilot", "pilot.binpb.gz")):
        load([SAMPLE / "dumps" / dump], lake, cohort=cohort)
    return lake


@pytest.fixture(scope="session")
def hostile_dump(tmp_path_factory):
    dump = tmp_path_factory.mktemp("hostile") / "hostile.json"
    dump.write_text(otlp(HOSTILE))
    return dump


@pytest.fixture(scope="session")
def tiny_lake(tmp_path_factory, hostile_dump):
    """A lake of three traces whose names attack the page."""
    lake = tmp_path_factory.mktemp("tiny") / "lake"
    load([hostile_dump], lake, cohort="pilot")
    return lake


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; without it the tests are skipped, or fail where it is required."""
    if not shutil.which(CHROMIUM):
        if os.environ.get("ORCHRISK_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{CHROMIUM} is missing and ORCHRISK_REQUIRE_BROWSER=1 requires it.")
        pytest.skip(f"NO BROWSER: {CHROMIUM} is missing, the dashboard was not seen by any browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()
