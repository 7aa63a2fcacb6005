"""Which failures of an import from a registry are the registry's, and how its addresses are read."""

from __future__ import annotations

import pytest

from watcher.errors import AnswerLost, GalaxyAway, GalaxyBroken, GalaxyError, KeyRefused
from watcher.galaxy.trs import Source, TrsRef, refused

TRS = TrsRef("#workflow/example/qc", "v1 beta", "https://registry.example.org/api")


@pytest.mark.parametrize(
    "error",
    [
        AnswerLost("a proxy's page", status=502),
        AnswerLost("cut"),
        GalaxyAway("no connection"),
        KeyRefused("the key", status=401),
        GalaxyBroken("an unknown address", status=404),
    ],
)
def test_trouble_on_the_way_is_not_the_registrys(error: GalaxyError) -> None:
    """What a proxy or the line did, and what is wrong with the key, is no fault of the registry."""
    assert refused(TRS, error) is None


def test_galaxys_own_bad_gateway_is_the_registrys() -> None:
    """A 502 that Galaxy itself answered, which its request id tells, names the registry."""
    told = refused(TRS, AnswerLost("bad gateway", status=502, request_id="abc"))
    assert told is not None
    assert "https://registry.example.org/api" in told.message


def test_an_address_goes_there_and_back() -> None:
    """What is asked for by an address is read from it again, and recognized in what Galaxy tells of it."""
    url = TRS.request()["trs_url"]
    assert url == "https://registry.example.org/api/ga4gh/trs/v2/tools/%23workflow%2Fexample%2Fqc/versions/v1%20beta"
    assert TrsRef.from_url(url) == TRS
    told = Source(trs_tool_id=TRS.tool_id, trs_version_id="v1%20beta", trs_url=url)
    assert told.is_of(TRS)
    assert not told.is_of(TrsRef(TRS.tool_id, "v1", TRS.server))
    assert not told.is_of(TrsRef(TRS.tool_id, TRS.version_id, "https://other.example.org"))
    assert not Source().is_of(TRS)
