"""The JSON shapes of histories, datasets and collections, key by key as Galaxy 26.1.2 gives them.

Pure functions of `state.py` rows; the caller holds the lock. Jobs, workflows and invocations are in `run_answers.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.fakes.galaxy.ids import encode
from tests.fakes.galaxy.state import Collection, Dataset, Element, History, Tree, World

Json = dict[str, Any]
DATA_TYPES = {
    "fastqsanger.gz": "galaxy.datatypes.registry.FastqSangerGz",
    "fastqsanger.bz2": "galaxy.datatypes.registry.FastqSangerBz2",
    "fastqsanger": "galaxy.datatypes.sequence.FastqSanger",
    "fastq.gz": "galaxy.datatypes.registry.FastqGz",
    "fastq": "galaxy.datatypes.sequence.Fastq",
    "fasta": "galaxy.datatypes.sequence.Fasta",
    "fasta.gz": "galaxy.datatypes.registry.FastaGz",
    "bam": "galaxy.datatypes.binary.Bam",
    "qname_sorted.bam": "galaxy.datatypes.binary.BamQuerynameSorted",
    "unsorted.bam": "galaxy.datatypes.binary.BamNative",
    "cram": "galaxy.datatypes.binary.CRAM",
    "pod5": "galaxy.datatypes.binary.Pod5",
    "thermo.raw": "galaxy.datatypes.proteomics.ThermoRAW",
    "fast5.tar": "galaxy.datatypes.binary.Fast5Archive",
    "tabular": "galaxy.datatypes.tabular.Tabular",
    "csv": "galaxy.datatypes.tabular.CSV",
    "txt": "galaxy.datatypes.data.Text",
    "json": "galaxy.datatypes.text.Json",
    "xml": "galaxy.datatypes.xml.GenericXml",
    "html": "galaxy.datatypes.text.Html",
    "pdf": "galaxy.datatypes.images.Pdf",
    "zip": "galaxy.datatypes.binary.CompressedZipArchive",
    "data": "galaxy.datatypes.data.Data",
}
INDEXES = {"bam": "bam_index", "cram": "cram_index"}
CONTENT_STATES = (
    "new", "upload", "queued", "running", "ok", "empty", "error", "paused", "setting_metadata", "failed_metadata",
    "deferred", "discarded",
)  # fmt: skip
JOB_STATES = (
    "new", "waiting", "running", "error", "paused", "skipped", "resubmitted", "queued", "ok", "failed", "deleted",
    "upload",
)  # fmt: skip


def only(row: Json, keys: list[str]) -> Json:
    """Keep the keys asked for; none asked for means all."""
    return {key: value for key, value in row.items() if key in keys} if keys else row


def history_summary(world: World, history: History) -> Json:
    """Give a history as lists show it."""
    return {
        "model_class": "History",
        "id": encode(history.number),
        "name": history.name,
        "deleted": history.deleted,
        "purged": history.purged,
        "archived": history.archived,
        "url": f"/api/histories/{encode(history.number)}",
        "published": False,
        "count": len(history.contents),
        "annotation": history.annotation,
        "tags": sorted(history.tags),
        "update_time": history.update_time,
        "preferred_object_store_id": None,
    }


def history_detail(world: World, history: History) -> Json:
    """Give a history as `GET /api/histories/ID` shows it."""
    shown = [world.datasets[number] for kind, number in history.contents if kind == "dataset"]
    ids: dict[str, list[str]] = {state: [] for state in CONTENT_STATES}
    for dataset in shown:
        if not dataset.deleted:
            ids.setdefault(dataset.file.state, []).append(encode(dataset.number))
    busy = next((state for state in ("error", "running", "queued", "new", "paused") if ids[state]), "")
    size = sum(d.file.size for d in shown if not d.purged)
    return {
        **history_summary(world, history),
        "contents_url": f"/api/histories/{encode(history.number)}/contents",
        "size": size,
        "user_id": encode(history.user),
        "create_time": history.create_time,
        "importable": False,
        "slug": None,
        "username": world.users[history.user].username,
        "username_and_slug": None,
        "genome_build": None,
        "state": busy or ("ok" if shown else "new"),
        "state_ids": ids,
        "state_details": {state: len(members) for state, members in ids.items()},
    }


def dataset_summary(dataset: Dataset, *, dev: bool = False) -> Json:
    """Give a dataset as lists show it; the `dev` list writes its address differently."""
    encoded, history = encode(dataset.number), encode(dataset.history)
    return {
        "id": encoded,
        "name": dataset.name,
        "history_id": history,
        "hid": dataset.hid,
        "deleted": dataset.deleted,
        "visible": dataset.visible,
        "type_id": f"dataset-{encoded}",
        "type": "file",
        "create_time": dataset.create_time,
        "update_time": dataset.update_time,
        "url": f"/api/histories/{history}/contents/{'datasets/' if dev else ''}{encoded}",
        "tags": sorted(dataset.tags),
        "history_content_type": "dataset",
        "dataset_id": encode(dataset.file.number),
        "state": dataset.file.state,
        "extension": dataset.file.ext,
        "purged": dataset.purged,
        "genome_build": dataset.file.dbkey,
        "object_store_id": None,
        "quota_source_label": None,
    }


def metadata_of(dataset: Dataset) -> Json:
    """Give the `metadata_` keys of the datatypes the tools here know."""
    file = dataset.file
    shown: Json = {"metadata_dbkey": file.dbkey}
    if file.ext != "data":
        shown["metadata_data_lines"] = file.lines
    if file.ext.startswith("fastq"):
        shown["metadata_sequences"] = file.lines // 4
    if file.ext == "tabular":
        shown |= {
            "metadata_comment_lines": 0,
            "metadata_columns": 2,
            "metadata_column_types": ["str", "int"],
            "metadata_column_names": [],
            "metadata_delimiter": "\t",
        }
    return shown


def hashes_of(dataset: Dataset, *, raw_ids: bool = False) -> list[Json]:
    """Give the hashes claimed for or computed from the bytes."""
    return [
        {
            "model_class": "DatasetHash",
            "id": number if raw_ids else encode(number),
            "hash_function": function,
            "hash_value": value,
            "extra_files_path": None,
        }
        for number, function, value in dataset.file.hashes
    ]


def meta_files(dataset: Dataset) -> list[Json]:
    """Name the files that Galaxy made about a dataset."""
    index = INDEXES.get(dataset.file.ext)
    if index is None or dataset.file.state != "ok":
        return []
    place = f"/api/histories/{encode(dataset.history)}/contents/{encode(dataset.number)}"
    return [{"file_type": index, "download_url": f"{place}/metadata_file?metadata_file={index}"}]


def dataset_inner(dataset: Dataset) -> Json:
    """Give a dataset as collections and fetch answers show it."""
    file = dataset.file
    return {
        "model_class": "HistoryDatasetAssociation",
        "id": encode(dataset.number),
        "state": file.state,
        "hda_ldda": "hda",
        "history_id": encode(dataset.history),
        "tags": sorted(dataset.tags),
        "copied_from_ldda_id": None,
        "accessible": None,
        "purged": dataset.purged,
        "uuid": file.uuid,
        "hid": dataset.hid,
        "file_ext": file.ext,
        "peek": file.peek,
        "name": dataset.name,
        "deleted": dataset.deleted,
        "visible": dataset.visible,
        "history_content_type": "dataset",
        "file_size": file.size,
        "create_time": dataset.create_time,
        "update_time": dataset.update_time,
        "data_type": DATA_TYPES.get(file.ext, DATA_TYPES["data"]),
        "genome_build": file.dbkey,
        "validated_state": "unknown",
        "validated_state_message": None,
        "misc_info": file.misc_info,
        "misc_blurb": file.blurb,
        **metadata_of(dataset),
    }


def dataset_detail(world: World, dataset: Dataset, *, raw_ids: bool = False) -> Json:
    """Give a dataset as `GET /api/datasets/ID` shows it."""
    file = dataset.file
    role = encode(world.users[file.user].role)
    history = encode(dataset.history)
    job = world.jobs.get(file.job or 0)
    return {
        **dataset_summary(dataset),
        **dataset_inner(dataset),
        "accessible": True,
        "meta_files": meta_files(dataset),
        "sources": [],
        "rerunnable": job is not None and job.tool_id != "__DATA_FETCH__",
        "hashes": hashes_of(dataset, raw_ids=raw_ids),
        "api_type": "file",
        "annotation": None,
        "download_url": f"/api/histories/{history}/contents/{encode(dataset.number)}/display",
        **({"file_name": str(file.path or "")} if world.users[file.user].is_admin else {}),
        "permissions": {"manage": [role], "access": [encode(one) for one in file.access]},
        "resubmitted": False,
        "display_types": [],
        "created_from_basename": file.basename,
        "display_apps": [],
        "drs_id": f"hda-{encode(dataset.number)}",
        "creating_job": encode(file.job) if file.job else None,
    }


def _job_states(world: World, collection: Collection, *, deep: bool) -> Json:
    numbers = world.map_jobs.get(collection.map_jobs or 0, [])
    counts = Counter(world.jobs[number].state for number in numbers)
    shown: Json = {"all_jobs": len(numbers), **{state: counts.get(state, 0) for state in JOB_STATES}}
    return {**shown, "deleted_new": 0} if deep else shown


def collection_summary(world: World, collection: Collection, *, deep: bool = False) -> Json:
    """Give a collection without its elements."""
    encoded, history = encode(collection.number), encode(collection.history)
    members = [world.datasets[number] for number in collection.tree.leaves()]
    return {
        "id": encoded,
        "name": collection.name,
        "history_id": history,
        "hid": collection.hid,
        "deleted": collection.deleted,
        "visible": collection.visible,
        "type_id": None if deep else f"dataset_collection-{encoded}",
        "type": "collection",
        "create_time": collection.create_time,
        "update_time": collection.update_time,
        "url": f"/api/histories/{history}/contents/dataset_collections/{encoded}",
        "tags": sorted(collection.tags),
        "history_content_type": "dataset_collection",
        "collection_type": collection.tree.collection_type,
        "populated_state": collection.populated_state,
        "populated_state_message": collection.populated_message,
        "element_count": len(collection.tree.elements),
        "elements_datatypes": sorted({member.file.ext for member in members}),
        "elements_states": dict(Counter(member.file.state for member in members)),
        "elements_deleted": sum(member.deleted for member in members),
        "job_source_id": encode(collection.map_jobs) if collection.map_jobs else None,
        "job_source_type": "ImplicitCollectionJobs" if collection.map_jobs else None,
        "job_state_summary": _job_states(world, collection, deep=deep),
        "contents_url": f"/api/dataset_collections/{encoded}/contents/{encode(collection.tree.number)}",
        "collection_id": encode(collection.tree.number),
        "store_times_summary": None if deep else [],
    }


def tree_answer(world: World, tree: Tree) -> Json:
    """Give a nested collection."""
    members = [world.datasets[number] for number in tree.leaves()]
    return {
        "model_class": "DatasetCollection",
        "id": encode(tree.number),
        "collection_type": tree.collection_type,
        "populated": True,
        "element_count": len(tree.elements),
        "contents_url": None,
        "elements": [element_answer(world, index, element) for index, element in enumerate(tree.elements)],
        "elements_states": dict(Counter(member.file.state for member in members)),
        "elements_deleted": sum(member.deleted for member in members),
        "elements_datatypes": sorted({member.file.ext for member in members}),
        "column_definitions": None,
    }


def element_answer(world: World, index: int, element: Element) -> Json:
    """Give one element with the dataset or collection it stands for."""
    inner = tree_answer(world, element.child) if element.child else dataset_inner(world.datasets[element.dataset or 0])
    return {
        "model_class": "DatasetCollectionElement",
        "id": encode(element.number),
        "element_index": index,
        "element_identifier": element.identifier,
        "element_type": "dataset_collection" if element.child else "hda",
        "object": inner,
        "columns": None,
    }


def listed_collection(world: World, collection: Collection) -> Json:
    """Give a collection with all elements, as `GET /api/histories/H/contents/dataset_collections/ID` shows it."""
    shown = collection_detail(world, collection)
    del shown["type_id"], shown["store_times_summary"], shown["job_state_summary"]["deleted_new"]
    for element in shown["elements"]:
        _drop_inner_keys(element)
    return shown


def _drop_inner_keys(element: Json) -> None:
    inner = element["object"]
    for key in ("copied_from_ldda_id", "accessible", "contents_url", "column_definitions"):
        inner.pop(key, None)
    for deeper in inner.get("elements", []):
        _drop_inner_keys(deeper)


def collection_detail(world: World, collection: Collection) -> Json:
    """Give a collection with all elements, as `GET /api/dataset_collections/ID` shows it."""
    elements = [element_answer(world, index, element) for index, element in enumerate(collection.tree.elements)]
    return {
        "model_class": "HistoryDatasetCollectionAssociation",
        **collection_summary(world, collection, deep=True),
        "populated": collection.populated_state == "ok",
        "elements": elements,
        "implicit_collection_jobs_id": encode(collection.map_jobs) if collection.map_jobs else None,
        "column_definitions": None,
    }
