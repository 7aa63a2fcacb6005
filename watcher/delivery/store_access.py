"""The way to an object store: opens it with obstore, and says in words for people what it answers when it refuses.

An address is `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Its options are those of obstore,
plus `allow_http` and `ca_file`; what is not among them comes from the environment or from the identity of this machine.
Answers of a store may hold signatures and key ids: only their status and their code word ever reach a text.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from watcher.errors import DeliveryBroken, TargetFull, TargetGone

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    OpenStore = S3Store | GCSStore | AzureStore

SCHEMES = ("s3", "gs", "az")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_NO_PLACE = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity", "EntityTooLarge"}
_PASSES = {"RequestTimeout", "SlowDown", "OperationAborted", "ServerBusy", "InternalError", "ServiceUnavailable"}
# Where a machine in a cloud asks who it is; elsewhere nobody answers there.
_IDENTITY = re.compile(r"169\.254\.169\.254|169\.254\.170\.2|metadata\.google\.internal|/metadata/identity/")
_CERTIFICATE = re.compile(r"certificate|UnknownIssuer", re.IGNORECASE)


def split_address(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket or container, and prefix of an address. Raises DeliveryBroken when it is none."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme not in SCHEMES or not bucket or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
        raise DeliveryBroken(
            f"`{url}` is not a place in an object store.",
            hint="Write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.",
        )
    return scheme, bucket, prefix


def open_store(scheme: str, bucket: str, options: Mapping[str, str]) -> OpenStore:
    """Open a bucket or container; nothing is sent yet. Raises DeliveryBroken when that cannot be."""
    try:
        from obstore import store
    except ImportError:
        raise DeliveryBroken(
            "Results for an object store need the library obstore, which is not installed.",
            hint="Run: pip install 'galaxy-watcher[cloud]'",
        ) from None
    config = {name: value for name, value in options.items() if name not in ("allow_http", "ca_file")}
    # A part is sent with one request: its time limit has to fit a slow line as well.
    client: ClientConfig = {"connect_timeout": "10s", "timeout": "10m", "user_agent": "galaxy-watcher"}
    if options.get("allow_http") == "true":
        client["allow_http"] = True
    if "ca_file" in options:
        client["root_certificate"] = _read_certificates(Path(options["ca_file"]))
    # Short: what lasts longer is waited for by the watcher, with a word to people.
    retry: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
    try:
        if scheme == "s3":
            return store.S3Store(bucket, config=config, client_options=client, retry_config=retry)  # type: ignore[arg-type]
        if scheme == "gs":
            return store.GCSStore(bucket, config=config, client_options=client, retry_config=retry)  # type: ignore[arg-type]
        return store.AzureStore(bucket, config=config, client_options=client, retry_config=retry)  # type: ignore[arg-type]
    except Exception as error:
        # The text may quote what was in a key file.
        raise DeliveryBroken(
            f"The object store {scheme}://{bucket} cannot be opened with its settings ({type(error).__name__}).",
            hint="Look at object_stores in the configuration: region, endpoint, account name, form of the key files.",
        ) from None


@contextlib.contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn obstore's errors about `place` into TargetGone, TargetFull or DeliveryBroken; AlreadyExistsError stays."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except AlreadyExistsError:
        raise  # no trouble of the store: the delivery asked for it
    except (BaseError, OSError, ValueError) as error:
        raise told(place, str(error)) from None  # its text may hold a signature: it is not carried along


def lacks_place(text: str) -> bool:
    """Tell whether an answer means that the bucket or container is missing, and not only an object in it."""
    found = _CODE.search(text)
    return found is not None and found[1] in _NO_PLACE


def told(place: str, text: str) -> DeliveryBroken | TargetGone | TargetFull:
    """Return the error for people that belongs to an answer of a store, of which `text` tells."""
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    answer = f"{status} {code}".strip()
    if code in _NO_PLACE:
        return DeliveryBroken(
            f"{place} cannot be delivered: there is no such bucket or container ({answer}).",
            hint="Make it, or correct the address, then retry.",
        )
    if code in _FULL or status == 507:
        return TargetFull(f"No room is left for {place}: {answer}.", hint="Free space; the delivery goes on by itself.")
    if _IDENTITY.search(text):
        return DeliveryBroken(
            f"{place} cannot be delivered: no credentials are set, and this machine has no identity in a cloud.",
            hint="Name key files in object_stores of the configuration, then retry.",
        )
    if status in (401, 403) or code in ("ExpiredToken", "InvalidToken"):
        return DeliveryBroken(
            f"{place} cannot be delivered: the store refuses our credentials ({answer}).",
            hint="Let them read, write and list there, or correct the key files; then retry.",
        )
    if status >= 500 or status in (408, 429) or code in _PASSES:
        return TargetGone(f"{place} cannot be reached: the store answers {answer}.", hint="It goes on by itself.")
    if status:
        return DeliveryBroken(
            f"{place} cannot be delivered: the store answers {answer}.",
            hint="Are region, endpoint and bucket right? Correct them, then retry.",
        )
    if _CERTIFICATE.search(text):
        return TargetGone(
            f"{place} cannot be reached: the store's certificate is not trusted.",
            hint="Name the certificates to trust in ca_file; the delivery goes on by itself.",
        )
    return TargetGone(
        f"{place} cannot be reached: the store does not answer.",
        hint="Is the endpoint right, and the network up? The delivery goes on by itself.",
    )


def _read_certificates(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DeliveryBroken(
            f"The certificates {file} cannot be read: {error.strerror}.", hint="Correct ca_file in the configuration."
        ) from None
