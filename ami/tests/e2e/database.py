"""Databases of their own for platforms under test, made in the session's Postgres from one migrated template."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from ami.demo.programs import ROOT


@dataclass(frozen=True)
class Database:
    """One database. `url` names it with its server."""

    url: str

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.removeprefix("/")

    def create(self, template: str = "template1") -> None:
        """Make it, as a copy of another that nobody is connected to."""
        self._on_server("CREATE DATABASE {} TEMPLATE {}", self.name, template)

    def drop(self) -> None:
        """Remove it, whoever is still connected."""
        self._on_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """The rows of a query, read over a connection of its own."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def _on_server(self, statement: str, *names: str) -> None:
        identifiers = [sql.Identifier(name) for name in names]
        with psycopg.connect(self.url, dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*identifiers))  # type: ignore[arg-type]


def database_beside(url: str, name: str) -> Database:
    """A database of this name on the server that `url` names."""
    return Database(urlsplit(url)._replace(path=f"/{name}").geturl())


def migrated_template(url: str, name: str) -> tuple[Database, str]:
    """A database with all tables and an administrator; returns it with the administrator's token."""
    template = database_beside(url, name)
    template.drop()
    template.create()
    seeded = subprocess.run(
        [sys.executable, "-m", "ami.tests.e2e.seed"],
        env={**os.environ, "DATABASE_URL": template.url, "DJANGO_SETTINGS_MODULE": "config.settings.local"},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return template, seeded.stdout.strip()
