"""The account itself: who it is, what room it has, and that what it makes is not open to the world.

By default every dataset of Galaxy can be read by anybody who knows its id, even without a key (measured on 24.1.4 and
26.1.2). The account's default for new histories is the first half of the cure, `Datasets.make_private` the second.
"""

from __future__ import annotations

from watcher.errors import Forbidden, GalaxyBroken, KeyRefused
from watcher.galaxy.answers import Answer, UserAnswer
from watcher.galaxy.http import Http


class _Field(Answer):
    name: str
    options: tuple[tuple[str, int], ...] = ()
    value: tuple[int, ...] = ()


class _Defaults(Answer):
    inputs: tuple[_Field, ...]


class _Role(Answer):
    id: str
    name: str = ""
    type: str = ""


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
        """Return the bytes used and the limit, None for no limit."""
        user = await self.current()
        return int(user.total_disk_usage), user.quota_bytes

    async def own_role(self) -> str:
        """Return the id of the role that nobody but this user has; raises Forbidden when Galaxy shows none.

        Other roles a dataset may carry are shared: a laboratory's default role closes nothing to the laboratory.
        """
        if not self._own_role:
            user = await self.current()
            roles = await self._http.get("/api/roles", "list the roles", list[_Role])
            own = [role.id for role in roles if role.type == "private" and role.name == user.email]
            if not own:
                raise self._no_own_role(user.email)
            self._own_role = own[0]
        return self._own_role

    async def make_new_datasets_private(self) -> bool:
        """Make private what lands in histories made from now on; return whether that had to be changed.

        Raises Forbidden when Galaxy offers no role that is this user's own.
        """
        user = await self.current()
        path = f"/api/users/{user.id}/permissions/inputs"
        answer = await self._http.get(path, "read the default permissions", _Defaults)
        fields = {field.name: field for field in answer.inputs}
        access = fields.get("DATASET_ACCESS")
        if access is None:
            raise GalaxyBroken(
                f"Galaxy at {self._http.account.shown} does not tell the default permissions of new datasets."
            )
        own = [number for name, number in access.options if name == user.email]
        if not own:
            raise self._no_own_role(user.email)
        if set(own) & set(access.value):
            return False
        managers = fields["DATASET_MANAGE_PERMISSIONS"].value if "DATASET_MANAGE_PERMISSIONS" in fields else own
        json = {"DATASET_MANAGE_PERMISSIONS": list(managers) or own, "DATASET_ACCESS": own}
        await self._http.put(path, "make new datasets private", json=json)
        return True

    def _no_own_role(self, email: str) -> Forbidden:
        return Forbidden(
            f"Galaxy at {self._http.account.shown} offers no private role to {email}: new datasets would be open.",
            hint="Ask the administrator of Galaxy, or write `access: server` if they may be open.",
        )
