"""Whatever a person names becomes named streams, each once, and nothing leaves an archive."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
import zstandard

from ingest import archives, sources
from ingest.errors import MalformedDump, SourceError

A, B = b'{"resourceSpans": []}\n', b'{"resourceSpans": [{}]}\n'


def read(*paths: sources.Named) -> dict[str, bytes | str]:
    """Return what each source holds, or the sentence it refuses with."""
    found: dict[str, bytes | str] = {}
    for source in sources.expand(paths):
        assert source.name not in found
        try:
            with source.open() as stream:
                digest, size = sources.digest(stream)
                found[source.name] = stream.read()
                assert len(found[source.name]) == size
                assert len(digest) == 64
        except (MalformedDump, OSError) as error:
            found[source.name] = str(error)
    return found


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


def test_files_folders_and_globs_are_read_sorted_and_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.json").write_bytes(B)
    (tmp_path / "a.json").write_bytes(A)
    (tmp_path / "deep" / "c.json").write_bytes(A)
    names = ["a.json", "b.json", "deep/c.json"]
    expected = {str(tmp_path / name): data for name, data in zip(names, (A, B, A), strict=True)}
    assert list(read(tmp_path)) == list(expected)
    assert read(tmp_path) == expected
    assert read(tmp_path / "**" / "*.json") == expected
    assert read(str(tmp_path / "*")) == expected
    assert read(str(tmp_path / "?.json")) == dict(list(expected.items())[:2])


def test_hidden_files_lakes_and_links_to_folders_are_passed_over_aloud(tmp_path: Path) -> None:
    for folder in ("lake/_delta_log", ".cache", "real"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".hidden").write_bytes(A)
    (tmp_path / "lake" / "part.parquet").write_bytes(A)
    (tmp_path / "real" / "a.json").write_bytes(A)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    found = {Path(name).name: said for name, said in read(tmp_path).items()}
    assert "hidden" in str(found.pop(".hidden"))
    assert "hidden" in str(found.pop(".cache"))
    assert "lake" in str(found.pop("lake"))
    assert "link" in str(found.pop("loop"))
    assert "No such file" in str(found.pop("broken"))
    assert found == {"a.json": A}
    passed = [source for source in sources.expand([tmp_path]) if source.passed_over]
    assert len(passed) == 4
    assert "lake" in str(read(tmp_path / "lake"))


def test_what_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no file matches"):
        read(tmp_path / "*.json")
    with pytest.raises(SourceError, match="nothing is there"):
        read(f"file://{tmp_path}/nowhere")


@pytest.mark.parametrize(
    "packed",
    [
        zipped,
        tarred,
        lambda files: gzip.compress(tarred(files)),
        lambda files: bz2.compress(tarred(files)),
        lambda files: lzma.compress(tarred(files)),
        lambda files: zstandard.compress(tarred(files)),
        lambda files: gzip.compress(zipped(files)) and zipped({"in.zip": zipped(files)}),
    ],
)
def test_members_of_an_archive_are_sources_of_their_own(tmp_path: Path, packed) -> None:
    files = {"a.json": A, "deep/b.json.gz": gzip.compress(B)}
    archive = packed(files)
    (tmp_path / "all").write_bytes(archive)
    found = read(tmp_path / "all")
    assert {Path(name).name: data for name, data in found.items()} == {
        Path(name).name: data for name, data in files.items()
    }
    assert all(name.startswith(f"{tmp_path}/all/") for name in found)
    assert [Path(name).name for name in read(("upload", io.BytesIO(archive)))] == [
        "a.json",
        "b.json.gz",
    ]
    assert list(tmp_path.iterdir()) == [tmp_path / "all"]


def test_an_archive_in_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    inner = zipped({"c.zip": zipped({"b.zip": zipped({"a.json": A})})})
    found = read(("deep", io.BytesIO(inner)))
    assert list(found) == ["deep/c.zip/b.zip"]
    assert "archive in an archive" in str(found["deep/c.zip/b.zip"])


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.json", "a/../../b.json", "C:\\x.json"])
def test_names_that_lead_out_of_an_archive_are_refused_alone(name: str) -> None:
    for archive in (zipped({name: A, "good.json": B}), tarred({name: A, "good.json": B})):
        found = list(read(("up", io.BytesIO(archive))).values())
        assert "leads out" in str(found[0])
        assert found[1:] == [B]


def test_links_devices_and_pipes_in_a_tar_are_refused_alone() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"odd{kind.decode()}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("good.json")
        entry.size = len(A)
        archive.addfile(entry, io.BytesIO(A))
    found = list(read(("odd", io.BytesIO(target.getvalue()))).values())
    assert ["link, device or pipe" in str(said) for said in found] == [True] * 4 + [False]
    assert found[-1] == A


def test_an_encrypted_member_is_refused_alone() -> None:
    archive = bytearray(zipped({"secret.json": A, "good.json": B}))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(magic) + flags] |= 1
    found = read(("e", io.BytesIO(bytes(archive))))
    assert "encrypted" in str(found["e/secret.json"])
    assert found["e/good.json"] == B


def test_bombs_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = bytes(100 << 20)
    for archive in (zipped({"a": bomb}), gzip.compress(tarred({"a": bomb}))):
        ((_, said),) = read(("bomb", io.BytesIO(archive))).items()
        assert "inflates more than" in str(said)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    for archive in (zipped({str(at): A for at in range(4)}), tarred(dict.fromkeys("abcd", A))):
        assert "more than 3 members" in str(list(read(("many", io.BytesIO(archive))).values())[-1])


@pytest.mark.parametrize("packed", [zipped, tarred, lambda files: gzip.compress(tarred(files))])
def test_a_cut_archive_never_breaks_the_rest_and_says_so(packed) -> None:
    whole = packed({"a.json": A * 40, "b.json": os.urandom(3_000)})
    for cut in range(4, len(whole), 97):
        found = read(("cut", io.BytesIO(whole[:cut])), ("next", io.BytesIO(A)))
        assert found.pop("next") == A
        assert found


def test_pipes_and_standard_input_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(A))
    writer.start()
    assert read(pipe) == {str(pipe): A}
    writer.join()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(zipped({"a.json": A}))))
    assert read("-") == {"standard input/a.json": A}


def test_addresses_are_read_through_arrow(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(B)
    (tmp_path / "a.zip").write_bytes(zipped({"a.json": A}))
    address = f"file://{tmp_path}"
    assert read(address) == {f"{address}/a.zip/a.json": A, f"{address}/b.json": B}
    assert read(f"{address}/b.json") == {f"{address}/b.json": B}


def test_sources_may_be_asked_for_all_at_once_without_holding_files_open(tmp_path: Path) -> None:
    for at in range(50):
        (tmp_path / f"{at:02}.json").write_bytes(A)
    before = len(list(Path("/proc/self/fd").iterdir()))
    found = list(sources.expand([tmp_path]))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert len(found) == 50
