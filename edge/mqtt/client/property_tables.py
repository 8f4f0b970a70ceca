"""paho's tables of MQTT properties, made once in place of once for each packet.

Every `Properties` of paho-mqtt 2.1 and 2.2 builds three tables of all properties of MQTT 5, which
paho never changes, and `clear` goes through all names.  Two of them are made for each message that
is received and acknowledged: without them a vector takes the daemon a fifth less processor time.
"""

from typing import Any, Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TABLES: Final = frozenset({"types", "names", "properties"})
"""The attributes of a `Properties` that are the same for all."""

OWN: Final = TABLES | {"packetType"}
"""The attributes of a `Properties` without any property."""


def share_property_tables() -> bool:
    """Let all `Properties` of this process share their tables; nothing else about them changes.

    False if paho is of a version whose `Properties` have other attributes: they stay as they are.
    """
    if hasattr(Properties, "tables_shared"):
        return True
    made = vars(Properties(PacketTypes.PUBLISH))
    if made.keys() != OWN:
        return False
    tables = {name: made[name] for name in TABLES}

    def begin(self: Any, packetType: int) -> None:  # noqa: N803 - paho's name
        held = vars(self)
        held.update(tables)
        held["packetType"] = packetType

    def clear(self: Any) -> None:
        held = vars(self)
        for name in held.keys() - OWN:
            del held[name]

    for name, value in (("__init__", begin), ("clear", clear), ("tables_shared", True)):
        setattr(Properties, name, value)
    return True
