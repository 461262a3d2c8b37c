"""Taking questions apart, judging evidence and choosing sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import HashEmbedder

from rag.answer import evidence, features, lacking
from rag.answer.asked import asked
from rag.answer.extract import Extractive, choose
from rag.answer.glossed import LIKELY, explained, glossed, name_asked, printed
from rag.answer.head import shipped
from rag.answer.pointed import pointed
from rag.answer.refuse import refusal
from rag.handover import Evidence, EvidenceSentence, Mark
from rag.types import ArticleHead, Hit, Passage, Text


@pytest.mark.parametrize(
    ("question", "kind", "focus"),
    [
        ("Who leads Ghana?", "who", {"lead"}),
        ("When did the bridge open?", "when", {"bridg"}),
        ("In which year did it close?", "when", {"year"}),
        ("How many soldiers does it station there?", "number", {"soldier"}),
        ("How much does one cost?", "number", None),
        ("How wide is the river?", "number", None),
        ("What is the price of grain?", "number", set()),
        ("Which country sold the ships?", "who", set()),
        ("Why was the ferry late?", "why", None),
        ("Where did they meet?", "where", None),
        ("What engine powers the Block III?", "other", {"engin", "power", "block"}),
        ("At the fair in May, what did Kenya sign?", "other", None),
        ("Tell me about grain", "other", set()),
    ],
)
def test_what_is_asked(question: str, kind: str, focus: set[str] | None) -> None:
    about = asked(question)
    assert about.kind == kind
    if focus is not None and kind != "when":
        assert focus <= about.focus | (focus if kind == "who" and not about.focus else set())


def test_shares() -> None:
    about = asked("How many Kaan fighters will Azerbaijan buy in 2026?")
    assert about.names == ("Kaan", "Azerbaijan")
    assert about.figures == {"2026"}
    assert about.names_share({"kaan", "azerbaijan"}) == 1
    assert about.names_share({"kaan"}) == 0.5
    assert about.figures_share("in 2026 and 2027") == 1
    assert about.figures_share("in 2025") == 0
    assert about.kind_in("It will buy 40 of them in 2026.") == 1
    assert about.kind_in("It will buy some in 2026.") == 0
    assert about.counted_in("Azerbaijan will buy forty Kaan fighters.") == 1
    assert about.counted_in("In 2026 Azerbaijan will buy Kaan fighters.") == 0
    assert about.counted_in("Fighters are dear. " + "Word " * 20 + "and 40 ships.") == 0
    assert asked("Who?").share({"x"}) == 0
    when = asked("When does the ferry sail?")
    assert all(
        when.kind_in(f"It sails {t}.") for t in ("at nine in the morning", "at 9:40", "at 9 p.m.", "on Tuesdays")
    )
    assert not when.kind_in("It sails with 40 men.")


@pytest.mark.parametrize(
    ("question", "yes", "no"),
    [
        ("How much did the road cost?", "It cost $3 million.", "It is 50 kilometres long."),
        ("How wide is the strait?", "It is 3 kilometres wide.", "It took 3 years."),
        ("How long did it last?", "It lasted 44 days.", "It cost 44 dollars."),
        ("What share of imports came by sea?", "By sea came 94 percent.", "By sea came 94 ships."),
    ],
)
def test_a_figure_must_stand_with_its_unit(question: str, yes: str, no: str) -> None:
    assert asked(question).kind_in(yes) > asked(question).kind_in(no) == 0


def test_a_model_number_is_not_a_figure() -> None:
    assert asked("Does the JF-17 carry 8 missiles?").figures == {"8"}


def hit(n: int, text: str, title: str = "") -> Hit:
    return Hit(n, 1.0 / n, {}, Passage(f"a{n}", "r", 0, len(text), "", text), ArticleHead(f"a{n}", title))


HITS = [
    hit(1, "The Orsk bridge opened in 1962. It is made of steel. Nobody knows why."),
    hit(2, "A ferry served Orsk before. The bridge cost 4 million roubles. --- ."),
]


class TestJudge:
    def test_candidates_are_exact_and_each_once(self) -> None:
        found = evidence.candidates([*HITS, HITS[0]])
        assert [s.text for s in found] == [
            "The Orsk bridge opened in 1962.",
            "It is made of steel.",
            "Nobody knows why.",
            "A ferry served Orsk before.",
            "The bridge cost 4 million roubles.",
        ]
        for s in found:
            assert s.hit.passage.text[s.start : s.end] == s.text

    def test_rows_have_every_feature(self) -> None:
        judge = evidence.Judge(HashEmbedder())
        found = evidence.candidates(HITS)
        rows = features.of_sentences("When did the Orsk bridge open?", HITS, found, *judge.cosines("q", HITS, found))
        assert rows.shape == (5, len(features.SENTENCE))
        assert np.isfinite(rows).all()
        assert features.of_question("When?", HITS, found, rows).shape == (len(features.QUESTION),)

    def test_no_hits_is_no_evidence(self) -> None:
        assert evidence.Judge(HashEmbedder())("When?", []).confidence == 0

    def test_a_sentence_is_embedded_once(self) -> None:
        embedder = HashEmbedder()
        judge = evidence.Judge(embedder)
        judge("When did the bridge open?", HITS)
        once = len(embedder.embedded)
        judge("What did the bridge cost?", HITS)
        assert len(embedder.embedded) == once

    def test_the_shipped_weights_prefer_what_answers(self) -> None:
        """Each feature alone pulls the way it should, where the fit could have gone wrong."""
        on_sentences, on_question, threshold = evidence.fitted()
        by_name = dict(zip(features.SENTENCE, on_sentences.weights, strict=True))
        assert by_name["cosine"] > 0
        assert by_name["kind"] > 0
        assert dict(zip(features.QUESTION, on_question.weights, strict=True))["missing"] < 0
        assert 0 < threshold < 1


def scored(text: str, score: float, at: int = 0) -> EvidenceSentence:
    return EvidenceSentence(hit(1, " " * at + text), at, at + len(text), text, score)


class TestWriter:
    def test_the_best_comes_first_and_alone_when_it_says_all(self) -> None:
        best = scored("The Orsk bridge opened in 1962.", 3.0)
        other = scored("A bridge near Orsk opened in 1962 as well.", 2.9)
        chosen = choose(Evidence("When did the Orsk bridge open?", (), (best, other), 0.9), 4)
        assert chosen[0] is best

    def test_a_repeated_sentence_is_not_said_twice(self) -> None:
        best, same = scored("The Orsk bridge opened in 1962.", 3.0), scored("The Orsk bridge opened in 1962.", 2.9, 9)
        assert choose(Evidence("Which bridge opened, and what did it cost?", (), (best, same), 0.9), 4) == [best]

    def test_what_is_far_behind_is_left_out(self) -> None:
        best, far = scored("The Orsk bridge opened.", 3.0), scored("Grain was dear that year.", -3.0)
        assert choose(Evidence("What opened and was grain dear?", (), (best, far), 0.9), 4) == [best]

    def test_never_more_than_asked_for(self) -> None:
        many = tuple(scored(f"Word{n} other{n} thing{n}.", 3.0 - n / 100) for n in range(9))
        question = "What of Word0, Word1, Word2, Word3, Word4, Word5, Word6, Word7 and Word8?"
        assert len(choose(Evidence(question, (), many, 0.9), 3)) == 3

    def test_a_name_that_is_still_missing_brings_its_sentence_in(self) -> None:
        best, far = (
            scored("The Orsk bridge cost 4 million.", 3.0),
            scored("The Lena bridge cost 9 million roubles.", 1.0),
        )
        noise = scored("Grain was dear that year.", 2.0)
        question = "What did the Orsk bridge and the Lena bridge cost?"
        assert choose(Evidence(question, (), (best, noise, far), 0.9), 4) == [best, far, noise]
        assert choose(Evidence(question, (), (best, noise, far), 0.9), 2) == [best, far]

    def test_it_writes_verbatim_and_marks_each(self) -> None:
        best = scored("The Orsk bridge opened in 1962.", 3.0, 4)
        assert list(Extractive().write(Evidence("When?", (best.hit,), (best,), 0.9))) == [
            Text(best.text),
            Mark(best.hit, 4, 35),
        ]

    def test_a_second_that_may_answer_as_well_is_added_and_then_no_more(self) -> None:
        texts = ("The Orsk bridge opened in 1962.", "Grain was dear.", "A ferry ran until 1970.", "It rained a lot.")
        many = tuple(scored(t, 3.0 - n) for n, t in enumerate(texts))
        chosen = choose(Evidence("When did it open?", (), many, 0.9), 4)
        assert [s.text for s in chosen] == list(texts[:3])
        sure = tuple(scored(t, 3.0 - 4 * n) for n, t in enumerate(texts))
        assert len(choose(Evidence("When did it open?", (), sure, 0.9), 4)) == 1

    def test_a_list_draws_on_several_articles(self) -> None:
        def of(article: int, text: str, score: float) -> EvidenceSentence:
            return EvidenceSentence(hit(article, text), 0, len(text), text, score)

        first = of(1, "Kenya bought the old ferry.", 9.0)
        same, other = of(1, "Ghana wants a new train.", 7.0), of(2, "Three trams were bought by Peru.", 6.9)
        asked_of = (first, same, other)
        assert choose(Evidence("Which countries have bought vehicles?", (), asked_of, 0.9), 4)[-1] is other
        assert other not in choose(Evidence("Where was the ferry bought?", (), asked_of, 0.9), 2)

    def test_the_answering_words_are_strong(self) -> None:
        best = EvidenceSentence(hit(1, "It opened in 1962."), 0, 18, "It opened in 1962.", 1.0, (13, 17))
        written = list(Extractive().write(Evidence("When did it open?", (best.hit,), (best,), 0.9)))
        assert [t.text for t in written if isinstance(t, Text) and t.role == "strong"] == ["1962"]
        assert "".join(t.text for t in written if isinstance(t, Text) and t.role != "added") == best.text

    def test_what_is_counted_stands_behind_its_number(self) -> None:
        text = "The third plan had 1,960 Russian guards for five years."
        tokens = [(19, 24, -3.0), (44, 48, 2.0)]
        found = pointed("How many Russian guards were there?", text, tokens, 0.9)
        assert found
        assert text[slice(*found)] == "1,960"
        # Neither a number without the unit asked for nor a rank, whatever the model points to.
        for pointing in (tokens, [(19, 24, 3.0), (44, 48, -2.0)], [(4, 9, 3.0), (44, 48, -2.0)]):
            found = pointed("How long were the guards there?", text, pointing, 0.9)
            assert found
            assert text[slice(*found)] == "five years"
        found = pointed("How many plans were there?", text, [(4, 9, 3.0), (19, 24, -2.0), (44, 48, -3.0)], 0.9)
        assert found
        assert text[slice(*found)] == "1,960"

    def test_a_pronoun_is_made_clear_by_the_sentence_before(self) -> None:
        whole = hit(1, "Ada Brix built the bridge. She was born in Orsk.", title="Orsk")
        best = EvidenceSentence(whole, 27, 48, "She was born in Orsk.", 1.0)
        written = list(Extractive().write(Evidence("Where was she born?", (whole,), (best,), 0.9)))
        assert written == [
            Text("Ada Brix built the bridge.", "added"),
            Mark(whole, 0, 26),
            Text(" "),
            Text(best.text),
            Mark(whole, 27, 48),
        ]

    def test_a_pronoun_with_nothing_before_it_is_followed_by_the_title(self) -> None:
        alone = hit(1, "She was born in Orsk.", title="Ada Brix")
        best = EvidenceSentence(alone, 0, 21, "She was born in Orsk.", 1.0)
        written = list(Extractive().write(Evidence("Where was she born?", (alone,), (best,), 0.9)))
        endless = hit(1, "She was born in Orsk.", title="Ada " * 10_000)
        of_endless = Evidence("Where was she born?", (endless,), (replace(best, hit=endless),), 0.9)
        assert len("".join(w.text for w in Extractive().write(of_endless) if isinstance(w, Text))) < 160
        assert written[:3] == [Text("She"), Text(" [in “Ada Brix”]", "added"), Text(" was born in Orsk.")]

    def test_what_was_put_before_another_sentence_is_not_said_again(self) -> None:
        whole = hit(1, "Ada Brix built the bridge. She was born in Orsk.", title="Orsk")
        best = EvidenceSentence(whole, 27, 48, "She was born in Orsk.", 1.0)
        first = EvidenceSentence(whole, 0, 26, "Ada Brix built the bridge.", 0.9)
        written = list(Extractive().write(Evidence("Where was Brix born?", (whole,), (best, first), 0.9)))
        assert [w.start for w in written if isinstance(w, Mark)] == [0, 27]

    def test_a_sentence_that_says_since_then_has_the_one_before_it(self) -> None:
        whole = hit(1, "Ada Brix left in 1962. Otto Vane has run the zoo since then.", title="Orsk")
        best = EvidenceSentence(whole, 23, 60, "Otto Vane has run the zoo since then.", 1.0)
        question = "Who runs the zoo?"
        written = list(Extractive().write(Evidence(question, (whole,), (best,), 0.9)))
        assert written[0] == Text("Ada Brix left in 1962.", "added")
        alone = hit(1, best.text, title="Orsk")
        best = EvidenceSentence(alone, 0, 37, best.text, 1.0)
        written = list(Extractive().write(Evidence(question, (alone,), (best,), 0.9)))
        assert [w.text for w in written if isinstance(w, Text)] == [best.text]

    @pytest.mark.parametrize("text", ["It is said that ferries sink.", "Item 4 was sold.", "Hers was not the first."])
    def test_what_only_looks_like_a_pronoun(self, text: str) -> None:
        best = EvidenceSentence(hit(1, text, title="Ships"), 0, len(text), text, 1.0)
        written = list(Extractive().write(Evidence("What?", (best.hit,), (best,), 0.9)))
        added = [t for t in written if isinstance(t, Text) and t.role == "added"]
        assert bool(added) == text.startswith("Hers")

    def test_nothing_to_say(self) -> None:
        assert list(Extractive().write(Evidence("When?", (), (), 0.0))) == []


class TestExplained:
    @pytest.mark.parametrize(
        ("question", "name"),
        [
            ("What is TRIPP?", "TRIPP"),
            ("what is the TRIPP", "TRIPP"),
            ("Who was Ilse Brandt?", "Ilse Brandt"),
            ("What does KLM stand for?", "KLM"),
            ("What's meant by NATO?", "NATO"),
            ("Who's Ilse?", "Ilse"),
            ("What is the Bank of Ghana?", "Bank of Ghana"),
            ("What is Ilse Brandt's job?", None),
            ("Who is the president of the great republic of Peru?", None),
            ("Who is the President of Peru?", None),
            ("Who is King Orr?", "King Orr"),
            ("who was he", None),
            ("What is this?", None),
            ("Who is in Kiel?", None),
            ("What is the WHO?", "WHO"),
            ("WHAT IS WHO?", None),
            ("What is" + " " * 3_900 + ",a", None),
            ("When was TRIPP named?", None),
        ],
    )
    def test_the_name_that_is_to_be_explained(self, question: str, name: str | None) -> None:
        assert name_asked(question) == name

    def test_a_name_is_printed_with_capitals_and_nothing_else_is_one(self) -> None:
        texts = ["Kaan is a jet.", "So KAAN flew.", "The ferry left.", "Ferry is a word.", "It is Peru."]
        assert printed("kaan", texts) == {"Kaan", "KAAN"}
        assert printed("ferry", texts) == set()
        assert printed("president of Peru", texts) == set()
        assert printed(None, texts) == set()
        assert printed("🙂", texts) == printed("%", texts) == set()

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("LHC", "The Lima Harbour Council (LHC) met in May."),
            ("HARBNET", "The Harbour Authorities of Runsa Bay Network (HARBNET) grew."),
            ("LHC", "The council was named the Lima Harbour Council, or LHC, and met in May."),
            ("Brixari", "The Brixari (hill farmers and their kin) served."),
            ("Brandt", "Brandt, an engineer from Kiel, drew the plans."),
            ("Ilse Brandt", "It was launched by engineer Ilse Brandt in 1901."),
            ("Brandt", "It met Prime Minister Ilse Brandt in Kiel."),
            ("TB2", "The Bayraktar TB2 is made by Baykar."),
            ("Kiel", "Kiel is a port on the Baltic."),
            ("KLM", "KLM stands for Royal Aviation Company."),
        ],
    )
    def test_a_sentence_that_explains(self, name: str, text: str) -> None:
        assert glossed(name, text)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("LHC", "The LHC met in May."),
            ("LHC", "The harbour was quiet (LHC)."),
            ("Lima", "In Lima, the council met on Monday, they said."),
            ("Lima", "They flew to Quito, Lima, the capital cities, and Bogota."),
            ("Brandt", "Brandt (1901–1980) drew the plans."),
            ("Brandt", "The Brandtbank is a bank."),
            ("Peru", "He was the president of Peru."),
            ("Kiel", "The port of Kiel is large."),
            ("EU", "Within the EU, the Court of Justice decides."),
            ("Peru", "After Peru, the largest exporter is Iran."),
            ("Peru", "From Peru, the old ship sailed on."),
            ("Peru", "What Peru means to do is not known."),
            ("Brandt", "If Brandt means well, it may end."),
            ("Kiel", "He was named Kiel's mayor."),
            ("May", "On 3 May, the council met in Lima."),
        ],
    )
    def test_a_sentence_that_only_has_the_name(self, name: str, text: str) -> None:
        assert not glossed(name, text)

    def test_it_comes_first_and_makes_an_answer_likely(self) -> None:
        found = (scored("The LHC met in May.", 3.0), scored("The Lima Harbour Council (LHC) is old.", 1.0, 30))
        told = explained(Evidence("What is the LHC?", (found[0].hit,), found, 0.2))
        assert [s.start for s in told.sentences] == [30, 0]
        assert told.confidence == LIKELY
        assert explained(replace(told, question="who is the lhc", confidence=0.2)).confidence == LIKELY
        other = Evidence("When did the LHC meet?", (found[0].hit,), found, 0.2)
        assert explained(other) is other


class TestRefusal:
    @pytest.mark.parametrize(
        ("question", "told"),
        [
            ("What did Ghana pay for the ferry?", "mentions “Ghana”"),
            ("Who ran the ferry in 1871?", "mentions “1871”"),
            ("how long is the zeppelin", "has the word “zeppelin”."),
            ("What did Runza pay for the ferry?", "mentions “Runza”; it does mention “Runsa”."),
            ("Who sailed from Ghana to Runza?", "mentions “Ghana” or “Runza”; it does mention “Runsa”."),
            ("who owns the harbur", "has the word “harbur”; they have “harbour”."),
            ("Did Ada Brix go to Runsa?", "“Ada Brix” and “Runsa” together"),
            ("When did the ferry sail?", "when it was"),
            ("Did Ada Brix see the Runsa Block 70?", "“Ada Brix” and “Runsa Block 70” together"),
            ("What is the ferry?", "clearly say this"),
            ("What did Ada Brixes and the harbours of Runsa cost?", "“Ada Brixes” and “Runsa” together"),
            ("the?", "is clearly about it"),
            ("Did Ada Brix see Runsa 70 times?", "“Ada Brix” and “Runsa” together"),
            ("Please explain the ferry", "clearly say this"),
            ("Who sailed?!! 阿富汗 瓦罕走廊", "is clearly about it"),
        ],
    )
    def test_it_says_what_is_missing(self, question: str, told: str) -> None:
        hits = (
            hit(1, "Ada Brix ran the ferry. It is 70 metres long."),
            hit(2, "Runsa has a harbour, where ferries sail."),
        )
        assert told in refusal(Evidence(question, hits, (), 0.1))

    def test_without_hits(self) -> None:
        assert refusal(Evidence("When?", (), (), 0.0)).endswith("No passage was found for it.")


class TestLacking:
    HITS = (
        hit(1, "Türkiye and the European Union met Ada Brix in 1962; 4,500 came."),
        hit(2, "A ferry.", title="Runsa"),
        hit(3, "An F-16 on the Baku–Tbilisi–Kars railway saw a Typhoon."),
    )

    @pytest.mark.parametrize(
        ("question", "names", "figures", "years"),
        [
            ("What did Brix tell the Turkish side in Runsa in 1962?", [], [], []),
            ("What did the EU tell Ghana and Dr Ilse Lund?", ["Ghana", "Ilse Lund"], [], []),
            ("Who were the 4,500 who came, and the 72 who left in 1971?", [], ["72"], ["1971"]),
            ("Ferry when?", [], [], []),
            ("Who were the 4500, or 4.5?", [], ["4.5"], []),
            ("How many F16s and Eurofighters did the BTK carry? And Typhoons?", ["Eurofighters"], [], []),
        ],
    )
    def test_what_nothing_found_mentions(
        self, question: str, names: list[str], figures: list[str], years: list[str]
    ) -> None:
        held = lacking.mentioned(self.HITS)
        assert [n.removeprefix("Dr ") for n in lacking.names(question, held)] == names
        assert lacking.figures(question, held) == figures
        assert lacking.figures(question, held, years=True) == years

    def test_names_that_a_follow_up_is_searched_with_are_not_taken_for_granted(self) -> None:
        held = lacking.mentioned(self.HITS)
        assert lacking.names("Who met Ghana there? (Türkiye, Peru)", held) == ["Ghana"]
        assert lacking.figures("Who met there? (1871)", held, years=True) == []

    def test_what_is_lacking_counts_against_an_answer(self) -> None:
        weights = dict(zip(features.SURE, shipped()._sure, strict=True))
        assert weights["lacking"] < 0
        assert all(weights[n] <= 0 for n in (*features.PREMISE, *features.CONTRARY))
        assert weights["together"] > 0
