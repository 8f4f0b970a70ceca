"""Observations on pages: fields of requests that name them, their pictures, and their tiles."""

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from .charts import Bar, tile_bars
from .client import AskError
from .common import all_fields, field, whole
from .console import Console
from .guards import RAW_POLICY
from .phrases import verdict
from .pictures import THUMB_PIXELS, Picture, PictureCache, picture_of, wav_of, window_of

STATES: Final = ("waiting", "recent", "labelled")
"""Tabs of the gallery, the first one by default."""
ORDERS: Final = ("similar", "value", "newest")
"""Orders of the gallery, the first one by default."""
PAGE_ITEMS: Final = 60
"""Tiles fetched at once: about two windows of 1280 x 800."""
GALLERY_MAX: Final = 500
"""Most items in one answer of `gallery`."""
VALUES_MAX: Final = 100
"""Most observations in one answer of `values`."""
SELECTED_MAX: Final = 1_000
"""Most observations in one `label-many`."""
NAME_CHARS_MAX: Final = 200
"""Longest name, as in edge/core/limits.py, which the console does not load."""
HZ_MIN: Final = 3_000
"""Lowest sampling rate that browsers play (Chromium, media/base/limits.h)."""
HZ_MAX: Final = 384_000
"""Highest sampling rate that browsers play, as above."""

_cache: Final = PictureCache()
"""Of this process, which serves one home's daemon."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a gallery shows: the fields of `gallery`."""

    home: str = ""
    state: str = STATES[0]
    stream: str = ""
    guess: str = ""
    order: str = ORDERS[0]
    offset: int = 0
    limit: int = PAGE_ITEMS

    @classmethod
    def of(cls, request: Request) -> "View":
        """Read it from a request; what is not possible becomes the default."""
        state, order = field(request, "state"), field(request, "order")
        return cls(
            home=field(request, "home"),
            state=state if state in STATES else STATES[0],
            stream=field(request, "stream"),
            guess=field(request, "guess"),
            order=order if order in ORDERS else ORDERS[0],
            offset=whole(field(request, "offset"), 0, 1 << 31),
            limit=whole(field(request, "limit"), 1, GALLERY_MAX, PAGE_ITEMS),
        )

    def fields(self, **changed: Any) -> dict[str, Any]:
        """Return the fields for the daemon, some of them changed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | changed

    def address(self, **changed: Any) -> str:
        """Return the relative address that shows it, some fields changed."""
        given = self.fields(offset=0) | changed
        usual = {"state": STATES[0], "order": ORDERS[0], "limit": PAGE_ITEMS}
        kept = {name: one for name, one in given.items() if one and one != usual.get(name)}
        return f"label?{urlencode(kept)}" if kept else "label"


@dataclass(frozen=True)
class Tile:
    """An observation as a tile.  bars: of a vector."""

    item: Mapping[str, Any]
    bars: tuple[Bar, ...] = ()

    @property
    def verdict(self) -> str:
        """One word for known or new, empty while undecided."""
        known = self.item["known"]
        return "" if known is None else "known" if known else "new"

    @property
    def text(self) -> str:
        """The tile for people who do not see it."""
        one = self.item
        if one["label"]:
            return f"{one['id']}, labelled {one['label']}"
        looks = f"looks like {one['guess']}" if one["guess"] else "no guess yet"
        return f"{one['id']}, {looks}, {self.verdict or 'undecided'}"

    @property
    def help(self) -> str:
        """Its p-value as a sentence."""
        return "" if self.item["known"] is None else f"{verdict(self.item)}"


@dataclass(frozen=True)
class Group:
    """Tiles that follow each other and look alike.  number: -1 without one."""

    number: int
    tiles: tuple[Tile, ...]


def ids_of(request: Request) -> list[str]:
    """Return the ids that a form names, each once."""
    return list(dict.fromkeys(all_fields(request.form, "id")))


async def groups_of(
    console: Console, view: View, items: Sequence[Mapping[str, Any]]
) -> list[Group]:
    """Return items as tiles in groups; without an order by similarity, in one."""
    vectors = [one["id"] for one in items if one["kind"] == "vector"]
    bars = await bars_of(console, view.home, vectors)
    tiles = [Tile(one, bars.get(one["id"], ())) for one in items]
    if view.order != "similar":
        return [Group(-1, tuple(tiles))] if tiles else []
    parts = groupby(tiles, key=lambda one: int(one.item["group"]))
    return [Group(number, tuple(found)) for number, found in parts]


async def bars_of(console: Console, home: str, ids: Sequence[str]) -> dict[str, tuple[Bar, ...]]:
    """Return the bars of vectors by id, of the first `VALUES_MAX`; none if the daemon refuses."""
    if not ids:
        return {}
    try:
        found = await console.ask("values", home=home, observation_ids=ids[:VALUES_MAX])
    except AskError:
        return {}
    return tile_bars(found["names"], found["rows"], found["low"], found["high"])


async def raw_of(console: Console, home: str, observation_id: str) -> bytes:
    """Return the raw input of an observation; empty if it was not kept."""
    body = await console.ask("raw", home=home, observation_id=observation_id)
    try:
        return base64.b64decode(body.get("raw", ""), validate=True)
    except (binascii.Error, ValueError):
        return b""


async def picture(console: Console, request: Request) -> Response:
    """Send the picture of an observation.  Browsers may not keep it: a copy in their cache would
    outlast a forget."""
    home, observation_id = field(request, "home"), field(request, "id")
    pixels = 0 if field(request, "size") == "whole" else THUMB_PIXELS
    key = (home, observation_id, str(pixels))
    found = _cache.get(key)
    if found is None:
        raw = await raw_of(console, home, observation_id)
        # The event loop goes on while it is made: 20 ms for a window of sound.
        found = await asyncio.to_thread(picture_of, raw, pixels)
        if found is None:
            return Response("no picture of it was kept\n", 404)
        _cache.put(key, found)
    return _measurement(found)


async def sound(console: Console, request: Request) -> Response:
    """Send the window of an observation as a sound that a browser plays."""
    rate_hz = whole(field(request, "rate_hz"), 0, HZ_MAX)
    raw = await raw_of(console, field(request, "home"), field(request, "id"))
    window = window_of(raw)
    if window is None or rate_hz < HZ_MIN:
        return Response("it holds no sound\n", 404)
    content = await asyncio.to_thread(wav_of, window, rate_hz)
    return _measurement(Picture("audio/wav", content))


def forget_pictures() -> None:
    """Drop the pictures in memory: they may be of what was forgotten."""
    _cache.clear()


def _measurement(found: Picture) -> Response:
    headers = {"Content-Type": found.content_type, "Content-Security-Policy": RAW_POLICY}
    return Response(found.content, 200, headers)
