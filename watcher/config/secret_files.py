"""Files that hold secrets: opened once, refused when others can read them, and never repeated in a message.

What systemd and Docker hand over lies in folders of their own, where mode bits are not ours to judge; the callers in
`galaxies.py` know which file is which. Whether a secret is accepted is not known here.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from watcher.errors import KeyRefused

LIMIT_BYTES = 4096

OURS = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "range",
        "run-as", "te", "trailer", "transfer-encoding", "tus-resumable", "upgrade", "upload-length", "upload-metadata",
        "upload-offset", "x-api-key",
    }
)  # fmt: skip
"""Headers the watcher sets itself, in lower case: another value would change what a request means."""


def read_secret_file(file: Path, what: str, *, check_mode: bool) -> bytes:
    """Return what the file holds; opened once, so that mode and content belong to the same file.

    `what` names it to people ("API key file"). Raises KeyRefused when it is missing, no file, or open to others.
    """
    try:
        # Without O_NONBLOCK a FIFO in the file's place would stop the whole program here.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyRefused(f"The {what} {file} does not exist.", hint="Make it, with mode 600.") from None
    except OSError as problem:
        raise KeyRefused(
            f"The {what} {file} cannot be read: {problem.strerror}.",
            hint=f"It must belong to the user this runs as (uid {os.geteuid()}).",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyRefused(f"The {what} {file} is not a regular file.", hint="Name a file that holds it.")
        if check_mode and status.st_mode & 0o077:
            raise KeyRefused(
                f"The {what} {file} can be read or changed by others (mode {stat.S_IMODE(status.st_mode):o}).",
                hint=f"Run: chmod 600 {shlex.quote(str(file))}",
            )
        if check_mode and status.st_uid not in (os.geteuid(), 0):
            raise KeyRefused(
                f"The {what} {file} belongs to another user (uid {status.st_uid}), who can read and change it.",
                hint=f"Run: chown {os.geteuid()} {shlex.quote(str(file))}",
            )
        return os.read(descriptor, LIMIT_BYTES)
    except OSError as problem:
        raise KeyRefused(f"The {what} {file} cannot be read: {problem.strerror}.") from None
    finally:
        os.close(descriptor)


def read_key_file(file: Path, *, check_mode: bool) -> str:
    """Return the API key that a file holds; raises KeyRefused."""
    content = read_secret_file(file, "API key file", check_mode=check_mode)
    return check_key(content.decode("latin-1"), f"The API key file {file}")


def check_key(text: str, whose: str) -> str:
    """Return the key without the white space around it; raises KeyRefused for what can be none."""
    key = text.strip()
    if not key:
        raise KeyRefused(f"{whose} is empty.", hint="Galaxy shows the key under Preferences, Manage API key.")
    if not re.fullmatch(r"[\x21-\x7e]{1,1000}", key):
        raise KeyRefused(f"{whose} holds more than a key.", hint="It must hold the key and nothing else, on one line.")
    return key


def read_password_file(file: Path, *, check_mode: bool) -> str:
    """Return the password that a file holds on its only line; blanks belong to it. Raises KeyRefused."""
    password = _only_line(read_secret_file(file, "password file", check_mode=check_mode), f"The password file {file}")
    if ":" in password:
        # Galaxy parts user and password at every colon and answers 400.
        raise KeyRefused(
            f"The password in {file} holds a colon, which Galaxy does not understand in this kind of login.",
            hint="Take another password, or an API key (api_key_file).",
        )
    return password


def read_line_file(file: Path, what: str) -> str:
    """Return a secret that a file holds on its only line; `what` names it to people. Raises KeyRefused."""
    return _only_line(read_secret_file(file, f"{what} file", check_mode=True), f"The {what} file {file}").strip()


def read_login_file(file: Path) -> tuple[str, str]:
    """Return user and password of a proxy from a file of one line, `user:password`. Raises KeyRefused."""
    line = _only_line(read_secret_file(file, "proxy login file", check_mode=True), f"The proxy login file {file}")
    user, colon, password = line.partition(":")
    if not (user and colon and password):
        raise KeyRefused(f"The proxy login file {file} holds no login.", hint="It must hold user:password on one line.")
    return user, password


def read_headers_file(file: Path) -> Mapping[str, str]:
    """Return headers from a file of lines `Name: value`; empty lines and those that begin with # do not count.

    Raises KeyRefused with the number of the line, never with its text.
    """
    text = read_secret_file(file, "headers file", check_mode=True).decode("utf-8", "replace")
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.partition(":")
        place, value = f"Line {number} of the headers file {file}", value.strip()
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\x20-\x7e]+", value):
            raise KeyRefused(f"{place} is no header.", hint="Write `Name: value`, in ASCII, one header a line.")
        if name.lower() in OURS:
            raise KeyRefused(f"{place} sets {name}, which the watcher sets itself.", hint="Remove the line.")
        if name.lower() in headers:
            raise KeyRefused(f"{place} sets {name} a second time.", hint="Keep one of them.")
        headers[name.lower()] = value
    if not headers:
        raise KeyRefused(f"The headers file {file} holds no header.", hint="Write `Name: value`, one header a line.")
    return headers


def _only_line(content: bytes, whose: str) -> str:
    try:
        line = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise KeyRefused(f"{whose} is not UTF-8 text.", hint="Write it anew.") from None
    if not line:
        raise KeyRefused(f"{whose} is empty.", hint="It must hold one line.")
    if not line.isprintable() or len(line) > 1000:
        raise KeyRefused(f"{whose} holds more than one line of text.", hint="It must hold one line and nothing else.")
    return line
