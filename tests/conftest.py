"""What holds for every test of the project: nothing is skipped in CI, and a real Galaxy serves one test at a time.

It knows nothing of what is tested; fixtures live beside the tests that use them, but for the servers, which are shared.
"""

import gc
import os
from collections.abc import Generator

import hypothesis
import pytest

from tests.live.real_galaxy import OLDER, rest, wake
from tests.servers import galaxy_server

__all__ = ["galaxy_server"]

# How long an example takes says something of the machine; a test that hangs meets its time limit.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

# Of the slow tests these keep the newest Galaxy longest, and wait most of that time: they have one of their own.
APART = {"crash", "proxied", "sandbox"}
REAL_TIMEOUT_S = 900  # the first one waits until Galaxy is installed and has started


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests on one real Galaxy in one process, those on older ones last; xdist reads the group after us."""
    # An older server takes the place of the newest one, which nobody may need any more by then.
    items.sort(key=lambda item: item.get_closest_marker("older") is not None)
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group(f"galaxy{older_version(item) or apart(item)}"))
            # Before whatever the module says: any of them may be the one that waits for Galaxy.
            item.add_marker(pytest.mark.timeout(REAL_TIMEOUT_S), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep Python from searching thousands of tests, and all that was imported for them, for garbage again and again.

    It took a third of the collecting, and a twentieth of what came after. What a test leaves behind is still found.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Have the real Galaxy awake for the tests that need it, and let it stand still while others run. It is awake while
    any is set up: what was made for others on it is cleared away when the next server is asked for, many tests later.
    """
    wake()
    try:
        return (yield)
    finally:
        if not is_real(item):
            rest()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Have the real Galaxy awake when all is cleared away at the very end."""
    if nextitem is None:
        wake()
    return (yield)


def older_version(item: pytest.Item) -> str:
    """Return the older version whose real server a test runs on, each in a process of its own; "" for the newest."""
    params = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    words = [word for value in params for word in (value if isinstance(value, tuple) else (value,))]
    return next((word for word in words if word in OLDER), "")


def apart(item: pytest.Item) -> str:
    """Return what a newest Galaxy is called that only some of the slow tests run on; "" for all others."""
    return " apart" if item.get_closest_marker("slow") and item.path.parent.name in APART else ""


def is_real(item: pytest.Item) -> bool:
    """Tell whether a test runs on the real Galaxy."""
    return item.get_closest_marker("real") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail in CI, with the reason it gave."""
    report = yield
    fail_if_skipped_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a module that skips itself fail in CI, too."""
    report = yield
    fail_if_skipped_in_ci(report)
    return report


def fail_if_skipped_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn the report of something skipped, or failing as expected, into a failed one."""
    if report.outcome == "skipped" and os.environ.get("CI") == "true":
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"CI skips nothing: {report.nodeid}: {why}"
        vars(report).pop("wasxfail", None)
