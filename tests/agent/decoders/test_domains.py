from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import domains


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.nanchang.gov.cn", "nanchang.gov.cn"),
        ("a.b.nc.jx.cn", "nc.jx.cn"),
        ("www.example.com", "example.com"),
        ("x.y.example.co.uk", "example.co.uk"),
        ("portal.bureau.test", "bureau.test"),
        ("gov.cn", "gov.cn"),
        ("localhost", "localhost"),
        ("", ""),
        ("80.2.0.192.in-addr.arpa", "in-addr.arpa"),
        ("1.0.8.b.d.0.1.0.0.2.ip6.arpa", "ip6.arpa"),
    ],
)
def test_the_registered_domain_of_a_name(name: str, domain: str) -> None:
    assert domains.registered(name) == domain


@given(st.lists(st.text("abc-", min_size=1, max_size=5), max_size=6))
def test_it_is_always_an_end_of_the_name_and_its_own_domain(labels: list[str]) -> None:
    name = ".".join(labels)
    domain = domains.registered(name)
    assert name == domain or name.endswith("." + domain)
    assert domains.registered(domain) == domain
