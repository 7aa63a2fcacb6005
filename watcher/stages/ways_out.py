"""Places that only Galaxy can bring something to, and archives that only it can make, held against what it offers.

Reads only. Shared by the plan stage, so that nothing is sent whose results could not be delivered, and by `check`.
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher.galaxy import Galaxy
from watcher.galaxy.exports import EXPORT_TOOL
from watcher.model import PlannedDelivery
from watcher.stages.unknown import Problem, near

PLAIN_ARCHIVE = "tar.gz"
"""The only one that Galaxy makes without Celery."""


async def place_problems(galaxy: Galaxy, deliveries: Sequence[PlannedDelivery]) -> list[Problem]:
    """Return what this Galaxy does not offer of what deliveries need of it."""
    problems: list[Problem] = []
    if sent := [one for one in deliveries if one.bucket]:
        problems += await _cloud_problems(galaxy, sent)
    written = [one for one in deliveries if one.is_written_by_galaxy and not one.bucket]
    if written:
        problems += await _source_problems(galaxy, [one.base for one in written])
    if any(not one.export for one in written) and not await galaxy.exports.has_tool(EXPORT_TOOL):
        problems.append(
            Problem(
                f"Galaxy has not the tool `{EXPORT_TOOL}`, by which it writes results to {written[0].base}.",
                "It comes with Galaxy: its administrator adds data_export/export_remote.xml to the tools. Or deliver"
                " to a folder.",
            )
        )
    if (archive := next((one for one in deliveries if needs_celery(one)), None)) and not (
        await galaxy.known_identity()
    ).celery:
        what = f"as {archive.format}" if not archive.is_written_by_galaxy else f"to {archive.base}"
        problems.append(
            Problem(
                f"Galaxy makes no archive of {_of(archive)} {what}: it works without Celery.",
                "It would say yes, and write nothing. Its administrator sets enable_celery_tasks; without it there is"
                " only {export: history} to a folder or object store, as tar.gz.",
            )
        )
    return problems


def needs_celery(planned: PlannedDelivery) -> bool:
    """Tell whether only a Galaxy with Celery can make this archive."""
    return bool(planned.export) and (planned.is_written_by_galaxy or planned.format != PLAIN_ARCHIVE)


def _of(planned: PlannedDelivery) -> str:
    return "a history" if planned.export == "history" else "an invocation"


async def _cloud_problems(galaxy: Galaxy, asked: Sequence[PlannedDelivery]) -> list[Problem]:
    identity = await galaxy.known_identity()
    if not identity.features.sends_to_clouds:
        return [
            Problem(
                f"Galaxy {identity.version_text} sends nothing to buckets: that ended with 24.1.",
                "Deliver by url instead: gxfiles:// to a file source of Galaxy, or s3://, gs:// or az:// by the watcher"
                " itself.",
            )
        ]
    known = {one.id: one for one in await galaxy.cloud.authorizations()}
    shown = ", ".join(f"{one.id} ({one.description or one.provider})" for one in known.values())
    return [
        Problem(
            f"The account has no cloud authorization {one.authz_id} in Galaxy.",
            f"It has {shown}." if shown else "It has none: whoever may makes one at /api/cloud/authz.",
        )
        for one in {one.authz_id: one for one in asked if one.authz_id not in known}.values()
    ]


async def _source_problems(galaxy: Galaxy, asked: Sequence[str]) -> list[Problem]:
    known = {source.root.rstrip("/"): source for source in await galaxy.exports.sources() if source.root}
    writable = [root for root, source in known.items() if source.is_writable]
    problems = []
    for base in dict.fromkeys(asked):
        if base in writable:
            continue
        what = "may not be written to" if base in known else "is no file source that Galaxy shows this account"
        shown = f"Those to write to are {', '.join(writable)}." if writable else "There is none to write to."
        problems.append(Problem(f"{base} {what}.", near(base, writable) or shown))
    return problems
