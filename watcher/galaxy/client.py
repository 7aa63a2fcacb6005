"""One Galaxy as one account: the way into this room.

Opens the connections, says who and what is on the other side, and holds the small clients for each kind of thing in
Galaxy. Knows no unit, batch, rule or row. Read `http.py` for what a failure means and `answers.py` for what comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from watcher.clock import Clock
from watcher.errors import Forbidden, GalaxyBroken, GalaxyError, KeyRefused, NoGalaxy, NotThere, Refused
from watcher.galaxy.account import Account
from watcher.galaxy.answers import ConfigurationAnswer, VersionAnswer
from watcher.galaxy.archives import Archives
from watcher.galaxy.cloud import Cloud
from watcher.galaxy.collections import Collections
from watcher.galaxy.datasets import Datasets
from watcher.galaxy.exports import Exports
from watcher.galaxy.features import Features, parse_version
from watcher.galaxy.fetch import Fetch
from watcher.galaxy.histories import Histories
from watcher.galaxy.http import Http
from watcher.galaxy.invocations import Invocations
from watcher.galaxy.jobs import Jobs
from watcher.galaxy.libraries import Libraries
from watcher.galaxy.offers import Offers
from watcher.galaxy.sharing import Sharing
from watcher.galaxy.tus import Tus
from watcher.galaxy.users import Users
from watcher.galaxy.workflows import Workflows

CHUNK_BYTES = 10 * 1024 * 1024
"""Used when the server does not say; what proxies in front of Galaxy commonly let through."""

IDENTITY_AGE_S = 600.0
"""How long an identity is believed: the key is proven anew at least so often."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are there, and what the other side can do; bytes used and allowed (None = no limit).

    `takes_paths` and `import_folder` (as the server calls it) are known to administrators only, who alone may use them.
    """

    version: tuple[int, int]
    version_text: str
    user_id: str
    email: str
    is_admin: bool
    features: Features
    chunk_bytes: int
    celery: bool
    quota_bytes: int | None
    used_bytes: int
    takes_paths: bool = False
    import_folder: str = ""
    has_user_import_folder: bool = False


class Galaxy:
    """A context manager over one account's connections; the attributes are the things Galaxy has."""

    def __init__(self, account: Account, clock: Clock) -> None:
        self.account = account
        self._http = Http(account, clock)
        self._clock = clock
        self._features: Features | None = None
        self._identity: Identity | None = None
        self._identified_at = 0.0
        self.users = Users(self._http)
        self.histories = Histories(self._http)
        self.tus = Tus(self._http, self.features)
        self.offers = Offers(self._http, self.histories, self.users)
        self.sharing = Sharing(self._http)
        self.fetch = Fetch(self._http, self.features)
        self.datasets = Datasets(self._http, self.histories)
        self.collections = Collections(self._http, self.histories)
        self.workflows = Workflows(self._http)
        self.invocations = Invocations(self._http, self.features)
        self.jobs = Jobs(self._http, self.invocations, self.collections, self.datasets, self.histories)
        self.libraries = Libraries(self._http, self.features)
        self.exports = Exports(self._http)
        self.archives = Archives(self._http)
        self.cloud = Cloud(self._http, self.exports)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def known_identity(self) -> Identity:
        """Return what `identify` said, asked again when that is older than ten minutes."""
        if self._identity is None or self._clock.monotonic() - self._identified_at > IDENTITY_AGE_S:
            return await self.identify()
        return self._identity

    async def identify(self) -> Identity:
        """Prove the key and look at the server; to be asked before the first byte is sent, since upload sessions need
        no key.

        Raises KeyRefused for a wrong key and for nobody's, and where Galaxy takes us for somebody else than the user
        we are to act for; GalaxyAway; NoGalaxy when something else answers.
        """
        try:
            version_text, version = await self._version()
            user = await self.users.current()
            configuration = await self._http.get("/api/configuration", "tell its configuration", ConfigurationAnswer)
        except (Forbidden, GalaxyBroken, NotThere, Refused) as error:  # every Galaxy answers these, whoever asks
            raise self._no_galaxy(error) from error
        acting_for = self.account.run_as
        if acting_for and user.email.casefold() != acting_for.casefold():
            raise KeyRefused(
                f"Galaxy at {self.account.shown} takes us for {user.email} instead of {acting_for} (run_as).",
                hint="Does a proxy take the header run-as away? Has the user another e-mail address by now?",
            )
        self._features = Features(version)
        self._identified_at = self._clock.monotonic()
        self._identity = Identity(
            version=version,
            version_text=version_text,
            user_id=user.id,
            email=user.email,
            is_admin=user.is_admin,
            features=self._features,
            chunk_bytes=configuration.chunk_upload_size or CHUNK_BYTES,
            celery=configuration.enable_celery_tasks,
            quota_bytes=user.quota_bytes,
            used_bytes=max(int(user.total_disk_usage), 0),
            takes_paths=configuration.allow_library_path_paste,
            import_folder=configuration.library_import_dir,
            has_user_import_folder=configuration.user_library_import_dir_available,
        )
        return self._identity

    def _no_galaxy(self, error: GalaxyError) -> NoGalaxy:
        return NoGalaxy(
            f"What answers at {self.account.shown} is no Galaxy"
            f"{' that works' if (error.status or 0) >= 500 else ''}: {_instead(error.status)}.",
            hint="The watcher asks again by itself. Is the url of this Galaxy right, with its path "
            "(https://host/galaxy)? Does a proxy answer with a login or maintenance page?",
            status=error.status,
            request_id=error.request_id,
        )

    async def features(self) -> Features:
        """Return what the server can do, asked once until the next `identify`."""
        if self._features is None:
            _, version = await self._version()
            self._features = Features(version)
        return self._features

    async def _version(self) -> tuple[str, tuple[int, int]]:
        answer = await self._http.get("/api/version", "tell its version", VersionAnswer)
        text = ".".join(part for part in (answer.version_major, answer.version_minor) if part)
        return text, parse_version(answer.version_major)


def _instead(status: int | None) -> str:
    """Say what came instead of Galaxy's answer."""
    if status is None or status < 300:
        return "it answers with something else, such as a page of its own"
    if status < 400:
        return f"it points elsewhere ({status})"
    if status == 404:
        return "it does not know Galaxy's addresses (404)"
    if status >= 500:
        return f"it fails when asked who it is ({status})"
    return f"it refuses to say who it is ({status})"
