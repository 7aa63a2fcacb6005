"""What the sandbox's Galaxy is told: its configuration, its tools, and the environment of its processes.

Everything it writes lies below one folder. The settings make it quick on a small machine rather than fit for many
users: SQLite for everything, a Celery worker that looks often, two jobs at a time. Which process is started when is
the matter of `server.py`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from watcher.sandbox import warm_uploads
from watcher.sandbox.install import Installation

ADMIN_EMAIL = "admin@example.org"
TOOLS = Path(__file__).with_name("tools")
WORKFLOWS = Path(__file__).with_name("workflows")
GALAXY_TOOLS = ("data_source/upload.xml", "data_export/export_remote.xml")
LONGEST_TEMPORARY_BYTES = 70  # what Python adds to it for a socket is 32 bytes long
FOLDERS = ("data", "cache", "config", "import", "userimport", "results", "tus", "tmp", "python")
CONFIG_FILE = "galaxy.yml"
QUICK_MODULE = "sandbox_quick"
# Things without a setting. Each of the four steps of an upload would wait for the worker's next look, once a second.
# Galaxy opens SQLite anew for each transaction, which reads the whole schema: several milliseconds, ten times a file.
# And each transaction waits for the disk, which is for those who want to find their Galaxy again after a power cut.
# And each file that it takes from a path or an import folder has it start Python and load all of Galaxy.
# It writes down what each of its connections does.
QUICK_CODE = """\
import logging
import subprocess
import sys

from galaxy.model.orm import engine_factory
from kombu.transport.sqlalchemy import Transport
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool


class KeptOpen(QueuePool):
    def __init__(self, creator, pool_size=20, max_overflow=40, timeout=60.0, **more):
        super().__init__(creator, pool_size=pool_size, max_overflow=max_overflow, timeout=timeout, **more)


@event.listens_for(Engine, "connect")
def do_not_wait_for_the_disk(connection, record):
    connection.execute("PRAGMA synchronous=OFF")


logging.getLogger(__name__).setLevel(logging.INFO)
Transport.polling_interval = 0.15
engine_factory.NullPool = KeptOpen


def factory():
    subprocess.Popen([sys.executable, "-m", "warm_uploads"])
    from galaxy.webapps.galaxy.fast_factory import factory

    return factory()
"""
START_CODE = f"""\
import sys

if sys.orig_argv[1:] and sys.orig_argv[1].endswith({warm_uploads.PROGRAM!r}):
    import warm_uploads

    warm_uploads.hand_over(sys.orig_argv)
"""
"""Python runs it, under the name `sitecustomize`, before anything else."""

NO_TABLES = '<?xml version="1.0"?>\n<tables></tables>\n'
QUEUES = "celery,galaxy.internal,galaxy.external"


def workflow_file(name: str = "read-report.ga") -> Path:
    """Return a workflow that runs with the sandbox's tools alone."""
    return WORKFLOWS / name


def write_settings(
    folder: Path, target: Installation, bootstrap_key: str, more: Mapping[str, Any] = MappingProxyType({})
) -> Path:
    """Write all that Galaxy reads when it starts, `more` over our own; return the configuration file, which only this
    user may read.
    """
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "tool_conf.xml").write_text(_toolbox())
    (folder / "tool_data_tables.xml").write_text(NO_TABLES)
    (folder / "python" / f"{QUICK_MODULE}.py").write_text(QUICK_CODE)
    (folder / "python" / "sitecustomize.py").write_text(START_CODE)
    shutil.copy(warm_uploads.__file__, folder / "python")
    path = folder / CONFIG_FILE
    path.touch(mode=0o600)
    path.write_text(
        json.dumps({"galaxy": {**_settings(folder, target, bootstrap_key), **more}}, indent=1)
    )  # JSON is YAML
    return path


def _toolbox() -> str:
    ours = "".join(f'    <tool file="{path}"/>\n' for path in sorted(TOOLS.glob("*.xml")))
    theirs = "".join(f'    <tool file="{name}"/>\n' for name in GALAXY_TOOLS)
    return (
        f'<toolbox>\n  <section id="galaxy" name="Galaxy\'s own">\n{theirs}  </section>\n'
        f'  <section id="sandbox" name="Sandbox">\n{ours}  </section>\n</toolbox>\n'
    )


def _settings(folder: Path, target: Installation, bootstrap_key: str) -> dict[str, Any]:
    client = next(target.venv.glob("lib/python*/site-packages/galaxy/web_client/dist"), None)
    return {
        "data_dir": str(folder / "data"),
        "config_dir": str(folder / "config"),
        "cache_dir": str(folder / "cache"),
        "tool_config_file": str(folder / "tool_conf.xml"),
        **({"static_dist_dir": str(client)} if client else {}),  # without its pages Galaxy serves programs alone
        "brand": "galaxy-watcher sandbox",
        "database_connection": _sqlite(folder / "galaxy.sqlite"),
        "id_secret": secrets.token_hex(16),
        "admin_users": ADMIN_EMAIL,
        "api_allow_run_as": ADMIN_EMAIL,
        # Good for making users and keys only: Galaxy answers most other requests with this key by a bare 500.
        "bootstrap_admin_api_key": bootstrap_key,
        "library_import_dir": str(folder / "import"),
        "user_library_import_dir": str(folder / "userimport"),
        "allow_path_paste": True,
        "allow_user_dataset_purge": True,
        "enable_quotas": True,
        "tus_upload_store": str(folder / "tus"),
        "edam_panel_views": "",
        # Nothing is fetched from anywhere: no lists of reference data, no programs, no packages.
        "tool_data_table_config_path": str(folder / "tool_data_tables.xml"),
        "involucro_auto_init": False,
        "conda_auto_init": False,
        "conda_auto_install": False,
        "watch_tools": "false",
        "enable_sse_updates": True,
        "job_handler_monitor_sleep": 0.3,
        "job_runner_monitor_sleep": 0.3,
        "workflow_monitor_sleep": 0.5,
        "workflow_completion_monitor_sleep": 1.0,
        "monitor_thread_join_timeout": 5,  # its default makes every stop take half a minute
        "job_config": {
            "runners": {"local": {"load": "galaxy.jobs.runners.local:LocalJobRunner", "workers": 2}},
            "execution": {"default": "local", "environments": {"local": {"runner": "local", "env": _for_jobs(folder)}}},
        },
        "file_sources": [
            {
                "type": "posix",
                "id": "results",
                "label": "Results",
                "doc": "A folder of the sandbox",
                "root": str(folder / "results"),
                "writable": True,
            }
        ],
        # Without Celery every upload starts Python twice, which takes 17-22 s instead of 2-5 s.
        "enable_celery_tasks": True,
        "metadata_strategy": "extended_celery",
        # Else it reads all of every linked file for a hash that nobody asked for.
        "calculate_dataset_hash": "never",
        "amqp_internal_connection": f"sqlalchemy+{_sqlite(folder / 'control.sqlite')}",
        "celery_conf": {
            "imports": [QUICK_MODULE],
            "task_routes": {"galaxy.fetch_data": "galaxy.external", "galaxy.set_job_metadata": "galaxy.external"},
        },
    }


def _for_jobs(folder: Path) -> list[dict[str, str]]:
    """Return what jobs are told beside what Galaxy tells them, which is nothing of its own environment."""
    return [{"name": name, "value": value} for name, value in _python_environment(folder).items()]


def _python_environment(folder: Path) -> dict[str, str]:
    """Return what lets Galaxy's Python find what we give it (QUICK_CODE, START_CODE)."""
    # A path too long for a socket leaves each upload job to itself, which is slower and nothing else.
    return {"PYTHONPATH": str(folder / "python"), warm_uploads.PLACE: str(folder / "python" / "uploads")}


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}?isolation_level=IMMEDIATE"


def temporary_folder(folder: Path) -> Path:
    """Return Galaxy's place for what is passing: its own, or a new one elsewhere when the path to it is long.

    Its worker makes sockets there, and the path of a socket holds 107 bytes at most (unix(7)).
    """
    own = folder / "tmp"
    return own if len(os.fsencode(own)) <= LONGEST_TEMPORARY_BYTES else Path(tempfile.mkdtemp(prefix="galaxy-"))


def environment_of(folder: Path, temporary: Path, target: Installation) -> dict[str, str]:
    """Return the environment of Galaxy's processes: its own Python first, nothing of ours, no proxy in the way."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("WATCHER_", "PYTHON", "GALAXY_"))}
    return {
        **ours,
        "GALAXY_CONFIG_FILE": str(folder / CONFIG_FILE),
        "VIRTUAL_ENV": str(target.venv),
        "PATH": f"{target.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        **_python_environment(folder),
        "TMPDIR": str(temporary),
        "PYTHONWARNINGS": "ignore",
    }


def web_command(target: Installation, port: int) -> list[str]:
    """Return the command of the web server, on this machine's own address only."""
    return [
        str(target.python), "-m", "uvicorn", "--factory", f"{QUICK_MODULE}:factory",
        "--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "3",
    ]  # fmt: skip


def worker_command(target: Installation) -> list[str]:
    """Return the command of the Celery worker, which fetches uploads and sets metadata."""
    return [
        str(target.python), "-m", "celery", "--app", "galaxy.celery", "worker", "--pool", "threads",
        "--concurrency", "2", "--loglevel", "INFO", "--queues", QUEUES,
    ]  # fmt: skip
