"""``s3shunt demo``: a film goes to tape and comes back, on an instance of its own, through the public S3 API alone."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from s3shunt import clock, connect
from s3shunt.cli import children, provision, say, up
from s3shunt.config import ConfigError, Ini
from s3shunt.model import ObjectRef, State

DAY = "10s"
BUCKET, KEY = "films", "reel.mxf"
SMALLEST = 64 << 20
PATIENCE = 60.0


@click.command()
@click.argument("film", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@say.with_ini
@click.option("--keep", is_flag=True, help="Leave the instance's state behind, and say where.")
def demo(ini: Path, film: Path | None, *, keep: bool) -> None:
    """Send a FILM to tape and back, step by step; without one, ffmpeg makes one.

    Its own instance, on free ports, in a folder of its own, where a day takes ten seconds.
    """
    folder = Path(tempfile.mkdtemp(prefix="s3shunt-demo-"))
    try:
        with instance(ini, folder) as (site, endpoint, key), _progress() as progress:
            asking = up.client(endpoint, key["access_key"], key["secret_key"])
            _story(asking, site, film or make_film(folder, progress), progress)
    finally:
        if keep:
            say.err.print(f"state and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _progress() -> Progress:
    done = SpinnerColumn(finished_text="[green]ok[/]")
    return Progress(done, TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), console=say.out)


def make_film(folder: Path, progress: Progress) -> Path:
    """A minute of test picture and tone as broadcasters keep it: MPEG-2, 50 Mbit/s, MXF."""
    if not shutil.which("ffmpeg"):
        raise ConfigError("demo needs ffmpeg to make a film, or a FILM: apt-get install ffmpeg")
    path = folder / "reel.mxf"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=12", "-f", "lavfi"]
    command += ["-i", "sine=frequency=440:sample_rate=48000:duration=12", "-c:v", "mpeg2video", "-b:v", "50M", "-minrate", "50M"]
    command += ["-maxrate", "50M", "-bufsize", "17M", "-g", "1", "-c:a", "pcm_s16le", "-f", "mxf", str(path)]
    with _step(progress, "a film is made (MPEG-2, 50 Mbit/s, MXF)"):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if path.stat().st_size < SMALLEST:
        raise ConfigError(f"ffmpeg made a film of {path.stat().st_size} bytes: expected {SMALLEST} at least")
    return path


@contextmanager
def instance(ini: Path, folder: Path) -> Iterator[tuple[connect.House, str, dict[str, str]]]:
    """A running installation of this ini in ``folder``: its house, its endpoint and first key."""
    path = folder / "demo.ini"
    path.write_text(settings(ini.read_text(encoding="utf-8"), folder / "state", free_port(), free_port()), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [*up.ME, "up", str(path)], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "S3SHUNT_STATE"}, start_new_session=True,
            preexec_fn=children.end_with_parent,  # noqa: PLW1509  # one thread here
        )  # fmt: skip
        try:
            yield connect.House(Ini(path, {})), *_ready(child, folder / "log")
        finally:
            child.terminate()
            child.wait()
            child.stdout.close() if child.stdout else None


def _ready(child: "subprocess.Popen[bytes]", log: Path) -> tuple[str, dict[str, str]]:
    line = child.stdout.readline() if child.stdout else b""
    if not line:
        raise ConfigError("the demo's instance did not start:\n" + log.read_text(errors="replace"))
    said = json.loads(line.removeprefix(b"READY "))
    return said["endpoint"], json.loads(Path(said["keys_file"]).read_text())[0]


def settings(source: str, state: Path, port: int, store_port: int) -> str:
    """The ini with short days, quick hands at the library, a state and ports nobody uses."""
    source = re.sub(r"(?m)^#?state = .*$", f"state = {state}", source)
    source = re.sub(r"(?m)^#?day = .*$", f"day = {DAY}", source)
    source = re.sub(r"(?m)^address = .*$", f"address = 127.0.0.1:{port}", source)
    source = re.sub(r"(?m)^mount = .*$", "mount = 2s", source)
    return source.replace("127.0.0.1:8100", f"127.0.0.1:{store_port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _story(client: Any, site: connect.House, film: Path, progress: Progress) -> None:
    size, digest = film.stat().st_size, _digest(film)
    name = {"Bucket": BUCKET, "Key": KEY}
    head = lambda: client.head_object(**name)
    client.create_bucket(Bucket=BUCKET)
    with _step(progress, "PUT with class GLACIER", size) as moved:
        client.upload_file(str(film), BUCKET, KEY, ExtraArgs={"StorageClass": "GLACIER"}, Callback=moved)
    with _step(progress, "GET is refused from the 200 on"):
        _refused(client, name)
    with _step(progress, "written to tape, read back, and gone from the store"):
        _until("the film is on tape", lambda: _state(site) is State.ARCHIVED)
    with _step(progress, "HEAD and LIST show it as ever, in class GLACIER"):
        _expect(head()["ContentLength"] == size and head()["StorageClass"] == "GLACIER", "HEAD as of the original")
        listed = client.list_objects_v2(Bucket=BUCKET)["Contents"][0]
        _expect((listed["Size"], listed["StorageClass"]) == (size, "GLACIER"), "LIST as of the original")
    with _step(progress, "restore, Days=1, Tier=Expedited: 202"):
        wish = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
        client.restore_object(**name, RestoreRequest=wish)
        _expect(head().get("Restore") == 'ongoing-request="true"', "HEAD says ongoing")
    with _step(progress, "the cartridge is mounted, found and read"):
        _until("the film is restored", lambda: 'ongoing-request="false", expiry-date=' in head().get("Restore", ""))
    say.out.print(f"   x-amz-restore: {head()['Restore']}", markup=False)
    with _step(progress, "GET: the same SHA-256", size) as moved:
        body = client.get_object(**name)["Body"]
        _expect(_digest(body, moved) == digest, "the bytes that were put")
    with _step(progress, f"its day of {DAY} ends: archived again"):
        _until("the copy expired", lambda: "Restore" not in head())
        _refused(client, name)
    say.out.print(f"sha256 {digest}", markup=False)


@contextmanager
def _step(progress: Progress, said: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    task = progress.add_task(said, total=total)
    yield lambda count: progress.update(task, advance=count)
    progress.update(task, total=total or 1, completed=total or 1)


def _digest(source: Any, moved: Callable[[int], None] = lambda _: None) -> str:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _digest(file, moved)
    found = sha256()
    while data := source.read(1 << 20):
        found.update(data)
        moved(len(data))
    return found.hexdigest()


def _refused(client: Any, name: dict[str, str]) -> None:
    from botocore.exceptions import ClientError

    try:
        client.get_object(**name)
    except ClientError as error:
        _expect(error.response["Error"]["Code"] == "InvalidObjectState", f"InvalidObjectState, not {error}")
        return
    _expect(done=False, what="GET refused")


def _state(site: connect.House) -> State | None:
    """What the catalog knows and S3 has no word for: whether the bytes have left the store."""
    row = site.truth().find(ObjectRef(BUCKET, KEY, None, provision.ACCOUNT))
    return row.state if row else None


def _until(what: str, done: Callable[[], bool]) -> None:
    end = clock.wall.monotonic() + PATIENCE
    while not done():
        _expect(clock.wall.monotonic() < end, what)
        clock.wall.sleep(0.2)


def _expect(done: bool, what: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not done:
        raise ConfigError(f"demo: expected {what}")
