"""Tasks that take turns: all ask for energies and forces, one batch serves them all.

A task is a generator. It yields the structures that it needs, gets the results of each
back, and returns its outcome; it knows nothing of the others.
"""

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from ase import Atoms

from ase_physml.calculators.batch_evaluator import BatchEvaluator
from ase_physml.calculators.many import Results

Outcome = TypeVar("Outcome")

Task = Generator[list[Atoms], list[Results], Outcome]
"""Generator of structures to evaluate, sent their results, that returns an outcome."""


def turn(task: Task[Outcome], answer: list[Results] | None) -> list[Atoms]:
    """Turn of a task: what it asks next.

    Args:
        task: Task.
        answer: Results of what it has asked; None at its first turn.

    Raises:
        StopIteration: It has ended; ``value`` is its outcome.
    """
    return next(task) if answer is None else task.send(answer)


class Counted:
    """Counter of the structures that tasks ask for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, task: Task[Outcome]) -> Task[Outcome]:
        """Task that does as another, and is counted."""
        answer: list[Results] | None = None
        while True:
            try:
                asked = turn(task, answer)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            self.count += len(asked)
            answer = yield asked


def side_by_side(tasks: Sequence[Task[Outcome]]) -> Task[list[Outcome]]:
    """Task of several tasks, that asks what all of them ask."""
    outcomes: dict[int, Outcome] = {}
    answers: dict[int, list[Results] | None] = dict.fromkeys(range(len(tasks)))
    while answers:
        asked: dict[int, list[Atoms]] = {}
        for index, answer in answers.items():
            try:
                asked[index] = turn(tasks[index], answer)
            except StopIteration as end:
                outcomes[index] = end.value
        if not asked:
            break
        found = iter((yield [one for some in asked.values() for one in some]))
        answers = {k: [next(found) for _ in some] for k, some in asked.items()}
    return [outcomes[index] for index in range(len(tasks))]


def evaluated(structures: list[Atoms]) -> Task[list[Results]]:
    """Task of the results of structures."""
    return (yield structures)


def run_together(
    tasks: Sequence[Task[Outcome]], evaluate: BatchEvaluator
) -> list[Outcome | Exception]:
    """Run tasks to their ends.

    Args:
        tasks: Tasks of any length; those that have ended leave.
        evaluate: Evaluator of what they ask for.

    Returns:
        For each task its outcome, or the exception that ended it, be it its own or the
        calculator's at one of its structures; the others go on.
    """
    outcomes: dict[int, Outcome | Exception] = {}
    asked: dict[int, list[Atoms]] = {}

    def advance(index: int, answer: list[Results] | Exception | None) -> None:
        task = tasks[index]
        try:
            if isinstance(answer, Exception):
                asked[index] = task.throw(answer)
            else:
                asked[index] = turn(task, answer)
        except StopIteration as end:
            outcomes[index] = end.value
        except Exception as error:
            outcomes[index] = error

    for index in range(len(tasks)):
        advance(index, None)
    while asked:
        answers = _answers(evaluate, asked)
        asked = {}
        for index, answer in answers.items():
            advance(index, answer)
    return [outcomes[index] for index in range(len(tasks))]


def _answers(
    evaluate: BatchEvaluator, asked: dict[int, list[Atoms]]
) -> dict[int, list[Results] | Exception]:
    answers: dict[int, Any] = {}
    try:
        found = evaluate.results([atoms for some in asked.values() for atoms in some])
    except Exception:
        # A structure of one of them is to blame: it alone shall hear of it.
        for index, some in asked.items():
            try:
                answers[index] = evaluate.results(some)
            except Exception as error:
                answers[index] = error
        return answers
    start = 0
    for index, some in asked.items():
        answers[index] = found[start : start + len(some)]
        start += len(some)
    return answers
