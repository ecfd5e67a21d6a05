"""What a paper is called and where it is published. No torch at import."""

from typing import NamedTuple


class Reference(NamedTuple):
    """A paper, as README, CITATION.cff and `zoo papers` name it.

    Attributes:
        title: in full.
        authors: each as "Family, Given", in the paper's order.
        year: of publication.
        venue: conference or journal; None for a preprint.
        arxiv: number at arXiv.
        code: address of the authors' code; None if they released none.
        networks: which networks of the paper are here, a line for README.
    """

    title: str
    authors: tuple[str, ...]
    year: int
    venue: str | None
    arxiv: str
    code: str | None
    networks: str

    @property
    def url(self) -> str:
        """The paper's page at arXiv."""
        return f"https://arxiv.org/abs/{self.arxiv}"

    @property
    def short(self) -> str:
        """As in a sentence: "Arjovsky et al. 2017", "Mirza & Osindero 2014"."""
        families = [author.partition(",")[0] for author in self.authors]
        who = f"{families[0]} et al." if len(families) > 2 else " & ".join(families)
        return f"{who} {self.year}"
