"""The commands of `platform`, a file for each group; `platform.cli` puts them together."""
