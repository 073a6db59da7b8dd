"""The real server that other tests use."""

from __future__ import annotations

import json
import socket
import urllib.request

import pytest

from tests.parts import elasticsearch as part


@pytest.mark.needs("elasticsearch")
def test_the_shared_node_answers(elasticsearch: part.Cluster) -> None:
    assert json.loads(elasticsearch.get("/_cluster/health"))["status"] in {"green", "yellow"}


@pytest.mark.needs("elasticsearch")
@pytest.mark.timeout(400)
def test_three_nodes_with_tls_and_passwords_survive_the_loss_of_one() -> None:
    with part.start(nodes=3, tls=True) as cluster:
        assert all(url.startswith("https://[::1]:") for url in cluster.urls)
        with pytest.raises(OSError, match="401"):
            part.Cluster.get(_without_password(cluster), "/_cluster/health")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(cluster.url, timeout=10)
        cluster.kill(1)
        health = json.loads(cluster.get("/_cluster/health?wait_for_nodes=2&timeout=30s"))
        assert health["number_of_nodes"] == 2
        cluster.restart(1)
        assert json.loads(cluster.get("/_cluster/health"))["number_of_nodes"] == 3


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_free_ports_are_different_and_free_and_leave_no_socket_behind(host: str) -> None:
    ports = part.free_ports(5, host)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    with pytest.raises(OSError, match="assign requested address"):
        part.free_ports(1, "192.0.2.1")


def _without_password(cluster: part.Cluster) -> part.Cluster:
    return part.Cluster(cluster.version, cluster.root, cluster.heap, True, cluster.nodes, ca=cluster.ca)
