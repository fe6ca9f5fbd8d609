"""Accounts and roles."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """People and their tokens."""

    name = "ami.users"
    label = "users"
    verbose_name = "Users"
