"""`manage.py` starts the embedded servers for commands that need them, and for no others."""

import pytest

import manage


@pytest.mark.parametrize(
    "line",
    ["manage.py", "manage.py help", "manage.py check", "manage.py up", "manage.py migrate --help"],
)
def test_a_line_that_needs_no_row_starts_no_server(line: str) -> None:
    assert not manage.needs_services(line.split())


@pytest.mark.parametrize(
    "name",
    [
        "replay_routing",
        "replay_acquisition",
        "evaluate_judges",
        "evaluate_reward_models",
        "report",
    ],
)
def test_the_five_offline_commands_start_no_server(name: str) -> None:
    assert not manage.needs_services(["manage.py", name, "file.jsonl", "--output", "out.json"])


@pytest.mark.parametrize("name", ["migrate", "shell", "load_comparisons", "export_preferences"])
def test_a_command_on_rows_starts_the_servers(name: str) -> None:
    assert manage.needs_services(["manage.py", name])
