"""The headers of a request where WSGI keeps them: among the variables of its environ."""

from collections.abc import Iterator, MutableMapping
from typing import Any

from s3shunt.protocol.names import Known


class Fields(MutableMapping[str, str]):
    """The headers of a request as they stand in its environ, by case-insensitive name; told in lower case."""

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def __getitem__(self, name: str) -> str:
        return self.environ[_VARIABLES[name]]  # type: ignore[no-any-return]

    def get(self, name: str, default: Any = None) -> Any:
        return self.environ.get(_VARIABLES[name], default)

    def __contains__(self, name: object) -> bool:
        return _VARIABLES[name] in self.environ  # type: ignore[index]

    def __setitem__(self, name: str, value: str) -> None:
        self.environ[_VARIABLES[name]] = value

    def __delitem__(self, name: str) -> None:
        del self.environ[_VARIABLES[name]]

    def __iter__(self) -> Iterator[str]:
        return iter([name for variable in self.environ if (name := _NAMES[variable])])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def by_name(self) -> dict[str, str]:
        """All of them, once and for good."""
        return {name: value for variable, value in self.environ.items() if (name := _NAMES[variable])}

    def items(self) -> Any:
        return self.by_name().items()


def header_name(variable: str) -> str:
    """A header's lower-case name from its CGI variable; empty for what is no header."""
    if variable in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return variable.replace("_", "-").lower()
    return variable[5:].replace("_", "-").lower() if variable.startswith("HTTP_") else ""


def variable(name: str) -> str:
    """A header's CGI variable from its lower-case name."""
    upper = name.replace("-", "_").upper()
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


_NAMES, _VARIABLES = Known(header_name), Known(variable)
