"""Runs a fleet's tasks as jobs of Slurm."""
