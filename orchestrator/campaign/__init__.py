"""Campaigns: trials of each cell until its verdict."""
