"""The inventory: who and what is registered. Read from YAML files, one schema, any split over files.

Every ``*.yml`` in the inventory folder may hold any of the top-level keys of ``Inventory``; lists are joined. What one
entry alone can be wrong about is said here, by types and bounds; what entries must be to each other is in
collector/inventory_check.py.
"""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import msgspec

from telemetry.work import SnmpCredential

Id = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", description="letters, digits, '.', '_', '-'; at most 64"
    ),
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="1 to 200 characters")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port, 1 to 65535")]
Mlps = Annotated[int, msgspec.Meta(ge=1, le=5, description="等保 level by GB/T 22240, 1 to 5")]


class Level(enum.StrEnum):
    """The four levels of the extranet: 市 县 乡镇(街道) 村(社区)."""

    CITY = "city"
    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that a person writes."""


class Unit(Strict, frozen=True):
    """A unit (单位). ``parent`` makes the tree; the root has none.

    ``zone`` is where its agents and assets stand, when neither they nor a prefix say another.
    """

    id: Id
    name: Name
    level: Level
    parent: Id | None = None
    name_en: str = ""
    zone: Id | None = None
    escalation: Id | None = None
    """Who is told of its incidents, and when; what it leaves out it has from its parent."""


class Person(Strict, frozen=True):
    id: Id
    name: Name
    unit: Id | None = None
    phone: str = ""
    email: str = ""
    language: Annotated[str, msgspec.Meta(pattern=r"^(zh-CN|en)\Z", description="zh-CN or en")] = "zh-CN"
    channels: tuple[Id, ...] = ()
    """Names of notifiers, the preferred one first; empty: all, in the order of the configuration."""


class Zone(Strict, frozen=True):
    """A security zone, e.g. government intranet, DMZ, internet."""

    id: Id
    name: Name
    name_en: str = ""


class Prefix(Strict, frozen=True):
    """An address range and whose it is; the longest match wins. What it leaves out it has from the range around it."""

    prefix: str
    unit: Id | None = None
    zone: Id | None = None
    note: str = ""


class Responsible(Strict, frozen=True):
    """谁主管谁负责、谁运营谁负责、谁使用谁负责: person ids."""

    authority: Id
    operator: Id
    user: Id


class Device(Strict, frozen=True):
    """A network device. ``router`` may send router advertisements from its ``addresses`` and ``macs``, ``dhcp`` may
    serve DHCP and DHCPv6 from them (a relay agent also is to have it)."""

    id: Id
    name: Name
    unit: Id
    address: str
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    zone: Id | None = None
    credential: Id | None = None
    port: Port = 161
    interval: Annotated[int, msgspec.Meta(ge=10, le=86400, description="seconds between polls, 10 to 86400")] = 60
    router: bool = False
    dhcp: bool = False
    advertises: tuple[str, ...] = ()
    segments: tuple[Id, ...] = ()
    """Units on whose segment this router or DHCP server is; its own unit when empty."""
    measured_from: Id | None = None
    """Unit whose agent polls it; by default its own unit, else the nearest unit above that has an agent."""
    level: Mlps | None = None
    cii: bool = False
    responsible: Responsible | None = None


class System(Strict, frozen=True):
    """An information system, portal or platform, checked for IPv6 readiness."""

    id: Id
    name: Name
    unit: Id
    domains: tuple[str, ...]
    ports: tuple[Port, ...] = (80, 443)
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    zone: Id | None = None
    private: bool = False
    """Not published outside: unique-local addresses are then acceptable."""
    measured_from: Id | None = None
    level: Mlps | None = None
    cii: bool = False
    responsible: Responsible | None = None


class Terminal(Strict, frozen=True):
    """A terminal that may stand on its unit's segment. Once a unit registers one, what is not registered there is told.

    It is known by its ``macs``; where none is given by its ``addresses``. Devices and systems there count as well.
    """

    id: Id
    name: Name
    unit: Id
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Credential(SnmpCredential, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An SNMP credential. Secrets may be ``file:PATH`` so that they stay out of the inventory."""

    id: Id


SECRETS = ("community", "auth_key", "priv_key")

TimeOfDay = Annotated[
    str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", description="a time of day in quotes, e.g. '08:30'")
]
Length = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{1,4}[smh]\Z", description="a length of time, e.g. '90s', '15m' or '1h'")
]


class Shift(enum.StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    CUSTOM = "custom"


class Weekday(enum.StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Rotation(Strict, frozen=True, kw_only=True):
    """People who take turns to be called, shift by shift in this order, without end and without a gap."""

    id: Id
    name: Name
    name_en: str = ""
    people: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=100)]
    start: datetime.date
    """Day of the first hand-over; with ``weekly`` the first ``hand_over_day`` from here on."""
    time_zone: str = "Asia/Shanghai"
    shift: Shift = Shift.WEEKLY
    days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    hours: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0
    """With ``custom``: how long a shift is."""
    hand_over_day: Weekday = Weekday.MONDAY
    hand_over_time: TimeOfDay = "09:00"


class Holiday(Strict, frozen=True, kw_only=True):
    """Days on which others are on duty: from the hand-over time of ``date``, one of ``people`` a day in turn."""

    date: datetime.date
    days: Annotated[int, msgspec.Meta(ge=1, le=31)] = 1
    name: Name
    name_en: str = ""
    rotation: Id
    people: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=100)]


class EscalationStep(Strict, frozen=True, kw_only=True):
    """``notify``: rotations and people; ``owners`` are the people responsible for what the incident is about."""

    after: Length = "0m"
    notify: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=50)]
    channels: tuple[Id, ...] = ()
    """Names of notifiers for this step; empty: what each person prefers."""


class Escalation(Strict, frozen=True, kw_only=True):
    """Who is told, and who next while nobody acknowledges. Then all again, ``repeat`` times."""

    id: Id
    name: str = ""
    steps: Annotated[tuple[EscalationStep, ...], msgspec.Meta(min_length=1, max_length=20)]
    repeat: Annotated[int, msgspec.Meta(ge=0, le=20, description="how often the steps are gone through again")] = 1
    repeat_after: Length = "15m"
    """How long after the last step the first one comes again."""


class Inventory(Strict, frozen=True):
    """The whole of it."""

    units: tuple[Unit, ...] = ()
    people: tuple[Person, ...] = ()
    zones: tuple[Zone, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    devices: tuple[Device, ...] = ()
    systems: tuple[System, ...] = ()
    terminals: tuple[Terminal, ...] = ()
    credentials: tuple[Credential, ...] = ()
    resolvers: tuple[str, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    escalations: tuple[Escalation, ...] = ()
