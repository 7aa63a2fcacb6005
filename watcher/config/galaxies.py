"""How to reach a Galaxy account, and where its key comes from.

The key itself is never part of the settings file, of a `repr` or of an error: `read_key` fetches it anew each time,
so a renewed key file works without a restart. A key file that others can read is refused. Whether Galaxy accepts the
key is not known here; the galaxy room asks.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from watcher.config.values import AbsolutePath, Interval, Section, wrong
from watcher.errors import KeyRefused

CREDENTIAL = "galaxy-api-key"
"""Name of the systemd credential, as in `LoadCredential=galaxy-api-key:…`."""
DOCKER_SECRET = "galaxy_api_key"
"""Name of the Docker or Podman secret."""
SECRETS_FOLDER = Path("/run/secrets")

_KEY_LIMIT_BYTES = 4096


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
    api_key: SecretStr | None = Field(None, repr=False, description="The key itself; only from the environment.")
    access: Literal["private", "server"] = Field(
        "private",
        description="private: nobody else may read what is uploaded and made; server: as the account is set up.",
    )
    ca_file: AbsolutePath | None = Field(None, description="Certificates to trust instead of the system's (PEM).")
    timeouts: TimeoutSettings = Field(TimeoutSettings(), description="How long to wait for Galaxy.")
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
            managed = self.api_key_file.parent in (self._credentials_folder, self._secrets_folder)
            return read_key_file(self.api_key_file, check_mode=not managed)
        for file in self._managed_files():
            if file.exists():
                return read_key_file(file, check_mode=False)
        if self.api_key is not None:
            return _check_key(self.api_key.get_secret_value(), "The API key from the environment")
        raise KeyRefused(
            f"There is no API key for {self.url}.",
            hint="Write it to a file of its own and name that file in api_key_file.",
        )

    def _managed_files(self) -> list[Path]:
        """Return where systemd and Docker would put the key; further Galaxies have their name in it."""
        further = "" if self._name == "galaxy" else self._name
        files = [self._secrets_folder / (f"{DOCKER_SECRET}_{further}" if further else DOCKER_SECRET)]
        if self._credentials_folder is not None:
            files.insert(0, self._credentials_folder / (f"{CREDENTIAL}-{further}" if further else CREDENTIAL))
        return files


def read_key_file(file: Path, *, check_mode: bool) -> str:
    """Read a key file once opened, so that mode and content belong to the same file."""
    try:
        # Without O_NONBLOCK a FIFO in the file's place would stop the whole program here.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyRefused(f"The API key file {file} does not exist.", hint="Make it, with mode 600.") from None
    except OSError as problem:
        raise KeyRefused(
            f"The API key file {file} cannot be read: {problem.strerror}.",
            hint=f"It must belong to the user this runs as (uid {os.geteuid()}).",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyRefused(f"The API key file {file} is not a regular file.", hint="Name a file that holds the key.")
        if check_mode and status.st_mode & 0o077:
            raise KeyRefused(
                f"The API key file {file} can be read or changed by others (mode {stat.S_IMODE(status.st_mode):o}).",
                hint=f"Run: chmod 600 {shlex.quote(str(file))}",
            )
        if check_mode and status.st_uid not in (os.geteuid(), 0):
            raise KeyRefused(
                f"The API key file {file} belongs to another user (uid {status.st_uid}), who can read and change it.",
                hint=f"Run: chown {os.geteuid()} {shlex.quote(str(file))}",
            )
        content = os.read(descriptor, _KEY_LIMIT_BYTES)
    except OSError as problem:
        raise KeyRefused(f"The API key file {file} cannot be read: {problem.strerror}.") from None
    finally:
        os.close(descriptor)
    return _check_key(content.decode("latin-1"), f"The API key file {file}")


def _check_key(text: str, whose: str) -> str:
    key = text.strip()
    if not key:
        raise KeyRefused(f"{whose} is empty.", hint="Galaxy shows the key under Preferences, Manage API key.")
    if not re.fullmatch(r"[\x21-\x7e]{1,1000}", key):
        raise KeyRefused(f"{whose} holds more than a key.", hint="It must hold the key and nothing else, on one line.")
    return key
