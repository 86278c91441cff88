"""Runs a plan on many hosts and kernels, by engines that exist, and brings one answer."""
