"""Shows tasks: a table of many, or everything that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scenemill.cli import output, rendering
from scenemill.cli.following import doing, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenemill.types.tasks import Task

WIDE = 100  # columns from which on a list has room for a custom_id


def print_tasks(found: Iterable[Task]) -> None:
    """Print a table of tasks."""
    rows = list(found)
    if not rows:
        output.stderr().print("There are no such tasks.", style="dim")
        return
    wide = output.stdout().width >= WIDE
    table = output.table(
        "Task", "Kind", "Status", "", "Created", *(("Custom id",) if wide else ()), right=("",), ids=True
    )
    for task in rows:
        custom = (task.custom_id or "",) if wide else ()
        shown = output.status(task.status, doing(task))
        table.add_row(
            task.task_id, task.kind, shown, f"{task.progress:.0%}", output.ago(task.created_at), *custom
        )
    output.show(table)


def print_task(task: Task) -> None:
    """Print everything that is known of a task."""
    output.show(
        output.facts(
            [
                ("Task", task.task_id),
                ("Kind", task.kind),
                ("Status", outcome(task)),
                ("Doing", f"{doing(task)}, {task.progress:.0%}" if task.status == "running" else None),
                ("Custom id", task.custom_id),
                ("Batch", task.batch_id),
                ("Priority", task.priority if task.priority != "normal" else None),
                ("Attempt", task.attempt if task.attempt > 1 else None),
                ("Created", output.local_time(task.created_at)),
                ("Started", output.local_time(task.started_at)),
                ("Finished", output.local_time(task.finished_at)),
                ("Deleted at", output.local_time(task.expires_at)),
            ]
        )
    )
    _print_scenes(task)
    _print_files(task)
    output.show(*(Text(line, style="dim") for line in rendering.facts(task)))
    if task.error:
        output.show(*(Text.assemble((f"  {one.pointer}  ", "red"), one.detail) for one in task.error.errors))


def _print_scenes(task: Task) -> None:
    if not task.scenes or task.finished:
        return
    table = output.table("Scene", "Status", "", right=("",))
    for scene in task.scenes:
        word = "cached" if scene.cached else scene.status
        table.add_row(scene.id, word, f"{scene.progress:.0%}" if scene.status == "rendering" else "")
    output.show(Text(), table)


def _print_files(task: Task) -> None:
    if not task.artifacts:
        return
    table = output.table("File", "Size", "Type", "Picture", right=("Size",))
    for one in task.artifacts:
        picture = f"{one.width}x{one.height}" if one.width else ""
        table.add_row(one.name, output.size(one.bytes), one.media_type, picture)
    output.show(Text(), table)
