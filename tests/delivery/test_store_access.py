"""What a store's refusals are to people, without a secret in the words; and that our own signature is a right one."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from watcher.clock import ManualClock
from watcher.delivery.object_store import ObjectStoreDelivery
from watcher.delivery.s3_signing import Keys, signed_headers
from watcher.delivery.store_access import told
from watcher.errors import DeliveryBroken, TargetFull, TargetGone

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
REFUSED = "Error performing PUT http://s3/x?X-Amz-Signature=s3cr3t in 3ms - Server returned non-2xx status code: {}: {}"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        ("403 Forbidden", "<Code>SignatureDoesNotMatch</Code>", DeliveryBroken, "403 SignatureDoesNotMatch"),
        ("403 Forbidden", "", DeliveryBroken, "refuses our credentials"),
        ("400 Bad Request", "<Code>ExpiredToken</Code>", DeliveryBroken, "refuses our credentials"),
        ("404 Not Found", "<Code>NoSuchBucket</Code>", DeliveryBroken, "no such bucket"),
        ("301 Moved Permanently", "<Code>PermanentRedirect</Code>", DeliveryBroken, "301 PermanentRedirect"),
        ("500 Internal Server Error", "<Code>InternalError</Code>", TargetGone, "500 InternalError"),
        ("503 Service Unavailable", "<Code>SlowDown</Code>", TargetGone, "503 SlowDown"),
        ("429 Too Many Requests", "", TargetGone, "429"),
        ("507 Insufficient Storage", "<Code>XMinioStorageFull</Code>", TargetFull, "No room is left"),
    ],
)
def test_an_answer_is_told_in_words(status: str, body: str, kind: type[Exception], said: str) -> None:
    """What passes by itself is waited for, what does not is told to a person; what the store wrote is not repeated."""
    error = told(
        "s3://results/x", REFUSED.format(status, f"<Error>{body}<AWSAccessKeyId>AKIA1</AWSAccessKeyId></Error>")
    )
    assert type(error) is kind
    assert said in error.message
    assert error.hint
    assert "s3cr3t" not in str(error)
    assert "AKIA1" not in str(error)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Generic S3 error: HTTP error: error sending request", TargetGone, "does not answer"),
        ("invalid peer certificate: UnknownIssuer", TargetGone, "certificate is not trusted"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", DeliveryBroken, "no credentials are set"),
    ],
)
def test_no_answer_is_told_in_words(text: str, kind: type[Exception], said: str) -> None:
    """A dead line, a certificate of one's own, and a machine that is nobody in a cloud."""
    error = told("s3://results/x", text)
    assert type(error) is kind
    assert said in error.message


@pytest.mark.parametrize("session", ["", "of-temporary-keys"])
@pytest.mark.parametrize("port", ["", ":9000", ":443"])
@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/results", "prefix=run%207%2Fa%2Bb&uploads="),
        ("DELETE", "/results/run%207/Gr%C3%B6%C3%9Fe%20%23~.txt", "uploadId=a%2Fb%3D"),
    ],
)
def test_our_signature_is_that_of_botocore(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, query: str, session: str, port: str
) -> None:
    """Byte for byte what Amazon's own library signs."""
    url = f"https://s3.example.org{port}{path}"
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
    request = AWSRequest(method, f"{url}?{query}")
    botocore.auth.S3SigV4Auth(Credentials("us", "s3cr3t", session or None), "s3", "eu-central-1").add_auth(request)
    ours = signed_headers(method, url, query, NOW, Keys("us", "s3cr3t", session, "eu-central-1"))
    assert ours["authorization"] == request.headers["Authorization"]
    assert "s3cr3t" not in str(ours)


@pytest.mark.parametrize("query", ["partNumber=3&uploadId=2~a%2Bb%2F%3D", "uploads="])
def test_our_signature_of_what_is_sent_is_that_of_botocore(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """With the hash of the content, and headers of S3's own."""
    more = {"x-amz-meta-sha256": "ab" * 32, "x-amz-checksum-sha256": "LXEWQ+/="}
    url, content = "https://s3.example.org/results/run%207/Gr%C3%B6%C3%9Fe%27%28~%29%2A.txt", b"some bytes"
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
    request = AWSRequest("PUT", f"{url}?{query}", headers=more, data=content)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    botocore.auth.S3SigV4Auth(Credentials("us", "s3cr3t"), "s3", "eu-central-1").add_auth(request)
    sha256, keys = hashlib.sha256(content).hexdigest(), Keys("us", "s3cr3t", "", "eu-central-1")
    ours = signed_headers("PUT", url, query, NOW, keys, sha256=sha256, more=more)
    assert ours["authorization"] == request.headers["Authorization"]


def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program works without it until a delivery asks for an object store."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(DeliveryBroken, match="obstore, which is not installed") as caught:
        ObjectStoreDelivery("s3://results", {}, ManualClock())
    assert "galaxy-watcher[cloud]" in caught.value.hint


@pytest.mark.parametrize("options", [{"service_account_key": '{"private_key": "s3cr3t"}'}, {"nonsense": "s3cr3t"}])
def test_settings_that_open_nothing_are_told_without_their_text(options: dict[str, str]) -> None:
    """A key that is none and an option that nobody knows."""
    with pytest.raises(DeliveryBroken, match="cannot be opened with its settings") as caught:
        ObjectStoreDelivery("gs://results", options, ManualClock())
    assert "s3cr3t" not in str(caught.value)
