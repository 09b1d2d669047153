"""Looks into films and sounds: kind, codec, container, length and start time code, as ffprobe tells them.

Off unless ``ffprobe`` names the program. ``every`` so often entries into which
nobody has looked, and whose bytes are here, are put in line; each is looked into
once. Of a large object only the first ``head`` and the last ``tail`` bytes are
copied, into a file with a hole between them. A file that cannot be read is of kind
``unknown``, with the reason, and is not tried again until it is written anew.

Whoever writes objects chooses what the program reads. So it is given a local file
and nothing else: no address, no credential, an empty environment, no protocol
but files, no format that names other files, and limits of time, memory and output.

    [job:media]
    ffprobe = /usr/bin/ffprobe
    every = 1m
"""

import os
import resource
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir

from s3shunt import config
from s3shunt.config import ConfigError, option
from s3shunt.model import Entry, Job, Search, State
from s3shunt.policy import media
from s3shunt.policy.record import dedupe, name, ref_of
from s3shunt.protocol.errors import ServiceUnavailable
from s3shunt.work import Done, JobOptions, Later, Outcome, Task

READABLE = (State.ONLINE, State.VERIFIED, State.RESTORED)
OUTPUT = 1 << 20
COPIES = "s3shunt-media-"
LEFT = 3_600_000
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dv,eac3,flac,flv,gxf,lxf,matroska,mov,mp3,mpeg,mpegts,mpegvideo,mxf,ogg,rm,w64,wav,webm,wv"
)
"""Those that hold all of their bytes themselves: no playlists, no lists of files, no pictures by pattern."""
ASKED = (
    "format=format_name,duration:format_tags=timecode,time_reference,major_brand"
    ":stream=codec_type,codec_name,duration,sample_rate:stream_tags=timecode:stream_disposition=attached_pic"
)


@dataclass(frozen=True)
class Options(JobOptions):
    every: int = option(config.duration, "1m", help="How often entries that nobody looked into are put in line.")
    lease: int = option(config.duration, "5m", help="How long a worker that gives no sign of life keeps its object.")
    attempts: int = option(config.number, "3", help="Failures to look into an object after which it is left. Outages do not count.")
    ffprobe: Path | None = option(config.path, "", help="The program, such as /usr/bin/ffprobe; empty: nothing is looked into.")
    batch: int = option(config.some(config.number), "1000", help="How many objects are put in line at once.")
    head: int = option(config.size, "16M", help="How many bytes of the beginning of an object are looked into.")
    tail: int = option(config.size, "16M", help="How many bytes of its end.")
    deadline: int = option(config.duration, "30s", help="How long one look may take.")
    memory: int = option(config.size, "1G", help="How much memory the program may have.")
    scratch: Path | None = option(config.path, "", help="Folder for the copies while they are looked into; empty: the system's.")


class Slow(Exception):
    """The program was stopped."""


class MediaJob(Task):
    Options = Options
    kind = "media"
    needs = ("store", "place")
    periodic = True

    def __init__(self, options: Options, house: object) -> None:
        super().__init__(options, house)
        if options.ffprobe is not None and not os.access(options.ffprobe, os.X_OK):
            raise ConfigError(f"[job:media] ffprobe = {options.ffprobe}: expected a program that can be run")

    def run(self, job: Job) -> Outcome:
        if job.payload:
            return self._one(job)
        if self.options.ffprobe is not None:
            self._clean()
            self.truth.enqueue(*[Job(kind="media", dedupe=dedupe(row), payload=name(row.ref)) for row in self._unprobed()])
        return Later(self.clock.now() + self.options.every)

    def _unprobed(self) -> Iterator[Entry]:
        for state in READABLE:
            yield from self.truth.search(Search(state=state, unprobed=True), limit=self.options.batch)

    def _clean(self) -> None:
        """Copies of workers that were killed; nobody looks into one for so long."""
        for left in Path(self.options.scratch or gettempdir()).glob(f"{COPIES}*"):
            with suppress(OSError):
                told = left.lstat()
                if told.st_uid == os.getuid() and told.st_mtime * 1000 < self.clock.now() - LEFT:
                    rmtree(left)

    def _one(self, job: Job) -> Outcome:
        """Whoever wrote the object anew meanwhile has put it in line anew."""
        row = self.truth.find(ref_of(dict(job.payload)))
        if self.options.ffprobe is None or row is None or dedupe(row) != job.dedupe or row.state not in READABLE or not media.unprobed(row):
            return Done()
        found = self._looked(row)
        self.change(row.ref, lambda now: media.probed(now, row, found, self.clock.now()))
        return Done()

    def buried(self, job: Job, reason: str) -> None:
        if not job.payload:
            return
        found, now = media.failed(reason), self.clock.now()
        self.change(ref_of(dict(job.payload)), lambda row: media.probed(row, row, found, now) if row else None)

    def _looked(self, row: Entry) -> dict[str, str]:
        try:
            with self._copy(row) as path:
                return media.read(self._asked(path))
        except ValueError as error:
            return media.failed(str(error))

    @contextmanager
    def _copy(self, row: Entry) -> Iterator[Path]:
        """The beginning and the end, where they stand in the object. Raises ServiceUnavailable where there is no room for them."""
        with self._folder() as folder:
            path = Path(folder) / "bytes"
            with _room(folder), path.open("wb") as file:
                for start, end in media.spans(row.facts.size, self.options.head, self.options.tail):
                    file.seek(start)
                    file.writelines(self._read(row, start, end))
                file.truncate(row.facts.size)
            yield path

    def _folder(self) -> "TemporaryDirectory[str]":
        with _room(str(self.options.scratch or gettempdir())):
            return TemporaryDirectory(prefix=COPIES, dir=self.options.scratch)

    def _read(self, row: Entry, start: int, end: int) -> Iterable[bytes]:
        if row.place is None:
            return self.house.store(row.store).read(row.ref, start=start, end=end, etag=row.facts.etag)
        store, ref = self.house.place(row.place)
        return store.read(ref, start=start, end=end, etag=row.place.etag or None)

    def _asked(self, path: Path) -> bytes:
        """What the program says of a file. Raises ValueError with what it complains of, and Slow."""
        said, complained = path.with_name("said"), path.with_name("complained")
        with said.open("wb") as out, complained.open("wb") as err:
            process = subprocess.Popen(
                self._command(path), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=path.parent, env={"LC_ALL": "C"},
                start_new_session=True,
            )  # fmt: skip
            try:
                self._limit(process.pid)
                status = process.wait(self.options.deadline / 1000)
            except subprocess.TimeoutExpired:
                raise Slow(f"ffprobe took longer than {self.options.deadline} ms") from None
            finally:
                process.kill()
                process.wait()
        if status:
            reason = complained.read_bytes()[:4096].decode("utf-8", "replace").replace(f"file:{path}: ", "")
            raise ValueError(reason.strip() or f"ffprobe ended with {status}")
        return said.read_bytes()

    def _command(self, path: Path) -> list[str]:
        return [
            str(self.options.ffprobe), "-v", "error", "-hide_banner", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS,
            "-of", "json=compact=1", "-show_entries", ASKED, "-i", f"file:{path}",
        ]  # fmt: skip

    def _limit(self, pid: int) -> None:
        limits = {
            resource.RLIMIT_CPU: self.options.deadline // 1000 + 1, resource.RLIMIT_AS: self.options.memory,
            resource.RLIMIT_FSIZE: OUTPUT, resource.RLIMIT_NOFILE: 32, resource.RLIMIT_CORE: 0,
        }  # fmt: skip
        with suppress(ProcessLookupError):  # it has ended
            for kind, most in limits.items():
                resource.prlimit(pid, kind, (most, most))


@contextmanager
def _room(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceUnavailable(f"no copy can be made in {folder}: {error}") from error


factory = MediaJob
