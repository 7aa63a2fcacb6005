"""Exit codes and messages of the commands: each fault one clear message on stderr, never a traceback."""

from __future__ import annotations

import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Call
from tests.fakes.galaxy import Fault
from tests.rarer import rarer
from tests.world import World, counting_workflow


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("command", ["status", "check", "once", "serve", "config show"])
def test_no_configuration(command: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any configuration a command ends with 3, says where it looked and how to start."""
    monkeypatch.delenv("WATCHER_CONFIG")
    ended = call(*command.split())
    assert (ended.code, ended.out) == (3, "")
    assert "There is no configuration" in ended.err
    assert "galaxy-watcher config example" in ended.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("galaxy: {url: [", "config.yaml:1", id="broken YAML"),
        pytest.param("- a\n- b\n", "must hold keys and values", id="a list"),
        pytest.param("", "is empty", id="empty"),
    ],
)
def test_broken_yaml(content: str, words: str, world: World, call: Call) -> None:
    """A file that is no YAML or no configuration is told with its place."""
    world.config_file.write_text(content)
    ended = call("check")
    assert (ended.code, ended.out) == (3, "")
    assert words in ended.err


def test_wrong_types_and_unknown_layout_are_told_at_once(world: World, call: Call) -> None:
    """All problems of a file come in one message, each with its key and what was probably meant."""
    world.write_config(watch={"layout": "bclconvrt", "settle": "soon"}, rescan=-3)
    ended = call("check")
    assert ended.code == 3
    for words in ("watches[0].layout", "bclconvert", "watches[0].settle", "rescan"):
        assert words in ended.err


def test_a_key_file_for_everybody_is_refused_with_the_remedy(world: World, call: Call) -> None:
    """A key that others can read is no secret."""
    world.key_file.chmod(0o644)
    ended = call("check")
    assert ended.code == 3
    assert f"chmod 600 {world.key_file}" in ended.err
    assert world.fake.key not in ended.err + ended.out


@pytest.mark.parametrize("command", rarer(["once", "check"], keep=1))
def test_a_wrong_address_ends_with_4(command: str, world: World) -> None:
    """Nobody there: the address is named, nothing is lost."""
    port = free_port()
    world.write_config(galaxy={"url": f"http://127.0.0.1:{port}"})
    world.add_run()
    ended = world.command(command, *(("--wait", "1s") if command == "once" else ()))
    assert ended.code == 4
    assert f"127.0.0.1:{port}" in ended.out
    assert "Traceback" not in ended.err
    assert "stamina" not in ended.err


@pytest.mark.parametrize("command", rarer(["once", "check"], keep=1))
@pytest.mark.parametrize("kind", ["status", "garbage"])
def test_another_web_server_at_the_address_ends_with_4(command: str, kind: str, world: World) -> None:
    """Somebody else is there: that is told with the address, nothing is held and nothing is waited for."""
    world.fake.faults.add(Fault(kind, status=404, times=None))
    world.add_run()
    ended = world.command(command, *(("--wait", "1s") if command == "once" else ()), timeout_s=30.0)
    assert ended.code == 4
    assert f"What answers at {world.fake.url} is no Galaxy" in " ".join(ended.out.split())
    assert "held" not in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", rarer(["once", "check"], keep=1))
def test_a_wrong_key_ends_with_4(command: str, world: World) -> None:
    """A key Galaxy does not know is an obstacle of the account, and is not printed."""
    world.write_key("f" * 32)
    world.add_run()
    ended = world.command(command, *(("--wait", "1s") if command == "once" else ()))
    assert ended.code == 4
    assert "key" in ended.out
    assert "f" * 32 not in ended.out + ended.err
    assert "Traceback" not in ended.err


def test_a_key_that_a_proxy_takes_away_ends_with_4(world: World, call: Call) -> None:
    """Galaxy answers strangers, too: an account that is nobody's is refused before anything is sent."""

    class Proxy(BaseHTTPRequestHandler):
        """Passes requests on without their key."""

        def pass_on(self) -> None:
            answer = httpx.get(world.fake.url + self.path)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    setattr(Proxy, "do_GET", Proxy.pass_on)  # noqa: B010 - the name is dictated by the base class
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        world.write_config(galaxy={"url": f"http://127.0.0.1:{proxy.server_port}"})
        ended = call("check")
        proxy.shutdown()
    assert ended.code == 4
    assert "key" in ended.out
    assert ended.out.count("BAD") == 1


def test_once_with_a_missing_folder_ends_with_5(world: World) -> None:
    """A watch whose folder is not there is an obstacle that is named, not a crash."""
    world.watched.rmdir()
    ended = world.fresh_command("once", "--wait", "1s", "--json")
    assert ended.code == 5
    (obstacle,) = ended.report["obstacles"]
    assert (obstacle["kind"], obstacle["subject"]) == ("mount", "miseq")
    assert str(world.watched) in obstacle["reason"]
    assert "Traceback" not in ended.err


def test_check_names_everything_that_is_wrong(world: World, call: Call) -> None:
    """Missing folders, an unknown workflow and a workflow that cannot be bound are all told, with their remedies."""
    world.fake.import_workflow(counting_workflow("Twice"))
    world.fake.import_workflow(counting_workflow("Twice"))
    world.write_config(
        watch={"path": str(world.folder / "nowhere")},
        rule={
            "workflow": [
                {"name": "Nothing", "inputs": {"Reads": "reads"}},
                {"name": "Twice", "inputs": {"Reads": "reads"}},
                {"name": "Count reads", "inputs": {"Raeds": "reads"}},
            ],
            "deliver": {"folder": f"{world.folder}/missing/{{run}}"},
        },
    )
    ended = call("check")
    assert ended.code == 5
    for words in ("nowhere", "missing", "Nothing", "Twice", "Raeds"):
        assert words in ended.out
    assert ended.out.count("BAD") >= 5


def test_check_is_well(world: World, call: Call) -> None:
    """A sound installation ends with 0 and names account and version."""
    ended = call("check")
    assert ended.code == 0, ended.out
    assert "BAD" not in ended.out
    assert "26.1" in ended.out


def test_once_prints_how_it_ended(world: World) -> None:
    """One command takes a run home and exits with 0; the table and the folder agree."""
    world.add_run()
    ended = world.command("once", "--wait", "60s")
    assert ended.code == 0, ended.err
    assert "done" in ended.out
    assert list(world.results.rglob("MANIFEST.sha256"))


def test_once_with_something_held_ends_with_5(world: World) -> None:
    """Something that needs a person shows in the exit code, and the hint names the command."""
    world.write_config(rule={"workflow": {"name": "No such", "inputs": {"Reads": "reads"}}})
    world.add_run()
    ended = world.command("once", "--wait", "60s")
    assert ended.code == 5
    assert "held" in ended.out
    assert "No such" in ended.out


async def test_an_interrupted_once_ends_with_130_and_goes_on_the_next_time(world: World) -> None:
    """Ctrl-C while it waits tells itself apart from an end, and costs nothing."""
    marker = world.add_run() / "Logs" / "FastqComplete.txt"
    marker.unlink()
    running = world.start("once", "--wait", "10m")
    await world.until_status("waiting")
    assert running.end(signal.SIGINT) == 130
    marker.touch()
    assert [unit["status"] for unit in (await world.once())["units"]] == ["done"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("nonsense",), id="unknown command"),
        pytest.param(("status", "--nonsense"), id="unknown option"),
        pytest.param(("show",), id="missing argument"),
        pytest.param(("once", "--wait", "soon"), id="no duration"),
        pytest.param(("retry", "abc", "--from", "nonsense"), id="unknown stage"),
        pytest.param(("retry", "abc", "--from", "detect"), id="a stage nobody can go back to"),
        pytest.param(("plan", "/does/not/exist"), id="missing path"),
        pytest.param(("plan", ".", "--layout", "nonsense"), id="unknown layout"),
    ],
)
def test_usage_errors_end_with_2(arguments: tuple[str, ...], call: Call) -> None:
    """A command line that makes no sense is one message and code 2."""
    ended = call(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: ")


def test_an_unknown_id_is_a_usage_error(world: World) -> None:
    """`show`, `retry` and `cancel` of an id nobody has end with 2 and tell where ids are listed."""
    world.command("once", "--wait", "0s")
    for arguments in (("show", "zzzzzz"), ("retry", "zzzzzz"), ("cancel", "zzzzzz-1")):
        ended = world.command(*arguments)
        assert ended.code == 2, (arguments, ended)
        assert "galaxy-watcher status" in ended.err


def test_status_before_the_first_start_says_so(call: Call) -> None:
    """Without a state there is nothing to show, and that is said in one message."""
    ended = call("status")
    assert ended.code == 3
    assert ended.err.count("Error: ") == 1


def test_config_example_is_a_configuration(call: Call, tmp_path: Path) -> None:
    """What `config example` prints loads; only its key file is not there."""
    example = tmp_path / "example.yaml"
    example.write_text(call("config", "example").out)
    ended = call("config", "show", "--config", str(example))
    assert ended.code == 0, ended.err


def test_a_second_daemon_is_refused(world: World) -> None:
    """Two processes never own one state."""
    running = world.start("serve")
    running.wait_for("watcher.ready")
    ended = world.command("once", "--wait", "1s")
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert running.end() == 0
