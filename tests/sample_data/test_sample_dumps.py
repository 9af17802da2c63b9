"""The dumps decode with OTLP's published messages, and both encodings say the same."""

import base64
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from sample_data import dumps
from sample_data.faults import MONTHS, Faults
from sample_data.otlp import SPANS_A_BATCH, Format, batches, to_json, to_message
from sample_data.simulate import main, month, write

SAMPLE = Path(dumps.__file__).parent


def from_json(line: str | bytes) -> TracesData:
    """OTLP's JSON writes ids in hex where protobuf's own mapping wants base64."""

    def rewrite(node: object) -> object:
        if isinstance(node, list):
            return [rewrite(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else rewrite(value)
            for key, value in node.items()
        }

    return ParseDict(rewrite(json.loads(line)), TracesData())


def records(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        assert len(found[-1]) == size
        data = data[4 + size :]
    return found


def read(path: Path) -> list[TracesData]:
    if path.name.endswith(".jsonl.gz"):
        return [from_json(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    if path.name.endswith(".binpb.gz"):
        return [TracesData.FromString(r) for r in records(gzip.decompress(path.read_bytes()))]
    return [from_json(path.read_bytes())]


def spans_of(message: TracesData) -> list[bytes]:
    return [
        span.span_id
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


@pytest.mark.parametrize("cohort", MONTHS)
def test_json_and_protobuf_say_the_same(cohort):
    spans, _, _ = month(cohort, requests=120, seed=7, faults=Faults())
    for batch in batches(spans):
        as_json = from_json(json.dumps(to_json(batch, cohort)))

        assert as_json == to_message(batch, cohort)


@pytest.mark.parametrize("encoding", Format)
def test_every_span_is_written_once_in_its_service_and_in_full_batches(tmp_path, encoding):
    write(tmp_path, requests=100, seed=3, encoding=encoding)
    for cohort in MONTHS:
        spans, _, _ = month(cohort, requests=100, seed=3, faults=Faults())
        written: Counter[bytes] = Counter()
        for path in sorted((tmp_path / cohort).iterdir()):
            sizes = []
            for message in read(path):
                written.update(spans_of(message))
                sizes.append(len(spans_of(message)))
                for of_resource in message.resource_spans:
                    said = {a.key: a.value.string_value for a in of_resource.resource.attributes}
                    assert path.name.startswith(said["service.name"] + ".")
                    assert (
                        said["orch.pilot.phase"] == {"baseline": "before", "pilot": "after"}[cohort]
                    )
            assert all(size == SPANS_A_BATCH for size in sizes[:-1])

        assert written == Counter(span.span_id for span in spans)


def test_committed_dumps_are_small_and_decode():
    files = sorted(dumps.FOLDER.iterdir())

    assert [f.name for f in files] == ["baseline.jsonl.gz", "one-request.json", "pilot.binpb.gz"]
    assert sum(f.stat().st_size for f in files) <= 1_000_000
    for path in files:
        messages = read(path)
        assert sum(len(spans_of(message)) for message in messages) > 20
        if path.suffix == ".json":
            assert len({s for m in messages for s in spans_of(m)}) < 100


def test_committed_dumps_are_what_the_simulator_writes(tmp_path):
    dumps.write(tmp_path)
    for path in dumps.FOLDER.iterdir():
        # The content is compared, since another zlib may deflate the same bytes differently.
        committed, made = path.read_bytes(), (tmp_path / path.name).read_bytes()
        if path.suffix == ".gz":
            committed, made = gzip.decompress(committed), gzip.decompress(made)

        assert committed == made, f"{path.name}: run python -m sample_data.dumps"


def test_the_contract_names_the_cohorts_and_grants_nothing_planted():
    contract = yaml.safe_load((SAMPLE / "contracts.yaml").read_text(encoding="utf-8"))

    assert contract["cohorts"] == {"baseline": "baseline", "pilot": "pilot"}
    grants = {(a["agent"], grant) for a in contract["access"] for grant in a["allow"]}
    assert ("risk-reviewer", "postgresql.orders.applications: read") in grants
    assert ("risk-reviewer", "postgresql.orders.applications: write") not in grants
    assert not any("payment_cards" in grant for _, grant in grants)
    assert all("payment_cards" in str(a["sensitive"]) for a in contract["access"][:2])
    assert all(" -> " in rule["match"] for rule in contract["boundaries"])


def test_the_command_leaves_out_what_it_is_told_to(tmp_path):
    told = ["--requests", "90", "--without", "crm_jitter", "--without", "clock_skew"]
    result = CliRunner().invoke(main, [str(tmp_path), *told, "--format", "protobuf"])
    answers = json.loads((tmp_path / "answers.json").read_bytes())

    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "uninstrumented_tool" in result.stderr
    assert {"crm_jitter", "clock_skew"}.isdisjoint(answer["fault"] for answer in answers["faults"])
    assert len(list(tmp_path.glob("*/*.binpb.gz"))) > 10


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    write(tmp_path, requests=60, faults=Faults(uninstrumented_tool=False))
    assert (tmp_path / "pilot" / "fraud-check.jsonl.gz").exists()
    write(tmp_path, requests=60, encoding=Format.PROTOBUF)

    assert not list(tmp_path.glob("*/*.jsonl.gz"))
    assert not list(tmp_path.glob("*/fraud-check*"))


@pytest.mark.parametrize("requests", [1, 2, 9])
def test_a_month_may_be_as_small_as_one_request(tmp_path, requests):
    answers = write(tmp_path, requests=requests)

    assert [m.requests for m in answers.months] == [requests, requests]


def test_no_requests_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        write(tmp_path, requests=0)


def test_an_unknown_fault_is_refused_with_the_known_names(tmp_path):
    result = CliRunner().invoke(main, [str(tmp_path), "--without", "gremlins"])

    assert result.exit_code == 2
    assert "crm_jitter" in result.stderr
    assert not list(tmp_path.iterdir())
