"""How to reach a Galaxy account, and where its key or its password comes from.

No secret is part of the settings file, of a `repr` or of an error: `read_key` and its neighbours fetch it anew each
time, so a renewed file works without a restart. How such files are read is in `secret_files.py`. Whether Galaxy accepts
what they hold is not known here; the galaxy room asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from watcher.config.secret_files import (
    check_key,
    read_headers_file,
    read_key_file,
    read_login_file,
    read_password_file,
)
from watcher.config.values import AbsolutePath, Count, Interval, Misfit, Section, Text, wrong
from watcher.errors import KeyRefused

CREDENTIAL = "galaxy-api-key"
"""Name of the systemd credential, as in `LoadCredential=galaxy-api-key:…`."""
DOCKER_SECRET = "galaxy_api_key"
"""Name of the Docker or Podman secret."""
PASSWORD_CREDENTIAL = "galaxy-password"
PASSWORD_SECRET = "galaxy_password"
SECRETS_FOLDER = Path("/run/secrets")


def check_url(value: str) -> str:
    """Return the address of a Galaxy without the slash at its end; its path stays, Galaxy may live below one."""
    address = value.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong("is not a web address.", 'For example "https://galaxy.example.org".') from None
    if parts.username is not None or parts.password is not None:
        raise wrong("must not hold a user name or password.", "The account is told by its API key.")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        bare = re.fullmatch(r"[\w.-]+(:\d+)?(/[\w./-]*)?", address, re.ASCII)
        hint = f"Did you mean https://{address}?" if bare else 'For example "https://galaxy.example.org".'
        raise wrong("is not a web address: it has to begin with https:// or http://.", hint)
    if parts.query or parts.fragment or not re.fullmatch(r"[\x21-\x7e]+", address):
        raise wrong(
            "is not the address of a Galaxy: no blanks, '?' or '#'.", 'For example "https://galaxy.example.org".'
        )
    if parts.path.rstrip("/").endswith("/api"):
        raise wrong("must be the address of Galaxy itself, without /api.")
    return address


def check_proxy(value: str) -> str:
    """Return the address of a proxy on the way to Galaxy; a login in it would show in this file and in messages."""
    address = value.strip().rstrip("/")
    example = 'For example "http://proxy.example.org:3128".'
    try:
        parts = urlsplit(address)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong("is not the address of a proxy.", example) from None
    if parts.username is not None or parts.password is not None:
        raise wrong(
            "must not hold a user name or password.",
            "Write user:password to a file of its own (chmod 600) and name that file in proxy_login_file.",
        )
    told = re.fullmatch(r"[\x21-\x7e]+", address) and not (parts.path or parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or not told:
        raise wrong("is not the address of a proxy: it has to be http://HOST:PORT or https://HOST:PORT.", example)
    return address


def check_user(value: str) -> str:
    """Return a login name or e-mail address; Galaxy parts user and password at a colon."""
    name = value.strip()
    if ":" in name:
        raise wrong("must not hold a colon.")
    return name


def check_email(value: str) -> str:
    """Return an e-mail address, by which Galaxy's administrators find a user."""
    address = value.strip()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise wrong("is not an e-mail address.", "Write the one that the user has in Galaxy.")
    return address


class TimeoutSettings(Section):
    """How long to wait for Galaxy before calling it away."""

    connect: Interval = Field(timedelta(seconds=10), description="For the connection.")
    read: Interval = Field(timedelta(seconds=60), description="For an answer.")
    upload: Interval = Field(timedelta(minutes=10), description="For the answer to a piece of an upload.")


class PathPair(Section):
    """One folder under its two names: as this machine sees it, and as Galaxy does."""

    here: AbsolutePath = Field(description="The folder on this machine.")
    there: AbsolutePath = Field(description="The same folder on Galaxy's machine.")


class GalaxySettings(Section):
    """One account on one Galaxy."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="Address of Galaxy, with its path if it has one."
    )
    api_key_file: AbsolutePath | None = Field(
        None,
        description="File that holds nothing but the API key, readable by its owner alone (chmod 600). "
        "It is read anew each time. Without it the key comes from the systemd credential galaxy-api-key or the "
        "Docker secret galaxy_api_key, last from the variable WATCHER_GALAXY__API_KEY.",
    )
    user: Annotated[Text, AfterValidator(check_user)] | None = Field(
        None,
        description="Instead of a key: user name or e-mail address. Galaxy is asked for the key with the password, "
        "once and again when it does not hold any more; the key stays in memory.",
    )
    password_file: AbsolutePath | None = Field(
        None,
        description="File that holds nothing but the user's password (chmod 600). Without it the password comes from "
        "the systemd credential galaxy-password or the Docker secret galaxy_password.",
    )
    run_as: Annotated[Text, AfterValidator(check_email)] | None = Field(
        None,
        description="E-mail address of the user to act for, whom everything then belongs to. The key has to be that of "
        "an administrator whom Galaxy's api_allow_run_as names.",
    )
    api_key: SecretStr | None = Field(None, repr=False, description="The key itself; only from the environment.")
    access: Literal["private", "server"] = Field(
        "private",
        description="private: nobody else may read what is uploaded and made; server: as the account is set up.",
    )
    readback: Literal["off", "sample", "full"] = Field(
        "off",
        description="What is done with files whose SHA-256 this Galaxy does not verify (uploads before 24.2, and all"
        " that it reads by itself): sample compares some parts of each with the file, full reads all of it back; off"
        " believes the size.",
    )
    ca_file: AbsolutePath | None = Field(None, description="Certificates to trust instead of the system's (PEM).")
    proxy: Annotated[Text, AfterValidator(check_proxy)] | None = Field(
        None,
        description="Proxy to go through, http://HOST:PORT; without it the one of the environment (HTTPS_PROXY).",
    )
    proxy_login_file: AbsolutePath | None = Field(
        None,
        description="File that holds user:password for the proxy (chmod 600). Read anew like the key.",
    )
    headers_file: AbsolutePath | None = Field(
        None,
        description="File of lines `Name: value` (chmod 600), sent with every request: for a proxy in front of Galaxy "
        "that has a login of its own. Read anew like the key.",
    )
    timeouts: TimeoutSettings = Field(TimeoutSettings(), description="How long to wait for Galaxy.")
    transfers: Count | None = Field(
        None, description="Files sent to this Galaxy at the same time, out of limits.transfers; else all of those."
    )
    paths: tuple[PathPair, ...] = Field(
        (),
        description="Folders that Galaxy sees as well, for transfer: link and copy: a list of {here: /data/seq, there:"
        " /mnt/seq}. The longest `here` that a file lies below counts.",
    )
    import_dir: AbsolutePath | None = Field(
        None, description="The folder on this machine that Galaxy calls library_import_dir, for transfer: import_dir."
    )
    user_import_dir: AbsolutePath | None = Field(
        None,
        description="The folder on this machine that Galaxy calls user_library_import_dir, with the account's own"
        " folder in it (its e-mail), for transfer: user_import_dir.",
    )

    upload_store: AbsolutePath | None = Field(
        None,
        description="The folder in which Galaxy keeps uploads under way (tus_upload_store), if it is on this machine:"
        " its free space is held against what a run sends, before the first byte.",
    )

    _name: str = PrivateAttr("galaxy")
    _credentials_folder: Path | None = PrivateAttr(None)
    _secrets_folder: Path = PrivateAttr(SECRETS_FOLDER)

    @property
    def name(self) -> str:
        """What rules call this Galaxy; `galaxy` when there is only one."""
        return self._name

    def called(self, name: str, *, credentials: Path | None = None, secrets: Path = SECRETS_FOLDER) -> GalaxySettings:
        """Return the same account under a name, looking for its key in the folders of systemd and Docker."""
        named = self.model_copy()
        named._name = name
        named._credentials_folder = credentials
        named._secrets_folder = secrets
        return named

    def key_origin(self) -> str:
        """Say where the key comes from, for people; empty when there is none."""
        if self.user is not None:
            place = self.password_file or next((file for file in self._managed_passwords() if file.exists()), None)
            return f"user {self.user}, password in {place}" if place else ""
        if self.api_key_file is not None:
            return f"file {self.api_key_file}"
        for file in self._managed_files():
            if file.exists():
                return f"secret {file}"
        return "environment" if self.api_key is not None else ""

    def read_key(self) -> str:
        """Return the key as it is now. Raises KeyRefused when there is none, or when others can read its file."""
        if self.api_key_file is not None:
            # What systemd and Docker hand over lies in a folder of its own; the mode bits there are not ours to judge
            # (systemd shows 0440 for an access list that names one user).
            return read_key_file(self.api_key_file, check_mode=not self._is_managed(self.api_key_file))
        for file in self._managed_files():
            if file.exists():
                return read_key_file(file, check_mode=False)
        if self.api_key is not None:
            return check_key(self.api_key.get_secret_value(), "The API key from the environment")
        raise KeyRefused(
            f"There is no API key for {self.url}.",
            hint="Write it to a file of its own and name that file in api_key_file.",
        )

    def read_password(self) -> str:
        """Return the password of `user` as it is now. Raises KeyRefused when there is none that can be used."""
        if self.password_file is not None:
            return read_password_file(self.password_file, check_mode=not self._is_managed(self.password_file))
        for file in self._managed_passwords():
            if file.exists():
                return read_password_file(file, check_mode=False)
        raise KeyRefused(
            f"There is no password of {self.user} for {self.url}.",
            hint="Write it to a file of its own and name that file in password_file.",
        )

    def read_headers(self) -> Mapping[str, str]:
        """Return what `headers_file` holds now, names in lower case; nothing without one. Raises KeyRefused."""
        if self.headers_file is None:
            return {}
        headers = read_headers_file(self.headers_file)
        if self.user is not None and "authorization" in headers:
            raise KeyRefused(
                f"The headers file {self.headers_file} sets Authorization, which the login of {self.user} needs.",
                hint="Take an API key (api_key_file) instead of user and password.",
            )
        return headers

    def read_proxy_login(self) -> tuple[str, str] | None:
        """Return user and password for the proxy, None when it wants none. Raises KeyRefused."""
        return None if self.proxy_login_file is None else read_login_file(self.proxy_login_file)

    def secrets(self) -> Iterator[tuple[str, KeyRefused | None]]:
        """Read every secret once; yield the option that names it, and what is wrong with it."""
        asked = [("password_file", self.read_password) if self.user is not None else ("api_key_file", self.read_key)]
        asked += [("proxy_login_file", self.read_proxy_login), ("headers_file", self.read_headers)]  # type: ignore[list-item]
        for option, read in asked:
            try:
                read()
            except KeyRefused as refused:
                yield option, refused
            else:
                yield option, None

    def _is_managed(self, file: Path) -> bool:
        return file.parent in (self._credentials_folder, self._secrets_folder)

    def _managed_files(self) -> list[Path]:
        """Return where systemd and Docker would put the key; further Galaxies have their name in it."""
        return self._handed_over(CREDENTIAL, DOCKER_SECRET)

    def _managed_passwords(self) -> list[Path]:
        return self._handed_over(PASSWORD_CREDENTIAL, PASSWORD_SECRET)

    def _handed_over(self, credential: str, secret: str) -> list[Path]:
        further = "" if self._name == "galaxy" else self._name
        files = [self._secrets_folder / (f"{secret}_{further}" if further else secret)]
        if self._credentials_folder is not None:
            files.insert(0, self._credentials_folder / (f"{credential}-{further}" if further else credential))
        return files


def galaxy_misfits(galaxy: GalaxySettings) -> Iterator[Misfit]:
    """Find what is wrong between the values of one account."""
    if galaxy.user is not None and galaxy.api_key_file is not None:
        yield Misfit(("user",), "and api_key_file are both set.", "Keep one of them.")
    elif galaxy.user is not None and galaxy.api_key is not None:
        yield Misfit(("user",), "and a key from the environment are both set.", "Keep one of them.")
    if galaxy.password_file is not None and galaxy.user is None:
        yield Misfit(("password_file",), "is set without user.", "Name whose password it is in user.")
    if galaxy.proxy_login_file is not None and galaxy.proxy is None:
        yield Misfit(("proxy_login_file",), "is set without proxy.", "Name the proxy.")
