"""The agent's small parts: back-off, bounded files, work on disk, systemd, the status as text."""

from __future__ import annotations

import random
import socket
import stat
from pathlib import Path

import msgspec
import pytest

from agent.backoff import Backoff
from agent.bounded_file import BoundedFile
from agent.home import Home
from agent.link import parse_url
from agent.spool import Account
from agent.status import CpuShare, InputStatus, Status, resident
from agent.status_text import find, language, text
from agent.systemd import Notifier
from agent.uplink import State, UplinkState
from agent.work_file import WorkFile
from telemetry.errors import ConfigError
from telemetry.report import Report
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion, Work


def test_back_off_grows_with_full_jitter_up_to_its_cap() -> None:
    waits = [Backoff(random.Random(seed), base=1, cap=60).next() for seed in range(200)]
    assert max(waits) <= 1
    late = Backoff(random.Random(1), base=1, cap=60)
    all_waits = [late.next() for _ in range(300)]
    assert max(all_waits) <= 60
    assert max(all_waits[20:]) > 50
    assert min(all_waits[20:]) < 10, "full jitter: some come back soon"
    late.reset()
    assert late.next() <= 1


def test_a_bounded_file_keeps_the_newest_and_its_bound(tmp_path: Path) -> None:
    file = BoundedFile(tmp_path / "f", 1000)
    for number in range(300):
        file.append(b"%050d" % number)
    kept = b"".join(p.read_bytes() for p in sorted(tmp_path.iterdir(), reverse=True)).split()
    assert int(kept[-1]) == 299
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 2200
    assert stat.S_IMODE((tmp_path / "f.1").stat().st_mode) == 0o600


def test_work_is_kept_private_and_damage_shows_nothing_of_it(tmp_path: Path) -> None:
    secret = "c0mmun1ty"
    target = SnmpTarget("d", "n", "::1", SnmpCredential(SnmpVersion.V2C, community=secret))
    report = Report()
    path = tmp_path / "work.json"
    WorkFile(path, report).take(Work(version="v", snmp=(target,)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert WorkFile(path, report).current().snmp == (target,)
    path.write_bytes(path.read_bytes()[:-20])
    assert WorkFile(path, report).current() == Work()
    told = " ".join(notice.message for notice in report.notices())
    assert "damaged" in told
    assert secret not in told


def test_work_that_the_disk_can_not_take_is_used_all_the_same(tmp_path: Path) -> None:
    report = Report()
    kept = WorkFile(tmp_path / "no such folder" / "work.json", report)
    kept.take(Work(version="v"))
    assert kept.current().version == "v"
    assert "can not be written" in " ".join(notice.message for notice in report.notices())


def test_systemd_is_told_where_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"})
        notifier.ready()
        notifier.alive("3 events wait")
        notifier.stopping()
        assert [system.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1\nSTATUS=3 events wait", b"STOPPING=1"]
    assert notifier.watchdog_seconds == 5
    notifier.alive("nobody listens any more")
    Notifier({}).ready()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://[2001:db8::1]:8743", ("2001:db8::1", 8743)),
        ("https://collector.example", ("collector.example", 443)),
        ("https://192.0.2.1:1/", ("192.0.2.1", 1)),
    ],
)
def test_a_collector_s_address_is_understood(url: str, parts: tuple[str, int]) -> None:
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]:1",
        "collector:8743",
        "https://",
        "https://[::1",
        "https://a:b@c",
        "https://a/path",
        "https://a:99999",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="https://"):
        parse_url(url)


STATUS = Status(
    running=True, agent="a1", name="bureau", unit="u1", version="1", home="/h",
    ledger=Account(10, 6, 1, {"full": 2, "corrupt": 1}, 4096, {}), started_ms=1_790_000_000_000, rss=40_000_000,
    uplink=UplinkState(State.REFUSED, "https://[::1]:1", "revoked", "enrol again"),
    inputs=(InputStatus("packets", "packets", "blind", "no CAP_NET_RAW", "setcap ..."),),
)  # fmt: skip


def test_a_person_reads_the_same_in_both_languages() -> None:
    english, chinese = text(STATUS, "en"), text(STATUS, "zh")
    assert "collected 10 = stored 6 + spooled 1 + dropped 3 (damaged on the disk 1, spool full 2)" in english
    assert "已采集 10 = 已入库 6 + 待发送 1 + 已丢弃 3 (磁盘数据损坏 1, 队列已满 2)" in chinese
    assert "blind here" in english
    assert "此处不可见" in chinese
    for said in ("no CAP_NET_RAW", "setcap ...", "revoked enrol again", "2026-09-21 22:13:20+08:00"):
        assert said in english
        assert said in chinese
    assert (language({"LANG": "zh_CN.UTF-8"}), language({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})) == ("zh", "en")


def test_a_home_where_nothing_ever_ran_has_an_empty_ledger(tmp_path: Path) -> None:
    found = find(Home(tmp_path))
    assert not found.running
    assert found.ledger.collected == 0
    assert "not enrolled" in text(found, "en")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Status) == found


def test_own_use_is_measured() -> None:
    times = iter([(0.0, 0.0), (10.0, 0.5)])
    wall, cpu = zip(*times, strict=True)
    share = CpuShare(iter(wall).__next__, iter(cpu).__next__)
    assert share.take() == 0.05
    assert 5_000_000 < resident() < 5_000_000_000
