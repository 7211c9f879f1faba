"""`python -m lynkr_desktop` is the `lynkr` command."""

from lynkr_desktop.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
