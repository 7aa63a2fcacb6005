"""Brings results to an object store: whole, under safe names, each once, with a manifest at the end.

The twin of `folder.py` for S3, Google Cloud Storage and Azure. A result flows from Galaxy to the store in parts and
never touches a local disk; an object is seen there only when all parts are complete, so what is not what Galaxy has is
given up before. The SHA-256 is kept with the object where it is known before the first part goes: of small results
always, of large ones where Galaxy lists it; the manifest has it in any case. What is there already and the same is
taken as delivered; what differs is never overwritten. An upload that broke is gone on with, by another process as
well (`parts.py`), where this process can sign for the store: on S3 and Azure with keys. Else it begins anew
(`streamed.py`). It knows no Galaxy and no batch. Opening and errors are in `store_access.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from watcher.clock import Clock
from watcher.delivery.azure_blocks import azure_blocks
from watcher.delivery.names import NO_NAMES, Places, manifest_entries, manifest_line
from watcher.delivery.parts import NEVER_BEGUN, Begun, Uploads, send_parts
from watcher.delivery.s3_uploads import s3_uploads
from watcher.delivery.store_access import lacks_place, open_store, split_address, store_errors, told
from watcher.delivery.streamed import streamed
from watcher.delivery.templates import Names
from watcher.errors import DeliveryBroken, NameTaken, TargetGone
from watcher.results import MANIFEST, ResultFile, ResultSource

if TYPE_CHECKING:
    from obstore import PutMode

SHA256_KEY = "sha256"
PART_BYTES = 8 * 1024 * 1024
_PARTS = 9000  # S3 takes 10,000 of one object
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Object:
    """What a store says of an object; `sha256` is empty where none was kept with it."""

    size: int
    sha256: str


class ObjectStoreDelivery(Places):
    """One prefix in a bucket or container that results are brought to. The bucket must exist."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, str],
        clock: Clock,
        *,
        marker: str = "",
        kept: Sequence[str] = (),
        names: Names = NO_NAMES,
    ) -> None:
        """Open the store at `url`; `options` are those of `store_access.py`. Raises DeliveryBroken.

        `marker` is the name of an empty object that comes last of all, if there is to be one; names that are `kept` no
        result is given.
        """
        super().__init__(marker, kept, names)
        scheme, bucket, self._prefix = split_address(url)
        self._url = f"{scheme}://{bucket}/"
        self._store = open_store(scheme, bucket, options)
        self._has_begun = False
        self._uploads: Uploads | None = None  # none: obstore sends large results as well
        if scheme != "gs":
            self._uploads = (s3_uploads if scheme == "s3" else azure_blocks)(bucket, options, clock)

    async def prepare(self, needed_bytes: int) -> None:
        """See that the store answers, knows the bucket and lets us read; a store has no number of free bytes."""
        import obstore

        key = self._key(MANIFEST)
        try:
            await obstore.get_async(self._store, key)  # not HEAD, whose answer does not tell why
        except FileNotFoundError as error:
            if lacks_place(str(error)):
                raise told(self._url + key, str(error)) from None
        except Exception as error:
            with store_errors(self._url + key):
                raise error

    async def put(
        self,
        source: ResultSource,
        file: ResultFile,
        path: str,
        on_bytes: Callable[[int], None] = lambda _: None,
        *,
        outdated: str = "",
        begun: Begun = NEVER_BEGUN,
    ) -> tuple[int, str]:
        """Bring one result to `path`; return its size and the SHA-256 of what was sent (see `ResultFile.checked`).

        `on_bytes` hears how many bytes were handed to the store. Twice is harmless: what is whole is kept, and what an
        earlier try left half sent is gone on with when `begun` tells of it, else taken away. Only an object of the
        SHA-256 `outdated`, which an earlier attempt delivered here, gives way to another one. Manifest and marker are
        gone before the object is there. Raises DeliveryBroken when the bytes are not what they should be, NameTaken
        when a different object has the name, TargetFull, TargetGone, and whatever the source raises.
        """
        there = await self._look(path)
        if there is not None:
            adopted = await self._adopt(source, file, path, there, outdated)
            if adopted:
                if begun.id:  # it came by another way, or the answer to our last request was lost
                    await self.abandon(path, begun.id)
                on_bytes(file.size)
                return file.size, adopted
        if file.size > PART_BYTES:
            sha256 = await self._send_large(source, file, path, on_bytes, begun, replace=there is not None)
        else:
            sha256 = await self._send_whole(source, file, path, replace=there is not None)
            on_bytes(file.size)
        await self._prove(file.size, path, sha256)
        return file.size, sha256

    async def is_taken(self, source: ResultSource, file: ResultFile, path: str, *, outdated: str = "") -> bool:
        """Tell whether `put` would raise NameTaken; what is there is compared in the same way."""
        try:
            there = await self._look(path)
            if there is not None:
                await self._adopt(source, file, path, there, outdated)
        except NameTaken:
            return True
        return False

    async def size_of(self, path: str) -> int | None:
        """Return how long the object at `path` is, None where there is none."""
        there = await self._look(path)
        return None if there is None else there.size

    async def holds(self, path: str, size: int, sha256: str) -> bool:
        """Tell whether an object of this size and SHA-256 is there; reads it through where no SHA-256 is kept."""
        there = await self._look(path)
        return there is not None and there.size == size and await self._sha256(path, there) == sha256

    async def listed(self) -> dict[str, str]:
        """Return the SHA-256 of each path that the manifest there names; none where there is no manifest."""
        import obstore

        with store_errors(self._name(MANIFEST)):
            try:
                found = await obstore.get_async(self._store, self._key(MANIFEST))
                content = bytes(await found.bytes_async())
            except FileNotFoundError:
                return {}
        return manifest_entries(content.decode("utf-8", "replace"))

    async def write_manifest(self, files: Sequence[tuple[str, str]]) -> None:
        """Write paths and SHA-256 in the form `sha256sum -c` reads; it comes last, so that it means "all here". After
        it comes the marker, if there is to be one; one of before goes first.
        """
        content = "".join(manifest_line(path, sha256) for path, sha256 in sorted(files)).encode()
        if not self._has_begun:
            for marker in self._ends:
                await self._drop(marker)
        sha256 = hashlib.sha256(content).hexdigest()
        await self._put_object(MANIFEST, content, sha256, "overwrite")
        await self._prove(len(content), MANIFEST, sha256)
        for marker in self._ends:
            await self._put_object(marker, b"", hashlib.sha256(b"").hexdigest(), "overwrite")
        self._has_begun = False

    async def _begin(self) -> None:
        """Take marker and manifest away, once: they would say of a target that is about to change that it is whole."""
        if not self._has_begun:
            for end in (*self._ends, MANIFEST):
                await self._drop(end)
            self._has_begun = True

    async def _send_whole(self, source: ResultSource, file: ResultFile, path: str, *, replace: bool) -> str:
        """Send a small result with one request, which refuses to replace what came meanwhile."""
        import obstore

        content = b"".join([piece async for piece in self._read(source, file, path)])
        sha256 = hashlib.sha256(content).hexdigest()
        self._compare(file, path, len(content), sha256)
        await self._begin()
        try:
            await self._put_object(path, content, sha256, "overwrite" if replace else "create")
        except obstore.exceptions.AlreadyExistsError:
            await self._see(file, path, sha256)  # our own request may have come through though its answer was lost
        return sha256

    async def _put_object(self, path: str, content: bytes, sha256: str, mode: PutMode) -> None:
        import obstore

        with store_errors(self._name(path)):
            try:
                await obstore.put_async(
                    self._store, self._key(path), content, attributes={SHA256_KEY: sha256}, mode=mode,
                    use_multipart=False,
                )  # fmt: skip
            except obstore.exceptions.AlreadyExistsError:
                raise
            except obstore.exceptions.GenericError as error:
                if mode != "create" or "status code: 501" not in str(error):
                    raise
                # A store without conditional writes; we looked a moment ago.
                await self._put_object(path, content, sha256, "overwrite")

    async def _send_large(
        self,
        source: ResultSource,
        file: ResultFile,
        path: str,
        on_bytes: Callable[[int], None],
        begun: Begun,
        *,
        replace: bool,
    ) -> str:
        """Send a large result in parts; it gets its name with the last request, after the comparison."""
        part_bytes = max(PART_BYTES, file.size // _PARTS + 1)
        key, place = self._key(path), self._name(path)
        if self._uploads is None:
            attributes = {SHA256_KEY: file.sha256} if file.sha256 else {}
            pieces = self._read(source, file, path)
            async with streamed(self._store, key, place, pieces, part_bytes, attributes, on_bytes) as sent:
                self._compare(file, path, sent.size, sent.sha256)
                await self._begin()
                await sent.complete()
            return sent.sha256
        async with self._uploads.of(key, file.sha256) as upload:
            has_ended = False
            try:
                upload_id = await upload.take_up(begun.id)
                if upload_id != begun.id:
                    await begun.note(upload_id)
                async with contextlib.aclosing(self._read(source, file, path)) as pieces:
                    size, sha256 = await send_parts(upload, pieces, part_bytes, on_bytes)
                self._compare(file, path, size, sha256)
                await self._begin()
                has_ended = await upload.complete(sha256, replace=replace)
                if not has_ended:  # its answer may have been lost: then it is there
                    await self._see(file, path, sha256, replace=replace)
                    await upload.abort()  # or somebody else brought it, and nobody would ask for our parts again
            except DeliveryBroken:
                await upload.abort()
                raise
            finally:
                if not has_ended and not begun.lasts:
                    await upload.abort()
        return sha256

    async def abandon(self, path: str, upload_id: str = "") -> bool:
        """Throw away what was sent for `path`, by the upload of this id above all, and has not become an object; nobody
        goes on with it. False when the store is away: what is left is taken away before the next upload of that name.
        """
        return self._uploads is None or await self._uploads.abort(self._key(path), upload_id)

    async def _see(self, file: ResultFile, path: str, sha256: str, *, replace: bool = False) -> None:
        """Raise unless the object is there that could not be made: by an earlier request, then. Where an outdated one
        was to give way, what is there is that one, and the next try compares it.
        """
        there = await self._look(path)
        if there is not None and there.size == file.size and await self._sha256(path, there) == sha256:
            return
        if there is None or replace:
            raise TargetGone(
                f"{self._name(path)} could not be made of its parts: the store has lost them.",
                hint="The delivery goes on by itself, with all of them.",
            )
        self._refuse(file, path, there)

    async def _read(self, source: ResultSource, file: ResultFile, path: str) -> AsyncGenerator[bytes, None]:
        """Yield the result in pieces; stop at once when there is more of it than there should be."""
        done, piece = 0, bytearray()
        async with source.read(file, 0) as chunks:
            async for chunk in chunks:
                piece += chunk
                if done + len(piece) > file.size:
                    self._compare(file, path, done + len(piece), "")
                if len(piece) >= _PIECE_BYTES:
                    done += len(piece)
                    yield bytes(piece)
                    piece.clear()
        if piece:
            yield bytes(piece)

    async def _adopt(self, source: ResultSource, file: ResultFile, path: str, there: _Object, outdated: str) -> str:
        """Return the SHA-256 of an object that has the name already, if it is this result; "" for an outdated one."""
        same_size = there.size == file.size
        sha256 = await self._sha256(path, there) if same_size or outdated else ""
        wanted = file.sha256
        if same_size and not wanted:  # Galaxy has no checksum: only its bytes can tell
            digest = hashlib.sha256()
            async for piece in self._read(source, file, path):
                digest.update(piece)
            wanted = digest.hexdigest()
        if same_size and sha256 == wanted:
            return sha256
        if not outdated or sha256 != outdated:
            self._refuse(file, path, there)
        return ""

    async def _look(self, path: str) -> _Object | None:
        import obstore

        with store_errors(self._name(path)):
            try:
                found = await obstore.get_async(self._store, self._key(path), options={"head": True})
            except FileNotFoundError:
                return None
            kept = {str(name).lower(): str(value) for name, value in found.attributes.items()}
            return _Object(found.meta["size"], kept.get(SHA256_KEY, ""))

    async def _sha256(self, path: str, there: _Object) -> str:
        """Return the SHA-256 kept with an object, else that of its bytes, which are read for it."""
        import obstore

        if there.sha256:
            return there.sha256
        digest = hashlib.sha256()
        with store_errors(self._name(path)):
            for start in range(0, there.size, PART_BYTES):
                end = min(there.size, start + PART_BYTES)
                digest.update(await obstore.get_range_async(self._store, self._key(path), start=start, end=end))
        return digest.hexdigest()

    async def _prove(self, size: int, path: str, sha256: str) -> None:
        """Ask the store what it has now. What differs is left: it can only be somebody else's, written since."""
        there = await self._look(path)
        if there is not None and there.size == size and there.sha256 in ("", sha256):
            return
        raise DeliveryBroken(
            f"{self._name(path)} was sent with {size} bytes, and the store has "
            + ("nothing there." if there is None else f"{there.size} bytes, or another object."),
            hint="Does another program write or delete there? Retry.",
        )

    async def _drop(self, path: str) -> None:
        import obstore

        with store_errors(self._name(path)), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, self._key(path))

    def _compare(self, file: ResultFile, path: str, done: int, sha256: str) -> None:
        """Raise DeliveryBroken when what came is not what Galaxy has."""
        if done == file.size and file.sha256 in ("", sha256):
            return
        said = f"{done} of {file.size} bytes came" if done < file.size else f"more than {file.size} bytes came"
        if done == file.size:
            said = f"SHA-256 is {sha256}, Galaxy has {file.sha256}"
        raise DeliveryBroken(
            f"`{path}` is not what Galaxy has: {said}; it was not delivered.",
            hint="Try again; look at the dataset in Galaxy.",
        )

    def _refuse(self, file: ResultFile, path: str, there: _Object) -> NoReturn:
        raise NameTaken(
            f"{self._name(path)} is there already and is another object: {there.size} bytes, wanted {file.size}.",
            hint="It is never overwritten: move it away, then retry.",
        )

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _name(self, path: str) -> str:
        return f"{self._url}{self._key(path)}"
