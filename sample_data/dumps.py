"""The small committed dumps: the same system, fewer requests, one file a month."""

from pathlib import Path

from sample_data.faults import Faults
from sample_data.otlp import SMALL, Format, pretty, write_dump
from sample_data.simulate import SEED, month

REQUESTS = 280
FOLDER = Path(__file__).parent / "dumps"


def write(folder: Path = FOLDER) -> None:
    """Write baseline.jsonl.gz, pilot.binpb.gz and one-request.json."""
    folder.mkdir(parents=True, exist_ok=True)
    before, _, _ = month("baseline", requests=REQUESTS, seed=SEED, faults=Faults())
    after, _, _ = month("pilot", requests=REQUESTS, seed=SEED, faults=Faults())
    write_dump(folder / "baseline.jsonl.gz", before, "baseline", Format.JSONL, level=SMALL)
    write_dump(folder / "pilot.binpb.gz", after, "pilot", Format.PROTOBUF, level=SMALL)
    # The longest trace shows the most: an application with its review, its order and its mail.
    sizes: dict[bytes, int] = {}
    for span in after:
        sizes[span.trace_id] = sizes.get(span.trace_id, 0) + 1
    longest = max(sizes, key=lambda trace_id: (sizes[trace_id], trace_id))
    chosen = sorted(s for s in after if s.trace_id == longest)
    (folder / "one-request.json").write_bytes(pretty(chosen, "pilot"))


if __name__ == "__main__":
    write()
