"""The account itself: who it is, what room it has, and that what it makes is not open to the world.

By default every dataset of Galaxy can be read by anybody who knows its id, even without a key (measured on 24.1.4 and
26.1.2). The account's default for new histories is the first half of the cure, `Datasets.make_private` the second.
"""

from __future__ import annotations

from watcher.errors import Forbidden, GalaxyBroken, KeyRefused
from watcher.galaxy.answers import Answer, ConfigurationAnswer, Text, UserAnswer
from watcher.galaxy.http import Http


class _Field(Answer):
    name: str
    options: tuple[tuple[str, int], ...] = ()
    value: tuple[int, ...] = ()


class _Defaults(Answer):
    inputs: tuple[_Field, ...]


class _Listed(Answer):
    email: Text = ""


class Role(Answer):
    """A role: `type` is `private` (one user's own), `sharing` (made by sharing), or `admin` and others for people."""

    id: str
    name: Text = ""
    type: Text = ""


class Users:
    """The user behind the API key."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._own_role = ""

    async def current(self) -> UserAnswer:
        """Return who we are; raises KeyRefused when Galaxy takes us for an anonymous visitor (it says so with a
        200).
        """
        user = await self._http.get("/api/users/current", "say who we are", UserAnswer)
        if not user.id:
            raise KeyRefused(
                f"Galaxy at {self._http.account.shown} takes us for an anonymous visitor: the API key is nobody's.",
                hint="Does a proxy take the header x-api-key away? Is the url right?",
                status=200,
            )
        return user

    async def quota(self) -> tuple[int, int | None]:
        """Return the bytes used and the limit, None for no limit.

        Galaxy's own sum may fall a little below zero after deletions (seen on 25.0.4).
        """
        user = await self.current()
        return max(int(user.total_disk_usage), 0), user.quota_bytes

    async def own_role(self) -> str:
        """Return the id of the role that nobody but this user has; raises Forbidden when Galaxy shows none.

        Other roles a dataset may carry are shared: a laboratory's default role closes nothing to the laboratory.
        """
        if not self._own_role:
            user = await self.current()
            own = [role.id for role in await self.roles() if role.type == "private" and role.name == user.email]
            if not own:
                raise self._no_own_role(user.email)
            self._own_role = own[0]
        return self._own_role

    async def roles(self) -> list[Role]:
        """Return the roles the account may see: all that are for people, and the private ones it has itself (every
        private one for administrators).
        """
        return await self._http.get("/api/roles", "list the roles", list[Role])

    async def held_roles(self) -> list[str]:
        """Return the names of the roles this user has, also by a group."""
        access = (await self._default_permissions(await self.current()))[1]
        return [name for name, _ in access.options]

    async def sees_emails(self) -> bool:
        """Tell whether the server shows every user the e-mails of all others."""
        answer = await self._http.get("/api/configuration", "tell its configuration", ConfigurationAnswer)
        return answer.expose_user_email

    async def find(self, email: str) -> str:
        """Return the e-mail as Galaxy writes it, empty when it is nobody's or may not be seen.

        Whether Galaxy looks at upper and lower case is its database's business: PostgreSQL does, SQLite does not.
        """
        for spelling in dict.fromkeys((email, email.lower())):
            for one in await self.emails(spelling):
                if one.lower() == email.lower():
                    return one
        return ""

    async def emails(self, part: str) -> list[str]:
        """Return the e-mails with this text in them that may be seen: for most accounts only its own."""
        rows = await self._http.get("/api/users", "list users", list[_Listed], params={"f_email": part})
        return [row.email for row in rows if row.email]

    async def default_access(self) -> list[str]:
        """Return the names of the roles that one must have to read what the account makes by default; none: anybody
        who knows the id may.
        """
        access = (await self._default_permissions(await self.current()))[1]
        named = {number: name for name, number in access.options}
        return [named.get(number, str(number)) for number in access.value]

    async def make_new_datasets_private(self) -> bool:
        """Make private what lands in histories made from now on; return whether that had to be changed.

        Raises Forbidden when Galaxy offers no role that is this user's own.
        """
        user = await self.current()
        managing, access = await self._default_permissions(user)
        own = [number for name, number in access.options if name == user.email]
        if not own:
            raise self._no_own_role(user.email)
        if set(own) & set(access.value):
            return False
        managers = managing.value if managing else own
        json = {"DATASET_MANAGE_PERMISSIONS": list(managers) or own, "DATASET_ACCESS": own}
        await self._http.put(self._permissions_path(user), "make new datasets private", json=json)
        return True

    async def _default_permissions(self, user: UserAnswer) -> tuple[_Field | None, _Field]:
        answer = await self._http.get(self._permissions_path(user), "read the default permissions", _Defaults)
        fields = {field.name: field for field in answer.inputs}
        access = fields.get("DATASET_ACCESS")
        if access is None:
            raise GalaxyBroken(
                f"Galaxy at {self._http.account.shown} does not tell the default permissions of new datasets."
            )
        return fields.get("DATASET_MANAGE_PERMISSIONS"), access

    def _permissions_path(self, user: UserAnswer) -> str:
        return f"/api/users/{user.id}/permissions/inputs"

    def _no_own_role(self, email: str) -> Forbidden:
        return Forbidden(
            f"Galaxy at {self._http.account.shown} offers no private role to {email}: new datasets would be open.",
            hint="Ask the administrator of Galaxy, or write `access: server` if they may be open.",
        )
