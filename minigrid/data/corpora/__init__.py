"""Texts, by name or by path: fetched, checked, encoded and cached."""

from minigrid.data.corpora.download import UnreachableError
from minigrid.data.corpora.encoding import Corpus
from minigrid.data.corpora.folders import data_folder
from minigrid.data.corpora.load import CORPORA, load_corpus, load_file
from minigrid.data.corpora.oddities import describe_oddities

__all__ = ["CORPORA", "Corpus", "UnreachableError", "data_folder", "describe_oddities", "load_corpus", "load_file"]
