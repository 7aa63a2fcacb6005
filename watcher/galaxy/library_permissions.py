"""Who may see and change a library, its folders and its files: roles, as ids.

A file has access roles of its own, and somebody has to hold all of them; a folder has none. An administrator may give
any role, others only their own. Everything is set anew each time: what is not named would be taken away, hence kept
here. The roles of a file are those of its bytes: copies of it in libraries and histories share them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from watcher.errors import Refused
from watcher.galaxy.http import Http, Params
from watcher.galaxy.library_answers import LibraryPermissions, OfferedRoles, Role

Kind = Literal["library", "folder", "item"]
Scope = Literal["access", "rights"]

ROLES_AT_ONCE = 100_000
"""All of them: Galaxy gives roles in another order each time, so pages would miss some (measured on 26.1.2)."""

_PATHS: dict[Kind, str] = {
    "library": "/api/libraries/{}/permissions",
    "folder": "/api/folders/{}/permissions",
    "item": "/api/libraries/datasets/{}/permissions",
}
_NAMES: dict[Kind, str] = {"library": "library", "folder": "folder of a library", "item": "file of a library"}
_RIGHTS: dict[Kind, tuple[str, ...]] = {
    "library": ("access", "modify", "manage", "add"),
    "folder": ("modify", "manage", "add"),
    "item": ("access", "modify", "manage"),
}


class LibraryRights:
    """Rights in libraries that the account may manage."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def permissions(self, kind: Kind, id: str) -> LibraryPermissions:
        """Return which roles hold which right; raises Forbidden unless the account may manage it."""
        path, purpose = _PATHS[kind].format(id), f"read who may see a {_NAMES[kind]}"
        return await self._http.get(path, purpose, LibraryPermissions, params={"scope": "current"})

    async def set_permissions(
        self,
        kind: Kind,
        id: str,
        *,
        access: Collection[str] | None = None,
        modify: Collection[str] | None = None,
        manage: Collection[str] | None = None,
        add: Collection[str] | None = None,
    ) -> LibraryPermissions:
        """Let exactly these roles hold each right, and return who holds them now; a right that is not given is left as
        it is. Repeating it changes nothing.

        A right that the kind does not have is a ValueError. Raises NotThere or Refused for a role that the account may
        not give, also when Galaxy leaves it out without a word, and Forbidden unless the account may manage it.
        """
        given = {"access": access, "modify": modify, "manage": manage, "add": add}
        wanted = {right: tuple(sorted(set(roles))) for right, roles in given.items() if roles is not None}
        if foreign := set(wanted) - set(_RIGHTS[kind]):
            raise ValueError(f"a {_NAMES[kind]} has no right to {', '.join(sorted(foreign))}")
        whole = (await self.permissions(kind, id)).model_copy(update=wanted)
        json: dict[str, object] = {"action": "set_permissions"}
        json |= {f"{right}_ids[]": list(getattr(whole, right)) for right in _RIGHTS[kind]}
        path, purpose = _PATHS[kind].format(id), f"set who may see a {_NAMES[kind]}"
        now = await self._http.post(path, purpose, LibraryPermissions, json=json)
        for right, roles in wanted.items():
            if getattr(now, right) != roles:
                raise Refused(
                    f"Galaxy at {self._http.account.shown} did not give the right to {right} a {_NAMES[kind]} to "
                    f"{len(set(roles) - set(getattr(now, right)))} of {len(roles)} roles.",
                    hint="Only an administrator may give roles that are not his own.",
                )
        return now

    async def roles_offered(self, kind: Kind, id: str, scope: Scope = "access") -> list[Role]:
        """Return the roles that can be given there, by name: for access, or for the other rights."""
        params: Params = {
            "scope": "available",
            "page": 1,
            "page_limit": ROLES_AT_ONCE,
            **({"is_library_access": scope == "access"} if kind == "library" else {}),
        }
        path, purpose = _PATHS[kind].format(id), f"list the roles for a {_NAMES[kind]}"
        offered = await self._http.get(path, purpose, OfferedRoles, params=params)
        return sorted(offered.roles, key=lambda role: (role.name, role.id))
