"""The store for tests of interrupted uploads keeps what it answered for, also when it dies in the middle of a part."""

from __future__ import annotations

import hashlib
import http.client
import secrets
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.delivery.swift import Swift

KEY = "run 7/out/reads of S1.fastq.gz"
PART = 5 << 20
# No socket holds that much: when it is sent, the server has taken some of it.
HALF = 32 << 20


def test_parts_that_were_acknowledged_outlive_a_kill(swift_server: Swift) -> None:
    """Killed in the middle of the third part, the store lists the first two, and the upload can be completed."""
    client, bucket = swift_server.client, swift_server.bucket
    parts = [secrets.token_bytes(PART), secrets.token_bytes(PART), b"the end"]
    upload = {"Bucket": bucket, "Key": KEY}
    upload["UploadId"] = client.create_multipart_upload(**upload, Metadata={"run": "7"})["UploadId"]
    for number in (1, 2):
        client.upload_part(**upload, PartNumber=number, Body=parts[number - 1])

    address = urlsplit(client.generate_presigned_url("upload_part", Params={**upload, "PartNumber": 3}))
    line = http.client.HTTPConnection("127.0.0.1", swift_server.port, timeout=60)
    line.putrequest("PUT", f"{address.path}?{address.query}")
    line.putheader("Content-Length", str(2 * HALF))
    line.endheaders()
    line.send(bytes(HALF))
    swift_server.kill()
    line.close()
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.1", swift_server.port, timeout=60).request("GET", "/")
    swift_server.start()

    assert swift_server.unfinished() == [KEY]
    listed = client.list_parts(**upload)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, PART), (2, PART)]
    assert [part["ETag"].strip('"') for part in listed] == [hashlib.md5(part).hexdigest() for part in parts[:2]]
    last = client.upload_part(**upload, PartNumber=3, Body=parts[2])
    chosen = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]
    chosen.append({"PartNumber": 3, "ETag": last["ETag"]})
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": chosen})
    assert swift_server.contents() == {KEY: b"".join(parts)}
    assert swift_server.head(KEY)["Metadata"] == {"run": "7"}
    assert swift_server.unfinished() == []


def test_an_upload_that_was_given_up_stays_so(swift_server: Swift) -> None:
    """An upload that was aborted before a kill is unknown after it, and objects are as they were."""
    client, bucket = swift_server.client, swift_server.bucket
    client.put_object(Bucket=bucket, Key="old", Body=b"as it was")
    upload = {"Bucket": bucket, "Key": KEY}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    client.upload_part(**upload, PartNumber=1, Body=b"a part")
    client.abort_multipart_upload(**upload)
    swift_server.kill()
    swift_server.start()
    assert swift_server.unfinished() == []
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.list_parts(**upload)
    assert swift_server.contents() == {"old": b"as it was"}
