"""What the library was asked for, told by the library itself."""

import sqlite3
from contextlib import closing

BOOK = """
CREATE TABLE IF NOT EXISTS asked (id TEXT, archive_id TEXT);
CREATE TRIGGER IF NOT EXISTS every_request AFTER INSERT ON request BEGIN INSERT INTO asked VALUES (new.id, new.archive_id); END;
"""


class Asked:
    """Requests to a site's tape library since now; the library forgets its own once they were served."""

    def __init__(self, site):
        self._path = site.home / "tape/library.db"
        with closing(sqlite3.connect(self._path, timeout=30)) as db, db:
            db.executescript(BOOK)
            self._before = db.execute("SELECT count(*) FROM asked").fetchone()[0]

    def requests(self):
        """(id, archive id) of each, in their order."""
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            return db.execute("SELECT id, archive_id FROM asked LIMIT -1 OFFSET ?", (self._before,)).fetchall()
