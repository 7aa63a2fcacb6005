"""With whom a history is shared, and what that does to its datasets.

Measured on 24.1.4, 25.0.4 and 26.1.2: the list of users is always set as a whole. A dataset is opened to users by a
role that Galaxy makes for the owner and one of them; asked for two, it makes two and the last one wins, so that only
one of them can read. Only those who were not on the list before are given what lies in the history. A request that is
refused for one name opens the datasets to the others all the same, without sharing the history. An empty history
cannot be shared, but asking for it tells which names are nobody's and changes nothing. Who is to be on the list is not
known here; `stages/shares.py` decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from watcher.errors import Refused
from watcher.galaxy.answers import Answer, Text
from watcher.galaxy.http import Http
from watcher.model import HistoryId

NOBODY = " is not a valid Galaxy user."
"""How Galaxy ends the sentence about a name it does not know."""

OPENING = "make_accessible_to_shared"
AS_THEY_ARE = "no_changes"


class SharedWith(Answer):
    """A user a history is shared with."""

    id: str
    email: Text = ""


class _Sharing(Answer):
    users_shared_with: tuple[SharedWith, ...] = ()


class _Shared(_Sharing):
    errors: tuple[str, ...] = ()


class Sharing:
    """Histories of the account and their other readers."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def users(self, history: HistoryId) -> tuple[SharedWith, ...]:
        """Return with whom the history is shared."""
        path = f"/api/histories/{history}/sharing"
        return (await self._http.get(path, "tell who a history is shared with", _Sharing)).users_shared_with

    async def share(self, history: HistoryId, users: Sequence[str], *, opening: bool) -> None:
        """Set the users (ids or e-mails) the history is shared with; `opening` gives what lies in it to those who were
        not on the list. Raises Refused when Galaxy names something wrong.
        """
        answer = await self._ask(history, users, opening=opening)
        if answer.errors:
            raise Refused(f"Galaxy does not share the history: {' '.join(answer.errors)}")

    async def nobodys(self, history: HistoryId, emails: Sequence[str]) -> list[str]:
        """Return which of these e-mails are no user's, asked with an empty history; one that is not would be shared."""
        answer = await self._ask(history, emails, opening=False)
        told = [error.removesuffix(NOBODY) for error in answer.errors if error.endswith(NOBODY)]
        return [email for email in emails if email in told]

    async def _ask(self, history: HistoryId, users: Sequence[str], *, opening: bool) -> _Shared:
        json = {"user_ids": list(users), "share_option": OPENING if opening else AS_THEY_ARE}
        path = f"/api/histories/{history}/share_with_users"
        return await self._http.put_for(path, "share a history", _Shared, json=json)
