"""Uploads in blocks to Azure: sent, gone on with by another process, and made one object.

A block is called by its number and 28 bytes of its SHA-256, so that the list of blocks that wait says what is there.
They wait for a week and are thrown away when the object is made, so that nothing is ever to be aborted. obstore cannot
list them.
Requests are signed with the key of the account ("Authorize with Shared Key", REST API of Azure Storage); with another
identity obstore sends, and a broken upload begins anew. It knows no results.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from watcher.clock import Clock
from watcher.delivery.parts import Part, Request, ask, read_xml, store_client
from watcher.delivery.store_access import told

_OBSTORE_ALONE = (
    "AZURE_STORAGE_TOKEN",
    "AZURE_SKIP_SIGNATURE",
    "AZURE_STORAGE_USE_EMULATOR",
    "AZURE_USE_FABRIC_ENDPOINT",
)
_VERSION = "2023-11-03"
_MISSING = 404
_IN_THE_WAY = (409, 412)


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs."""

    name: str
    key: bytes = field(repr=False)


class AzureBlocks:
    """The blocks of one container that are not part of an object yet."""

    def __init__(self, container: str, account: Account, options: Mapping[str, str], clock: Clock) -> None:
        self.account = account
        self.clock = clock
        self.name = f"az://{container}"
        self._ca_file = options.get("ca_file")
        endpoint = (
            options.get("endpoint") or os.environ.get("AZURE_STORAGE_ENDPOINT") or os.environ.get("AZURE_ENDPOINT")
        )
        self.url = f"{(endpoint or f'https://{account.name}.blob.core.windows.net').rstrip('/')}/{quote(container)}"

    @asynccontextmanager
    async def of(self, key: str, sha256: str) -> AsyncIterator[AzureUpload]:
        """Return the upload of an object. `sha256` is not needed: metadata come with the last request."""
        async with store_client(self._ca_file) as client:
            yield AzureUpload(self, client, key)

    async def abort(self, key: str, known: str) -> bool:
        """Do nothing: blocks that wait cannot be thrown away by themselves, and cost nothing after a week."""
        return True


def azure_blocks(container: str, options: Mapping[str, str], clock: Clock) -> AzureBlocks | None:
    """Return the blocks of a container; None without a key to sign with, or where the environment makes obstore go
    there as somebody else, or to another place.
    """
    if any(os.environ.get(one, "").lower() not in ("", "false") for one in _OBSTORE_ALONE):
        return None
    name = options.get("account_name") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    key = options.get("account_key") or next(
        (os.environ[one] for one in ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY") if one in os.environ), ""
    )
    try:
        account = Account(name, base64.b64decode(key, validate=True))
    except binascii.Error:
        return None
    return AzureBlocks(container, account, options, clock) if name and key else None


class AzureUpload:
    """The upload of one object in blocks; the methods are those of `parts.Upload`."""

    def __init__(self, store: AzureBlocks, client: httpx.AsyncClient, key: str) -> None:
        self._store = store
        self._client = client
        self._url = f"{store.url}/{quote(key, safe='/-_.~')}"
        self._name = f"{store.name}/{key}"
        self._kept: dict[str, int] = {}
        self._done: dict[int, str] = {}

    async def take_up(self, known: str) -> str:
        """See which blocks wait already. There is no id: all of an object belong together."""
        answer = await self._ask("GET", {"blocklisttype": "uncommitted", "comp": "blocklist"}, allowed=(_MISSING,))
        if answer.is_success:
            for block in read_xml(answer.content, self._name).iterfind("UncommittedBlocks/Block"):
                self._kept[block.findtext("Name", "")] = int(block.findtext("Size", "-1"))
        return ""

    def has(self, part: Part) -> bool:
        """Tell whether this very block waits already."""
        name = _name_of(part)
        if self._kept.get(name) != part.size:
            return False
        self._done[part.number] = name
        return True

    async def send(self, part: Part) -> None:
        """Send a block."""
        name = _name_of(part)
        await self._ask("PUT", {"blockid": name, "comp": "block"}, part.pieces)
        self._done[part.number] = name

    async def complete(self, sha256: str, *, replace: bool) -> bool:
        """Make the object of its blocks; False when something is there already, or the blocks are gone."""
        listed = ElementTree.Element("BlockList")
        for _, name in sorted(self._done.items()):
            ElementTree.SubElement(listed, "Uncommitted").text = name
        content = ElementTree.tostring(listed, encoding="utf-8", xml_declaration=True)
        more = {"x-ms-meta-sha256": sha256}
        allowed = (400, _MISSING, *_IN_THE_WAY)
        answer = await self._ask("PUT", {"comp": "blocklist"}, [content], more=more, replace=replace, allowed=allowed)
        if answer.is_success:
            return True
        if answer.status_code in (400, _MISSING) and "InvalidBlockList" not in answer.text:
            raise told(self._name, f"status code: {answer.status_code} {answer.text[:4096]}")
        return False

    async def abort(self) -> None:
        """Do nothing: see `AzureBlocks.abort`."""

    async def _ask(
        self,
        method: str,
        query: Mapping[str, str],
        content: Sequence[bytes] = (),
        *,
        more: Mapping[str, str] | None = None,
        replace: bool = True,
        allowed: tuple[int, ...] = (),
    ) -> httpx.Response:
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))

        def make() -> Request:
            headers = {
                "x-ms-date": format_datetime(self._store.clock.now(), usegmt=True),
                "x-ms-version": _VERSION,
                **(more or {}),
            }
            condition = "" if replace else "*"
            signature = _signature(
                self._store.account, method, self._url, query, headers, sum(map(len, content)), condition
            )
            headers["authorization"] = f"SharedKey {self._store.account.name}:{signature}"
            if condition:
                headers["if-none-match"] = condition
            return Request(method, f"{self._url}?{asked}", headers, content)

        return await ask(self._client, self._name, make, allowed)


def _signature(
    account: Account,
    method: str,
    url: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    size: int,
    condition: str,
) -> str:
    """Sign a request: its verb, eleven headers of which we send two, those of `x-ms-`, and what it is about."""
    standard = ["", "", str(size) if size else "", "", "", "", "", "", condition, "", ""]
    ours = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    about = f"/{account.name}{urlsplit(url).path}" + "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    text = "\n".join([method, *standard, ours + about])
    return base64.b64encode(hmac.digest(account.key, text.encode(), "sha256")).decode()


def _name_of(part: Part) -> str:
    """Return what a block is called. Azure takes only names of one length for an object, and obstore, which may have
    left blocks of it, gives such of 32 bytes.
    """
    return base64.b64encode(part.number.to_bytes(4, "big") + part.sha256[:28]).decode()
