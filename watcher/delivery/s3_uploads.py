"""Takes away what an upload in parts left in an S3 store when it never came to an end.

obstore aborts an upload that fails under its hands. What a killed process or a dead connection leaves is kept, and
charged for, out of sight, and obstore can neither list it nor name it. So these two requests, list and abort, are
signed here (AWS Signature Version 4). That takes keys: with the identity of a machine alone nothing is done, and a
lifecycle rule of the bucket has to clean up. It knows no results.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from watcher.clock import Clock

_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class _Keys:
    """Who signs, for which region."""

    access_key_id: str
    secret: str = field(repr=False)
    session: str = field(repr=False)  # of temporary keys, else empty
    region: str


class UnfinishedUploads:
    """The uploads in parts of one bucket that have not ended."""

    def __init__(self, bucket: str, options: Mapping[str, str], clock: Clock) -> None:
        self._keys = _keys(options)
        self._clock = clock
        self._ca_file = options.get("ca_file")
        endpoint = (
            options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        )
        region = self._keys.region if self._keys else ""
        self._bucket_url = f"{(endpoint or f'https://s3.{region}.amazonaws.com').rstrip('/')}/{quote(bucket)}"

    async def abort(self, key: str) -> int:
        """Abort those of exactly this key; return how many there were. Nobody but us writes under that name.

        Nothing is raised: a store that cannot be reached says so to whoever sends data to it.
        """
        if self._keys is None:
            return 0
        verify = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        try:
            async with httpx.AsyncClient(verify=verify, timeout=30) as client:
                listed = await self._ask(client, self._keys, "GET", "", {"prefix": key, "uploads": ""})
                ids = _ids(listed.content, key) if listed.status_code == 200 else []
                for upload_id in ids:
                    await self._ask(client, self._keys, "DELETE", key, {"uploadId": upload_id})
        except (httpx.HTTPError, ElementTree.ParseError):
            return 0
        return len(ids)

    async def _ask(
        self, client: httpx.AsyncClient, keys: _Keys, method: str, key: str, query: Mapping[str, str]
    ) -> httpx.Response:
        url = f"{self._bucket_url}/{quote(key, safe='/-_.~')}" if key else self._bucket_url
        asked = "&".join(f"{_escape(name)}={_escape(value)}" for name, value in sorted(query.items()))
        headers = signed_headers(
            method, url, asked, self._clock.now(), keys.access_key_id, keys.secret, keys.session, keys.region
        )
        return await client.request(method, f"{url}?{asked}", headers=headers)


def signed_headers(
    method: str, url: str, query: str, now: datetime, access_key_id: str, secret: str, session: str, region: str
) -> dict[str, str]:
    """Return the headers that sign a request without a body; path and query are escaped already, `now` is UTC."""
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _NOTHING, "x-amz-date": stamp}
    if session:
        headers["x-amz-security-token"] = session
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"{method}\n{parts.path or '/'}\n{query}\n{lines}\n{names}\n{_NOTHING}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signing = f"AWS4{secret}".encode()
    for word in (*scope.split("/"), to_sign):
        signing = hmac.digest(signing, word.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signing.hex()}"
    )
    return headers


def _keys(options: Mapping[str, str]) -> _Keys | None:
    region = (
        options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    )
    if "access_key_id" in options:
        session = options.get("session_token", "")
        return _Keys(options["access_key_id"], options.get("secret_access_key", ""), session, region)
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return _Keys(key, secret, os.environ.get("AWS_SESSION_TOKEN", ""), region) if key and secret else None


def _ids(answer: bytes, key: str) -> list[str]:
    uploads = ElementTree.fromstring(answer).iterfind("{*}Upload")
    return [upload.findtext("{*}UploadId", "") for upload in uploads if upload.findtext("{*}Key", "") == key]


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")
