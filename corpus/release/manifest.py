"""``release.json``: what a release was made with, for `rebuild` and for forgetting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from corpus import __version__, segment, tables
from corpus.errors import InputError
from corpus.packs import pack_digest
from corpus.release.hub import FILE
from corpus.sites import Profile, load_profile

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from corpus.workspace import Workspace

FORMAT = 1
MAX_BYTES = 10_000_000


class Options(BaseModel):
    """What the user chose for a release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deferred: bool = False
    split: str = "hash"
    sites: tuple[str, ...] = ()
    mask: bool = False
    force: bool = False


class Manifest(BaseModel):
    """What a release was made with.

    Attributes:
        name: ORG/NAME.
        packs: language → digest of its pack.
        profiles: of the crawled sites, as they were when the release was made.
    """

    format: int = FORMAT
    name: str
    software: str = __version__
    options: Options
    extractors: list[str]
    segmenter: int
    packs: dict[str, str]
    profiles: list[Profile]

    @classmethod
    def of(
        cls, workspace: Workspace, name: str, options: Options, articles: pl.DataFrame
    ) -> Manifest:
        """Gather the versions and profiles behind some articles."""
        stored = (workspace.profile(site) for site in articles["site"].unique().sort())
        return cls(
            name=name,
            options=options,
            extractors=articles["extractor"].unique().drop_nulls().sort().to_list(),
            segmenter=segment.STAGE.version,
            packs={lang: pack_digest(lang) for lang in articles["lang"].unique().sort()},
            profiles=[load_profile(str(path)) for path in stored if path.exists()],
        )

    def differences(self) -> list[str]:
        """Say which versions here are not those that the release was made with."""
        said = []
        if self.segmenter != segment.STAGE.version:
            said.append(f"segmenter {segment.STAGE.version} here, {self.segmenter} there")
        said += [
            f"the language pack '{lang}' has changed"
            for lang, digest in sorted(self.packs.items())
            if pack_digest(lang) != digest
        ]
        return said


def save(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into a release's folder."""
    tables.write_text(folder / FILE, manifest.model_dump_json(indent=1) + "\n")


def load(folder: Path) -> Manifest:
    """Read the manifest of a release, which may be a stranger's.

    Raises:
        InputError: there is none, or it is broken or of a newer version.
    """
    try:
        with (folder / FILE).open("rb") as file:
            values = json.loads(file.read(MAX_BYTES))
        if isinstance(values, dict) and values.get("format", FORMAT) != FORMAT:
            raise InputError(
                f"{folder / FILE} is of format {values['format']}, this Bitextile reads {FORMAT}; "
                "update it with pip install -U bitextile"
            )
        return Manifest.model_validate(values)
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(f"{folder} is no release of Bitextile: {error}") from error
