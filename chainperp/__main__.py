"""Run the command line: `python -m chainperp`."""


def main() -> None:
    """Start the full command line, or the bare one where nothing is installed."""
    from chainperp.cli.main import run

    run()


if __name__ == "__main__":
    main()
