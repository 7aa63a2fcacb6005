"""An upload that broke is gone on with, whoever died: what the store has stays there, and only the rest is sent.

S3 is moto and Azure is Azurite, both real servers on this machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from tests.delivery.results import Results
from tests.delivery.sender import Made
from tests.delivery.stores import AZURITE_ACCOUNT, S3, Azure, Line, azurite, find_azurite, line_to
from tests.delivery.test_object_store import LARGE, MIB, call_off
from tests.delivery.test_object_store_alone import start
from tests.delivery.test_object_store_azure import contents
from tests.world import until
from watcher.clock import SystemClock
from watcher.delivery.azure_blocks import azure_blocks
from watcher.delivery.object_store import PART_BYTES, ObjectStoreDelivery
from watcher.delivery.parts import Begun
from watcher.delivery.s3_uploads import s3_uploads
from watcher.delivery.store_access import open_store
from watcher.errors import DeliveryBroken, GalaxyAway, NameTaken, TargetGone
from watcher.model import DatasetId
from watcher.results import ResultFile

pytestmark = pytest.mark.xdist_group("object stores")

KEY = "run 7/out/reads.txt"


class Notes:
    """What a row of the state remembers of an upload."""

    def __init__(self) -> None:
        self.id = ""

    async def note(self, upload_id: str) -> None:
        """Remember it."""
        self.id = upload_id

    @property
    def begun(self) -> Begun:
        """What the next try is told."""
        return Begun(self.id, self.note)


@pytest.fixture
def notes() -> Notes:
    """A memory that holds nothing yet."""
    return Notes()


def parts_of(s3: S3, upload_id: str) -> list[int]:
    """Return the numbers of the parts that S3 has of an upload."""
    listed = s3.client.list_parts(Bucket=s3.bucket, Key=KEY, UploadId=upload_id)
    return [part["PartNumber"] for part in listed.get("Parts", [])]


@pytest.mark.parametrize("checksums", [True, False], ids=["with SHA-256", "with MD5 alone"])
async def test_only_what_s3_lacks_is_sent_again(s3: S3, results: Results, notes: Notes, checksums: bool) -> None:
    """Galaxy goes away in mid-file: what came is kept, and the next try of another process sends the rest."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    more = {} if checksums else {"checksum_algorithm": "none"}
    async with line_to(s3.port) as line:
        options = s3.options(endpoint=f"http://127.0.0.1:{line.port}", **more)
        if not checksums:
            del options["checksum_algorithm"]

        def delivery() -> ObjectStoreDelivery:
            return ObjectStoreDelivery(f"s3://{s3.bucket}/run 7/out", options, SystemClock())

        with pytest.raises(GalaxyAway):
            await delivery().put(results, file, "reads.txt", begun=notes.begun)
        assert s3.unfinished() == [KEY]
        assert parts_of(s3, notes.id) == [1, 2]
        results.cut_at, line.passed = None, 0
        heard: list[int] = []
        await delivery().put(results, file, "reads.txt", heard.append, begun=notes.begun)
        assert line.passed < len(LARGE) - 2 * PART_BYTES + 64 * 1024
    assert heard[-1] == len(LARGE)
    assert s3.contents() == {KEY: LARGE}
    assert s3.head(KEY)["Metadata"] == {"sha256": file.sha256}
    assert s3.unfinished() == []


async def test_a_dead_line_costs_the_parts_under_way(s3: S3, results: Results, notes: Notes) -> None:
    """What was acknowledged before the line died is not sent twice."""
    file = results.add("a", LARGE, "reads")
    async with line_to(s3.port) as line:
        delivery = s3.delivery(endpoint=f"http://127.0.0.1:{line.port}")
        line.die_after = 19 * MIB  # in the third part
        with pytest.raises(TargetGone, match="does not answer"):
            await delivery.put(results, file, "reads.txt", begun=notes.begun)
        kept = parts_of(s3, notes.id)
        assert kept
        line.mend()
        line.passed = 0
        await delivery.put(results, file, "reads.txt", begun=notes.begun)
        assert line.passed < len(LARGE) - len(kept) * PART_BYTES + 64 * 1024
    assert s3.contents() == {KEY: LARGE}


async def test_an_upload_outlives_the_process_that_began_it(s3: S3, results: Results) -> None:
    """SIGKILL in mid-file: the parts that arrived are taken up by whoever knows the upload."""
    process = start(f"s3://{s3.bucket}/out", s3.options(), 64, 20)
    try:

        async def whole_parts() -> str:
            for one in s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", []):
                listed = s3.client.list_parts(Bucket=s3.bucket, Key=one["Key"], UploadId=one["UploadId"])
                if len(listed.get("Parts", [])) == 2:
                    return str(one["UploadId"])
            return ""

        upload_id = await until(whole_parts, what="two parts in the store")
    finally:
        process.kill()
        process.communicate()
    notes = Notes()
    notes.id = upload_id
    file = ResultFile(DatasetId("made"), ("made",), "txt", 64 * MIB)
    async with line_to(s3.port) as line:
        delivery = s3.delivery("out", endpoint=f"http://127.0.0.1:{line.port}")
        size, sha256 = await delivery.put(Made(64), file, "made.txt", begun=notes.begun)
        assert line.passed < 64 * MIB - 2 * PART_BYTES + 256 * 1024
    assert notes.id == upload_id
    (content,) = s3.contents().values()
    assert (size, sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert s3.unfinished() == []


async def test_parts_of_other_bytes_are_not_taken(s3: S3, results: Results, notes: Notes) -> None:
    """What the store has under a number is compared, not believed."""
    file = results.add("a", LARGE, "reads", hashed=False)
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    results.cut_at = None
    results.contents["a"] = LARGE[:MIB] + b"?" + LARGE[MIB + 1 :]
    await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    assert s3.contents() == {KEY: results.contents["a"]}


async def test_an_upload_that_is_gone_begins_anew(s3: S3, results: Results, notes: Notes) -> None:
    """Somebody, or a rule of the bucket, threw it away; one that nobody remembers is thrown away by us."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    first = notes.id
    s3.client.abort_multipart_upload(Bucket=s3.bucket, Key=KEY, UploadId=first)
    s3.client.create_multipart_upload(Bucket=s3.bucket, Key=KEY)
    results.cut_at = None
    await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    assert notes.id not in ("", first)
    assert s3.contents() == {KEY: LARGE}
    assert s3.unfinished() == []


async def test_what_is_not_galaxys_is_thrown_away_at_once(s3: S3, results: Results, notes: Notes) -> None:
    """Also when its upload is remembered: nobody would go on with it."""
    file = results.add("a", LARGE, "reads")
    results.contents["a"] = LARGE + b"x"
    with pytest.raises(DeliveryBroken, match="is not what Galaxy has"):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    assert s3.unfinished() == []


async def test_what_is_given_up_is_thrown_away(s3: S3, results: Results, notes: Notes) -> None:
    """Only of that very object."""
    file = results.add("a", LARGE, "reads")
    s3.client.create_multipart_upload(Bucket=s3.bucket, Key=f"{KEY}.gz")
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    await s3.delivery().abandon("reads.txt")
    assert s3.unfinished() == [f"{KEY}.gz"]


@pytest.mark.parametrize("is_ours", [False, True], ids=["another", "the same"])
@pytest.mark.parametrize("kind", ["s3", "azure"])
async def test_an_object_that_came_meanwhile_is_not_replaced(
    request: pytest.FixtureRequest, results: Results, notes: Notes, kind: str, is_ours: bool
) -> None:
    """Another program writes the same name while we send: theirs stays, and a person is told; what is the same, as
    after an answer to our own last request that was lost, is taken as delivered. Our parts are thrown away.
    """
    store: S3 | Azure = request.getfixturevalue(kind)
    file = results.add("a", LARGE, "reads")
    other = file if is_ours else results.add("o", b"other", "reads")

    class Meanwhile(Results):
        """Results of which the last piece comes after somebody else was there."""

        async def _pieces(self, content: bytes, offset: int) -> AsyncIterator[bytes]:
            yield content[: 10 * MIB]
            theirs = results.contents[other.galaxy_id]
            if isinstance(store, S3):
                store.client.put_object(Bucket=store.bucket, Key=KEY, Body=theirs)
            else:
                obstore.put(open_store("az", store.container, store.options()), KEY, theirs)
            yield content[10 * MIB :]

    late = Meanwhile()
    late.contents = results.contents
    if is_ours:
        assert await store.delivery().put(late, file, "reads.txt", begun=notes.begun) == (len(LARGE), file.sha256)
    else:
        with pytest.raises(NameTaken, match="is another object"):
            await store.delivery().put(late, file, "reads.txt", begun=notes.begun)
    if isinstance(store, S3):
        assert store.unfinished() == []
    assert (store.contents() if isinstance(store, S3) else contents(store)) == {KEY: results.contents[other.galaxy_id]}


async def test_what_came_by_another_way_leaves_no_parts_behind(s3: S3, results: Results, notes: Notes) -> None:
    """Between two tries somebody else brought the very same: it is taken, and our half is thrown away."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    results.cut_at = None
    s3.client.put_object(Bucket=s3.bucket, Key=KEY, Body=LARGE)
    assert await s3.delivery().put(results, file, "reads.txt", begun=notes.begun) == (len(LARGE), file.sha256)
    assert s3.unfinished() == []


async def test_an_outdated_object_stands_in_nobodys_way(
    s3: S3, results: Results, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of the bucket throws our parts away at the last moment: the delivery goes on by itself, and no person is
    asked to move the object of before, which is to give way.
    """
    s3.client.put_object(Bucket=s3.bucket, Key=KEY, Body=b"of before")
    outdated = hashlib.sha256(b"of before").hexdigest()
    file = results.add("a", LARGE, "reads")
    really = httpx.AsyncClient.request

    async def request(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> httpx.Response:
        if method == "POST" and "uploadId" in url:  # moto itself answers 500
            s3.client.abort_multipart_upload(Bucket=s3.bucket, Key=KEY, UploadId=notes.id)
            return httpx.Response(404, text="<Error><Code>NoSuchUpload</Code></Error>")
        return await really(client, method, url, **more)

    with monkeypatch.context() as patched:
        patched.setattr(httpx.AsyncClient, "request", request)
        with pytest.raises(TargetGone, match="has lost them"):
            await s3.delivery().put(results, file, "reads.txt", outdated=outdated, begun=notes.begun)
    assert s3.contents() == {KEY: b"of before"}
    await s3.delivery().put(results, file, "reads.txt", outdated=outdated, begun=notes.begun)
    assert s3.contents() == {KEY: LARGE}
    assert s3.unfinished() == []


@pytest.mark.parametrize("status", [400, 403], ids=["an id of another store", "no right to ask"])
async def test_parts_that_are_not_told_begin_anew(
    s3: S3, results: Results, notes: Notes, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Nobody is stuck with an upload that the store tells nothing of; it is thrown away."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    results.cut_at, first = None, notes.id
    really = httpx.AsyncClient.request

    async def request(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> httpx.Response:
        if method == "GET":
            return httpx.Response(status, text="<Error><Code>Refused</Code></Error>")
        return await really(client, method, url, **more)

    monkeypatch.setattr(httpx.AsyncClient, "request", request)
    await s3.delivery().put(results, file, "reads.txt", begun=notes.begun)
    assert notes.id != first
    assert s3.contents() == {KEY: LARGE}
    assert s3.unfinished() == []


async def test_only_what_azure_lacks_is_sent_again(azure: Azure, results: Results) -> None:
    """Nothing need be remembered: a block says by its name what it is."""
    file = results.add("a", LARGE, "reads")
    results.cut_at = 17 * MIB
    async with line_to(azure.port) as line:
        with pytest.raises(GalaxyAway):
            await through(line, azure).put(results, file, "reads.txt")
        results.cut_at, line.passed = None, 0
        await through(line, azure).put(results, file, "reads.txt")
        assert line.passed < len(LARGE) - 2 * PART_BYTES + 64 * 1024
    assert contents(azure) == {KEY: LARGE}


async def test_blocks_that_obstore_left_are_in_nobodys_way(
    azure: Azure, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It broke off while this machine was known by another identity than a key: the delivery goes on with the key,
    and back.
    """
    file = results.add("a", LARGE, "reads")
    alone = azure.delivery()
    monkeypatch.setattr(alone, "_uploads", None)
    for broken, whole in ((alone, azure.delivery()), (azure.delivery(), alone)):
        results.cut_at = 17 * MIB
        with pytest.raises(GalaxyAway):
            await broken.put(results, file, "reads.txt")
        results.cut_at = None
        await whole.put(results, file, "reads.txt")
        assert contents(azure) == {KEY: LARGE}
        obstore.delete(open_store("az", azure.container, azure.options()), KEY)


def through(line: Line, azure: Azure) -> ObjectStoreDelivery:
    """Return a delivery to a container by way of a relay."""
    endpoint = {"endpoint": f"http://127.0.0.1:{line.port}/{AZURITE_ACCOUNT}"}
    return ObjectStoreDelivery(f"az://{azure.container}/run 7/out", azure.options() | endpoint, SystemClock())


async def test_a_server_that_is_killed_in_a_part_has_the_ones_before(tmp_path: Path, results: Results) -> None:
    """Azurite gets SIGKILL while a part comes in and is started again: the parts it has are not sent twice."""
    program = find_azurite()
    if program is None:
        pytest.skip("Azurite is not installed (.ci/azurite)")
    file = results.add("a", LARGE, "reads")
    with azurite(program, tmp_path) as first:
        first.make_container()
        async with line_to(first.port) as line:
            line.die_after = 19 * MIB
            with pytest.raises(TargetGone):
                await through(line, first).put(results, file, "reads.txt")
    with azurite(program, tmp_path) as second:
        async with line_to(second.port) as line:
            await through(line, second).put(results, file, "reads.txt")
            passed = line.passed
        assert contents(second) == {KEY: LARGE}
    assert passed < len(LARGE) - PART_BYTES + 64 * 1024


async def test_with_the_identity_of_a_machine_a_broken_upload_begins_anew(
    s3: S3, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where we cannot sign ourselves, obstore sends and clears up: what is cut off, called off or not what Galaxy has
    leaves nothing, and the next try sends all of it.
    """
    file = results.add("a", LARGE, "reads")
    delivery = s3.delivery()
    monkeypatch.setattr(delivery, "_uploads", None)
    results.cut_at = 17 * MIB
    with pytest.raises(GalaxyAway):
        await delivery.put(results, file, "reads.txt")
    results.cut_at = None
    results.contents["a"] = LARGE[:-1] + b"?"
    with pytest.raises(DeliveryBroken, match="is not what Galaxy has"):
        await delivery.put(results, file, "reads.txt")
    results.contents["a"] = LARGE
    await call_off(delivery, results, file)
    assert s3.contents() == {}
    assert s3.unfinished() == []
    assert await delivery.put(results, file, "reads.txt") == (len(LARGE), file.sha256)
    await delivery.abandon("reads.txt")
    assert s3.contents() == {KEY: LARGE}


@pytest.mark.parametrize(
    ("options", "is_signed"),
    [
        ({}, False),
        ({"account_name": "lab", "account_key": "bm8gc2VjcmV0"}, True),
        ({"account_name": "lab", "account_key": "no base64!"}, False),
    ],
)
def test_azure_is_signed_for_with_the_key_of_an_account(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], is_signed: bool
) -> None:
    """Without one obstore finds out who this machine is."""
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert (azure_blocks("results", options, SystemClock()) is not None) == is_signed


def test_azure_is_signed_for_with_a_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the settings name none."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lab")
    monkeypatch.setenv("AZURE_STORAGE_ACCESS_KEY", "bm8gc2VjcmV0")
    assert azure_blocks("results", {}, SystemClock()) is not None


@pytest.mark.parametrize(
    "name",
    ["AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_KMS_KEY_ID", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_REQUEST_PAYER"],
)
def test_what_only_obstore_can_say_is_left_to_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nobody who wants objects encrypted by a key of their own gets large ones without it."""
    keys = {"access_key_id": "us", "secret_access_key": "s3cr3t"}
    assert s3_uploads("results", keys, SystemClock())
    monkeypatch.setenv(name, "wanted")
    assert s3_uploads("results", keys, SystemClock()) is None
    monkeypatch.setenv(name, "false")
    assert s3_uploads("results", keys, SystemClock())


@pytest.mark.parametrize("name", ["AZURE_STORAGE_TOKEN", "AZURE_SKIP_SIGNATURE"])
def test_whom_obstore_prefers_to_a_key_sends(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Small and large objects come from the same identity."""
    keys = {"account_name": "lab", "account_key": "bm8gc2VjcmV0"}
    assert azure_blocks("results", keys, SystemClock())
    monkeypatch.setenv(name, "true")
    assert azure_blocks("results", keys, SystemClock()) is None


def test_the_environment_names_one_store_for_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large objects go where obstore sends small ones, with the same token."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT", "https://s3.example.org")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "us")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_TOKEN", "of-temporary-keys")
    uploads = s3_uploads("results", {}, SystemClock())
    assert uploads
    assert uploads.url == "https://s3.example.org/results"
    assert uploads.keys.session == "of-temporary-keys"
