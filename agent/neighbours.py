"""What neighbour discovery messages mean together: addresses that are taken or refused, and floods. Pure.

The ndp input tells messages; this tells what only several of them show. Who has which address is kept in
``agent/claims.py``; messages of a kind are counted for each interface (``agent/tally.py``), not for each source: tools
that flood invent a new source for each packet.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.claims import Claim, Claims, Kind
from agent.decoders import addresses, ndp
from agent.folding import Answer, Folding, Window
from agent.tally import Entry, Tally
from telemetry.errors import Permanent
from telemetry.event import TIMESTAMP, Event, event
from telemetry.work import Work

WINDOW_S, PERIOD_S = 60.0, 10.0
RATE, BURST, MAX_WINDOWS = 5.0, 100, 2048
FLOORS = {ndp.SOLICIT_ROUTER: 50, ndp.ADVERTISE_ROUTER: 50, ndp.SOLICIT_NEIGHBOR: 200, ndp.ADVERTISE_NEIGHBOR: 200}
"""Messages on one interface in PERIOD_S that are told: a large segment has some tens of each."""
MACS, TARGETS, PREFIXES = 0, 1, 2
MOST_INTERFACES, MOST_REFUSED = 256, 1024
Told = tuple[int, Event]
"""Index of the interface that stands for the segment, and event."""


class Neighbours:
    """``see`` every message, ``due`` each tick. An event has no interface's name: the caller has that."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._folding: Folding[Told] = Folding(WINDOW_S, RATE, BURST, MAX_WINDOWS)
        self._floods = {kind: _counted(floor) for kind, floor in FLOORS.items()}
        self._refused: dict[tuple[int, bytes, bytes], float] = {}
        self.left_out = 0

    def know(self, work: Work) -> None:
        self._claims.know(work)

    def see(self, message: ndp.Message, index: int, now: float, now_ms: int) -> Event | None:
        """One message, and what it shows at once."""
        flood = self._floods.get(message.type)
        if flood is None:
            return None
        body, target = message.body, None
        if message.type in (ndp.SOLICIT_NEIGHBOR, ndp.ADVERTISE_NEIGHBOR):
            target = body[8:24]
        flood.add(index, 0, (message.source_mac, target), now, now_ms)
        if len(body) < ndp.FIXED[message.type] or message.hop_limit != 255:
            return None
        lladdr = b""
        try:
            for number, option in ndp.options(body[ndp.FIXED[message.type] :]):
                if number in (1, 2) and len(option) == 8:
                    lladdr = option[2:]
                elif number in (3, 24) and not flood.note(index, PREFIXES, option[2:3] + option[4:]):
                    break  # so many that it is told anyway
        except Permanent:
            return None
        place, mac = (index, message.vlan), lladdr or message.source_mac
        if message.type == ndp.ADVERTISE_NEIGHBOR:
            address, claim = body[8:24], self._claims.claim(place, body[8:24], mac, now)
        elif any(message.source):
            if not lladdr:
                return None
            address, claim = message.source, self._claims.claim(place, message.source, mac, now)
        elif message.type == ndp.SOLICIT_NEIGHBOR:
            address, claim = body[8:24], self._claims.ask(place, body[8:24], mac, now)
        else:
            return None
        return self._judge(claim, message, address, mac, index, now, now_ms) if claim else None

    def due(self, now: float, now_ms: int) -> Iterator[Told]:
        for window in self._folding.ended(now):
            yield self._folded(window)
        for kind, flood in self._floods.items():
            for index, entry in flood.due(now):
                yield index, _flood(kind, entry, now_ms)

    def flush(self, now_ms: int) -> Iterator[Told]:
        yield from self.due(float("inf"), now_ms)

    def _judge(
        self, claim: Claim, message: ndp.Message, address: bytes, mac: bytes, index: int, now: float, now_ms: int
    ) -> Event | None:
        key = (index, message.vlan, claim.kind, address, mac)
        answer, _ = self._folding.ask(key, claim.kind, now, now_ms)
        if answer is Answer.DROP:
            self.left_out += 1
        if answer is not Answer.TELL:
            return None
        made = event(now_ms, ndp.DATASET, claim.kind.value)
        made["network.type"], made["network.transport"] = "ipv6", "ipv6-icmp"
        made["source.ip"], made["source.mac"] = addresses.text(message.source), addresses.mac(message.source_mac)
        made["destination.ip"] = addresses.text(message.destination)
        made["destination.mac"] = addresses.mac(message.destination_mac)
        made["tengwang.ndp.target"] = addresses.text(address)
        made["tengwang.ndp.target_lladdr"] = addresses.mac(mac)
        made["tengwang.ndp.former_mac"] = addresses.mac(claim.former)
        made["tengwang.ndp.messages"] = 1
        if message.vlan:
            made["network.vlan.id"] = str(message.vlan)
        if claim.kind is Kind.DUPLICATE:
            self._refuse(made, index, address, mac, now)
        self._folding.start(key, (index, made), now, now_ms)
        return dict(made)

    def _refuse(self, made: Event, index: int, address: bytes, mac: bytes, now: float) -> None:
        """How many addresses were refused of late on this interface, and by how many: one may be a true duplicate."""
        self._refused.pop((index, address, mac), None)
        self._refused[index, address, mac] = now
        while len(self._refused) > MOST_REFUSED or next(iter(self._refused.values())) < now - WINDOW_S:
            del self._refused[next(iter(self._refused))]
        here = [key for key in self._refused if key[0] == index]
        made["tengwang.ndp.targets"] = len({key[1] for key in here})
        made["tengwang.ndp.macs"] = len({key[2] for key in here})

    def _folded(self, window: Window[Told]) -> Told:
        index, what = window.what
        made = {**what, TIMESTAMP: window.last_ms, "tengwang.ndp.messages": window.again}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        return index, made


def _counted(floor: int) -> Tally[int]:
    return Tally(PERIOD_S, MOST_INTERFACES, 1, 3, lambda entry: entry.counts[0] >= floor)


def _flood(kind: int, entry: Entry, now_ms: int) -> Event:
    made = event(now_ms, ndp.DATASET, f"{ndp.NAMES[kind]}_flood")
    made["network.type"], made["network.transport"] = "ipv6", "ipv6-icmp"
    made["tengwang.ndp.messages"], made["tengwang.ndp.macs"] = entry.counts[0], len(entry.values[MACS])
    if entry.values[TARGETS]:
        made["tengwang.ndp.targets"] = len(entry.values[TARGETS])
    if kind == ndp.ADVERTISE_ROUTER:
        made["tengwang.ndp.prefix_count"] = len(entry.values[PREFIXES])
    if isinstance(mac := entry.chief(MACS), bytes):
        made["source.mac"] = addresses.mac(mac)
    made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
    return made
