"""Batch files: written by a worker, sent by it or taken along by the owner, read back once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotate.errors import ApplicationError, BudgetExhausted, ConflictError, NotReady
from annotate.services.audit import audit_write
from annotate.services.slots import project_commit_money, project_release_money
from modeling.models import Judge, JudgeBatch, JudgeRun
from modeling.services.judge_runs import judge_run_choose, judge_run_start
from modeling.storage import storage_read, storage_write

Stage = JudgeBatch.Stage
MAX_REPLY_BYTES = 200 * 2**20
ENDED = ("completed", "failed", "expired", "cancelled")
"""States of a batch at the endpoint after which its files do not change."""
OWN_NAME = "tandem_batch"
LISTED = 100


@transaction.atomic
def judge_batch_start(
    *,
    judge: Judge,
    user: User | None,
    n_comparisons: int | None = None,
    comparison_ids: Sequence[int] | None = None,
    cap_usd: Decimal | None = None,
    price_factor: Decimal = Decimal("0.5"),
    is_uploaded: bool = True,
) -> JudgeBatch:
    """Queue the writing of a request file over the given comparisons, or the next of the queue.

    Raises
    ------
    ApplicationError
        If the judge has no endpoint, the factor is no share, or a comparison is not its project's.
    NotReady
        If no comparison is left for this judge.
    """
    if judge.provider != Judge.Provider.OPENAI:
        raise ApplicationError("Only a judge with an endpoint takes batch files.", field="judge")
    if not 0 < price_factor <= 1:
        raise ApplicationError("The price factor is above 0 and at most 1.", field="price_factor")
    chosen = judge_run_choose(
        judge=judge, n_comparisons=n_comparisons, comparison_ids=comparison_ids
    )
    batch = JudgeBatch.objects.create(
        judge=judge,
        comparison_ids=chosen,
        cap_usd=cap_usd,
        price_factor=price_factor,
        is_uploaded=is_uploaded,
        created_by=user,
    )
    audit_write(
        project=judge.annotator.project, actor=user, action="judge_batch.start", target=str(judge),
        data={"n_comparisons": len(chosen), "cap_usd": str(cap_usd) if cap_usd else None},
    )  # fmt: skip
    _queue(batch, "judge_batch_prepare")
    return batch


def judge_batch_prepare(*, batch_id: int) -> bool:
    """Write the request file, hold its largest price, and send it if Tandem is to."""
    from modeling.judges.batch_files import request_file

    batch = _batch(batch_id, Stage.PREPARING)
    if batch is None:
        # A worker that died after writing the file had yet to send it.
        return _sent_later(batch_id)
    made = request_file(batch)
    if not made.n_requests:
        _end(batch, Stage.FAILED, "No question is left to ask, or the cap allows none.")
        return False
    name = f"judge_batches/{batch.judge.annotator.project_id}/{batch.public_id}/requests.jsonl"
    storage_write(name, made.content)
    if not _hold(batch, made.largest_usd):
        return False
    cut = f"; {made.cut}" if made.cut else ""
    JudgeBatch.objects.filter(pk=batch.pk, stage=Stage.PREPARING).update(
        stage=Stage.READY,
        request_file=name,
        n_requests=made.n_requests,
        message=f"{made.n_requests:,} questions{cut}.",
    )
    if batch.is_uploaded:
        judge_batch_submit(batch_id=batch.pk)
    return True


def _sent_later(batch_id: int) -> bool:
    ready = _batch(batch_id, Stage.READY)
    return ready is not None and ready.is_uploaded and judge_batch_submit(batch_id=batch_id)


def judge_batch_submit(*, batch_id: int) -> bool:
    """Send the request file to the endpoint."""
    import openai

    batch = _batch(batch_id, Stage.READY)
    if batch is None:
        return False
    try:
        remote_id = _sent(batch)
    except (ApplicationError, openai.OpenAIError) as error:
        _end(batch, Stage.FAILED, f"The endpoint did not take the batch: {error}")
        return False
    return bool(
        JudgeBatch.objects.filter(pk=batch.pk, stage=Stage.READY).update(
            stage=Stage.SUBMITTED, remote_id=remote_id, message="Waiting for the endpoint."
        )
    )


def _sent(batch: JudgeBatch) -> str:
    """Send the file, unless a worker did that and died before it could say so."""
    with _client(batch) as api:
        known = _known_remote(api, batch)
        if known:
            return known
        content = storage_read(batch.request_file)
        uploaded = api.files.create(file=("requests.jsonl", content), purpose="batch")
        remote = api.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={OWN_NAME: str(batch.public_id)},
        )
    return str(remote.id)


def _known_remote(api: Any, batch: JudgeBatch) -> str:
    import openai

    try:
        newest = api.batches.list(limit=LISTED).data
    except openai.APIStatusError:
        # Not every endpoint that takes batches lists them.
        return ""
    own = str(batch.public_id)
    return next((str(one.id) for one in newest if (one.metadata or {}).get(OWN_NAME) == own), "")


def judge_batches_poll() -> int:
    """Ask the endpoints about every batch that they have; return how many came back."""
    waiting = JudgeBatch.objects.filter(stage=Stage.SUBMITTED).values_list("pk", flat=True)
    return sum(judge_batch_poll(batch_id=pk) for pk in waiting)


def judge_batch_poll(*, batch_id: int) -> bool:
    """Ask the endpoint about a batch; once it is done, fetch and read the replies."""
    import openai

    batch = _batch(batch_id, Stage.SUBMITTED)
    if batch is None:
        return False
    try:
        with _client(batch) as api:
            if batch.cancel_requested:
                _recall(api, batch)
            return _look(api, batch)
    except (openai.OpenAIError, ApplicationError) as error:
        # It may be back at the next look; the owner sees why it takes longer.
        message = f"The endpoint cannot be asked about the batch: {error}"[:500]
        JudgeBatch.objects.filter(pk=batch.pk).update(message=message)
        return False


def _look(api: Any, batch: JudgeBatch) -> bool:
    """Read what an ended batch left, however it ended: replies in it were charged."""
    remote = api.batches.retrieve(batch.remote_id)
    if remote.status not in ENDED:
        counts = remote.request_counts
        done = f" {counts.completed:,} of {counts.total:,} answered." if counts else ""
        message = f"The endpoint says: {remote.status.replace('_', ' ')}.{done}"
        JudgeBatch.objects.filter(pk=batch.pk).update(message=message)
        return False
    problems = _problems(api, remote)
    if not remote.output_file_id:
        stage = Stage.CANCELLED if batch.cancel_requested else Stage.FAILED
        _end(batch, stage, f"The endpoint says: {remote.status}.{problems}")
        return False
    content = bytes(api.files.content(remote.output_file_id).read())
    return judge_batch_replies(batch=batch, content=content, note=problems)


def _problems(api: Any, remote: Any) -> str:
    """Say what the endpoint did not answer and why, from its errors and its error file."""
    told = [str(one.message) for one in (remote.errors.data or [] if remote.errors else [])]
    if remote.error_file_id:
        lines = bytes(api.files.content(remote.error_file_id).read()).split(b"\n")
        failed = [line for line in lines if line.strip()]
        told.append(f"{len(failed):,} questions were not answered, such as {failed[0]!r:.200}")
    return "".join(f" {problem}" for problem in told)


def _recall(api: Any, batch: JudgeBatch) -> None:
    """Ask the endpoint to stop; one that has ended already says so, and is read as it is."""
    import openai

    with suppress(openai.ConflictError, openai.BadRequestError):
        api.batches.cancel(batch.remote_id)


def judge_batch_replies(*, batch: JudgeBatch, content: bytes, note: str = "") -> bool:
    """Keep a reply file, fetched or uploaded, and queue its reading; ``note`` goes before it.

    Raises
    ------
    ApplicationError
        If the file is too large.
    ConflictError
        If the batch takes no replies any more, or has no questions yet.
    """
    if len(content) > MAX_REPLY_BYTES:
        raise ApplicationError("A reply file has at most 200 MiB.", field="file")
    name = f"{batch.request_file.rpartition('/')[0]}/replies.jsonl"
    rows = JudgeBatch.objects.filter(pk=batch.pk, stage__in=[Stage.READY, Stage.SUBMITTED])
    if not batch.request_file or not rows.exists():
        raise ConflictError(f"This batch takes no replies: {batch.get_stage_display().lower()}.")
    storage_write(name, content)
    rows.update(stage=Stage.READING, reply_file=name, message=f"Reading the replies.{note}"[:500])
    _queue(batch, "judge_batch_read")
    return True


def judge_batch_read(*, batch_id: int) -> bool:
    """Read the replies into the cache, settle the bill and start the run that makes labels."""
    from modeling.judges.batch_files import replies_store, reply_lines

    batch = _batch(batch_id, Stage.READING)
    if batch is None:
        return False
    requests, replies = storage_read(batch.request_file), storage_read(batch.reply_file)
    with transaction.atomic():
        held = JudgeBatch.objects.select_for_update().get(pk=batch.pk)
        if held.stage != Stage.READING:
            return False
        n_new, cost = replies_store(batch, requests, reply_lines(replies))
        project_release_money(
            project_id=batch.judge.annotator.project_id, amount_usd=held.reserved_usd - cost
        )
        note = held.message.removeprefix("Reading the replies.")
        message = f"{n_new:,} of {held.n_requests:,} replies for ${cost:.4f}.{note}"
        stage = Stage.CANCELLED if held.cancel_requested else Stage.DONE
        _finish(held, stage, message, n_replies=n_new, cost_usd=cost, reserved_usd=0)
        if not held.cancel_requested:
            held.run = _labels(held, cost)
            held.save(update_fields=["run"])
    return True


@transaction.atomic
def judge_batch_cancel(*, batch: JudgeBatch, user: User | None) -> None:
    """Give a batch up. One at the endpoint is recalled, and what it has answered by then is kept.

    A second time ends it at once: its money is given back, and replies are not waited for.

    Raises
    ------
    ConflictError
        If the batch has ended already.
    """
    current = JudgeBatch.objects.select_for_update().get(pk=batch.pk)
    if current.is_finished:
        raise ConflictError("This batch has ended already.")
    if current.stage == Stage.SUBMITTED and not current.cancel_requested:
        JudgeBatch.objects.filter(pk=current.pk).update(
            cancel_requested=True, message="Being recalled from the endpoint."
        )
        _queue(current, "judge_batch_poll")
    else:
        _end(current, Stage.CANCELLED, "Cancelled.")
    audit_write(
        project=current.judge.annotator.project, actor=user, action="judge_batch.cancel",
        target=str(current.judge), data={"batch": str(current.public_id)},
    )  # fmt: skip


def _labels(batch: JudgeBatch, cost: Decimal) -> JudgeRun | None:
    cap = None if batch.cap_usd is None else max(batch.cap_usd - cost, Decimal(0))
    try:
        return judge_run_start(
            judge=batch.judge,
            user=batch.created_by,
            comparison_ids=batch.comparison_ids,
            cap_usd=cap if cap is None else cap.quantize(Decimal("0.01"), rounding="ROUND_DOWN"),
        )
    except NotReady:
        return None


def _batch(batch_id: int, stage: str) -> JudgeBatch | None:
    batches = JudgeBatch.objects.select_related("judge__annotator__project", "judge__prompt")
    return batches.filter(pk=batch_id, stage=stage).first()


def _queue(batch: JudgeBatch, task: str) -> None:
    from modeling import tasks

    transaction.on_commit(lambda: getattr(tasks, task).delay(batch.pk))


@contextmanager
def _client(batch: JudgeBatch) -> Iterator[Any]:
    from modeling.judges.providers import chat_client

    client = chat_client(batch.judge, seed=batch.pk, wait=lambda _seconds: False)
    try:
        yield client.api
    finally:
        client.close()


@transaction.atomic
def _hold(batch: JudgeBatch, amount_usd: Decimal) -> bool:
    """Hold the largest price of a batch; one that the project cannot pay fails."""
    try:
        project_commit_money(project_id=batch.judge.annotator.project_id, amount_usd=amount_usd)
    except BudgetExhausted:
        _end(batch, Stage.FAILED, "The project's budget does not hold the price of this batch.")
        return False
    JudgeBatch.objects.filter(pk=batch.pk).update(reserved_usd=F("reserved_usd") + amount_usd)
    return True


@transaction.atomic
def _end(batch: JudgeBatch, stage: str, message: str) -> None:
    held = JudgeBatch.objects.select_for_update().get(pk=batch.pk)
    project_id = batch.judge.annotator.project_id
    project_release_money(project_id=project_id, amount_usd=held.reserved_usd)
    _finish(held, stage, message, reserved_usd=0)


def _finish(batch: JudgeBatch, stage: str, message: str, **values: Any) -> None:
    JudgeBatch.objects.filter(pk=batch.pk).update(
        stage=stage, message=message[:500], finished_at=timezone.now(), **values
    )
