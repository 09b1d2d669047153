"""What PasteDeploy calls: our doors, made from the sections of an ini."""

from collections.abc import Callable
from functools import partial
from typing import Any

from s3shunt import config, connect
from s3shunt.wsgi.application import Application, Handler, Late, handler_of


def house_of(global_conf: dict[str, str]) -> connect.House:
    return connect.house(global_conf["__file__"])


def _named(given: dict[str, str], house: connect.House) -> dict[str, str]:
    return {name: house.ini.fill(value) for name, value in given.items() if name != "__name__"}  # Swift's loader adds that


def filter_factory(make: Callable[[Handler, Any, connect.House], Handler], options: type, section: str) -> Any:
    """The PasteDeploy face of a door: its options are read once, when the house is built.

    In a Swift proxy, which has no request for it yet, the door itself is not made: its catalog and store may be missing there.
    """

    def factory(global_conf: dict[str, str], **given: str) -> Any:
        house = house_of(global_conf)
        settings = config.read(options, section, _named(given, house))
        guest = house.announce(section.partition(":")[2])

        def door(app: Any) -> Application:
            made = partial(make, handler_of(app), settings, house)
            return Application(Late(made) if guest else made(), app)

        return door

    factory.make, factory.options = make, options  # type: ignore[attr-defined]
    return factory


def app_factory(make: Callable[[Any, connect.House], Handler], options: type, section: str) -> Any:
    """The same for where the corridor ends."""

    def factory(global_conf: dict[str, str], **given: str) -> Any:
        house = house_of(global_conf)
        return Application(make(config.read(options, section, _named(given, house)), house))

    factory.make, factory.options = make, options  # type: ignore[attr-defined]
    return factory
