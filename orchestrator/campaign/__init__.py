"""Trials of a cell until its verdict."""
