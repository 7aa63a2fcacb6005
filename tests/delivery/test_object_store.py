"""Results reach an object store whole, each once: compared, never overwriting, with a manifest, and nothing half sent.

S3 is moto and Azure is Azurite, both real servers on this machine; boto3 looks at what came.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib

import pytest

from tests.delivery.results import Results
from tests.delivery.stores import S3, SECRET, line_to, moto
from watcher.clock import SystemClock
from watcher.delivery.object_store import PART_BYTES, ObjectStoreDelivery
from watcher.errors import DeliveryBroken, GalaxyAway, TargetGone
from watcher.results import ResultFile
from watcher.sandbox.server import free_port

pytestmark = pytest.mark.xdist_group("object stores")

MIB = 1024 * 1024
LARGE = bytes(range(251)) * (20 * MIB // 251)  # three parts, and pieces that never fall on a boundary of ours


async def bring(delivery: ObjectStoreDelivery, results: Results, *files: object) -> dict[str, str]:
    """Deliver files as the stage does, the manifest last; return SHA-256 by path."""
    listed = {}
    for path, file in delivery.places(files).items():  # type: ignore[arg-type]
        listed[path] = (await delivery.put(results, file, path))[1]
    await delivery.write_manifest(list(listed.items()))
    return listed


async def test_what_is_there_is_what_galaxy_has(s3: S3, results: Results) -> None:
    """Hostile names, folders, an empty and a large file: same keys, same bytes, same SHA-256, and a manifest."""
    names = [
        "../../etc/passwd",
        "a%2Fb #?&=+.txt",
        'quote"<x>|[1]{2}^`*',
        "Größe 試料 e\u0301",
        "new\nline\\back",
        "~x",
    ]
    files = [
        *(results.add(f"n{number}", name.encode(), name) for number, name in enumerate(names)),
        results.add("b", LARGE, "reads", "S1", "forward", ext="fastqsanger"),
        results.add("c", b"", "empty", ext="tabular"),
    ]
    delivery = s3.delivery()
    await delivery.prepare(sum(file.size for file in files))
    listed = await bring(delivery, results, *files)
    places = delivery.places(files)
    contents = s3.contents()
    manifest = contents.pop("run 7/out/MANIFEST.sha256").decode()
    assert contents == {f"run 7/out/{path}": results.contents[file.galaxy_id] for path, file in places.items()}
    for path, sha256 in listed.items():
        assert hashlib.sha256(contents[f"run 7/out/{path}"]).hexdigest() == sha256
        head = s3.head(f"run 7/out/{path}")
        assert head["Metadata"] == {"sha256": sha256}
        # Of one request moto keeps no checksum that came without boto3's own header.
        assert ("ChecksumSHA256" in head) == (head["ContentLength"] > PART_BYTES)
        assert delivery.place(places[path]) == path
        assert f"{sha256}  " in manifest
    assert s3.unfinished() == []


async def test_what_is_there_already_is_not_sent_again(s3: S3, results: Results) -> None:
    """The second time nothing is read from Galaxy, and nobody touches the objects."""
    files = [results.add("a", LARGE, "large"), results.add("b", b"small", "small")]
    delivery = s3.delivery()
    await bring(delivery, results, *files)
    before = {key: s3.head(key)["ETag"] for key in s3.contents()}
    results.offsets.clear()
    results.contents = {"a": b"", "b": b""}
    heard: list[int] = []
    assert await delivery.put(results, files[0], "large.txt", heard.append) == (len(LARGE), files[0].sha256)
    assert heard == [len(LARGE)]
    await bring(s3.delivery(), results, *files)
    assert results.offsets == []
    assert {key: s3.head(key)["ETag"] for key in s3.contents()} == before


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_without_a_checksum_from_galaxy_the_bytes_decide(s3: S3, results: Results, content: bytes) -> None:
    """An object that another program put there is read through, and taken when its bytes are those of Galaxy."""
    file = results.add("a", content, "reads", hashed=False)
    s3.client.put_object(Bucket=s3.bucket, Key="run 7/out/reads.txt", Body=content)
    sha256 = hashlib.sha256(content).hexdigest()
    delivery = s3.delivery()
    assert await delivery.put(results, file, "reads.txt") == (len(content), sha256)
    assert await delivery.holds("reads.txt", len(content), sha256)
    assert not await delivery.holds("reads.txt", len(content), "0" * 64)
    assert not await delivery.holds("reads.txt", len(content) + 1, sha256)
    assert not await delivery.holds("other.txt", len(content), sha256)


@pytest.mark.parametrize("hashed", [True, False], ids=["with checksum", "without"])
@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("other", [b"other", LARGE[:-1] + b"?", b""], ids=["other", "last byte", "empty"])
async def test_a_different_object_is_never_overwritten(
    s3: S3, results: Results, content: bytes, other: bytes, hashed: bool
) -> None:
    """Of whatever size it is: it stays, and a person is told."""
    s3.client.put_object(Bucket=s3.bucket, Key="run 7/out/reads.txt", Body=other)
    file = results.add("a", content, "reads", hashed=hashed)
    with pytest.raises(DeliveryBroken, match="is another object") as caught:
        await s3.delivery().put(results, file, "reads.txt")
    assert f"s3://{s3.bucket}/run 7/out/reads.txt" in caught.value.message
    assert "move it away" in caught.value.hint
    assert s3.contents() == {"run 7/out/reads.txt": other}
    assert s3.unfinished() == []


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_what_an_earlier_attempt_delivered_gives_way(s3: S3, results: Results, content: bytes) -> None:
    """Only what we delivered ourselves is replaced; meanwhile no manifest says that all is there."""
    old = results.add("a", b"old" + content[:-3], "reads")
    delivery = s3.delivery()
    await bring(delivery, results, old)
    new = results.add("b", content, "reads")
    with pytest.raises(DeliveryBroken, match="is another object"):
        await delivery.put(results, new, "reads.txt", outdated="0" * 64)
    await delivery.put(results, new, "reads.txt", outdated=old.sha256)
    assert s3.contents() == {"run 7/out/reads.txt": content}


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("wrong", ["checksum", "shorter", "longer"])
async def test_what_is_not_galaxys_never_gets_the_name(s3: S3, results: Results, content: bytes, wrong: str) -> None:
    """A wrong checksum, too little and too much: there is no object, no half one, and a person is told."""
    file = results.add("a", content, "reads")
    if wrong == "checksum":
        file = dataclasses.replace(file, sha256="0" * 64)
    else:
        results.contents["a"] = content[:-1] if wrong == "shorter" else content + b"x"
    with pytest.raises(DeliveryBroken, match="is not what Galaxy has") as caught:
        await s3.delivery().put(results, file, "reads.txt")
    assert "not delivered" in caught.value.message
    assert s3.contents() == {}
    assert s3.unfinished() == []


async def test_galaxy_going_away_leaves_nothing_half_sent(s3: S3, results: Results) -> None:
    """What was sent is taken away again; the next try sends all of it."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    delivery = s3.delivery()
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    assert s3.contents() == {}
    assert s3.unfinished() == []
    results.cut_at = None
    await delivery.put(results, file, "reads.txt")
    assert s3.contents() == {"run 7/out/reads.txt": LARGE}


async def call_off(delivery: ObjectStoreDelivery, results: Results, file: ResultFile) -> None:
    """Cancel a delivery in mid-file, and wait for its end."""
    under_way = asyncio.Event()

    def hear(done: int) -> None:
        if done > PART_BYTES:
            under_way.set()

    putting = asyncio.create_task(delivery.put(results, file, "reads.txt", hear))
    await under_way.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting


async def test_a_delivery_that_is_called_off_leaves_nothing_half_sent(s3: S3, results: Results) -> None:
    """Stopping the daemon in mid-file aborts the upload before it ends, where nobody remembers it."""
    await call_off(s3.delivery(), results, results.add("a", LARGE, "reads"))
    assert s3.contents() == {}
    assert s3.unfinished() == []


async def test_a_line_that_dies_in_a_part_is_waited_out(s3: S3, results: Results) -> None:
    """The store is gone for a while: TargetGone; the next try takes away what was left there, and ends right."""
    file = results.add("a", LARGE, "reads")
    async with line_to(s3.port) as line:
        delivery = s3.delivery(endpoint=f"http://127.0.0.1:{line.port}")
        line.die_after = 12 * MIB
        with pytest.raises(TargetGone, match="does not answer") as caught:
            await delivery.put(results, file, "reads.txt")
        assert SECRET not in repr(caught.value) + str(caught.value)
        assert caught.value.__cause__ is None
        assert s3.contents() == {}
        assert s3.unfinished() == ["run 7/out/reads.txt"]
        with pytest.raises(TargetGone):
            await delivery.prepare(1)
        line.mend()
        await delivery.prepare(1)
        assert await delivery.put(results, file, "reads.txt") == (len(LARGE), file.sha256)
    assert s3.contents() == {"run 7/out/reads.txt": LARGE}
    assert s3.unfinished() == []


async def test_a_server_that_dies_in_a_part_and_comes_back(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server itself is killed while parts come in; with a new one in its place a retry ends right."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    file = results.add("a", LARGE, "reads")
    port = free_port()
    with moto(port) as store:
        delivery = store.delivery()
        sending = asyncio.Event()
        putting = asyncio.create_task(
            delivery.put(results, file, "reads.txt", lambda done: sending.set() if done > PART_BYTES else None)
        )
        await sending.wait()
    with pytest.raises(TargetGone):
        await putting
    with moto(port) as store:
        await delivery.prepare(len(LARGE))
        await delivery.put(results, file, "reads.txt")
        assert store.contents() == {"run 7/out/reads.txt": LARGE}
        assert store.unfinished() == []


async def test_only_unfinished_uploads_of_the_same_name_are_taken_away(s3: S3, results: Results) -> None:
    """What another program is just sending beside ours goes on."""
    for key in ("run 7/out/reads.txt", "run 7/out/reads.txt.gz", "elsewhere"):
        s3.client.create_multipart_upload(Bucket=s3.bucket, Key=key)
    await s3.delivery().put(results, results.add("a", LARGE, "reads"), "reads.txt")
    assert sorted(s3.unfinished()) == ["elsewhere", "run 7/out/reads.txt.gz"]


async def test_a_missing_bucket_is_told_to_a_person(s3: S3, results: Results) -> None:
    """Before anything is sent, and as well when it goes away later."""
    s3.bucket = "never-made"
    delivery = s3.delivery()
    for call in (
        delivery.prepare(1),
        delivery.put(results, results.add("a", b"x", "small"), "small.txt"),
        delivery.put(results, results.add("b", LARGE, "large"), "large.txt"),
    ):
        with pytest.raises(DeliveryBroken, match="no such bucket"):
            await call


async def test_a_store_that_is_not_there_is_waited_for(results: Results) -> None:
    """Nobody listens: that passes by itself."""
    with pytest.raises(TargetGone, match="does not answer"):
        await S3(free_port()).delivery().prepare(1)


async def test_an_address_that_is_none_is_refused() -> None:
    """Another scheme, no bucket, a way up."""
    for url in ("ftp://results/x", "s3:///x", "s3://results/a/../b", "results/x"):
        with pytest.raises(DeliveryBroken, match="not a place in an object store"):
            ObjectStoreDelivery(url, {}, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
async def test_marker_and_manifest_are_gone_before_anything_is_added(s3: S3, results: Results, content: bytes) -> None:
    """A program that waits for them never takes half of what a second attempt adds; both come back in the end."""
    old, new, last = results.add("a", b"old", "old"), results.add("b", content, "new"), results.add("c", b"last", "zzz")

    def marked() -> ObjectStoreDelivery:
        return ObjectStoreDelivery(f"s3://{s3.bucket}/run 7/out", s3.options(), SystemClock(), marker="DELIVERED")

    await bring(marked(), results, old)
    ends = {"run 7/out/MANIFEST.sha256", "run 7/out/DELIVERED"}
    assert s3.contents().keys() == {"run 7/out/old.txt", *ends}
    kept = results.contents.pop("c")
    with pytest.raises(KeyError):
        await bring(marked(), results, old, new, last)
    assert s3.contents().keys() == {"run 7/out/old.txt", "run 7/out/new.txt"}
    results.contents["c"] = kept
    await bring(marked(), results, old, new, last)
    assert s3.contents().keys() == {f"run 7/out/{name}.txt" for name in ("old", "new", "zzz")} | ends


async def test_a_name_that_another_object_has_is_told_beforehand(s3: S3, results: Results) -> None:
    """Also where Galaxy has no checksum; what is the same, or outdated, or not there is free."""
    file = results.add("a", b"mine!", "reads", hashed=False)
    delivery = s3.delivery()
    assert not await delivery.is_taken(results, file, "reads.txt")
    for body, is_taken in ((b"theirs", True), (b"other", True), (b"mine!", False)):
        s3.client.put_object(Bucket=s3.bucket, Key="run 7/out/reads.txt", Body=body)
        assert await delivery.is_taken(results, file, "reads.txt") == is_taken
        outdated = hashlib.sha256(body).hexdigest()
        assert not await delivery.is_taken(results, file, "reads.txt", outdated=outdated)
