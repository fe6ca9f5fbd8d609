"""Databases of their own for platforms under test: copies of a migrated one in the session's Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from ami.demo.programs import ROOT


@dataclass(frozen=True)
class Database:
    """One database; `url` names it with its server."""

    url: str

    @property
    def name(self) -> str:
        """Its name on the server."""
        return urlsplit(self.url).path.removeprefix("/")

    def beside(self, name: str) -> Database:
        """Another one on the same server; it need not exist."""
        return Database(urlsplit(self.url)._replace(path=f"/{name}").geturl())

    def copy(self, name: str) -> Database:
        """Make a copy under this name, while nobody is connected to the original."""
        copy = self.beside(name)
        copy.drop()
        copy._on_server("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name)
        return copy

    def drop(self) -> None:
        """Remove it, whoever is still connected; nothing if it is not there."""
        self._on_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)

    def rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """What a query finds; over a connection of its own, so that it never sees an old snapshot."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: LiteralString) -> None:
        """Change something behind everybody's back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _on_server(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.url, dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def migrated_database(server_url: str, name: str) -> Database:
    """A new database with all tables and an administrator. `server_url`: any database of the server."""
    database = Database(server_url).beside("template1").copy(name)
    environment = {"DATABASE_URL": database.url, "DJANGO_SETTINGS_MODULE": "config.settings.local"}
    command = [sys.executable, "-m", "ami.tests.e2e.seed"]
    subprocess.run(command, env={**os.environ, **environment}, cwd=ROOT, check=True)
    return database
