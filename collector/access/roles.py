"""The three roles. Each may do all that the one before it may."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """``viewer`` reads; ``operator`` also acts on agents; ``admin`` also manages users and reads the audit."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Is this role at least ``needed``?"""
        return RANK[self] >= RANK[needed]


RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
