"""The rules of the house, kept by a test: floors, silence, neighbours, twins, one list of everything."""

import ast
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "s3shunt"

FLOORS = [
    {"model"},
    {"protocol"},
    {"ports"},
    {"policy", "config", "clock"},
    {"numbers"},
    {"green", "context", "connect"},
    {"work"},
    {"relay", "wsgi"},
    {"filters", "apps", "stores", "archives", "catalog", "jobs"},
    {"swift", "server"},
    {"testing"},
    {"cli"},
]
NEIGHBOURLESS = {"filters", "apps", "stores", "archives", "catalog", "jobs"}
SILENT = {"model", "protocol", "policy"}
NOISY = {
    "socket", "time", "logging", "threading", "os", "pathlib", "subprocess", "requests", "redis", "sqlalchemy",
    "boto3", "eventlet", "webob", "random", "io", "http", "urllib.request", "shutil", "tempfile", "asyncio",
}  # fmt: skip
TWINLESS = re.compile(r"(__init__|__main__)\.py$|/migrations/|^cli/")

FILES = sorted(p for p in HOUSE.rglob("*.py"))


def name_of(path):
    return str(path.relative_to(HOUSE))


def room(path):
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def unit(path):
    """A file of a room, or a package within it taken as one."""
    parts = path.relative_to(HOUSE).parts
    return parts[1].removesuffix(".py") if len(parts) > 1 else ""


def floor(name):
    return next((number for number, rooms in enumerate(FLOORS) if name in rooms), None)


def imports(path):
    """Every imported module, with what is imported from it spelled out when it is a module of ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = HOUSE.parent / Path(*f"{node.module}.{alias.name}".split("."))
                is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downstairs(path):
    if room(path) in ("__init__", "__main__"):
        return
    for name in imports(path):
        root, *rest = name.split(".")
        if root != "s3shunt" or not rest or rest[0] == room(path):
            continue
        assert floor(rest[0]) is not None, f"{name}: no floor has this room"
        assert floor(rest[0]) < floor(room(path)), f"{name} is not downstairs of {room(path)}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in NEIGHBOURLESS], ids=name_of)
def test_no_neighbour_imports_a_neighbour(path):
    for name in imports(path):
        root, *rest = name.split(".")
        if root == "s3shunt" and len(rest) > 1 and rest[0] == room(path):
            assert rest[1] == unit(path), f"{name} is a neighbour of {unit(path)}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in SILENT], ids=name_of)
def test_silent_floors_are_silent(path):
    loud = {name for name in imports(path) if name in NOISY or name.split(".")[0] in NOISY}
    assert not loud, f"{sorted(loud)} does I/O, reads a clock or logs"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_green_server_relay_and_swift_know_eventlet(path):
    if room(path) not in ("green", "server", "relay", "swift"):
        assert not [name for name in imports(path) if name.split(".")[0] in ("eventlet", "greenlet")]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_clock_asks_the_time(path):
    if room(path) in ("clock", "swift", "testing"):
        return
    asked = re.findall(r"\b(?:time\.(?:time|time_ns|monotonic|sleep)|datetime\.(?:now|utcnow|today))\(", path.read_text())
    assert not asked, asked


@pytest.mark.parametrize("path", [p for p in FILES if not TWINLESS.search(name_of(p))], ids=name_of)
def test_every_file_has_its_twin(path):
    relative = path.relative_to(HOUSE)
    twin = ROOT / "tests" / relative.parent / f"test_{relative.name}"
    whole = ROOT / "tests" / relative.parent.parent / f"test_{relative.parent.name}.py"
    assert twin.exists() or (len(relative.parts) > 2 and whole.exists()), f"{twin.relative_to(ROOT)} is missing"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_handlers_are_narrow(path):
    """What may stop the unexpected is a short list, by file."""
    allowed = {"filters/errors.py": 1, "jobs/runner.py": 1, "server/connection.py": 1}
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert len(broad) <= allowed.get(name_of(path), 0), f"broad handlers at lines {broad}"


GROUPS = {
    "paste.filter_factory": "filters",
    "paste.app_factory": "apps",
    "s3shunt.jobs": "jobs",
    "s3shunt.catalogs": "catalog",
    "s3shunt.indexes": "catalog",
    "s3shunt.keys": "catalog",
    "s3shunt.stores": "stores",
    "s3shunt.evictors": "stores",
    "s3shunt.archives": "archives",
    "s3shunt.hosts": "swift",
}
POINTS = [point for group in GROUPS for point in entry_points(group=group) if point.value.startswith("s3shunt.")]
USED_IN_INIS = {"paste.filter_factory": "use = egg:s3shunt#{}", "paste.app_factory": "use = egg:s3shunt#{}", "s3shunt.jobs": "[job:{}]"}


def of_point(point):
    return f"{point.group}:{point.name}"


@pytest.mark.parametrize("point", POINTS, ids=of_point)
def test_everything_in_the_box_can_be_loaded(point):
    assert point.load()


@pytest.mark.parametrize("point", POINTS, ids=of_point)
def test_everything_in_the_box_is_on_the_map(point):
    assert f"`{point.name}`" in (ROOT / "docs/map.md").read_text() or point.name == "tiered"


@pytest.mark.parametrize("point", [p for p in POINTS if p.group in USED_IN_INIS], ids=of_point)
def test_every_door_app_and_job_stands_in_an_ini(point):
    wanted = USED_IN_INIS[point.group].format(point.name)
    assert any(wanted in path.read_text().splitlines() for path in (ROOT / "etc").glob("*.ini"))


@pytest.mark.parametrize("room_name", ["filters", "apps", "jobs"])
def test_every_file_of_these_rooms_is_in_the_box(room_name):
    listed = {point.value.partition(":")[0].split(".")[2] for point in POINTS if GROUPS[point.group] == room_name}
    units = {unit(path) for path in FILES if room(path) == room_name} - {"__init__", "runner"}
    assert units == listed
