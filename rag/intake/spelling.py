"""Words that two desks write differently and mean alike: British and American, figures and words, short forms.

Only words that are known: letters that two words share do not make one meaning of them (filed and filled, sign and
resign).  What is not listed here counts as another word.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_MONTHS = (
    "january february march april may june july august september october november december".split(),
    "jan feb mar apr may jun jul aug sep oct nov dec".split(),
)
_WEEK = "monday tuesday wednesday thursday friday saturday sunday".split()
DAYS = frozenset(_WEEK).union((f"{day}s" for day in _WEEK), *_MONTHS)

_HAVE_NOT = "do does did is are was were has have had would could should must need might ought dare".split()
_PAIRS = (
    "aeroplane airplane|ageing aging|aluminium aluminum|amongst among|whilst while|afterwards afterward|towards toward"
    "|backwards backward|forwards forward|upwards upward|burnt burned|learnt learned|spelt spelled|spoilt spoiled"
    "|catalogue catalog|dialogue dialog|analogue analog|cheque check|cheques checks|defence defense|offence offense"
    "|pretence pretense|licence license|licences licenses|practise practice|practised practiced|practising practicing"
    "|grey gray|greys grays|jewellery jewelry|judgement judgment|judgements judgments|acknowledgement acknowledgment"
    "|kerb curb|kerbs curbs|mould mold|moustache mustache|plough plow|ploughs plows|programme program"
    "|programmes programs|pyjamas pajamas|sceptic skeptic|sceptics skeptics|sceptical skeptical|scepticism skepticism"
    "|sulphur sulfur|tyre tire|tyres tires|enquiry inquiry|enquiries inquiries|manoeuvre maneuver"
    "|manoeuvres maneuvers|fulfil fulfill|enrol enroll|enrolment enrollment|instalment installment|skilful skillful"
    "|wilful willful|storey story|storeys stories|yoghurt yogurt|encyclopaedia encyclopedia|mediaeval medieval"
    "|okay ok|advisor adviser|advisors advisers|cancelation cancellation|mum mom|mums moms"
    "|centre center|centres centers|centred centered|theatre theater|theatres theaters|metre meter|metres meters"
    "|kilometre kilometer|kilometres kilometers|centimetre centimeter|centimetres centimeters|millimetre millimeter"
    "|millimetres millimeters|litre liter|litres liters|fibre fiber|fibres fibers|calibre caliber|sombre somber"
    "|spectre specter|lustre luster|sabre saber|meagre meager|anaemia anemia|anaesthetic anesthetic|foetus fetus"
    "|diarrhoea diarrhea|haemorrhage hemorrhage|leukaemia leukemia|oestrogen estrogen|oesophagus esophagus"
    "|paediatric pediatric|paediatrician pediatrician|orthopaedic orthopedic|gynaecology gynecology"
)
_KNOWN = {
    **{word: str(n) for n, word in enumerate(_NUMBERS, 1)},
    **{
        word: f"{n} {'st' if n == 1 else 'nd' if n == 2 else 'rd' if n == 3 else 'th'}"
        for n, word in enumerate(_ORDINALS, 1)
    },
    **{short: long for long, short in zip(*_MONTHS, strict=True)},
    "sept": "september",
    **{f"{verb}nt": f"{verb} not" for verb in _HAVE_NOT},
    "wont": "will not",
    "cant": "can not",
    "cannot": "can not",
    **dict(pair.split(" ") for pair in _PAIRS.split("|")),
}
_OUR = re.compile(
    r"(anc|and|arb|ard|arl|arm|avi|col|ean|eav|end|erv|fav|ghb|hon|hum|lab|lam|lav|nam|^od|rig|rum|sav|tum|ucc|val|vap"
    r"|vig)our"
)
_DOUBLED = re.compile(
    r"^((?:travel|cancel|label|level|model|signal|fuel|counsel|marvel|quarrel|shovel|total|rival|equal|dial|channel"
    r"|tunnel|panel|libel|duel|refuel|unravel|initial)l)(?=(?:ed|ing|er|ers)$)"
)
_IZE = re.compile(r"(?<=[a-z]{4})(?:i|(?<=l)y)z(?=(?:e|es|ed|ing|er|ers|ation|ations|ational)$)")
_UNLIKE_IZE = frozenset("capsize capsized capsizes capsizing".split())


@lru_cache(20_000)
def spelled(word: str) -> tuple[str, ...]:
    """Return a folded word as it is compared: in one spelling, a figure for a number, a short form in full.

    >>> spelled("harbour"), spelled("organised"), spelled("wouldnt"), spelled("five"), spelled("resigned")
    (('harbor',), ('organised',), ('would', 'not'), ('5',), ('resigned',))
    """
    known = _KNOWN.get(word)
    if known is not None:
        return tuple(known.split(" "))
    if len(word) < 5 or not word.isascii():
        return (word,)
    if word not in _UNLIKE_IZE:
        word = _IZE.sub(lambda m: m[0].replace("z", "s"), word)
    return (_DOUBLED.sub(lambda m: m[1][:-1], _OUR.sub(r"\1or", word)),)
