"""Page, command and notebook give one number."""

import os
from pathlib import Path

import nbformat
import orjson
import pytest
from click.testing import CliRunner
from nbclient import NotebookClient
from streamlit.testing.v1 import AppTest

from analysis import contract_file, engine, risk, tails, words
from analysis.scope import Scope
from app import cli

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "app" / "main.py"
NOTEBOOK = ROOT / "notebooks" / "first_look.ipynb"


def command(*arguments):
    told = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    return orjson.loads(told.stdout)


@pytest.fixture
def page(sample, monkeypatch):
    monkeypatch.setenv("ORCHRISK_LAKE", str(sample.lake))
    monkeypatch.setenv("ORCHRISK_CONTRACTS", str(sample.contracts))
    return AppTest.from_file(str(MAIN), default_timeout=120)


@pytest.mark.slow
def test_the_verdict_and_its_p95_are_one_on_page_command_and_notebook(sample, page, monkeypatch):
    promised = contract_file.load(sample.contracts)
    found = risk.readiness(engine.connect(sample.lake), promised, Scope(cohort="pilot"))
    (p95,) = (figure for figure in found.figures if figure.name == "End-to-end p95")

    page.run()
    assert not page.exception
    (shown,) = (metric for metric in page.metric if metric.label == p95.name)
    assert shown.value == words.time(p95.value)

    told = command(
        "check",
        "--lake",
        sample.lake,
        "--contracts",
        sample.contracts,
        "--cohort",
        "pilot",
        "--json",
    )["readiness"]
    (said,) = (figure for figure in told["figures"] if figure["name"] == p95.name)
    assert said["value"] == p95.value
    assert (told["label"], told["reason"]) == (found.label, found.reason)

    executed = run_notebook(sample, monkeypatch)
    printed = "".join(
        output["text"]
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == "stdout"
    )
    assert f"{found.label} - {found.reason}" in printed


def test_a_boundary_has_the_same_tail_in_python_and_on_the_command_line(sample):
    frame = tails.by_boundary(engine.connect(sample.lake), Scope(cohort="pilot"))
    told = command("profile", "--lake", sample.lake, "--cohort", "pilot", "--json")["boundaries"]

    assert {row["boundary_id"]: row["p95_ms"] for row in told} == dict(
        zip(frame["boundary_id"], frame["p95_ms"], strict=True)
    )


def run_notebook(sample, monkeypatch):
    monkeypatch.setenv("ORCHRISK_LAKE", str(sample.lake))
    monkeypatch.setenv("ORCHRISK_CONTRACTS", str(sample.contracts))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    return client.execute(env=dict(os.environ))
