"""Registration of pipelines by workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from ami.main.models import Project
from ami.main.tests.factories import add_member, make_project
from ami.main.tests.people import People
from ami.ml.category_maps import hash_of
from ami.ml.models import Algorithm, AlgorithmCategoryMap, Pipeline, ProcessingService, ProjectPipelineConfig
from ami.ml.registration import PipelineNotConfigured, register_by_name
from ami.ml.schemas import PipelineConfigResponse
from ami.ml.tests.factories import (
    DETECTOR_KEY,
    announcement,
    classifier,
    detector,
    make_algorithm,
    make_service,
)
from ami.users.roles import Role
from ami.users.tests.factories import client_of, make_user

pytestmark = pytest.mark.integration
NAME = "AMI Data Companion (gpu-01)"


def path(project: Project) -> str:
    return f"/api/v2/projects/{project.pk}/pipelines/"


def register(people: People, *pipelines: Any, who: str = "data_manager", name: str = NAME) -> Any:
    body = {"processing_service_name": name, "pipelines": list(pipelines)}
    return people.client(who).post(path(people.project), body)


def services_of(project: Project) -> list[ProcessingService]:
    return list(project.processing_services.all())


def parsed(*pipelines: dict[str, Any]) -> list[PipelineConfigResponse]:
    return [PipelineConfigResponse.model_validate(pipeline) for pipeline in pipelines]


@pytest.mark.django_db
class TestEffect:
    """What is in the database afterwards."""

    def test_the_answer_has_the_shape_of_the_contract(self, people: People) -> None:
        response = register(people, announcement())
        assert response.status_code == 201
        answer = response.json()
        assert list(answer)[:4] == ["timestamp", "success", "error", "pipelines"]
        assert answer["success"] is True
        assert answer["error"] is None
        assert answer["pipelines_created"] == ["moth_binary"]
        assert answer["algorithms_created"] == sorted([DETECTOR_KEY, "moth_nonmoth_classifier"])
        assert answer["processing_service_id"] == services_of(people.project)[0].pk
        echoed = answer["pipelines"][0]
        assert (echoed["slug"], echoed["algorithms"][0]["key"]) == ("moth_binary", DETECTOR_KEY)
        assert echoed["algorithms"][1]["category_map"] is None

    def test_the_pipeline_can_be_used_in_the_project_by_the_service(self, people: People) -> None:
        register(people, announcement())
        pipeline = Pipeline.objects.get(slug="moth_binary")
        assert {algorithm.key for algorithm in pipeline.algorithms.all()} == {
            DETECTOR_KEY,
            "moth_nonmoth_classifier",
        }
        assert ProjectPipelineConfig.objects.get(pipeline=pipeline).enabled
        service = services_of(people.project)[0]
        assert (service.name, service.endpoint_url, service.is_async, service.is_online) == (
            NAME,
            None,
            True,
            True,
        )
        assert list(service.pipelines.all()) == [pipeline]
        named = Algorithm.objects.get(key="moth_nonmoth_classifier")
        assert named.category_map is not None
        assert named.category_map.labels == ["moth", "nonmoth"]
        assert Algorithm.objects.get(key=DETECTOR_KEY).category_map is None

    def test_repeating_it_changes_nothing(self, people: People) -> None:
        register(people, announcement())
        before = _everything()
        answer = register(people, announcement()).json()
        assert (answer["pipelines_created"], answer["algorithms_created"]) == ([], [])
        assert _everything() == before

    def test_a_pipeline_is_new_to_each_project_once(self, people: People) -> None:
        other = make_project(owner=people.user("data_manager"))
        register(people, announcement())
        body = {"processing_service_name": NAME, "pipelines": [announcement()]}
        answer = people.client("data_manager").post(path(other), body).json()
        assert answer["pipelines_created"] == ["moth_binary"]
        assert answer["algorithms_created"] == []
        assert Pipeline.objects.count() == 1

    def test_a_service_of_the_same_name_in_another_project_is_another_service(self, people: People) -> None:
        other = make_project(owner=people.user("outsider"))
        theirs = make_service(other, name=NAME)
        answer = register(people, announcement()).json()
        assert answer["processing_service_id"] != theirs.pk
        theirs.refresh_from_db()
        assert theirs.last_seen is None
        assert list(theirs.projects.all()) == [other]

    def test_a_pushed_service_of_the_same_name_is_not_taken_over(self, people: People) -> None:
        pushed = make_service(people.project, name=NAME, endpoint_url="http://svc:2000")
        register(people, announcement())
        pushed.refresh_from_db()
        assert pushed.endpoint_url == "http://svc:2000"
        assert list(pushed.pipelines.all()) == []

    def test_a_new_version_of_an_algorithm_is_a_new_algorithm(self, people: People) -> None:
        register(people, announcement())
        newer = announcement(algorithms=[detector(version=2), classifier()])
        assert register(people, newer).json()["algorithms_created"] == [DETECTOR_KEY]
        assert Algorithm.objects.filter(key=DETECTOR_KEY).count() == 2
        assert Pipeline.objects.get().algorithms.count() == 3  # never unlinked

    def test_the_same_categories_are_stored_once_and_known_ones_are_kept(self, people: People) -> None:
        register(people, announcement(algorithms=[detector(), classifier("a"), classifier("b")]))
        assert AlgorithmCategoryMap.objects.count() == 1
        changed = classifier("a", labels=("butterfly", "other"))
        register(people, announcement(algorithms=[detector(), changed]))
        kept = Algorithm.objects.get(key="a").category_map
        assert kept is not None
        assert kept.labels == ["moth", "nonmoth"]

    def test_an_algorithm_without_categories_gets_them_later(self, people: People) -> None:
        make_algorithm(key="a", task_type="classification")
        register(people, announcement(algorithms=[detector(), classifier("a")]))
        assert Algorithm.objects.get(key="a").category_map is not None

    def test_labels_are_taken_from_the_data_where_there_are_none(self, people: People) -> None:
        data = [{"index": 1, "label": "b"}, {"index": 0, "label": "a"}]
        named = classifier("a", category_map={"data": data, "labels": []})
        assert register(people, announcement(algorithms=[named])).status_code == 201
        assert AlgorithmCategoryMap.objects.get().labels == ["a", "b"]

    def test_task_type_and_uri_follow_the_announcement(self, people: People) -> None:
        register(people, announcement())
        moved = detector(task_type="detection", uri="https://elsewhere.example.org")
        register(people, announcement(algorithms=[moved]))
        algorithm = Algorithm.objects.get(key=DETECTOR_KEY)
        assert (algorithm.task_type, algorithm.uri) == ("detection", "https://elsewhere.example.org")

    def test_type_and_uri_of_an_algorithm_that_others_use_stay(self, people: People) -> None:
        register(people, announcement())
        stranger = make_project(owner=people.user("outsider"))
        moved = detector(task_type="detection", uri="https://elsewhere.example.org")
        body = {"processing_service_name": NAME, "pipelines": [announcement(slug="mine", algorithms=[moved])]}
        assert people.client("outsider").post(path(stranger), body).status_code == 201
        algorithm = Algorithm.objects.get(key=DETECTOR_KEY)
        assert (algorithm.task_type, algorithm.uri) == ("localization", "https://models.example.org/detector")

    def test_a_pipeline_is_renamed_by_its_only_user_and_by_nobody_else(self, people: People) -> None:
        register(people, announcement())
        renamed = announcement(name="Moths", version=2)
        assert register(people, renamed).json()["pipelines_updated"] == ["moth_binary"]
        other = make_project(owner=people.user("outsider"))
        body = {"processing_service_name": NAME, "pipelines": [announcement(name="Mine now")]}
        answer = people.client("outsider").post(path(other), body).json()
        assert answer["pipelines_updated"] == []
        assert Pipeline.objects.get().name == "Moths"

    def test_a_service_may_announce_itself_without_pipelines(self, people: People) -> None:
        answer = (
            people.client("data_manager").post(path(people.project), {"processing_service_name": NAME}).json()
        )
        assert (answer["pipelines"], answer["pipelines_created"]) == ([], [])
        assert len(services_of(people.project)) == 1

    def test_a_disabled_pipeline_stays_disabled(self, people: People) -> None:
        register(people, announcement())
        ProjectPipelineConfig.objects.update(enabled=False)
        register(people, announcement())
        assert not ProjectPipelineConfig.objects.get().enabled

    def test_queries_grow_with_pipelines_and_not_with_algorithms(
        self, people: People, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        many = parsed(*(announcement(f"p{number}") for number in range(10)))
        with django_assert_max_num_queries(90):
            register_by_name(project=people.project, service_name=NAME, pipelines=many)
        with django_assert_max_num_queries(70):
            register_by_name(project=people.project, service_name=NAME, pipelines=many)

    def test_tens_of_thousands_of_categories_in_several_algorithms_are_fine(self, people: People) -> None:
        keys = ["global_2024", "global_2025", "regional"]
        labels = [[f"{key} species number {number}" for number in range(29_176)] for key in keys]
        several = [
            classifier(key, category_map={"labels": names, "data": _species(names)})
            for key, names in zip(keys, labels, strict=True)
        ]
        pipelines = [announcement(f"p{number}", [detector(), *several]) for number in range(2)]
        body = {"processing_service_name": NAME, "pipelines": pipelines}
        client = people.client("data_manager")
        assert len(orjson.dumps(body)) > 20_000_000
        first, first_seconds = _timed(lambda: client.post(path(people.project), body))
        again, again_seconds = _timed(lambda: client.post(path(people.project), body))
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json()["algorithms_created"] == []
        assert max(len(first.content), len(again.content)) < 10_000
        for key, names in zip(keys, labels, strict=True):
            category_map = Algorithm.objects.get(key=key).category_map
            assert category_map is not None
            assert category_map.labels == names
        # About 2 s each on two cores; workers wait 60 s for the answer.
        assert max(first_seconds, again_seconds) < 20


@pytest.mark.django_db
class TestRefusal:
    """What is refused, and that nothing is left behind then."""

    @pytest.mark.parametrize(
        ("who", "status"),
        [
            ("anonymous", 401),
            ("outsider", 403),
            ("member", 403),
            ("data_manager", 201),
            ("manager", 201),
            ("superuser", 201),
        ],
    )
    def test_who_may_register(self, people: People, who: str, status: int) -> None:
        assert register(people, announcement(), who=who).status_code == status

    def test_a_worker_account_may_register(self, people: People) -> None:
        worker = make_user()
        add_member(people.project, worker, Role.WORKER)
        body = {"processing_service_name": NAME, "pipelines": [announcement()]}
        assert client_of(worker).post(path(people.project), body).status_code == 201

    @pytest.mark.parametrize(("project", "status"), [("999999", 404), ("x", 400), ("-1", 400)])
    def test_an_unknown_project(self, people: People, project: str, status: int) -> None:
        response = people.client("superuser").post(f"/api/v2/projects/{project}/pipelines/", {})
        assert response.status_code == status

    def test_a_draft_of_others_does_not_exist(self, people: People) -> None:
        assert people.client("outsider").post(path(people.draft), {}).status_code == 404

    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            ({}, {"processing_service_name": ["This field is required."]}),
            ({"processing_service_name": ""}, {"processing_service_name": ["This field may not be blank."]}),
            (
                {"processing_service_name": NAME, "pipelines": [{"name": "P", "version": 1}]},
                {
                    "pipelines": [
                        {
                            "loc": ["__root__", "0", "slug"],
                            "msg": "field required",
                            "type": "value_error.missing",
                        }
                    ]
                },
            ),
            (
                {"processing_service_name": NAME, "pipelines": "all"},
                {
                    "pipelines": [
                        {"loc": ["__root__"], "msg": "value is not a valid list", "type": "type_error.list"}
                    ]
                },
            ),
            (
                {"processing_service_name": NAME, "pipelines": [{"name": None, "slug": "s", "version": 1}]},
                {
                    "pipelines": [
                        {
                            "loc": ["__root__", "0", "name"],
                            "msg": "none is not an allowed value",
                            "type": "type_error.none.not_allowed",
                        }
                    ]
                },
            ),
        ],
    )
    def test_schema_errors_have_the_shape_of_the_contract(
        self, people: People, body: Any, answer: Any
    ) -> None:
        response = people.client("manager").post(path(people.project), body)
        assert (response.status_code, response.json()) == (400, answer)

    @pytest.mark.parametrize(
        "pipeline",
        [
            announcement(algorithms=[detector(), classifier(category_map=None)]),
            announcement(algorithms=[classifier(category_map={"labels": ["a"], "data": [{}, {}]})]),
            announcement(algorithms=[classifier(category_map={"data": [{"label": "a" * 256}]})]),
            announcement(slug="a,b"),
            announcement(slug=""),
            announcement(algorithms=[detector(key=" ")]),
            announcement(version=2**40),
            announcement(algorithms=[detector(key="d2", uri="https://x/" + "y" * 2000)]),
        ],
    )
    def test_what_cannot_be_used_is_refused_with_a_sentence_and_leaves_nothing(
        self, people: People, pipeline: dict[str, Any]
    ) -> None:
        response = register(people, announcement("good", [detector()]), pipeline)
        assert response.status_code == 400
        assert response.json()["detail"].endswith(".")
        assert not Pipeline.objects.exists()
        assert not Algorithm.objects.exists()
        assert not ProcessingService.objects.exists()

    def test_the_body_must_be_an_object(self, people: People) -> None:
        assert people.client("manager").post(path(people.project), [1]).status_code == 400


def test_the_hash_of_a_category_map_does_not_depend_on_the_order_of_keys_or_the_process() -> None:
    one = hash_of(["a"], [{"index": 0, "label": "a"}])
    assert one == hash_of(["a"], [{"label": "a", "index": 0}])
    assert one == "c1d5a4cb4c88e4393ba66ca54c6699bdd0ad3e813a564c4eaaa4cc04a5cc848b"
    assert one != hash_of(["b"], [{"index": 0, "label": "a"}])


@pytest.mark.django_db(transaction=True)
def test_registrations_side_by_side_make_everything_once() -> None:
    projects = [make_project(owner=make_user()) for _ in range(2)]
    pipelines = parsed(*(announcement(f"p{number}") for number in range(6)))
    backwards = list(reversed(pipelines))
    start = threading.Barrier(4)
    problems: list[BaseException] = []
    created: list[list[str]] = []

    def work(project: Project, announced: list[PipelineConfigResponse]) -> None:
        try:
            start.wait()
            for _ in range(3):
                done = register_by_name(project=project, service_name=NAME, pipelines=announced)
                created.append(done.algorithms_created)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            problems.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work, args=(projects[number % 2], backwards if number < 2 else pipelines))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(key for keys in created for key in keys) == sorted(
        [DETECTOR_KEY, "moth_nonmoth_classifier"]
    )
    assert (Pipeline.objects.count(), Algorithm.objects.count(), AlgorithmCategoryMap.objects.count()) == (
        6,
        2,
        1,
    )
    assert ProjectPipelineConfig.objects.count() == 12
    assert [len(services_of(project)) for project in projects] == [1, 1]


@pytest.mark.django_db
def test_a_refused_registration_called_from_code_raises(people: People) -> None:
    with pytest.raises(PipelineNotConfigured, match="category_map"):
        register_by_name(
            project=people.project,
            service_name=NAME,
            pipelines=parsed(announcement(algorithms=[classifier(category_map=None)])),
        )


def _everything() -> dict[str, int]:
    models = (Pipeline, Algorithm, AlgorithmCategoryMap, ProcessingService, ProjectPipelineConfig)
    links = (
        Pipeline.algorithms.through,
        ProcessingService.pipelines.through,
        ProcessingService.projects.through,
    )
    return {model.__name__: model._default_manager.count() for model in (*models, *links)}


def _species(names: list[str]) -> list[dict[str, Any]]:
    """What real category maps say of each species."""
    return [
        {
            "index": number,
            "label": name,
            "taxon_rank": "SPECIES",
            "gbif_key": 1_000_000 + number,
            "source": "gbif",
        }
        for number, name in enumerate(names)
    ]


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    return call(), time.monotonic() - started
