"""Blueprints as they are written: in the ledger and in bundles."""

import msgspec

import nas


class StoredBlueprint(msgspec.Struct, frozen=True, kw_only=True):
    """A blueprint with every field, but for a plain recipe, which is left out: what was written
    before there were recipes stays as it is, byte for byte."""

    kind: str
    taps: tuple[int, ...]
    width: int = 0
    rank: int = 0
    activation: str = "none"
    depth: int = 1
    recipe: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def blueprint(self) -> nas.Blueprint:
        """The blueprint that was stored."""
        recipe = nas.PLAIN if isinstance(self.recipe, msgspec.UnsetType) else self.recipe
        return nas.Blueprint(
            kind=self.kind,
            taps=self.taps,
            width=self.width,
            rank=self.rank,
            activation=self.activation,
            depth=self.depth,
            recipe=recipe,
        )


def stored_form(blueprint: nas.Blueprint) -> StoredBlueprint:
    """Return the form in which a blueprint is written."""
    return StoredBlueprint(
        kind=blueprint.kind,
        taps=blueprint.taps,
        width=blueprint.width,
        rank=blueprint.rank,
        activation=blueprint.activation,
        depth=blueprint.depth,
        recipe=msgspec.UNSET if blueprint.recipe == nas.PLAIN else blueprint.recipe,
    )


def encode_blueprint(blueprint: nas.Blueprint) -> str:
    """Return a blueprint as JSON, as the ledger keeps it."""
    return msgspec.json.encode(stored_form(blueprint)).decode()


def decode_blueprint(text: str) -> nas.Blueprint:
    """Return the blueprint of a JSON text; raises ValueError for any other text."""
    return msgspec.json.decode(text, type=StoredBlueprint).blueprint
