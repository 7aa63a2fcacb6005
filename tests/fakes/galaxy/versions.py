"""What differs between Galaxy releases, one row each, as measured on servers of that version.

Everything not in this table answers alike in all of them. Read by `tus.py`, `fetch.py`, `invocations.py` and `jobs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The switches of one release."""

    version: str
    fetch_hashes: bool = True
    server_sha256: bool = True
    tus_checks_offset: bool = True
    tus_keeps_partial_patch: bool = True
    tus_needs_metadata: bool = True
    tus_completion_needs_key: bool = False
    tus_keeps_connection: bool = True
    tus_detail_bodies: bool = True
    tus_no_version_status: int = 412
    tus_expires_days: int = 5
    tus_limit_bytes: int | None = None
    completed_state: bool = True
    outer_counts_nested: bool = True
    summary_id_right: bool = True
    invocation_limit: int = 100
    invocation_request: bool = True
    paired_or_unpaired: bool = True
    upload_pauses_over_quota: bool = True
    cancel_step_path: bool = True
    checks_tags: bool = True
    sse: bool = True
    names_wrong_parameter: bool = True
    invocation_metrics: bool = True
    quota_megabyte: int = 1_000_000
    shows_library_files: bool = True
    missing_import_is_error: bool = True
    registry_imports_once: bool = True
    registry_away_is_told: bool = True
    keeps_folder_letters: bool = True
    tells_task_results: bool = True
    has_cloud: bool = False

    @property
    def major(self) -> str:
        """The part before the last dot: `26.1` of `26.1.2`."""
        return self.version.rpartition(".")[0]

    @property
    def minor(self) -> str:
        """The part after the last dot: `2` of `26.1.2`."""
        return self.version.rpartition(".")[2]


_V26_1 = Behaviour("26.1.2")
_V26_0 = replace(_V26_1, version="26.0.2", sse=False)
_V25_1 = replace(
    _V26_0,
    version="25.1.3",
    tus_checks_offset=False,
    tus_keeps_partial_patch=False,
    tus_needs_metadata=False,
    tus_completion_needs_key=True,
    tus_keeps_connection=False,
    tus_detail_bodies=False,
    tus_no_version_status=400,
    tus_expires_days=30,
    tus_limit_bytes=1 << 40,
    completed_state=False,
    outer_counts_nested=False,
    cancel_step_path=False,
)
_V25_0 = replace(_V25_1, version="25.0.4", upload_pauses_over_quota=False, registry_away_is_told=False)
_V24_2 = replace(
    _V25_0,
    version="24.2.4",
    server_sha256=False,
    summary_id_right=False,
    paired_or_unpaired=False,
    shows_library_files=False,
)
_V24_1 = replace(
    _V24_2,
    version="24.1.4",
    fetch_hashes=False,
    missing_import_is_error=False,
    registry_imports_once=False,
    invocation_limit=500,
    invocation_request=False,
    invocation_metrics=False,
    names_wrong_parameter=False,
    quota_megabyte=1 << 20,
    checks_tags=False,
    keeps_folder_letters=False,
    tells_task_results=False,
    has_cloud=True,
)

RELEASES = {row.version: row for row in (_V24_1, _V24_2, _V25_0, _V25_1, _V26_0, _V26_1)}
