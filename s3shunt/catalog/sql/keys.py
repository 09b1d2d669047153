"""``[keys:x]`` in a database: access keys of clients, their secrets sealed with ``secret_file``."""

import base64
import json
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, insert, select

from s3shunt import config
from s3shunt.catalog.sql import schema
from s3shunt.catalog.sql.database import Database, DatabaseOptions
from s3shunt.model import Grant, Key
from s3shunt.ports import Keys
from s3shunt.protocol.errors import ServiceUnavailable

K = schema.key.c
_SEALED = ("secret_key", "session_token", "store_access_key", "store_secret_key")


class SqlKeys:
    Options = DatabaseOptions

    def __init__(self, options: DatabaseOptions, house: Any = None) -> None:
        self.options = options
        self._database = Database(options)
        if options.secret_file is None and house is None:
            raise ValueError("secret_file is empty: expected the file with the secret that seals the keys")
        secret = config.secret(options.secret_file or house.state / "secret")
        self._seal = Fernet(base64.urlsafe_b64encode(sha256(b"s3shunt keys" + secret).digest()))

    def find(self, access_key: str) -> Key | None:
        with self._database.read() as connection:
            row = connection.execute(select(schema.key).where(K.access_key == access_key)).first()
        return self._key(row) if row else None

    def all(self) -> list[Key]:
        with self._database.read() as connection:
            return [self._key(row) for row in connection.execute(select(schema.key).order_by(K.access_key))]

    def save(self, key: Key) -> None:
        sealed = self._seal.encrypt(json.dumps({name: getattr(key, name) for name in _SEALED}).encode())
        grants = None if key.grants is None else json.dumps([[g.buckets, g.prefixes, g.allow] for g in key.grants])
        plain = {"account": key.account, "expires": key.expires, "disabled": int(key.disabled), "grants": grants}
        with self._database.write() as connection:
            connection.execute(delete(schema.key).where(K.access_key == key.access_key))
            connection.execute(insert(schema.key), plain | {"access_key": key.access_key, "sealed": sealed})

    def drop(self, access_key: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(schema.key).where(K.access_key == access_key))

    def check(self) -> list[str]:
        return self._database.check()

    def upgrade(self) -> None:
        self._database.upgrade()

    def close(self) -> None:
        """Close idle connections; the keys may be used again."""
        self._database.dispose()

    def _key(self, row: Any) -> Key:
        try:
            secrets = json.loads(self._seal.decrypt(bytes(row.sealed)))
        except InvalidToken:
            raise ServiceUnavailable("The secret_file does not open the stored keys.") from None
        grants = row.grants and tuple(Grant(buckets=tuple(b), prefixes=tuple(p), allow=tuple(a)) for b, p, a in json.loads(row.grants))
        return Key(
            access_key=row.access_key, account=row.account, expires=row.expires, disabled=bool(row.disabled), grants=grants, **secrets
        )


_: type[Keys] = SqlKeys
