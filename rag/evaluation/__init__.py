"""Measuring search and answers, with the same engine that everyone gets (extra: eval).

collection.py   what is measured on: articles, questions, and what is known to answer them
retrieval.py    a run: the questions of a collection put to the search
runs.py         runs as files: TREC's form for everyone, JSON for what it has no place for
measures.py     values of a run by ir_measures, with confidence intervals
quotes.py       which hits cover the words that answer
compare.py      whether one run is better than another
"""
