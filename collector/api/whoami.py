"""``/whoami``: who a token or session is, and what it may do."""

from __future__ import annotations

import msgspec

from collector.access.roles import Role
from collector.api._operation import Nothing, Operation
from collector.site import Site, Who


class Identity(msgspec.Struct, frozen=True):
    name: str
    role: Role


async def tell(_site: Site, who: Who, _: Nothing) -> Identity:
    return Identity(who.name, who.role)


OPERATIONS = (Operation("/whoami", "whoami", "access", "Who am I?", Nothing, Identity, tell),)
