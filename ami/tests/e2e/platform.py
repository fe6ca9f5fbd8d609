"""A running platform for one test module: its own database, NATS and Valkey, and real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
import requests
from PIL import Image

from ami.demo.client import JobView, Operator
from ami.demo.programs import ROOT, Programs
from ami.embedded.nats import Nats
from ami.embedded.stack import ADDRESSES, Stack
from ami.embedded.valkey import Valkey
from ami.tests.e2e.database import Database
from ami.tests.e2e.made_up import BOXES, results_for
from ami.tests.e2e.seed_account import ADMIN_EMAIL, ADMIN_PASSWORD
from ami.worker.client import AmiClient
from ami.worker.pipeline import Pipeline
from ami.worker.sheets import make_sheet
