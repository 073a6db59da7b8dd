"""token, agents, events, replay, check and dump-config as a person calls them, on a real store."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import msgspec
import pytest

from collector.main import main
from collector.query import Kind
from collector.store import Record
from telemetry import wire
from telemetry.clock import SystemClock
from telemetry.enrol import EnrolRequest, Identity, parse_token
from telemetry.event import Event, event
from tests.collector.running import INVENTORY, collector, csr, flow, host


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "units.yml").write_text(INVENTORY, encoding="utf-8")
    return tmp_path


def say(capsys: pytest.CaptureFixture[str], home: Path, *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main([*words, "--home", str(home)]) == code
    return capsys.readouterr()


def rogue(at_ms: int) -> Event:
    made = event(at_ms, "tengwang.ndp", "router_advertisement")
    more: Event = {
        "source.ip": "fe80::bad",
        "source.mac": "02:00:00:00:be:ef",
        "tengwang.ndp.type": "router_advertisement",
        "tengwang.ndp.registered": False,
    }
    made.update(more)
    return made


def test_an_enrolment_token_is_printed_alone_and_listed_without_its_secret(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = say(capsys, home, "token", "create", "--enrol", "--unit", "bureau", "--uses", "3", "--ttl", "2d")
    token = parse_token(out.strip())
    out, _ = say(capsys, home, "token", "list")
    assert token.id in out
    assert "3 left" in out
    assert token.secret not in out
    say(capsys, home, "token", "revoke", token.id)
    assert say(capsys, home, "token", "list")[0] == ""


def test_a_unit_that_does_not_exist_is_refused_with_the_nearest_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = say(capsys, home, "token", "create", "--enrol", "--unit", "buraeu", code=2)
    assert "did you mean 'bureau'?" in err
    _, err = say(capsys, home, "token", "create", "--enrol", code=2)
    assert "--unit" in err
    assert "bureau" in err


def test_a_token_for_the_api(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = say(capsys, home, "token", "create", "--role", "viewer", "--name", "grafana", "--json")
    made = json.loads(out)
    assert made["token"].startswith("twa.")
    rows = json.loads(say(capsys, home, "token", "list", "--json")[0])
    assert [(r["id"], r["kind"], r["for"]) for r in rows] == [(made["id"], "api", "grafana (viewer)")]
    say(capsys, home, "token", "revoke", made["id"])
    _, err = say(capsys, home, "token", "revoke", made["id"], code=2)
    assert "no_such_token" in err


async def test_commands_work_while_the_collector_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with collector(tmp_path) as running:
        agent = await running.enrol()
        now = SystemClock().now_ms()
        await agent.send([(1, flow(now)), (2, rogue(now)), (3, b"[]")])
        out, _ = say(capsys, tmp_path, "agents", "list")
        assert agent.identity.agent in out
        assert "collected 3 = stored 2 + spooled 0 + dropped 1" in out
        out, _ = say(capsys, tmp_path, "events", "dataset:tengwang.flow", "src:2001:db8:1::/48")
        assert "source.ip=2001:db8:1::7" in out
        assert out.count("\n") == 1
        docs = [
            json.loads(line)
            for line in say(capsys, tmp_path, "events", "tengwang.agent.sequence:*", "--json")[0].splitlines()
        ]
        assert {d["event.id"] for d in docs} == {f"{agent.identity.agent}-1-{n}" for n in (1, 2)}
        out, _ = say(capsys, tmp_path, "events", "--kind", "alerts", "--json")
        (alert,) = [json.loads(line) for line in out.splitlines()]
        assert alert["tengwang.unit.id"] == "bureau"
        out, _ = say(capsys, tmp_path, "events", "--kind", "aside")
        assert "not_an_object" in out
        say(capsys, tmp_path, "agents", "revoke", agent.identity.agent)
        deadline = time.monotonic() + 10
        while (answer := await agent.send([(4, flow(now))]))[0] == 200 and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert (answer[0], answer[1]["reason"]) == (403, "revoked")


def test_an_export_can_be_replayed_and_gives_the_same_alerts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = SystemClock().now_ms()
    docs = [{**rogue(now), "agent.id": "a1", "tengwang.agent.epoch": 1, "tengwang.agent.sequence": 7}, flow(now)]
    path = home / "events.ndjson"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, docs)) + b"\nnot json\n")
    first, err = say(capsys, home, "replay", str(path), "--json")
    assert "2 events, 1 alerts" in err
    assert f"{path}:3: not_json" in err
    assert json.loads(first)["tengwang.alert.event_ids"] == ["a1-1-7"]
    second, err = say(capsys, home, "replay", str(path), "--json", "--store")
    assert json.loads(second)["event.id"] == json.loads(first)["event.id"]
    assert "3 records stored, 0 were there already" in err
    _, err = say(capsys, home, "replay", str(path), "--store")
    assert "0 records stored, 3 were there already" in err


def test_a_recorded_batch_can_be_replayed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = wire.Header(v=1, agent="a1", epoch=5, count=1)
    path = home / "batch.zst"
    path.write_bytes(wire.encode(header, [(9, msgspec.json.encode(rogue(SystemClock().now_ms())))]))
    out, _ = say(capsys, home, "replay", str(path), "--json")
    assert json.loads(out)["tengwang.alert.event_ids"] == ["a1-5-9"]


@pytest.mark.parametrize("content", [b"\x28\xb5\x2f\xfdbroken", b"", b"\x00\xff\n{}\n[[[[\n"])
def test_a_broken_recording_is_no_traceback(home: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = home / "x"
    path.write_bytes(content)
    capsys.readouterr()
    assert main(["replay", str(path), "--home", str(home)]) in (0, 2)
    assert main(["replay", str(home / "none"), "--home", str(home)]) == 2
    assert "can not be read" in capsys.readouterr().err


def test_check_names_the_problems_of_configuration_and_inventory(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "good" in say(capsys, home, "check")[0]
    (home / "inventory" / "units.yml").write_text("units:\n  - {id: a, name: A, level: citty}\n")
    _, err = say(capsys, home, "check", code=2)
    assert "units.yml:2" in err
    (home / "collector").mkdir()
    (home / "collector" / "tengwang.toml").write_text("[console]\nlisten = ['[::]:1']\n")
    found = json.loads(say(capsys, home, "check", "--json", code=2)[0])
    assert found["ok"] is False
    assert "needs TLS" in found["problems"][0]["message"]
    assert not (home / "collector" / "data").exists()


def test_dump_config_as_json_and_toml(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "collector").mkdir()
    (home / "collector" / "tengwang.toml").write_text("[agents]\ncertificate_days = 7\n")
    assert json.loads(say(capsys, home, "dump-config", "--json")[0])["agents"]["certificate_days"] == 7
    assert "\ncertificate_days = 7.0\n" in say(capsys, home, "dump-config")[0]


@pytest.mark.parametrize("words", [["token", "create"], ["token"], ["events", "--since", "yesterday"], ["nothing"]])
def test_wrong_words_are_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_a_search_that_can_not_be_read_says_why(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "bad_query" in say(capsys, home, "events", "nofield:1", code=2)[1]


def test_many_results_are_read_page_by_page(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    from collector.attached import services

    now = SystemClock().now_ms()
    with services(argparse.Namespace(home=home, config=None)) as parts:
        parts.store.write([Record(Kind.EVENT, f"e{n}", {**flow(now - n), "event.id": f"e{n}"}) for n in range(2500)])
        request = EnrolRequest(str(parts.registry.create_enrol_token("bureau", 60, 1, "t")), csr()[0], host(), "1")
        assert isinstance(parts.registry.enrol(request, "::1"), Identity)
    out, _ = say(capsys, home, "events", "--json", "--limit", "2200")
    assert len(out.splitlines()) == 2200
    assert "never heard" in say(capsys, home, "agents", "list")[0]
