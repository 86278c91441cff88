"""Explanations of a result, each for one kind of reader."""
