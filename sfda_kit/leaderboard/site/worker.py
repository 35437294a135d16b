"""A process that writes the pages of one share, started only by ``shares``, which sends it a pickle."""

from __future__ import annotations

import errno
import pickle
import sys

from sfda_kit.leaderboard.site.pages import Pages
from sfda_kit.leaderboard.site.shares import DISK_FULL, without_collections, write_share
from sfda_kit.parent import end_with_parent


def main() -> None:
    """Write the pages. Standard input stays open behind the pickle, and this process ends when it closes."""
    with without_collections():
        folder, shared, share = pickle.load(sys.stdin.buffer)
        end_with_parent()
        try:
            write_share(Pages(folder, **shared), share)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            sys.exit(DISK_FULL)


if __name__ == "__main__":
    main()
