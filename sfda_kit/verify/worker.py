"""A process that looks at files: pickled lists of jobs in, pickled lists of facts out.

Only ``pool`` starts it, and it reads from that pipe alone.
"""

from __future__ import annotations

import os
import pickle
import sys

from sfda_kit.verify.file_checks import FileCheck, Look, look_at, quiet


def main() -> None:
    """Answer each list with a list of the same length; ends with its input."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever decoders print is no answer
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
