"""What a Galaxy offers by name: datatypes, reference genomes, users, roles, groups, the account's own histories, and
what lies in its import folders.

Reading calls only. Galaxy itself is told of a name when the bytes are there already: it takes an unknown reference
genome and keeps it (measured on 24.1.4 to 26.1.2), and refuses an unknown extension with the whole request. So names
are held against these lists before. What a name is for is not known here; `stages/offered.py` compares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from watcher.clock import Clock
from watcher.errors import Forbidden, NotThere, Refused
from watcher.galaxy.answers import Answer, History, Text
from watcher.galaxy.histories import Histories
from watcher.galaxy.http import Http, Params
from watcher.galaxy.users import Role, Users
from watcher.model import HistoryId

ALIKE = 2
"""Letters in common that make an e-mail worth proposing: a large server has too many to list them all."""


class _Group(Answer):
    id: str
    name: Text = ""


class _Entry(Answer):
    name: str
    size: int | None = None


class Offers:
    """What can be asked for by name on this server."""

    def __init__(self, http: Http, histories: Histories, users: Users) -> None:
        self._http = http
        self._histories = histories
        self._users = users

    async def datatypes(self, *, by_path: bool = False) -> list[str]:
        """Return all extensions the server knows, or those it takes for files that it reads `by_path`: the ones its
        upload form offers, which a third of them, `data` as well, are not.
        """
        params = {"extension_only": True, "upload_only": by_path}
        return await self._http.get("/api/datatypes", "list its datatypes", list[str], params=params)

    async def dbkeys(self) -> list[str]:
        """Return the keys of the reference genomes, those that the account made for itself as well."""
        rows = await self._http.get("/api/genomes", "list its reference genomes", list[tuple[str, str]])
        return [key for _, key in rows]

    async def roles(self) -> list[Role]:
        """Return the roles the account may see."""
        return await self._users.roles()

    async def held_roles(self) -> list[str]:
        """Return the names of the roles the account has itself."""
        return await self._users.held_roles()

    async def roles_of_group(self, name: str) -> list[str] | None:
        """Return the names of the roles that a group gives to its members; None where there is no such group, or the
        account may not see groups, which only administrators may.
        """
        try:
            groups = await self._http.get("/api/groups", "list the groups", list[_Group])
        except Forbidden:
            return None
        found = next((group.id for group in groups if group.name.lower() == name.lower()), None)
        if found is None:
            return None
        rows = await self._http.get(f"/api/groups/{found}/roles", "list the roles of a group", list[_Group])
        return [row.name for row in rows]

    async def import_folder(self, folder: str, *, own: bool) -> dict[str, int | None] | None:
        """Return what Galaxy sees right in a folder of its import folder, or of the account's `own` one: names, with
        sizes in bytes (None for folders). None when there is no such folder.

        Raises Refused or Forbidden on a server that does not show it.
        """
        params: dict[str, str | int | bool] = {
            "target": f"{'gxuserimport' if own else 'gximport'}://{folder}",
            "format": "uri",
            "recursive": False,
        }
        try:
            rows = await self._http.get("/api/remote_files", "list its import folder", list[_Entry], params=params)
        except NotThere:
            return None
        return {row.name: row.size for row in rows}

    async def known_users(self, emails: Sequence[str]) -> tuple[dict[str, str], list[str], list[str]]:
        """Return which of these e-mails are users', each with how Galaxy writes it, which are nobody's, and which this
        account cannot look up.

        Only administrators may list other users, unless the server shows e-mails to all.
        """
        identity = await self._users.current()
        sees_all = identity.is_admin or await self._users.sees_emails()
        known: dict[str, str] = {}
        unseen: list[str] = []
        for email in emails:
            if written := await self._users.find(email):
                known[email] = written  # Galaxy up to 25.0 knows its users in their own spelling only
            else:
                unseen.append(email)
        return (known, unseen, []) if sees_all else (known, [], unseen)

    async def emails_like(self, email: str) -> list[str]:
        """Return e-mails that begin alike, as far as the account may see them."""
        return await self._users.emails(email[:ALIKE])

    async def histories(self, ref: str) -> list[History]:
        """Return the account's own histories that are called exactly so or have this id; no deleted ones, and none
        that are put into the archive, where nothing can be added.
        """
        named = await self._histories.find_by_name(ref)
        if not named and re.fullmatch(r"(?:[0-9a-f]{16})+", ref):
            named = await self._by_id(ref)
        mine = (await self._users.current()).id
        found = [await self._histories.get(one.id) for one in named]
        return [one for one in found if one.user_id == mine and not (one.deleted or one.purged or one.archived)]

    async def _by_id(self, ref: str) -> list[History]:
        try:
            return [await self._histories.get(HistoryId(ref))]
        except (NotThere, Forbidden, Refused):  # no such id, or somebody else's
            return []

    async def history_names(self) -> list[str]:
        """Return the names of the account's own histories."""
        return sorted({history.name for history in await self._histories.own()})

    async def any_history(self) -> HistoryId | None:
        """Return one of the account's own histories that are not deleted, None when there is none."""
        params: Params = {"q": "deleted", "qv": "false", "keys": "id,name", "limit": 1}
        found = await self._http.get("/api/histories", "list histories", list[History], params=params)
        return found[0].id if found else None

    async def clock_skew_s(self, clock: Clock) -> float | None:
        """Return by how many seconds the server's clock is ahead of ours; None when its answer carries no date."""
        return await self._http.clock_skew_s(clock)
