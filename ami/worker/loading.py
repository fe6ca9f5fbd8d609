"""Find pipelines: the ones that come with AMI, and a user's own, named `module:Class`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ami.worker.errors import PipelineNotLoaded
from ami.worker.pipeline import Pipeline
from ami.worker.pipelines import BUILT_IN


def load_pipelines(own: Sequence[str], only: Sequence[str]) -> list[Pipeline]:
    """The pipelines named in `own`, or the built-in ones if none is; `only` keeps the slugs in it.

    Raises `PipelineNotLoaded` with a sentence that says what is wrong.
    """
    classes = [_import_class(name) for name in own] if own else list(BUILT_IN)
    pipelines = [_create(cls) for cls in classes]
    known = {pipeline.slug: pipeline for pipeline in pipelines}
    missing = [slug for slug in only if slug not in known]
    if missing:
        raise PipelineNotLoaded(f"There is no pipeline {', '.join(missing)}; known are: {', '.join(known)}.")
    return [pipeline for slug, pipeline in known.items() if not only or slug in only]


def _import_class(name: str) -> type[Pipeline]:
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise PipelineNotLoaded(
            f"{name!r} does not name a pipeline; write module:Class, such as my_moths:Moths."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise PipelineNotLoaded(
            f"Cannot import {module_name}: {error}. It was looked for in {here} too."
        ) from error
    cls = getattr(module, class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, Pipeline)):
        raise PipelineNotLoaded(f"{module_name} has no class {class_name} that is a Pipeline.")
    return cls


def _create(cls: type[Pipeline]) -> Pipeline:
    """An instance, checked as far as that goes without weights."""
    pipeline = cls()
    try:
        pipeline.announcement()
    except (AttributeError, ValueError) as error:
        raise PipelineNotLoaded(f"{cls.__module__}:{cls.__name__} is not complete: {error}") from error
    return pipeline
