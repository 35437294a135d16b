"""``python -m sfda_kit`` is the same as ``sfda-kit``."""

from sfda_kit.cli.app import main

if __name__ == "__main__":
    main()
