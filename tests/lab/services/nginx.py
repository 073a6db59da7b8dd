"""nginx: the bureau's portal, plain and TLS, over both families or only one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tests.lab.host import RunningHost

PAGE = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title></head><body>
<h1>{title}</h1>
<nav><a href="/news.html">政务公开</a> <a href="/service.html">办事服务</a> <a href="/about.html">机构职能</a></nav>
<p>本站同时支持 IPv4 与 IPv6 访问。</p>{filler}</body></html>
"""


@dataclass(frozen=True)
class Nginx:
    domain: str
    title: str = "某某局门户网站"
    v4: bool = True
    v6: bool = True
    name: str = "nginx"

    def start(self, host: RunningHost) -> None:
        folder = host.directory / "nginx"
        (folder / "html").mkdir(parents=True, exist_ok=True)
        filler = "".join(f"<p>第 {i} 条：通知公告与政策解读。</p>" for i in range(1, 60))
        for page in ("index", "news", "service", "about"):
            (folder / "html" / f"{page}.html").write_text(PAGE.format(title=self.title, filler=filler))
        if not (folder / "key.pem").exists():
            make = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"]
            make += ["-pkeyopt", "ec_paramgen_curve:P-256"]
            names = ["-subj", f"/CN={self.domain}", "-addext", f"subjectAltName=DNS:{self.domain}"]
            files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
            subprocess.run([*make, *names, *files], check=True, capture_output=True)
        listen = [
            *([f"listen 0.0.0.0:{p};" for p in ("80", "443 ssl")] if self.v4 else []),
            *([f"listen [::]:{p} ipv6only=on;" for p in ("80", "443 ssl")] if self.v6 else []),
        ]
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        # One process and no change of user: nothing is left behind when it is killed.
        config.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
            "events { worker_connections 128; }\n"
            f"http {{ access_log off; {temporary} types {{ text/html html; }} charset utf-8;\n"
            f"server {{ server_name {self.domain}; {' '.join(listen)} root {folder}/html;\n"
            f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; }} }}\n"
        )
        host.start(self.name, "nginx", "-e", "stderr", "-p", folder, "-c", config)
        host.until("nginx listens", lambda: host.listens(80), self.name)
