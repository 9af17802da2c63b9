"""The pipeline on one screen: sources -> rows -> spans -> one commit, and what became of all."""

import gc
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from ingest import sources
from ingest.errors import MalformedDump
from ingest.formats import Dump, read_dump
from ingest.formats.blocks import Block
from ingest.lake import Lake
from ingest.normalize import DEFAULT, IngestConfig, normalize
from ingest.report import LoadReport, Progress, Reject, Rejects, SourceReport
from ingest.schema import SPANS
from ingest.sources import Named, Source
from ingest.staging import COMMIT_BYTES, COMMIT_ROWS, Staged

__all__ = ["IngestConfig", "LoadReport", "Progress", "Reject", "SourceReport", "load"]

# Decoders, beside the one thread that writes. On two cores a second decoder ends no sooner and
# costs a fifth more work: they wait for the interpreter's lock and for one another's memory. More
# than two would only hold more blocks.
THREADS = 2 if (os.cpu_count() or 1) > 2 else 1


def load(
    paths: Sequence[Named],
    lake: Path | str,
    *,
    cohort: str,
    config: IngestConfig | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> LoadReport:
    """Read dumps into the lake and say what became of every span.

    Args:
        paths: what `sources.expand` takes: files, folders, globs, archives, addresses of buckets,
            `-` for standard input, or `(name, open binary stream)`.
        lake: the folder of the lake, made if it is not there.
        cohort: which side the spans belong to, e.g. `baseline`.
        config: what may be kept beyond the default.
        progress: called after every chunk.

    Returns:
        One report a source, in the order read; a source that cannot be used says why in its
        reasons and does not stop the others. Small sources share a commit; each source is in the
        lake whole or not at all.

    Raises:
        SourceError: where a path named here is not there.
        LakeError: where the lake cannot be read or written.
        CohortError: where the cohort's name is not a slug.
    """
    target = Lake(lake)
    target.check(cohort)
    reports: list[SourceReport] = []
    waiting: list[Staged] = []
    holds = target.holds(cohort=cohort)
    try:
        for source in sources.expand(paths):
            staged = _stage(source, target, holds, cohort, config or DEFAULT, progress)
            waiting.append(staged)
            if _is_full(waiting):
                reports += _commit(target, waiting, cohort)
                waiting = []
        if waiting:
            reports += _commit(target, waiting, cohort)
    finally:
        for staged in waiting:
            staged.close()
    return LoadReport(reports)


def _is_full(waiting: list[Staged]) -> bool:
    return (
        sum(staged.rows for staged in waiting) >= COMMIT_ROWS
        or sum(staged.bytes_in_memory for staged in waiting) >= COMMIT_BYTES
    )


def _commit(lake: Lake, waiting: list[Staged], cohort: str) -> list[SourceReport]:
    try:
        return lake.add(waiting, cohort=cohort)
    finally:
        for staged in waiting:
            staged.close()


def _stage(
    source: Source,
    lake: Lake,
    holds: Callable[[str], bool],
    cohort: str,
    config: IngestConfig,
    progress: Callable[[Progress], None] | None,
) -> Staged:
    name = source.name
    report = SourceReport(name, "", "unread", 0, cohort=cohort)
    try:
        with source.open() as stream:
            digest, size = sources.digest(stream)
            report = replace(report, digest=digest, bytes=size)
            if holds(digest):
                return lake.stage(report, cohort=cohort)
            with _without_collector(), _tidy_memory():
                return _read(stream, lake, report, cohort, config, progress)
    except MalformedDump as error:
        reason, _, mend = str(error).removeprefix(f"{name}: ").partition("\nHint: ")
        # What nobody meant to be read is a remark, not a refusal.
        count = 0 if source.passed_over else 1
        reasons = [Reject(reason, count, name, mend)]
        refused = replace(report, read=count, rejected=count, reasons=reasons)
        return lake.stage(refused, cohort=cohort)
    except OSError as error:
        reject = Reject(f"the source cannot be read: {error.strerror or error}", 1, name, _MEND)
        return lake.stage(replace(report, read=1, rejected=1, reasons=[reject]), cohort=cohort)


@contextmanager
def _tidy_memory() -> Iterator[None]:
    # Arrow's own pool keeps what was freed for a while; the system's gives it back sooner, which
    # lowered the peak by a seventh at no cost in time.
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


@contextmanager
def _without_collector() -> Iterator[None]:
    # Decoded spans are millions of objects without a cycle; searching them for cycles took 40 %.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_MEND = "Check that the file is there and that you may read it."


def _read(
    stream: BinaryIO,
    lake: Lake,
    report: SourceReport,
    cohort: str,
    config: IngestConfig,
    progress: Callable[[Progress], None] | None,
) -> Staged:
    dump = read_dump(stream, name=report.name, size=report.bytes)
    staged = lake.stage(report, cohort=cohort)
    rejects = Rejects()
    spans = 0
    try:
        for table, refused, decoded in _normalized(dump, report.digest, cohort, config):
            spans += decoded
            staged.append(table)
            rejects.absorb(refused)
            if progress is not None:
                progress(Progress(report.name, dump.reader.bytes_read, report.bytes, spans))
    except BaseException:
        # What was written of the source so far is nobody's.
        staged.close()
        raise
    rejects.absorb(dump.rejects)
    reasons = list(rejects)
    if not staged.rows and not reasons:
        mend = "Check that the exporter had spans to write."
        reasons = [Reject("the dump holds no spans", 0, report.name, mend)]
    staged.finish(replace(report, format=dump.format, rejected=rejects.total, reasons=reasons))
    return staged


def _normalized(
    dump: Dump, digest: str, cohort: str, config: IngestConfig
) -> Iterator[tuple[pa.Table, Rejects, int]]:
    """Yield each block's spans, what was refused of it, and how many spans it held, in order.

    Blocks are decoded side by side, a few at a time, so that memory stays bounded.
    """

    def work(block: Block) -> tuple[pa.Table, Rejects, int]:
        parts = dump.decode(block)
        tables, refused = [], Rejects()
        for columns in parts:
            tables.append(normalize(columns, cohort=cohort, digest=digest, config=config))
            refused.absorb(columns.rejects)
        table = pa.concat_tables(tables) if tables else SPANS.empty_table()
        if len(tables) > 1:
            # The decoder for odd records comes after the fast one; the dump's order is restored.
            table = table.sort_by("source_record")
        return table, refused, sum(map(len, parts))

    with ThreadPoolExecutor(THREADS, thread_name_prefix="orchrisk-decoder") as pool:
        waiting: deque[Future[tuple[pa.Table, Rejects, int]]] = deque()
        for block in dump.blocks:
            waiting.append(pool.submit(work, block))
            # Where one thread decodes, the next block is read, and inflated, meanwhile.
            while len(waiting) >= max(THREADS, 2):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
