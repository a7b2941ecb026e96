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
                # The first turn has no answer, and a generator takes None there.
                asked[index] = task.send(answer)  # type: ignore[arg-type]
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
