"""`python -m rag` is the `rag` command."""

from rag.faces.cli import main

if __name__ == "__main__":
    main(prog_name="rag")
