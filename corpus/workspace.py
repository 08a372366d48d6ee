"""A workspace: a folder with ``bitextile.toml``, and every path below it.

No other module joins paths.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.errors import InputError, WorkspaceError
from corpus.locks import hold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

FORMAT = 1
FILE = "bitextile.toml"
PRECISIONS = ("float16", "float32")  # of stored vectors; the first where none is named

TEMPLATE = """\
# A Bitextile workspace. The tables below set defaults of commands:
# [COMMAND.SUBCOMMAND] option = value.
format = {format}
contact = {contact}  # sent to every site that is crawled, in the User-Agent

[align.articles]
encoder = "embedded"

[align.sentences]
encoder = "embedded"
# The strong choice for real work (needs the extra "train", 1.9 GB once):
# encoder = "sentence-transformers/LaBSE"
"""


def check_contact(contact: str) -> None:
    """See that a site can write to a contact.

    Raises:
        InputError: it is neither a mail address nor a URL.
    """
    if not ("@" in contact or contact.startswith("http")) or not contact.isprintable():
        raise InputError(
            f"contact '{contact}' is no mail address or URL; "
            "sites want to know whom to write to: --contact you@example.org"
        )


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where everything of one project stands."""

    root: Path
    contact: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, root: str | Path, contact: str) -> Workspace:
        """Make a workspace; one that is there already stays as it is.

        Raises:
            InputError: ``contact`` is neither a mail address nor a URL.
            WorkspaceError: the folder cannot be made or written.
        """
        check_contact(contact)
        file = Path(root) / FILE
        text = TEMPLATE.format(format=FORMAT, contact=json.dumps(contact, ensure_ascii=False))
        try:
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(
                f"cannot make a workspace in {root}: {error.strerror}; "
                "name a folder that you may write with --workspace"
            ) from error
        return cls.open(root)

    @classmethod
    def open(cls, root: str | Path = ".") -> Workspace:
        """Read ``bitextile.toml`` of a workspace.

        Raises:
            WorkspaceError: there is none, it is broken, or of a newer version.
        """
        file = Path(root) / FILE
        try:
            config = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise WorkspaceError(
                f"no workspace in {Path(root).resolve()} ({FILE} is missing); make one with "
                "corpus init --contact you@example.org, or name one with --workspace"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise WorkspaceError(f"cannot read {file}: {error}") from error
        if config.get("format") != FORMAT:
            raise WorkspaceError(
                f"{file} is of format {config.get('format')}, this Bitextile reads {FORMAT}; "
                "update it with pip install -U bitextile"
            )
        if config.get("precision", PRECISIONS[0]) not in PRECISIONS:
            raise WorkspaceError(
                f"{file}: precision {config['precision']!r}; allowed: {', '.join(PRECISIONS)}"
            )
        return cls(Path(root), str(config.get("contact", "")), config)

    # From the web to text.

    @property
    def pages(self) -> Path:
        """The folder of all sites' pages."""
        return self.root / "pages"

    def site_pages(self, site: str) -> Path:
        """The folder of a site's WARC files."""
        return self.pages / site

    def profile(self, site: str) -> Path:
        """The profile that a site was crawled by, as JSON."""
        return self.pages / site / "profile.json"

    def taken(self, site: str, name: str) -> Path:
        """Where a WARC file that was not crawled here stands among a site's pages."""
        return self.pages / site / f"{name}.warc.gz"

    def boilerplate(self, site: str) -> Path:
        """The hashes of a site's repeated blocks, as JSON."""
        return self.pages / site / "boilerplate.json"

    def frontier(self, site: str) -> Path:
        """The SQLite file that knows what of a site is fetched and what waits."""
        return self.pages / site / "frontier.sqlite"

    @property
    def basis(self) -> Path:
        """On what reserved text is kept, by site: the last that a command was given."""
        return self.root / "basis.json"

    @property
    def forgotten(self) -> Path:
        """The ids of articles that must not come back, one a line."""
        return self.root / "forgotten.txt"

    @property
    def extracted(self) -> Path:
        """The parts of the stage `extract`: SITE/WARC.parquet and their rejects."""
        return self.root / "articles" / "extracted"

    @property
    def imported(self) -> Path:
        """Articles that came as files: NAME.parquet."""
        return self.root / "articles" / "imported"

    @property
    def sketches(self) -> Path:
        """The parts of the stage `sketches`, a part for each file of articles."""
        return self.root / "articles" / "sketches"

    @property
    def catalogue(self) -> Path:
        """The folder of the catalogue's one part."""
        return self.root / "articles" / "catalogue"

    @property
    def sentences(self) -> Path:
        """The parts of the stage `segment`: LANG/MONTH.parquet."""
        return self.root / "sentences"

    # From text to pairs.

    @property
    def pairs(self) -> Path:
        """The folder of all language pairs."""
        return self.root / "pairs"

    def pair_stage(self, langs: str, stage: str) -> Path:
        """The parts of a stage of one language pair: LANGS/STAGE/PART.parquet."""
        return self.pairs / langs / stage

    @property
    def vectors(self) -> Path:
        """The folder of all vector stores, a folder an encoder."""
        return self.root / "vectors"

    @property
    def precision(self) -> str:
        """In what precision vectors are stored."""
        return str(self.defaults.get("precision", PRECISIONS[0]))

    # From pairs to what they are for.

    def model(self, name: str) -> Path:
        """The folder of a trained model."""
        return self.root / "models" / name

    def held_out(self, langs: str) -> Path:
        """Two columns of kept pairs that no training here may see."""
        return self.root / "benchmarks" / "held-out" / f"{langs}.tsv"

    @property
    def reserved(self) -> Path:
        """Texts that nothing may train on or publish, one a line."""
        return self.root / "benchmarks" / "reserved.txt"

    @property
    def results(self) -> Path:
        """The folder of benchmark records, a JSON file each."""
        return self.root / "benchmarks" / "results"

    def items(self, name: str, table: str = "items") -> Path:
        """The items of a set that people judge, or the ``rejects``: candidates that became none."""
        return self.root / "benchmarks" / "sets" / name / f"{table}.parquet"

    def judgements(self, name: str) -> Path:
        """The SQLite file of all that was judged of a set."""
        return self.root / "benchmarks" / "sets" / name / "judgements.sqlite"

    def finished_set(self, name: str) -> Path:
        """The folder of what was kept of a set, with its card."""
        return self.root / "benchmarks" / "sets" / name / "finished"

    @property
    def answers(self) -> Path:
        """Every answer of a chat model with what was asked, a JSON object a line."""
        return self.root / "benchmarks" / "answers.jsonl"

    @property
    def mteb_results(self) -> Path:
        """The same records in MTEB's layout: MODEL/REVISION/TASK.json."""
        return self.root / "benchmarks" / "mteb"

    @property
    def results_report(self) -> Path:
        """The HTML report of the benchmarks; its tables stand beside it as Markdown."""
        return self.root / "benchmarks" / "report.html"

    def release(self, name: str) -> Path:
        """The folder of what is published under a name."""
        return self.root / "releases" / name.replace("/", "--")

    def rebuilt(self, name: str, langs: str) -> Path:
        """The pairs of a language pair that were found again of a release."""
        return self.root / "rebuilt" / name.replace("/", "--") / f"{langs}.parquet"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def runs(self) -> Path:
        """The folder of the runs' records, a JSON file each."""
        return self.root / "runs"

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold a named lock of this workspace; see `corpus.locks.hold`."""
        path = self.root / ".locks" / name.replace("/", "--").replace(" ", "-")
        return hold(path, name, wait=wait)
