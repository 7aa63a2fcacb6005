"""Results reach a folder whole, each once: resumed, compared, never overwriting, with a manifest for `sha256sum -c`."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from tests.delivery.results import AtOnce, Results, parts_in, run_command
from watcher.clock import ManualClock
from watcher.delivery import FolderDelivery
from watcher.errors import DeliveryBroken, GalaxyAway

MIB = 1024 * 1024
LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB, in pieces that never fall on a boundary of ours


@pytest.fixture
def results() -> Results:
    """Results in memory."""
    return Results()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to deliver to, not made yet, below a base that exists."""
    return tmp_path / "base" / "run 7"


@pytest.fixture
def delivery(folder: Path) -> FolderDelivery:
    """A delivery to that folder."""
    folder.parent.mkdir()
    return FolderDelivery(folder, folder.parent, AtOnce(), ManualClock())


async def test_a_delivery_is_accepted_by_sha256sum(delivery: FolderDelivery, folder: Path, results: Results) -> None:
    """Odd names, sub-folders, an empty and a large file: all is there, and the manifest proves it."""
    files = [
        results.add("a", b"hello\n", "../../etc/passwd"),
        results.add("b", LARGE, "reads", "S1", "forward", ext="fastqsanger"),
        results.add("c", b"", "empty", ext="tabular"),
        results.add("d", b"x", "new\nline\\and\\back", ext="data"),
        results.add("e", b"y", "Empty", ext="tabular"),
    ]
    await delivery.prepare(sum(file.size for file in files))
    listed = []
    for path, file in delivery.places(files).items():
        size, sha256 = await delivery.put(results, file, path)
        assert size == file.size
        assert (folder / path).read_bytes() == results.contents[file.galaxy_id]
        assert delivery.place(file) == path
        listed.append((path, sha256))
    await delivery.write_manifest(listed)
    checked = run_command("sha256sum", "--check", "--strict", "MANIFEST.sha256", cwd=folder)
    assert checked.count(": OK") == len(files)
    assert not parts_in(folder)
    assert sorted(path.name for path in folder.parent.parent.iterdir()) == ["base"]


async def test_a_broken_transfer_goes_on_where_it_stopped(
    delivery: FolderDelivery, folder: Path, results: Results
) -> None:
    """Under the final name there is nothing before the end; the second try reads only what is missing."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 3 * MIB
    heard: list[int] = []
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt", heard.append)
    assert not (folder / "reads.txt").exists()
    (part,) = parts_in(folder)
    kept = part.stat().st_size
    assert MIB < kept <= 3 * MIB
    assert heard[-1] == kept
    results.cut_at = None
    assert await delivery.put(results, file, "reads.txt", heard.append) == (len(LARGE), file.sha256)
    assert results.offsets == [0, kept]
    assert (folder / "reads.txt").read_bytes() == LARGE
    assert heard[-1] == len(LARGE)
    assert not parts_in(folder)


@pytest.mark.parametrize("hashed", [True, False], ids=["with checksum", "without"])
async def test_an_unsynced_tail_is_fetched_again(
    delivery: FolderDelivery, folder: Path, results: Results, hashed: bool
) -> None:
    """What a power cut may have left as zeros is not trusted, whether or not Galaxy has a checksum to notice it."""
    file = results.add("a", LARGE, "reads", hashed=hashed)
    results.cut_at = 3 * MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    (part,) = parts_in(folder)
    assert part.name.endswith(".synced.part")
    part = part.rename(str(part).replace(".synced", ""))  # as a death leaves it
    part.write_bytes(bytes(part.stat().st_size))
    results.cut_at = None
    _, sha256 = await delivery.put(results, file, "reads.txt")
    assert sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (folder / "reads.txt").read_bytes() == LARGE


@pytest.mark.parametrize(
    "leftover", [b"something else", LARGE + b"longer", LARGE[:-1] + b"?"], ids=["other", "longer", "same size"]
)
async def test_a_leftover_that_does_not_fit_is_replaced(
    delivery: FolderDelivery, folder: Path, results: Results, leftover: bytes
) -> None:
    """When the temporary file is not the beginning of this result, the result is fetched from its start."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    parts_in(folder)[0].write_bytes(leftover)
    results.cut_at = None
    await delivery.put(results, file, "reads.txt")
    assert results.offsets[-1] == 0
    assert (folder / "reads.txt").read_bytes() == LARGE


async def test_another_result_of_the_name_does_not_go_on_with_a_leftover(
    delivery: FolderDelivery, folder: Path, results: Results
) -> None:
    """A repeated workflow's result starts from nothing, and the old leftover is gone once the manifest is there."""
    results.cut_at = 2 * MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, results.add("old", LARGE, "reads", hashed=False), "reads.txt")
    results.cut_at = None
    fresh = results.add("new", LARGE[::-1], "reads", hashed=False)
    size, sha256 = await delivery.put(results, fresh, "reads.txt")
    assert (folder / "reads.txt").read_bytes() == LARGE[::-1]
    assert len(parts_in(folder)) == 1
    await delivery.write_manifest([("reads.txt", sha256)])
    assert not parts_in(folder)
    assert size == len(LARGE)


@pytest.mark.parametrize("hashed", [True, False], ids=["with checksum", "without"])
async def test_what_is_there_and_the_same_is_kept(
    delivery: FolderDelivery, folder: Path, results: Results, hashed: bool
) -> None:
    """After a death between rename and receipt nothing is written again; without a checksum the bytes are compared."""
    file = results.add("a", LARGE, "reads", hashed=hashed)
    proof = await delivery.put(results, file, "reads.txt")
    before = (folder / "reads.txt").stat()
    results.offsets.clear()
    assert await delivery.put(results, file, "reads.txt") == proof
    after = (folder / "reads.txt").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert results.offsets == ([] if hashed else [0])


async def test_a_death_between_link_and_unlink_leaves_one_file(
    delivery: FolderDelivery, folder: Path, results: Results
) -> None:
    """The temporary name that still stands beside the final one is removed when the file is taken as delivered."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    results.cut_at = None
    (part,) = parts_in(folder)
    part.write_bytes(LARGE)
    os.link(part, folder / "reads.txt")
    await delivery.put(results, file, "reads.txt")
    assert not parts_in(folder)
    assert (folder / "reads.txt").stat().st_nlink == 1


@pytest.mark.parametrize("hashed", [True, False], ids=["with checksum", "without"])
@pytest.mark.parametrize("other", [b"theirs", LARGE[::-1]], ids=["other size", "same size"])
async def test_what_is_there_and_differs_is_never_overwritten(
    delivery: FolderDelivery, folder: Path, results: Results, hashed: bool, other: bytes
) -> None:
    """A different file of that name stays as it is, and the delivery says so."""
    folder.mkdir()
    (folder / "reads.txt").write_bytes(other)
    with pytest.raises(DeliveryBroken, match="is there already"):
        await delivery.put(results, results.add("a", LARGE, "reads", hashed=hashed), "reads.txt")
    assert (folder / "reads.txt").read_bytes() == other


@pytest.mark.parametrize(
    ("sent", "told"),
    [(LARGE[:-1], "of 4194304 bytes came"), (LARGE + b"?", "more than"), (b"?" + LARGE[1:], "SHA-256 is")],
    ids=["short", "long", "changed"],
)
async def test_wrong_bytes_are_not_delivered(
    delivery: FolderDelivery, folder: Path, results: Results, sent: bytes, told: str
) -> None:
    """Fewer, more or other bytes than Galaxy said leave nothing behind, not even a temporary file."""
    file = results.add("a", LARGE, "reads")
    results.contents["a"] = sent
    with pytest.raises(DeliveryBroken, match=told):
        await delivery.put(results, file, "reads.txt")
    assert list(folder.iterdir()) == []


async def test_a_file_is_looked_at_again(delivery: FolderDelivery, folder: Path, results: Results) -> None:
    """`holds` compares size and content of what is on the disk, and finds missing files and folders missing."""
    file = results.add("a", LARGE, "reads")
    await delivery.put(results, file, "sub/reads.txt")
    assert await delivery.holds("sub/reads.txt", file.size, file.sha256)
    assert not await delivery.holds("sub/reads.txt", file.size - 1, file.sha256)
    assert not await delivery.holds("sub/other.txt", file.size, file.sha256)
    assert not await delivery.holds("nowhere/reads.txt", file.size, file.sha256)
    with (folder / "sub" / "reads.txt").open("r+b") as changed:
        changed.write(b"?")
    assert not await delivery.holds("sub/reads.txt", file.size, file.sha256)


async def test_a_manifest_is_written_anew(delivery: FolderDelivery, folder: Path) -> None:
    """A second manifest replaces the first as a whole, sorted by name."""
    await delivery.write_manifest([("b", "1" * 64), ("a", "2" * 64)])
    await delivery.write_manifest([("b", "3" * 64), ("a", "4" * 64)])
    assert (folder / "MANIFEST.sha256").read_text() == f"{'4' * 64}  a\n{'3' * 64}  b\n"


async def test_several_files_at_once(delivery: FolderDelivery, folder: Path, results: Results) -> None:
    """Files that are brought side by side, in new folders they share, do not disturb each other."""
    files = [results.add(f"id{number}", bytes([number]) * (MIB + number), "set", f"S{number}") for number in range(8)]
    places = delivery.places(files)
    await asyncio.gather(*(delivery.put(results, file, path) for path, file in places.items()))
    for path, file in places.items():
        assert (folder / path).read_bytes() == results.contents[file.galaxy_id]


async def test_the_umask_decides_who_may_read(delivery: FolderDelivery, folder: Path, results: Results) -> None:
    """Files and folders get the mode that the service's umask leaves."""
    before = os.umask(0o027)
    try:
        await delivery.put(results, results.add("a", b"x", "reads"), "sub/reads.txt")
    finally:
        os.umask(before)
    assert (folder / "sub" / "reads.txt").stat().st_mode & 0o777 == 0o640
    assert (folder / "sub").stat().st_mode & 0o777 == 0o750


async def test_only_what_an_earlier_attempt_delivered_gives_way(
    delivery: FolderDelivery, folder: Path, results: Results
) -> None:
    """A file of the SHA-256 that was delivered here is replaced, the manifest goes first; any other one stays."""
    old, new = results.add("a", b"of attempt 1", "report"), results.add("b", b"of attempt 2", "report")
    await delivery.prepare(old.size)
    (path,) = delivery.places([old])
    _, outdated = await delivery.put(results, old, path)
    await delivery.write_manifest([(path, outdated)])
    with pytest.raises(DeliveryBroken, match="another file"):
        await delivery.put(results, new, path)
    assert (folder / "MANIFEST.sha256").exists()
    _, sha256 = await delivery.put(results, new, path, outdated=outdated)
    assert ((folder / path).read_bytes(), sha256) == (b"of attempt 2", new.sha256)
    assert not (folder / "MANIFEST.sha256").exists()
    (folder / path).write_bytes(b"by hand")
    with pytest.raises(DeliveryBroken, match="another file"):
        await delivery.put(results, old, path, outdated=sha256)
    assert (folder / path).read_bytes() == b"by hand"
    assert not parts_in(folder)
