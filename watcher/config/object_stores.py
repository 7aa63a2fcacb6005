"""How to reach object stores that results go to, and which settings fit an address.

No secret is part of the settings file, of a `repr` or of an error: key files are named, and read anew each time. One
that is not listed is reached with what the environment holds (AWS_ACCESS_KEY_ID and so on), or as the identity of
this machine in its cloud. Whether a store accepts what the files hold is not known here; the delivery room asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from watcher.config.secret_files import read_line_file, read_secret_file
from watcher.config.values import AbsolutePath, Misfit, Section, Text, wrong
from watcher.errors import KeyRefused

SCHEMES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}
BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}"
_EXAMPLE = "For example s3://results, gs://results/lab or az://results."
_ONLY = {
    "s3": ("region", "access_key_id_file", "secret_access_key_file", "checksums"),
    "az": ("account_name", "account_key_file"),
    "gs": ("service_account_file",),
}
_KEY_FILES = ("access_key_id_file", "secret_access_key_file", "account_key_file", "service_account_file")


def check_address(value: str) -> str:
    """Return an address in an object store without the slash at its end."""
    address = value.rstrip("/")
    scheme, found, rest = address.partition("://")
    if not found or scheme not in SCHEMES:
        raise wrong("is not an address in an object store: it has to begin with s3://, gs:// or az://.", _EXAMPLE)
    bucket, *parts = rest.split("/")
    if not re.fullmatch(BUCKET, bucket):
        raise wrong("names no bucket or container.", _EXAMPLE)
    if any(part in ("", ".", "..") for part in parts):
        raise wrong("holds '//', '.' or '..'.", "Write the address out.")
    return address


def check_endpoint(value: str) -> str:
    """Return the web address of a store without the slash at its end."""
    address = value.rstrip("/")
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not re.fullmatch(r"[\x21-\x7e]+", address) or "?" in address or "#" in address:
        raise wrong("is not a web address.", "For example https://s3.example.org.")
    if "@" in address:
        raise wrong("must not hold a user name or password.", "Keys are told by files of their own.")
    return address


class ObjectStoreSettings(Section):
    """How to reach one object store, or one part of it."""

    prefix: Annotated[Text, AfterValidator(check_address)] = Field(
        description="Addresses that begin like this are meant: s3://BUCKET, gs://BUCKET/FOLDER, az://CONTAINER. The"
        " longest one counts."
    )
    endpoint: Annotated[Text, AfterValidator(check_endpoint)] | None = Field(
        None, description="Web address of a store of your own (MinIO, Ceph and others), or of a gateway."
    )
    region: Text | None = Field(None, description="Region of the bucket (S3).")
    access_key_id_file: AbsolutePath | None = Field(
        None, description="File that holds nothing but the id of the access key (S3; chmod 600)."
    )
    secret_access_key_file: AbsolutePath | None = Field(
        None, description="File that holds nothing but the secret access key (S3; chmod 600)."
    )
    account_name: Text | None = Field(None, description="Name of the storage account (Azure).")
    account_key_file: AbsolutePath | None = Field(
        None, description="File that holds nothing but the key of the account (Azure; chmod 600)."
    )
    service_account_file: AbsolutePath | None = Field(
        None, description="Key file of a service account, JSON as Google gives it (chmod 600)."
    )
    checksums: bool = Field(
        True, description="Send a SHA-256 with each part, which the store compares (S3). Old stores do not know it."
    )
    ca_file: AbsolutePath | None = Field(None, description="Certificates to trust instead of the system's (PEM).")
    allow_http: bool = Field(
        False, description="true lets an endpoint be http://: keys are signed with, data are open."
    )

    def read_options(self) -> Mapping[str, str]:
        """Return what opens the store, secrets among it, as the delivery room takes it. Raises KeyRefused."""
        options = {
            "endpoint": self.endpoint,
            "region": self.region,
            "account_name": self.account_name,
            "ca_file": str(self.ca_file) if self.ca_file is not None else None,
            "allow_http": "true" if self.allow_http else None,
            "checksum_algorithm": "sha256" if self.checksums and self.prefix.startswith("s3://") else None,
        }
        for option in _KEY_FILES:
            if getattr(self, option) is not None:
                name = "service_account_key" if option == "service_account_file" else option.removesuffix("_file")
                options[name] = self._read(option)
        return {name: value for name, value in options.items() if value is not None}

    def secrets(self) -> Iterator[tuple[str, KeyRefused | None]]:
        """Read every key file once; yield the option that names it, and what is wrong with it."""
        for option in _KEY_FILES:
            if getattr(self, option) is None:
                continue
            try:
                self._read(option)
            except KeyRefused as refused:
                yield option, refused
            else:
                yield option, None

    def _read(self, option: str) -> str:
        file = getattr(self, option)
        if option != "service_account_file":
            return read_line_file(file, option.removesuffix("_file").replace("_", " "))
        content = read_secret_file(file, "service account file", check_mode=True).decode("utf-8", "replace")
        try:
            account: Any = json.loads(content)
        except ValueError:
            account = None
        if not isinstance(account, dict) or not {"client_email", "private_key"} <= account.keys():
            raise KeyRefused(
                f"The service account file {file} holds no key of a service account.",
                hint="It must be the JSON file that Google gives when a key is made.",
            )
        return content


DEFAULT_S3 = {"checksum_algorithm": "sha256"}
"""What opens a store in S3 that no settings fit."""


def store_of(stores: Sequence[ObjectStoreSettings], url: str) -> ObjectStoreSettings | None:
    """Return the settings for an address: of those whose prefix it lies below, the one with the longest; else None."""
    fitting = [store for store in stores if url == store.prefix or url.startswith(f"{store.prefix}/")]
    return max(fitting, key=lambda store: len(store.prefix), default=None)


def options_for(stores: Sequence[ObjectStoreSettings], url: str) -> Mapping[str, str]:
    """Return what opens the store of an address, as the delivery room takes it. Raises KeyRefused."""
    store = store_of(stores, url)
    if store is not None:
        return store.read_options()
    return DEFAULT_S3 if url.startswith("s3://") else {}


def store_misfits(store: ObjectStoreSettings) -> Iterator[Misfit]:
    """Find what is wrong between the values of one store."""
    scheme = store.prefix.partition("://")[0]
    for other, options in _ONLY.items():
        for option in options:
            if other != scheme and option in store.model_fields_set:
                yield Misfit(
                    (option,), f"is only for {SCHEMES[other]}; the prefix begins with {scheme}://.", "Remove it."
                )
    if scheme == "s3" and (store.access_key_id_file is None) != (store.secret_access_key_file is None):
        yield Misfit(("access_key_id_file",), "and secret_access_key_file belong together.", "Name both, or neither.")
    if scheme == "az" and store.account_key_file is not None and store.account_name is None:
        yield Misfit(("account_key_file",), "is set without account_name.", "Name the storage account.")
    if store.endpoint is not None and store.endpoint.startswith("http://") and not store.allow_http:
        yield Misfit(
            ("endpoint",), "is not encrypted.", "Write https://, or set allow_http: true in a network you trust."
        )


def prefix_misfits(stores: Sequence[tuple[int, ObjectStoreSettings]]) -> Iterator[Misfit]:
    """Find stores that are listed twice; each comes with its number in the file."""
    first: dict[str, int] = {}
    for number, store in stores:
        if (other := first.setdefault(store.prefix, number)) != number:
            yield Misfit(
                ("object_stores", number, "prefix"), f"is that of object_stores[{other}] as well.", "Keep one of them."
            )
