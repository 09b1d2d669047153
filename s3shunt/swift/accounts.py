"""Swift's tempauth, with its users read from a file that may grow while it runs.

The file is the one the proxy and the workers take their store credentials from:
``{account: {"access_key": "account:user", "secret_key": ...}}``. Each user is the
admin of the Swift account its access key begins with, and of nothing else.
"""

import json
from pathlib import Path
from typing import Any

from swift.common.middleware.tempauth import TempAuth
from swift.common.registry import register_swift_info


class Accounts(TempAuth):  # type: ignore[misc]
    def __init__(self, app: Any, conf: dict[str, str]) -> None:
        super().__init__(app, conf)
        self.file = Path(conf["accounts"])
        self.read: tuple[int, int] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        stat = self.file.stat()
        if self.read != (stat.st_mtime_ns, stat.st_ino):
            self.users = users(json.loads(self.file.read_text()))
            self.read = (stat.st_mtime_ns, stat.st_ino)
        return super().__call__(environ, start_response)


def users(credentials: dict[str, dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Credentials as tempauth keeps its users."""
    return {
        (name := credential["access_key"]): {
            "key": credential["secret_key"], "url": f"$HOST/v1/AUTH_{name.partition(':')[0]}", "groups": [".admin"],
        }
        for credential in credentials.values()
    }


def factory(global_conf: dict[str, str], **local: str) -> Any:
    register_swift_info("tempauth", account_acls=True)
    return lambda app: Accounts(app, {**global_conf, **local})
