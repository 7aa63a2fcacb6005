"""Uploads in parts to an S3 store: begun, gone on with by another process, completed or aborted.

obstore can neither list nor name an upload, nor go on with one that a killed process, a dead line or a dead server
left; so these few requests are made and signed here. That takes keys: with the identity of a machine alone obstore
sends, a broken upload begins anew, and a lifecycle rule of the bucket has to clean up. The forms are those of Amazon's
S3 API reference (CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload). It knows no results.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from watcher.clock import Clock
from watcher.delivery.parts import Part, Request, ask, read_xml, store_client
from watcher.delivery.s3_signing import NOTHING, Keys, escaped, keys_of, signed_headers
from watcher.delivery.store_access import told
from watcher.errors import DeliveryError, TargetGone

# How objects are encrypted, and who is asked in what form: obstore heeds these of the environment.
_OBSTORE_ALONE = (
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_S3_EXPRESS",
    "AWS_REQUEST_PAYER",
    "AWS_SKIP_SIGNATURE",
)
_MISSING = 404
_NOT_LISTED = (400, 403, _MISSING)  # gone; of another store, whose ids look otherwise; or we may not ask for it
_IN_THE_WAY = (409, 412)
_UNKNOWN_CONDITION = 501


class S3Uploads:
    """The uploads in parts of one bucket that have not ended."""

    def __init__(self, bucket: str, keys: Keys, options: Mapping[str, str], clock: Clock) -> None:
        self.keys = keys
        self.clock = clock
        self.name = f"s3://{bucket}"
        self.has_checksums = options.get("checksum_algorithm") == "sha256"
        self._ca_file = options.get("ca_file")
        endpoint = (
            options.get("endpoint")
            or os.environ.get("AWS_ENDPOINT_URL_S3")
            or os.environ.get("AWS_ENDPOINT_URL")
            or os.environ.get("AWS_ENDPOINT")
        )
        self.url = f"{(endpoint or f'https://s3.{keys.region}.amazonaws.com').rstrip('/')}/{quote(bucket)}"

    @asynccontextmanager
    async def of(self, key: str, sha256: str) -> AsyncIterator[S3Upload]:
        """Return the upload of an object; `sha256` is kept with it where it is known beforehand."""
        async with store_client(self._ca_file) as client:
            yield S3Upload(self, client, key, sha256)

    async def abort(self, key: str, known: str) -> bool:
        """Abort the upload of this id, and all of exactly this key: nobody but us writes under that name. Tell whether
        the store took it; nothing is raised.
        """
        try:
            async with self.of(key, "") as upload:
                if known:
                    await upload.abort_one(known)
                await upload.abort_others("")
        except DeliveryError:
            return False
        return True


def s3_uploads(bucket: str, options: Mapping[str, str], clock: Clock) -> S3Uploads | None:
    """Return the uploads of a bucket; None without keys to sign with, or where the environment asks for more than we
    know how to say.
    """
    keys = keys_of(options)
    if keys is None or any(os.environ.get(name, "").lower() not in ("", "false") for name in _OBSTORE_ALONE):
        return None
    return S3Uploads(bucket, keys, options, clock)


class S3Upload:
    """The upload of one object in parts; the methods are those of `parts.Upload`."""

    def __init__(self, store: S3Uploads, client: httpx.AsyncClient, key: str, sha256: str) -> None:
        self._store = store
        self._client = client
        self._key = key
        self._sha256 = sha256
        self._id = ""
        self._kept: dict[int, ElementTree.Element] = {}
        self._done: dict[int, tuple[str, str]] = {}  # the ETag of each part, and its SHA-256 as S3 writes it

    async def take_up(self, known: str) -> str:
        """Go on with the upload of this id if it is still there, else begin one; return its id."""
        self._id = known
        if known and not await self._list_parts():
            await self.abort()
            self._id = ""
            self._kept.clear()
        await self.abort_others(self._id)
        if not self._id:
            more = {"x-amz-checksum-algorithm": "SHA256"} if self._store.has_checksums else {}
            if self._sha256:
                more["x-amz-meta-sha256"] = self._sha256
            answer = await self._ask("POST", {"uploads": ""}, more=more)
            self._id = read_xml(answer.content, self._name).findtext("{*}UploadId", "")
        return self._id

    def has(self, part: Part) -> bool:
        """Tell whether the store has this very part already, by its SHA-256, else by its MD5."""
        kept = self._kept.get(part.number)
        if kept is None or kept.findtext("{*}Size") != str(part.size):
            return False
        sha256, etag = kept.findtext("{*}ChecksumSHA256", ""), kept.findtext("{*}ETag", "")
        if sha256 != _base64(part.sha256) if sha256 else etag.strip('"') != part.md5():
            return False
        self._done[part.number] = etag, sha256
        return True

    async def send(self, part: Part) -> None:
        """Send a part; one of the same number gives way."""
        sha256 = _base64(part.sha256) if self._store.has_checksums else ""
        more = {"x-amz-checksum-sha256": sha256} if sha256 else {}
        query = {"partNumber": str(part.number), "uploadId": self._id}
        answer = await self._ask("PUT", query, part.pieces, part.sha256.hex(), more=more, allowed=(_MISSING,))
        if not answer.is_success:
            if "NoSuchBucket" in answer.text:
                raise told(self._name, f"status code: {answer.status_code} {answer.text[:4096]}")
            raise TargetGone(
                f"{self._name} cannot be sent on: the store has lost the parts that came before.",
                hint="The delivery goes on by itself, with all of them.",
            )
        self._done[part.number] = answer.headers.get("etag", ""), sha256

    async def complete(self, sha256: str, *, replace: bool) -> bool:
        """Make the object of its parts; False when something is there already, or the upload is gone."""
        listed = ElementTree.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for number, (etag, checksum) in sorted(self._done.items()):
            part = ElementTree.SubElement(listed, "Part")
            if checksum:
                ElementTree.SubElement(part, "ChecksumSHA256").text = checksum
            ElementTree.SubElement(part, "ETag").text = etag
            ElementTree.SubElement(part, "PartNumber").text = str(number)
        content = ElementTree.tostring(listed)
        query, digest = {"uploadId": self._id}, hashlib.sha256(content).hexdigest()
        allowed = (_MISSING, _UNKNOWN_CONDITION, *_IN_THE_WAY)
        answer = await self._ask("POST", query, [content], digest, replace=replace, allowed=allowed)
        if answer.status_code == _UNKNOWN_CONDITION and not replace:  # a store without conditions; we looked before
            answer = await self._ask("POST", query, [content], digest, allowed=allowed)
        if not answer.is_success:
            if "NoSuchBucket" in answer.text or answer.status_code == _UNKNOWN_CONDITION:
                raise told(self._name, f"status code: {answer.status_code} {answer.text[:4096]}")
            return False
        # Amazon begins its answer before it knows how it ends.
        if read_xml(answer.content, self._name).tag.rpartition("}")[2] == "Error":
            raise told(self._name, f"status code: 500 {answer.text[:4096]}")
        return True

    async def abort(self) -> None:
        """Throw away what was sent. Nothing is raised."""
        with contextlib.suppress(DeliveryError):
            if self._id:
                await self.abort_one(self._id)

    async def abort_others(self, but: str) -> None:
        """Abort all of exactly this key but one. Whoever may not list them is left alone with them."""
        with contextlib.suppress(DeliveryError):
            answer = await self._ask("GET", {"prefix": self._key, "uploads": ""}, of_bucket=True)
            for upload in read_xml(answer.content, self._name).iterfind("{*}Upload"):
                upload_id = upload.findtext("{*}UploadId", "")
                if upload.findtext("{*}Key", "") == self._key and upload_id not in ("", but):
                    await self.abort_one(upload_id)

    async def abort_one(self, upload_id: str) -> None:
        """Abort the upload of this id; one that is gone already is fine."""
        await self._ask("DELETE", {"uploadId": upload_id}, allowed=(_MISSING,))

    async def _list_parts(self) -> bool:
        """Read what the store has of the upload; tell whether there is such an upload."""
        after = ""
        while True:
            query = {"uploadId": self._id} | ({"part-number-marker": after} if after else {})
            answer = await self._ask("GET", query, allowed=_NOT_LISTED)
            if not answer.is_success:
                return False
            listed = read_xml(answer.content, self._name)
            for part in listed.iterfind("{*}Part"):
                self._kept[int(part.findtext("{*}PartNumber", "0"))] = part
            before, after = after, listed.findtext("{*}NextPartNumberMarker", "")
            if listed.findtext("{*}IsTruncated") != "true" or after in ("", before):
                return True

    async def _ask(
        self,
        method: str,
        query: Mapping[str, str],
        content: Sequence[bytes] = (),
        sha256: str = NOTHING,
        *,
        more: Mapping[str, str] | None = None,
        replace: bool = True,
        of_bucket: bool = False,
        allowed: tuple[int, ...] = (),
    ) -> httpx.Response:
        url = self._store.url if of_bucket else f"{self._store.url}/{quote(self._key, safe='/-_.~')}"
        asked = escaped(query)

        def make() -> Request:
            headers = signed_headers(
                method, url, asked, self._store.clock.now(), self._store.keys, sha256=sha256, more=more
            )
            if not replace:
                headers["if-none-match"] = "*"
            return Request(method, f"{url}?{asked}", headers, content)

        return await ask(self._client, self._name, make, allowed)

    @property
    def _name(self) -> str:
        return f"{self._store.name}/{self._key}"


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
