"""``/metrics`` of the agent. Imported only where ``metrics_listen`` is set."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable

from agent.status import Status
from telemetry.metrics import CONTENT_TYPE, expose
from telemetry.report import Report

TIMEOUT_SECONDS = 10.0


def note(report: Report, status: Status) -> None:
    """Put what only a status knows into the report's gauges."""
    ledger = status.ledger
    for name, value in (
        ("collected", ledger.collected),
        ("acked", ledger.acked),
        ("spooled", ledger.spooled),
        ("dropped", sum(ledger.dropped.values())),
    ):
        report.gauge(f"tengwang_agent_ledger_{name}", value)
    report.gauge("tengwang_agent_spool_bytes", ledger.bytes)
    report.gauge("tengwang_agent_memory_bytes", status.rss)
    report.gauge("tengwang_agent_cpu_ratio", status.cpu)
    report.gauge("tengwang_agent_uptime_seconds", status.uptime)
    connected = status.uplink is not None and status.uplink.state == "connected"
    report.gauge("tengwang_agent_uplink_connected", int(connected))
    for given in status.inputs:
        report.gauge("tengwang_agent_input_on", int(given.state == "on"), input=given.name)


def serve(listen: tuple[str, int], report: Report, status: Callable[[], Status]) -> Callable[[], None]:
    """Listen; returns what stops it. Raises OSError where the address is taken."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = TIMEOUT_SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            note(report, status())
            body = expose(report.series())
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are no news."""

    class Server(http.server.HTTPServer):
        """One request at a time is enough for a scraper, and bounded."""

        address_family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET

    server = Server(listen, Handler)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
