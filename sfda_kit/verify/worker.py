"""A process that checks files, started only by ``pool``: it reads pickled lists of jobs and writes lists of facts."""

from __future__ import annotations

import os
import pickle
import sys

from sfda_kit.verify.file_checks import FileCheck, Look, look_at, quiet


def main() -> None:
    """Answer each list of jobs with a list of facts of the same length, until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what decoders print is no answer
    look: Look = pickle.load(sys.stdin.buffer)
    while True:
        try:
            jobs: list[FileCheck] = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        with quiet():
            facts = [look_at(job, look) for job in jobs]
        pickle.dump(facts, answers)
        answers.flush()


if __name__ == "__main__":
    main()
