"""Signs requests to an S3 store with keys (AWS Signature Version 4), and says which keys there are.

The form is Amazon's own: "Authenticating Requests: Using the Authorization Header" in the S3 API reference. It knows no
uploads and sends nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs, for which region."""

    access_key_id: str
    secret: str = field(repr=False)
    session: str = field(repr=False)  # of temporary keys, else empty
    region: str


def keys_of(options: Mapping[str, str]) -> Keys | None:
    """Return the keys in the options of a store, else those in the environment; None where there are none."""
    region = (
        options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    )
    if "access_key_id" in options:
        session = options.get("session_token", "")
        return Keys(options["access_key_id"], options.get("secret_access_key", ""), session, region)
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    session = os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_TOKEN", "")
    return Keys(key, secret, session, region) if key and secret else None


def signed_headers(
    method: str,
    url: str,
    query: str,
    now: datetime,
    keys: Keys,
    *,
    sha256: str = NOTHING,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers of a signed request; path and query are escaped already, `now` is UTC, `sha256` is that of
    its body, and `more` are headers of `x-amz-` that are signed as well.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    # As programs send it that go between: without the port that everybody expects.
    host = parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")
    headers = {"host": host, "x-amz-content-sha256": sha256, "x-amz-date": stamp, **(more or {})}
    if keys.session:
        headers["x-amz-security-token"] = keys.session
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"{method}\n{parts.path or '/'}\n{query}\n{lines}\n{names}\n{sha256}"
    scope = f"{stamp[:8]}/{keys.region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signing = f"AWS4{keys.secret}".encode()
    for word in (*scope.split("/"), to_sign):
        signing = hmac.digest(signing, word.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signing.hex()}"
    )
    return headers


def escaped(query: Mapping[str, str]) -> str:
    """Return a query in the one form that can be signed: sorted and escaped."""
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in sorted(query.items()))


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")
