"""Data exports: what pipelines found, as files for people and for other programs.

A capture and everything that was found on it is read at one moment, and captures come in the order of their
ids; captures that are added after an export began are not in it (docs/reference/exports.md).
"""
