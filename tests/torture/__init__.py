"""The crash test of the local index: killed at every operation, out of power, out of space, damaged.

Read in this order: `trace` and `operations` see what a process does to files, `scenarios` says what it does and what
must then be there, `checks` and `aftermath` say whether it is.  `kills`, `power`, `space` and `damage` are the ways
things go wrong, `disk` is what a disk may hold when power fails, `mutants` are stores that must not pass, `known` is
what is not mended yet.  `parts` lists the cases, `running` tries them side by side, `report` writes the table.
"""
