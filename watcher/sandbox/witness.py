"""Asks Galaxy itself what became of a run, without the watcher's client or store: counts for the end of the demo and
for tests.

Everything is compared with what the pretend sequencer wrote and with the bytes that were delivered.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from watcher.errors import GalaxyAway, KeyRefused
from watcher.results import MANIFEST, OURS
from watcher.sandbox.sequencer import WrittenRun


@dataclass(frozen=True, slots=True)
class Finding:
    """One counted line, and whether it is as it should be."""

    text: str
    is_so: bool


class Witness:
    """Reads one Galaxy account over HTTP."""

    def __init__(self, url: str, key: str) -> None:
        # Programs on this machine are asked directly, whatever proxy the environment names.
        direct = url.startswith(("http://127.0.0.1", "http://localhost"))
        headers = {"x-api-key": key}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=not direct)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def account(self) -> str:
        """Return whose key this is; GalaxyAway or KeyRefused when that cannot be said."""
        try:
            answer = self._client.get("/api/users/current")
            user = answer.json() if answer.is_success else {}
        except (httpx.HTTPError, ValueError) as error:
            raise GalaxyAway(
                f"There is no Galaxy at {self._client.base_url}: {error}", hint="Look at --galaxy-url."
            ) from error
        if not isinstance(user, dict) or not user.get("id"):
            raise KeyRefused(
                f"Galaxy at {self._client.base_url} does not take the key.", hint="Look at --api-key-file."
            )
        return str(user.get("email"))

    def has_tool(self, tool_id: str) -> bool:
        """Say whether this server has a tool."""
        return self._client.get(f"/api/tools/{tool_id}").is_success

    def findings(self, run: WrittenRun, results: Path | None) -> list[Finding]:
        """Return the counted lines; `results` is the folder that was delivered to, None when no workflow was wanted."""
        tag = f"run:{run.run_id}".lower()
        histories = self._get("/api/histories", q="tag", qv=tag, keys="id,name,tags")
        found = [Finding(f"{_count(len(histories), 'history', 'histories')} for the run", len(histories) == 1)]
        if len(histories) != 1:
            return found
        history_id = str(histories[0]["id"])
        contents = self._get(
            f"/api/histories/{history_id}/contents", v="dev", limit="1000", keys="id,name,history_content_type,deleted"
        )
        datasets = [one for one in contents if one["history_content_type"] == "dataset" and not one["deleted"]]
        found.append(self._uploads(run, datasets))
        found.append(self._collection(history_id, run))
        invocations = self._get("/api/invocations", history_id=history_id)
        wanted = 0 if results is None else 1
        found.append(Finding(_count(len(invocations), "invocation"), len(invocations) == wanted))
        outputs = 0
        if results is not None and len(invocations) == 1:
            found.append(self._jobs(str(invocations[0]["id"])))
            digests = self._output_digests(str(invocations[0]["id"]))
            outputs = len(digests)
            found.append(_delivered(digests, results))
        doubled = len(datasets) - len(run.files) - outputs
        found.append(Finding(f"{len(datasets)} datasets in all: {max(0, doubled)} doubled or left over", doubled == 0))
        return found

    def _get(self, path: str, **query: str) -> Any:
        return self._client.get(path, params=query).raise_for_status().json()

    def _uploads(self, run: WrittenRun, datasets: Sequence[Mapping[str, Any]]) -> Finding:
        """Compare name and SHA-256 of what was written with what Galaxy holds under the same names."""
        names = {file.path.rpartition("/")[2]: file for file in run.files}
        held = [one for one in datasets if one["name"] in names]
        same = sum(self._digest(str(one["id"])) == names[one["name"]].sha256 for one in held)
        text = f"{len(run.files)} files written, {_count(len(held), 'dataset')} in Galaxy, {same} equal byte for byte"
        return Finding(text, len(run.files) == len(held) == same == len({one["name"] for one in held}))

    def _digest(self, dataset_id: str) -> str:
        digest = hashlib.sha256()
        with self._client.stream("GET", f"/api/datasets/{dataset_id}/display", params={"to_ext": "data"}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                digest.update(chunk)
        return digest.hexdigest()

    def _collection(self, history_id: str, run: WrittenRun) -> Finding:
        tagged = self._get(
            f"/api/histories/{history_id}/contents",
            v="dev",
            keys="id,name,history_content_type,collection_type,tags,element_count",
        )
        made = [
            one for one in tagged if one["history_content_type"] == "dataset_collection" and one["name"] == run.run_id
        ]
        elements = sum(one["element_count"] for one in made)
        samples = len(run.files) // 2
        kind = made[0]["collection_type"] if made else "none"
        return Finding(
            f"{_count(len(made), 'collection')} ({kind}) of {_count(elements, 'pair')}",
            len(made) == 1 and elements == samples and kind == "list:paired",
        )

    def _jobs(self, invocation_id: str) -> Finding:
        jobs = self._get("/api/jobs", invocation_id=invocation_id, limit="500")
        states = Counter(str(job["state"]) for job in jobs)
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return Finding(f"{_count(len(jobs), 'job')} of the workflow: {told}", bool(jobs) and set(states) == {"ok"})

    def _output_digests(self, invocation_id: str) -> Counter[str]:
        """Return the SHA-256 of everything the workflow's labelled outputs hold, read from Galaxy."""
        invocation = self._get(f"/api/invocations/{invocation_id}")
        ids = [str(one["id"]) for one in invocation["outputs"].values()]
        for one in invocation["output_collections"].values():
            collection = self._get(f"/api/dataset_collections/{one['id']}", instance_type="history")
            ids.extend(_leaves(collection["elements"]))
        return Counter(self._digest(one) for one in ids)


def _leaves(elements: Sequence[Mapping[str, Any]]) -> list[str]:
    ids = []
    for element in elements:
        if element["element_type"] == "hda":
            ids.append(str(element["object"]["id"]))
        else:
            ids.extend(_leaves(element["object"]["elements"]))
    return ids


def _delivered(in_galaxy: Counter[str], results: Path) -> Finding:
    """Hash what was delivered and compare it with the manifest beside it and with Galaxy's own copies."""
    manifest = results / MANIFEST
    lines = manifest.read_text().splitlines() if manifest.exists() else []
    listed = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    there = {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path != manifest
    }
    home = {path: digest for path, digest in there.items() if path not in OURS}  # a record is no result
    same = sum(listed.get(path) == digest for path, digest in home.items())
    text = f"{_count(in_galaxy.total(), 'result')} in Galaxy, {len(home)} delivered, {same} as {MANIFEST} says"
    return Finding(text, bool(home) and listed == there and Counter(home.values()) == in_galaxy)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
