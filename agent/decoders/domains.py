"""The registered domain of a name: what somebody has registered, below which all names are theirs. Pure.

The whole public suffix list is 240 KB and changes weekly; agents on isolated networks would have an old one. Here a
name under a country's domain has a suffix of two labels where the second one is a usual category or, under ``cn``, a
province. A registry that sells names deeper down is cut one label too high, which only sums up more than need be.
"""

from __future__ import annotations

from functools import lru_cache

CATEGORIES = frozenset({
    "ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "govt", "mil", "ne", "net", "nom", "or", "org", "sch"
})  # fmt: skip
PROVINCES = frozenset({
    "ah", "bj", "cq", "fj", "gd", "gs", "gx", "gz", "ha", "hb", "he", "hi", "hk", "hl", "hn", "jl", "js", "jx",
    "ln", "mo", "nm", "nx", "qh", "sc", "sd", "sh", "sn", "sx", "tj", "tw", "xj", "xz", "yn", "zj"
})  # fmt: skip
REVERSE = ("in-addr.arpa", "ip6.arpa")


@lru_cache(maxsize=4096)
def registered(name: str) -> str:
    """The name itself where it is one label or a bare suffix; ``ip6.arpa`` for reverse names."""
    if name.endswith(".arpa"):
        for suffix in REVERSE:
            if name.endswith(suffix):
                return suffix
    labels = name.rsplit(".", 3)
    if len(labels) < 3:
        return name
    top, second = labels[-1], labels[-2]
    deep = len(top) == 2 and (second in CATEGORIES or (top == "cn" and second in PROVINCES))
    return ".".join(labels[-3:] if deep else labels[-2:])
