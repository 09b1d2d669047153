"""Who else could serve these reads: what each is, how it is had and how it is started.

What no package of this machine brings is installed once, in the version written here, and kept in the user's cache
under ``s3shunt/bench``. A peer that cannot be had raises ``lab.Failed`` with the reason; it does not stop the others.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import lab
from lab import FRONT, Failed, Lab, Program

from s3shunt.testing.services import minio, seaweedfs

ACCESS, SECRET = "AKPEERPEERPEER", "peers-own-long-secret"
PATIENCE = 1800.0
S3RVER, MOTO, S3PROXY, VERSITYGW = "3.7.1", "5.2.5", "4.1.0", "v1.8.0"
NJS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")

POM = """<project><modelVersion>4.0.0</modelVersion><groupId>bench</groupId><artifactId>peer</artifactId><version>1</version><dependencies>
<dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-annotations</artifactId><version>2.21</version></dependency>
<dependency><groupId>org.gaul</groupId><artifactId>s3proxy</artifactId><version>{version}</version></dependency>
</dependencies></project>
"""
"""The annotations by name: what S3Proxy itself asks for is older than its own Jackson 3 needs."""
S3PROXY_CONF = """
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={access}
s3proxy.credential={secret}
s3proxy.endpoint=http://127.0.0.1:{port}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={home}/data
"""
QUIET_JAVA = """<configuration><appender name="E" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%msg%n</pattern></encoder>
</appender><root level="WARN"><appender-ref ref="E"/></root></configuration>
"""
HAPROXY = """
global
  maxconn 4000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend public
  bind 127.0.0.1:{port}
  default_backend store
backend store
  server store 127.0.0.1:{store}
"""


@dataclass(frozen=True)
class Peer:
    """One that answers signed reads. ``start`` is given its lab, its port, and that of our store, which it reads unless it ``stores``."""

    name: str
    start: Callable[[Lab, int, int], Program]
    keys: tuple[str, str] = (ACCESS, SECRET)
    stores: bool = True


def cache() -> Path:
    return minio.kept().parent / "bench"


def had(name: str, *steps: list[str], **environ: str) -> Path:
    """A folder into which ``steps`` installed something once; in them, ``{}`` is the folder."""
    made = cache() / name
    if (made / "whole").exists():
        return made
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    print(f"installing {name}, once", file=sys.stderr, flush=True)
    there = {name: value.replace("{}", str(made)) for name, value in environ.items()}
    for step in steps:
        told([part.replace("{}", str(made)) for part in step], made, there)
    (made / "whole").touch()
    return made


def told(command: list[str], where: Path, environ: Mapping[str, str]) -> None:
    if shutil.which(command[0]) is None:
        raise Failed(f"there is no program '{command[0]}' to install it with")
    try:
        done = subprocess.run(
            ["nice", *command], cwd=where, env={**os.environ, **environ}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"'{command[0]}' was not done in {PATIENCE:.0f} s") from None
    if done.returncode:
        raise Failed(f"'{command[0]}' failed: {' '.join((done.stdout + done.stderr).split())[-300:]}")


def program(name: str) -> str:
    """One of this installation, or of the machine."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise Failed(f"there is no program '{name}'")
    return found


def njs() -> Path:
    """nginx's module for scripts: Debian's, installed or taken out of its package."""
    if NJS.exists():
        return NJS
    fetch = ["apt-get", "download", "-q", "libnginx-mod-http-js"]
    unpack = ["sh", "-c", "dpkg -x {}/*.deb {}"]
    return had("njs", fetch, unpack) / NJS.relative_to("/")


def swift(own: Lab, port: int, _: int) -> Program:
    accounts = own.home / "accounts.json"
    accounts.touch(mode=0o600)
    accounts.write_text(json.dumps({"main": {"access_key": ACCESS, "secret_key": SECRET}}))
    command = [sys.executable, "-m", "s3shunt.swift.allinone", "--home", str(own.home / "swift"), "--port", str(port)]
    return own.start("swift", [*command, "--accounts", str(accounts)], core=FRONT, port=port)


def s3rver(own: Lab, port: int, _: int) -> Program:
    made = had(f"s3rver-{S3RVER}", ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", "{}", f"s3rver@{S3RVER}"])
    command = [program("node"), str(made / "node_modules/s3rver/bin/s3rver.js"), "-s", "-d", str(data(own))]
    return own.start("s3rver", [*command, "-a", "127.0.0.1", "-p", str(port)], core=FRONT, port=port)


def moto(own: Lab, port: int, _: int) -> Program:
    venv, pip = [sys.executable, "-m", "venv", "{}"], ["{}/bin/pip", "install", "-q", f"moto[server,s3]=={MOTO}"]
    made = had(f"moto-{MOTO}", venv, pip)
    return own.start("moto", [str(made / "bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)], core=FRONT, port=port)


def s3proxy(own: Lab, port: int, _: int) -> Program:
    pom = ["sh", "-c", 'printf %s "$POM" >{}/pom.xml']
    copy = ["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies", "-DoutputDirectory={}/jars"]
    made = had(f"s3proxy-{S3PROXY}", pom, copy, POM=POM.format(version=S3PROXY))
    conf, quiet = own.home / "s3proxy.conf", own.home / "logback.xml"
    conf.write_text(S3PROXY_CONF.format(access=ACCESS, secret=SECRET, port=port, home=data(own).parent))
    quiet.write_text(QUIET_JAVA)
    command = [program("java"), f"-Dlogback.configurationFile={quiet}", "-cp", f"{made}/jars/*", "org.gaul.s3proxy.Main"]
    return own.start("s3proxy", [*command, "--properties", str(conf)], core=FRONT, port=port)


def rclone(own: Lab, port: int, _: int) -> Program:
    command = [program("rclone"), "--config", os.devnull, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS},{SECRET}"]
    return own.start("rclone", [*command, str(data(own))], core=FRONT, port=port)


def min_io(own: Lab, port: int, _: int) -> Program:
    try:
        binary = minio.program() or str(minio.fetch(PATIENCE))
    except RuntimeError as error:
        raise Failed(str(error)) from error
    service = minio.service(binary, own.home, port, ACCESS, SECRET)
    return own.start("minio", list(service.command), core=FRONT, port=port, **service.environ)


def versitygw(own: Lab, port: int, _: int) -> Program:
    install = ["go", "install", "-trimpath", "-ldflags", "-s -w", f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW}"]
    build = {"GOBIN": "{}", "GOPATH": "{}/path", "GOCACHE": "{}/cache", "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0"}
    made = had(f"versitygw-{VERSITYGW}", install, ["rm", "-rf", "{}/path", "{}/cache"], **build)
    command = [str(made / "versitygw"), "--access", ACCESS, "--secret", SECRET, "--port", f"127.0.0.1:{port}", "--quiet"]
    return own.start("versitygw", [*command, "posix", str(data(own))], core=FRONT, port=port)


def weed(own: Lab, port: int, _: int) -> Program:
    ports = [port, *seaweedfs.free_ports(len(seaweedfs.NAMES) - 1)]
    own.kept.callback(seaweedfs.forget_sockets, ports)
    service = seaweedfs.service(program("weed"), own.home, ports, ACCESS, SECRET)
    return own.start("weed", list(service.command), core=FRONT, port=port, **service.environ)


def haproxy(own: Lab, port: int, store: int) -> Program:
    conf = own.home / "haproxy.cfg"
    conf.write_text(HAPROXY.format(port=port, store=store))
    return own.start("haproxy", [program("haproxy"), "-db", "-f", str(conf)], core=FRONT, port=port)


def data(own: Lab) -> Path:
    folder = own.home / "data"
    folder.mkdir()
    return folder


PEERS = (
    Peer("Swift s3api", swift),
    Peer(f"s3rver {S3RVER}", s3rver, ("S3RVER", "S3RVER")),
    Peer(f"moto_server {MOTO}", moto),
    Peer(f"S3Proxy {S3PROXY}", s3proxy),
    Peer("rclone serve s3", rclone),
    Peer(f"MinIO {minio.VERSION.split('-')[1][:8]}", min_io),
    Peer(f"versitygw {VERSITYGW}", versitygw),
    Peer("SeaweedFS", weed),
    Peer("HAProxy, forwarding", haproxy, (lab.ACCESS, lab.SECRET), stores=False),
)
