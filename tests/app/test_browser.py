"""What a browser sees: every page, one scope, an upload, and no request that leaves."""

import http.client
import re
from urllib.parse import urlsplit

import pytest
from dashboard_lakes import HOSTILE, SAMPLE, serving

pytestmark = pytest.mark.browser

PATHS = {
    "/": "Readiness",
    "/pilot": "Before / after",
    "/budgets": "Budgets",
    "/boundaries": "Boundaries",
    "/errors": "Error chains",
    "/access": "Data access",
    "/ingest": "Ingest",
}


@pytest.fixture(scope="module")
def sample(sample_lake):
    with serving(sample_lake, SAMPLE / "contracts.yaml") as address:
        yield address


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.requested = []
    opened.on("request", lambda request: opened.requested.append(request.url))
    yield opened
    context.close()


def settled(page, text):
    """Wait for expected content first, then for the run to end; so no old page is read."""
    page.get_by_text(text).first.wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_function("!document.querySelector('[data-stale=true]')")


def strangers(page):
    hosts = {urlsplit(url).hostname for url in page.requested if url.startswith(("http", "ws"))}
    return hosts - {"127.0.0.1"}


def go(page, name, text):
    page.get_by_role("link", name=name, exact=True).click()
    settled(page, text)


HEADINGS = {
    "Readiness": "ready for production?",
    "Before / after": "Did the pilot help",
    "Budgets": "Who keeps the latency budget?",
    "Boundaries": "Where is the tail",
    "Error chains": "Where do errors start",
    "Data access": "What data do the agents touch?",
    "Ingest": "Add traces",
}


def test_every_page_is_drawn_and_nothing_leaves_this_machine(page, sample):
    for path, name in PATHS.items():
        page.goto(f"{sample}{path}")
        settled(page, HEADINGS[name])

        assert page.locator("[data-testid=stException]").count() == 0, path
        if path != "/ingest":
            page.locator(".js-plotly-plot").first.wait_for()
    assert strangers(page) == set()


@pytest.mark.slow
def test_the_scope_stays_in_the_address_over_every_page(page, sample):
    page.goto(f"{sample}/boundaries?cohort=baseline&agent=loan-officer")
    settled(page, HEADINGS["Boundaries"])
    for name in ("Error chains", "Data access", "Readiness"):
        go(page, name, HEADINGS[name])

        assert "cohort=baseline" in page.url, name
        assert "agent=loan-officer" in page.url, name


def test_a_chosen_cohort_goes_into_the_address(page, sample):
    page.goto(f"{sample}/errors")
    settled(page, HEADINGS["Error chains"])
    page.get_by_role("radio", name="baseline").click()
    page.wait_for_url(re.compile("cohort=baseline"))
    settled(page, "Failed requests, baseline")


def test_an_upload_fills_an_empty_lake_and_hostile_names_stay_text(page, tmp_path, hostile_dump):
    with serving(tmp_path / "lake") as address:
        page.goto(address)
        settled(page, "There are no traces here yet.")
        go(page, "Ingest", "Nothing was read into this lake yet.")
        page.locator("input[type=file]").set_input_files([str(hostile_dump)])
        page.get_by_text("hostile.json").wait_for()
        page.get_by_role("textbox", name="Cohort: which side").fill("pilot")
        page.get_by_role("button", name="Read in").click()
        settled(page, "Books balance")
        page.get_by_text("Everything ever read in").wait_for()
        for path in ("/", "/boundaries", "/access", "/errors"):
            page.goto(f"{address}{path}")
            settled(page, HEADINGS[PATHS[path]])

            assert page.locator("[data-testid=stException]").count() == 0, path
            assert page.locator("img[src='x'], img[src*='192.0.2.1']").count() == 0, path
            assert page.evaluate("window.fired") is None, path
        settled(page, "Where they start")
        assert page.get_by_text(HOSTILE[0], exact=False).count() > 0
        assert page.get_by_text(HOSTILE[1], exact=False).count() > 0
    assert strangers(page) == set()


def test_the_server_forbids_foreign_content_and_foreign_hosts(browser, sample):
    host = urlsplit(sample).netloc
    plain = http.client.HTTPConnection(host)
    plain.request("GET", "/")
    policy = plain.getresponse().getheader("Content-Security-Policy")
    plain.close()
    rebound = http.client.HTTPConnection(host)
    rebound.request(
        "GET",
        "/_stcore/stream",
        headers={
            "Host": "evil.example",
            "Origin": "http://evil.example",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    status = rebound.getresponse().status
    rebound.close()

    assert "img-src 'self' data: blob:" in policy
    assert "connect-src 'self'" in policy
    assert status == 403
